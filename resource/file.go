package resource

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"sigs.k8s.io/yaml"

	"postern/resource/schema"
)

// Item is one resource of a file, ready to be written: a full id and a body whose references are full ids.
type Item struct {
	ID   ID              `json:"id"`
	Body json.RawMessage `json:"body"`
	From string          `json:"-"` // "cloud.yaml: document 3", for messages
}

// LoadFile reads resources from a YAML or JSON file. A file holds documents (parted by a line "---"), each one
// resource or a list of resources. A resource has the ARM body's members and says where it belongs by "id", or by
// "type" and "name" in the default group, child names as "parent/child". References in bodies ("id" inside properties,
// and serviceResources) are full ids or the tail of an id in the default group: see Expand.
//
// The error joins one line for every mistake; each names the file, the document, the field and what to do. Fields
// are judged later, by the type's own rules.
func LoadFile(path string) ([]Item, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read resources: %w", err)
	}
	return Load(path, data)
}

// Load is LoadFile for bytes that are already there; name stands for the file in messages.
func Load(name string, data []byte) ([]Item, error) {
	var items []Item
	var mistakes []error
	seen := make(map[string]string)
	for number, document := range documents(data) {
		from := fmt.Sprintf("%s: document %d", name, number+1)
		bodies, err := bodiesOf(document)
		if err != nil {
			mistakes = append(mistakes, fmt.Errorf("%s: %w", from, err))
			continue
		}
		for i, body := range bodies {
			at := from
			if len(bodies) > 1 {
				at = fmt.Sprintf("%s, item %d", from, i+1)
			}
			item, err := itemOf(body)
			if err != nil {
				mistakes = append(mistakes, fmt.Errorf("%s: %w", at, err))
				continue
			}
			if first, ok := seen[item.ID.Key()]; ok {
				mistakes = append(mistakes, fmt.Errorf("%s: %s stands already in %s: remove one of the two", at, item.ID, first))
				continue
			}
			seen[item.ID.Key()] = at
			item.From = at
			items = append(items, item)
		}
	}
	if len(items) == 0 && len(mistakes) == 0 {
		return nil, fmt.Errorf("%s: no resource in it: write at least one document with type, name and properties", name)
	}
	return items, errors.Join(mistakes...)
}

// documents parts a file at its "---" lines. Documents without any content but comments count, but are empty.
func documents(data []byte) [][]byte {
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	var list [][]byte
	var current []byte
	for line := range bytes.Lines(data) {
		if rest, ok := bytes.CutPrefix(line, []byte("---")); ok && len(bytes.TrimSpace(rest)) == 0 {
			if len(list) > 0 || len(bytes.TrimSpace(current)) > 0 {
				list = append(list, current)
			}
			current = nil
			continue
		}
		current = append(current, line...)
	}
	return append(list, current)
}

// bodiesOf reads one document: nothing, an object, or a list of objects.
func bodiesOf(document []byte) ([]map[string]any, error) {
	asJSON, err := yaml.YAMLToJSONStrict(document)
	if err != nil {
		return nil, fmt.Errorf("not YAML or JSON: %s: correct the document", strings.TrimPrefix(oneLine(err), "yaml: "))
	}
	decoder := json.NewDecoder(bytes.NewReader(asJSON))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return nil, fmt.Errorf("not JSON: %w", err)
	}
	switch value := value.(type) {
	case nil:
		return nil, nil
	case map[string]any:
		return []map[string]any{value}, nil
	case []any:
		var bodies []map[string]any
		for i, element := range value {
			body, ok := element.(map[string]any)
			if !ok {
				return nil, fmt.Errorf("item %d is %s: want a resource with type, name and properties", i+1, schema.Describe(element))
			}
			bodies = append(bodies, body)
		}
		return bodies, nil
	}
	return nil, fmt.Errorf("it is %s: want a resource with type, name and properties, or a list of them", schema.Describe(value))
}

func oneLine(err error) string {
	return strings.Join(strings.Fields(strings.ReplaceAll(err.Error(), "error converting YAML to JSON: ", "")), " ")
}

func itemOf(body map[string]any) (Item, error) {
	words := make(map[string]string)
	for _, name := range []string{"id", "type", "name"} {
		value, ok := body[name]
		if !ok {
			continue
		}
		text, isText := value.(string)
		if !isText {
			return Item{}, fmt.Errorf("field %s is %s: want a string", name, schema.Describe(value))
		}
		words[name] = text
	}
	var id ID
	var err error
	switch {
	case words["id"] != "":
		full, _ := Expand(words["id"])
		id, err = ParseID(full)
	case words["type"] != "" && words["name"] != "":
		id, err = IDOf(words["type"], words["name"])
	default:
		return Item{}, errors.New("it does not say which resource it is: give it an id, or a type and a name")
	}
	if err != nil {
		return Item{}, err
	}
	for _, name := range []string{"id", "name", "type"} {
		delete(body, name)
	}
	if err := expandAll(body, ""); err != nil {
		return Item{}, err
	}
	data, err := json.Marshal(body)
	return Item{ID: id, Body: data}, err
}

// expandAll makes full ids of the references in a body.
func expandAll(value any, path string) error {
	switch value := value.(type) {
	case map[string]any:
		for _, name := range sortedKeys(value) {
			at := schema.Join(path, name)
			if text, ok := value[name].(string); ok && strings.EqualFold(name, "id") {
				full, ok := Expand(text)
				if !ok {
					return fmt.Errorf("field %s: '%s' names no resource: write a full id, or type/name as in virtualNetworks/vnet/subnets/app", at, text)
				}
				value[name] = full
			}
			if list, ok := value[name].([]any); ok && strings.EqualFold(name, "serviceResources") {
				for i := range list {
					if text, ok := list[i].(string); ok {
						list[i], _ = Expand(text)
					}
				}
			}
			if err := expandAll(value[name], at); err != nil {
				return err
			}
		}
	case []any:
		for i := range value {
			if err := expandAll(value[i], index(path, i)); err != nil {
				return err
			}
		}
	}
	return nil
}

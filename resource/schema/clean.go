package schema

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Fault is a mistake in a body.
type Fault struct {
	Path    string // of the field: "properties.subnets[1].properties.prefix"
	Message string // a sentence for a person
}

func (f *Fault) Error() string { return f.Path + ": " + f.Message }

// Reference is an id that a body refers to.
type Reference struct {
	Path string // of the object that holds the id: "properties.routeTable"
	ID   string
}

// Clean compares a decoded JSON object (numbers as json.Number) with a model, and answers it as it is to be kept: names
// and words of enumerations in ARM's spelling, without nulls and without what only the service sets; of references the
// id alone. It also answers what the body refers to. The error is a *Fault for the first mistake in the order of names:
// a field that the model does not have, one that stands twice in different case, a value of another kind.
func (t *Table) Clean(model string, object map[string]any) (map[string]any, []Reference, error) {
	c := &cleaner{table: t}
	cleaned, err := c.object(model, object, "")
	return cleaned, c.references, err
}

type cleaner struct {
	table      *Table
	references []Reference
}

func fault(path, format string, args ...any) error { return &Fault{path, fmt.Sprintf(format, args...)} }

func (c *cleaner) object(model string, value any, path string) (map[string]any, error) {
	object, ok := value.(map[string]any)
	if !ok {
		return nil, wrong(path, value, "an object")
	}
	fields := c.table.models[model]
	cleaned := make(map[string]any, len(object))
	for _, name := range slices.Sorted(maps.Keys(object)) {
		at := Join(path, name)
		f, ok := fields[strings.ToLower(name)]
		if !ok {
			return nil, fault(at, "Could not find member '%s' on object of type '%s': remove it or correct its name.", name, model[strings.Index(model, ".")+1:])
		}
		if _, twice := cleaned[f.name]; twice {
			return nil, fault(at, "The member '%s' stands twice, in different case.", name)
		}
		if f.readOnly || object[name] == nil || f.kind.word() && object[name] == "" {
			continue // azurerm writes an empty word where it means none
		}
		value, err := c.value(f.kind, object[name], at)
		if err != nil {
			return nil, err
		}
		cleaned[f.name] = value
	}
	return cleaned, nil
}

func (c *cleaner) value(k kind, value any, path string) (any, error) {
	if k.wraps != "" {
		return c.wrapped(k, value, path)
	}
	switch k.base {
	case "any":
		return value, nil
	case "&":
		return c.reference(value, path)
	case "string", "time":
		text, ok := value.(string)
		if !ok {
			return nil, wrong(path, value, "a string")
		}
		if _, err := time.Parse(time.RFC3339, text); k.base == "time" && err != nil {
			return nil, wrong(path, value, "a time such as 2026-01-02T03:04:05Z")
		}
		return text, nil
	case "bool":
		if _, ok := value.(bool); !ok {
			return nil, wrong(path, value, "true or false")
		}
		return value, nil
	case "int", "number":
		number, ok := value.(json.Number)
		if !ok {
			return nil, wrong(path, value, "a number")
		}
		if _, err := number.Int64(); k.base == "int" && err != nil {
			return nil, wrong(path, value, "a whole number")
		}
		return number, nil
	}
	if enum, ok := strings.CutPrefix(k.base, "~"); ok {
		return c.word(enum, value, path)
	}
	return c.object(k.base, value, path)
}

func (c *cleaner) wrapped(k kind, value any, path string) (any, error) {
	inner := kind{k.wraps[1:], k.base}
	if k.wraps[0] == '{' {
		object, ok := value.(map[string]any)
		if !ok {
			return nil, wrong(path, value, "an object")
		}
		cleaned := make(map[string]any, len(object))
		for _, name := range slices.Sorted(maps.Keys(object)) {
			if object[name] == nil {
				continue
			}
			element, err := c.value(inner, object[name], Join(path, name))
			if err != nil {
				return nil, err
			}
			cleaned[name] = element
		}
		return cleaned, nil
	}
	list, ok := value.([]any)
	if !ok {
		return nil, wrong(path, value, "a list")
	}
	cleaned := make([]any, 0, len(list))
	for i, element := range list {
		element, err := c.value(inner, element, fmt.Sprintf("%s[%d]", path, i))
		if err != nil {
			return nil, err
		}
		cleaned = append(cleaned, element)
	}
	return cleaned, nil
}

// carried are the members that an answer may have had about the resource that is referred to. A client that writes back
// what it read sends them; they are not ours to read.
var carried = []string{"etag", "extendedlocation", "location", "name", "properties", "resourcegroup", "sku", "tags", "type", "zones"}

func (c *cleaner) reference(value any, path string) (any, error) {
	object, ok := value.(map[string]any)
	if !ok {
		return nil, wrong(path, value, "an object with the id of a resource")
	}
	cleaned := make(map[string]any, 1)
	for _, name := range slices.Sorted(maps.Keys(object)) {
		lower := strings.ToLower(name)
		if lower != "id" && !slices.Contains(carried, lower) {
			return nil, fault(Join(path, name), "Could not find member '%s' on object of type 'SubResource': remove it or correct its name.", name)
		}
		if lower != "id" || object[name] == nil {
			continue
		}
		id, ok := object[name].(string)
		if !ok {
			return nil, wrong(Join(path, name), object[name], "a string")
		}
		if _, twice := cleaned["id"]; twice {
			return nil, fault(Join(path, name), "The member '%s' stands twice, in different case.", name)
		}
		cleaned["id"] = id
		c.references = append(c.references, Reference{path, id})
	}
	return cleaned, nil
}

func (c *cleaner) word(enum string, value any, path string) (any, error) {
	text, ok := value.(string)
	if !ok {
		return nil, wrong(path, value, "a string")
	}
	for _, known := range c.table.enums[enum] {
		if strings.EqualFold(known, text) || strings.EqualFold(strings.ReplaceAll(known, " ", ""), text) {
			return known, nil
		}
	}
	return nil, fault(path, "The value '%s' of '%s' is not known: use one of %s.", text, path, strings.Join(c.table.enums[enum], ", "))
}

func wrong(path string, value any, want string) error {
	if path == "" {
		path = "resource"
	}
	return fault(path, "The value of '%s' is %s; it must be %s.", path, Describe(value), want)
}

// Describe says in words what a decoded JSON value is: for messages.
func Describe(value any) string {
	switch value := value.(type) {
	case nil:
		return "null"
	case string:
		return fmt.Sprintf("the string %q", value)
	case json.Number:
		return "the number " + value.String()
	case bool:
		return fmt.Sprintf("%v", value)
	case []any:
		return "a list"
	}
	return "an object"
}

// Join appends a member to the path of a field: "properties.addressSpace".
func Join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

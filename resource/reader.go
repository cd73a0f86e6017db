package resource

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"

	"postern/resource/schema"
)

// maxDepth bounds how deeply a body may be nested: no model of Azure's is half as deep.
const maxDepth = 64

// readObject reads a JSON object, its numbers as json.Number. It refuses what a lenient reader would let one part of
// the system see and another not: a member that stands twice, whatever the case, and more behind the object.
func readObject(body []byte) (map[string]any, error) {
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	value, err := readValue(decoder, "", 0)
	if err != nil {
		return nil, err
	}
	object, ok := value.(map[string]any)
	if !ok {
		return nil, refuse(CodeInvalidRequestContent, "", "The request content was invalid and could not be deserialized: it is %s, not an object.", schema.Describe(value))
	}
	if _, err := decoder.Token(); err != io.EOF {
		return nil, refuse(CodeInvalidRequestContent, "", "The body has more behind its JSON value.")
	}
	return object, nil
}

func readValue(decoder *json.Decoder, path string, depth int) (any, error) {
	if depth > maxDepth {
		return nil, refuse(CodeInvalidRequestContent, path, "The body is nested more than %d levels deep.", maxDepth)
	}
	token, err := readToken(decoder)
	if err != nil {
		return nil, err
	}
	switch token {
	case json.Delim('{'):
		object, seen := make(map[string]any), make(map[string]bool)
		for decoder.More() {
			token, err := readToken(decoder)
			if err != nil {
				return nil, err
			}
			name, lower := token.(string), strings.ToLower(token.(string))
			if seen[lower] {
				return nil, refuse(CodeInvalidRequestFormat, schema.Join(path, name), "The member '%s' stands twice.", name)
			}
			seen[lower] = true
			if object[name], err = readValue(decoder, schema.Join(path, name), depth+1); err != nil {
				return nil, err
			}
		}
		_, err := readToken(decoder)
		return object, err
	case json.Delim('['):
		list := []any{}
		for decoder.More() {
			element, err := readValue(decoder, index(path, len(list)), depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, element)
		}
		_, err := readToken(decoder)
		return list, err
	}
	return token, nil
}

func readToken(decoder *json.Decoder) (json.Token, error) {
	token, err := decoder.Token()
	if err != nil {
		return nil, refuse(CodeInvalidRequestContent, "", "The request content was invalid and could not be deserialized: %s.", describe(err))
	}
	return token, nil
}

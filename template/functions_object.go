package template

import (
	"fmt"
)

// objectFunctions work on objects.
var objectFunctions = map[string]function{
	"createObject": eager(0, -1, func(_ *scope, a []any) (any, error) { return createObject(a) }),
	"json":         eager(1, 1, func(_ *scope, a []any) (any, error) { return fromJSON(a) }),
	"items":        one(items),
	"objectKeys":   one(objectKeys),
	"shallowMerge": one(shallowMerge),
	"tryGet":       {2, -1, tryGet, nil, false},
}

func createObject(arguments []any) (any, error) {
	if len(arguments)%2 != 0 {
		return nil, fmt.Errorf("it takes names and values in turn, and the last name has no value")
	}
	object := make(map[string]any, len(arguments)/2)
	for i := 0; i < len(arguments); i += 2 {
		name, err := textAt(arguments, i)
		if err != nil {
			return nil, err
		}
		object[name] = arguments[i+1]
	}
	return object, nil
}

func fromJSON(arguments []any) (any, error) {
	text, err := textAt(arguments, 0)
	if err != nil {
		return nil, err
	}
	node, err := Read([]byte(text))
	if err != nil {
		return nil, fmt.Errorf("the text is not JSON: %w", plain(err))
	}
	return node.Value(), nil
}

// plain takes the place from an error of another text than the template.
func plain(err error) error { return fmt.Errorf("%s", err.Error()) }

// items are an object's members in the order of their names.
func items(value any) (any, error) {
	object, err := objectAt([]any{value}, 0)
	if err != nil {
		return nil, err
	}
	list := make([]any, 0, len(object))
	for _, name := range sortedKeys(object) {
		list = append(list, map[string]any{"key": name, "value": object[name]})
	}
	return list, nil
}

func objectKeys(value any) (any, error) {
	object, err := objectAt([]any{value}, 0)
	if err != nil {
		return nil, err
	}
	list := make([]any, 0, len(object))
	for _, name := range sortedKeys(object) {
		list = append(list, name)
	}
	return list, nil
}

// shallowMerge puts the objects of a list over each other; unlike union it does not look into what they hold.
func shallowMerge(value any) (any, error) {
	list, err := listAt([]any{value}, 0)
	if err != nil {
		return nil, err
	}
	merged := map[string]any{}
	for i := range list {
		object, err := objectAt(list, i)
		if err != nil {
			return nil, err
		}
		for name, value := range object {
			merged[name] = value
		}
	}
	return merged, nil
}

// tryGet follows names and numbers into a value; null where they lead nowhere.
func tryGet(s *scope, arguments []any) (any, error) {
	value := arguments[0]
	for _, key := range arguments[1:] {
		if value == nil {
			return nil, nil
		}
		found, ok, err := s.member(value, key)
		if err != nil {
			return nil, err
		}
		if !ok {
			return nil, nil
		}
		value = found
	}
	return value, nil
}

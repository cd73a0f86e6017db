package template

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// function is a built-in one.
type function struct {
	least, most int // arguments; most is -1 for any number

	// One of the two: eager gets its arguments evaluated, lazy evaluates those that it needs.
	eager func(s *scope, arguments []any) (any, error)
	lazy  func(s *scope, c *call) (any, error)

	makes bool // its value is a new one that must be paid for
}

// count says how many arguments there are, for messages.
func (f function) count() string {
	switch {
	case f.most < 0:
		return fmt.Sprintf("'%d' or more arguments", f.least)
	case f.least == f.most:
		return fmt.Sprintf("'%d' argument(s)", f.least)
	}
	return fmt.Sprintf("'%d' to '%d' arguments", f.least, f.most)
}

// functions are the built-in ones by name in lower case. It is filled below because some refer to it. The list functions
// (listKeys and all others whose names begin so) stand beside it.
var functions map[string]function

// spelled are their names.
var spelled []string

func init() {
	functions = map[string]function{}
	for _, group := range []map[string]function{textFunctions, listFunctions, objectFunctions, numberFunctions, logicFunctions,
		encodingFunctions, dateFunctions, networkFunctions, lambdaFunctions, scopeFunctions, resourceFunctions} {
		for name, f := range group {
			functions[strings.ToLower(name)] = f
			spelled = append(spelled, name)
		}
	}
	slices.Sort(spelled)
}

// Functions names the built-in functions, in order; "list*" stands for all whose names begin with list.
func Functions() []string { return append(slices.Clone(spelled), "list*") }

// one makes a function of one argument that has no need of its surroundings.
func one(do func(any) (any, error)) function {
	return function{1, 1, func(_ *scope, a []any) (any, error) { return do(a[0]) }, nil, true}
}

// eager makes a function whose value is a new one.
func eager(least, most int, do func(s *scope, arguments []any) (any, error)) function {
	return function{least, most, do, nil, true}
}

// wrong says that an argument is of another type than it must be. i counts from 0.
func wrong(i int, want string, have any) error {
	return fmt.Errorf("its parameter '%d' must be %s, but is of type '%s'", i+1, want, typeName(have))
}

func textAt(arguments []any, i int) (string, error) {
	text, ok := arguments[i].(string)
	if !ok {
		return "", wrong(i, "a string", arguments[i])
	}
	return text, nil
}

func numberAt(arguments []any, i int) (int64, error) {
	number, ok := arguments[i].(int64)
	if !ok {
		return 0, wrong(i, "an integer", arguments[i])
	}
	return number, nil
}

func listAt(arguments []any, i int) ([]any, error) {
	list, ok := arguments[i].([]any)
	if !ok {
		return nil, wrong(i, "an array", arguments[i])
	}
	return list, nil
}

func objectAt(arguments []any, i int) (map[string]any, error) {
	object, ok := arguments[i].(map[string]any)
	if !ok {
		return nil, wrong(i, "an object", arguments[i])
	}
	return object, nil
}

func boolAt(arguments []any, i int) (bool, error) {
	truth, ok := arguments[i].(bool)
	if !ok {
		return false, wrong(i, "a boolean", arguments[i])
	}
	return truth, nil
}

// texts are arguments that must all be strings.
func texts(arguments []any) ([]string, error) {
	list := make([]string, len(arguments))
	for i := range arguments {
		var err error
		if list[i], err = textAt(arguments, i); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// numbers are arguments, or the elements of the one argument, that must all be whole numbers.
func numbers(arguments []any) ([]int64, error) {
	if list, ok := arguments[0].([]any); ok && len(arguments) == 1 {
		arguments = list
	}
	if len(arguments) == 0 {
		return nil, fmt.Errorf("it needs one number at least")
	}
	found := make([]int64, len(arguments))
	for i := range arguments {
		var err error
		if found[i], err = numberAt(arguments, i); err != nil {
			return nil, err
		}
	}
	return found, nil
}

func copied(object map[string]any) map[string]any {
	if object == nil {
		return map[string]any{}
	}
	return maps.Clone(object)
}

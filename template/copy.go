package template

import (
	"fmt"
	"strings"
)

// isLoops tells whether a member named copy holds loops, and is not a property that happens to have that name.
func isLoops(n *Node) bool {
	if n.kind != kindList {
		return false
	}
	for _, element := range n.list {
		if element.kind != kindObject || element.Member("name") == nil || element.Member("count") == nil || element.Member("input") == nil {
			return false
		}
	}
	return len(n.list) > 0
}

// copies makes the members of an object that its "copy" says.
func (s *scope) copies(object map[string]any, loops *Node, path string) error {
	for i, element := range loops.list {
		at := indexed(path, i)
		name, ok := element.Member("name").value.(string)
		if !ok || name == "" {
			return &placedError{element, at, final("The name of a copy loop must be a string.")}
		}
		list, err := s.turns(element, name, at, func(inner *scope) (any, error) {
			return inner.node(element.Member("input"), join(at, "input"), true)
		})
		if err != nil {
			return err
		}
		object[name] = list
	}
	return nil
}

// turns evaluates an input once for each turn of a loop of properties, variables or outputs.
func (s *scope) turns(loops *Node, name, path string, input func(*scope) (any, error)) ([]any, error) {
	count, err := s.count(loops, path)
	if err != nil {
		return nil, err
	}
	list := make([]any, count)
	for i := range list {
		if list[i], err = input(s.with(loop{name: name, index: i, property: true})); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// count evaluates how often a loop turns.
func (s *scope) count(loops *Node, path string) (int, error) {
	n := loops.Member("count")
	if n == nil {
		return 0, &placedError{loops, path, final("The copy loop has no 'count'.")}
	}
	value, err := s.node(n, join(path, "count"), false)
	if err != nil {
		return 0, err
	}
	count, ok := value.(int64)
	switch {
	case !ok:
		return 0, &placedError{n, path, final("The copy count must be an integer value; it is of type '%s'.", typeName(value))}
	case count < 0:
		return 0, &placedError{n, path, final("The copy count '%d' must not be negative.", count)}
	case count > MaxCopy:
		return 0, &placedError{n, path, final("The copy count '%d' exceeds the maximum number of copies '%d'.", count, MaxCopy)}
	}
	return int(count), nil
}

// copyIndex finds the turn that a loop is at.
func copyIndex(s *scope, arguments []any) (any, error) {
	name, offset := "", int64(0)
	for i, argument := range arguments {
		switch argument := argument.(type) {
		case string:
			if i > 0 {
				return nil, fmt.Errorf("the name of the loop stands first")
			}
			name = argument
		case int64:
			offset = argument
		default:
			return nil, fmt.Errorf("it takes the name of a loop and a whole number, not a value of type '%s'", typeName(argument))
		}
	}
	if found, ok := s.loop(name); ok {
		return int64(found.index) + offset, nil
	}
	if name != "" {
		return nil, final("The template function 'copyIndex' is not expected at this location: there is no copy loop named '%s' around it.", name)
	}
	return nil, final("The template function 'copyIndex' is not expected at this location. The function can only be used in a resource with copy specified. " +
		"Please see https://aka.ms/arm-copy for usage details.")
}

// loop finds a loop around an expression: by name, or for "" that of the resource, or else the innermost.
func (s *scope) loop(name string) (loop, bool) {
	var found *loop
	for i := range s.loops {
		switch l := &s.loops[i]; {
		case name != "" && strings.EqualFold(l.name, name):
			found = l
		case name == "" && (found == nil || found.property || !l.property):
			found = l
		}
	}
	if found == nil && s.outer != nil && s.bound != nil {
		return s.bound.loop(name)
	}
	if found == nil {
		return loop{}, false
	}
	return *found, true
}

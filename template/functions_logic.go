package template

import (
	"fmt"
	"strings"
)

// logicFunctions decide. if, and, or and coalesce evaluate no more arguments than they need.
var logicFunctions = map[string]function{
	"true":            {0, 0, func(*scope, []any) (any, error) { return true, nil }, nil, false},
	"false":           {0, 0, func(*scope, []any) (any, error) { return false, nil }, nil, false},
	"null":            {0, 0, func(*scope, []any) (any, error) { return nil, nil }, nil, false},
	"if":              {3, 3, nil, ifElse, false},
	"and":             {2, -1, nil, func(s *scope, c *call) (any, error) { return s.all(c, true) }, false},
	"or":              {2, -1, nil, func(s *scope, c *call) (any, error) { return s.all(c, false) }, false},
	"not":             {1, 1, not, nil, false},
	"xor":             {2, 2, xor, nil, false},
	"bool":            one(toBool),
	"coalesce":        {1, -1, nil, coalesce, false},
	"equals":          {2, 2, func(s *scope, a []any) (any, error) { return s.work.equal(a[0], a[1]) }, nil, false},
	"less":            {2, 2, comparison(func(order int) bool { return order < 0 }), nil, false},
	"lessOrEquals":    {2, 2, comparison(func(order int) bool { return order <= 0 }), nil, false},
	"greater":         {2, 2, comparison(func(order int) bool { return order > 0 }), nil, false},
	"greaterOrEquals": {2, 2, comparison(func(order int) bool { return order >= 0 }), nil, false},
	"fail":            {1, 1, fail, nil, false},
}

func ifElse(s *scope, c *call) (any, error) {
	condition, err := s.eval(c.arguments[0])
	if err != nil {
		return nil, err
	}
	truth, err := boolAt([]any{condition}, 0)
	if err != nil {
		return nil, err
	}
	if truth {
		return s.eval(c.arguments[1])
	}
	return s.eval(c.arguments[2])
}

// all tells whether every argument is want, or else that one is not: and with true, or with false.
func (s *scope) all(c *call, want bool) (any, error) {
	for i, argument := range c.arguments {
		value, err := s.eval(argument)
		if err != nil {
			return nil, err
		}
		truth, ok := value.(bool)
		if !ok {
			return nil, wrong(i, "a boolean", value)
		}
		if truth != want {
			return !want, nil
		}
	}
	return want, nil
}

func not(_ *scope, arguments []any) (any, error) {
	truth, err := boolAt(arguments, 0)
	return !truth, err
}

func xor(_ *scope, arguments []any) (any, error) {
	a, err := boolAt(arguments, 0)
	if err != nil {
		return nil, err
	}
	b, err := boolAt(arguments, 1)
	return a != b, err
}

func toBool(value any) (any, error) {
	switch value := value.(type) {
	case bool:
		return value, nil
	case int64:
		return value != 0, nil
	case string:
		switch strings.ToLower(strings.TrimSpace(value)) {
		case "true", "1":
			return true, nil
		case "false", "0":
			return false, nil
		}
		return nil, fmt.Errorf("the text '%.80s' is neither true nor false", value)
	}
	return nil, wrong(0, "a string or an integer", value)
}

func coalesce(s *scope, c *call) (any, error) {
	for _, argument := range c.arguments {
		if value, err := s.eval(argument); err != nil || value != nil {
			return value, err
		}
	}
	return nil, nil
}

// comparison compares two whole numbers, or two texts character by character.
func comparison(holds func(order int) bool) func(*scope, []any) (any, error) {
	return func(_ *scope, arguments []any) (any, error) {
		if text, ok := arguments[0].(string); ok {
			other, err := textAt(arguments, 1)
			return holds(strings.Compare(text, other)), err
		}
		a, err := numberAt(arguments, 0)
		if err != nil {
			return nil, err
		}
		b, err := numberAt(arguments, 1)
		if err != nil {
			return nil, err
		}
		order := 0
		if a < b {
			order = -1
		} else if a > b {
			order = 1
		}
		return holds(order), nil
	}
}

// fail ends the deployment with a message of the template's own.
func fail(_ *scope, arguments []any) (any, error) {
	text, err := textAt(arguments, 0)
	if err != nil {
		return nil, err
	}
	return nil, final("%s", text)
}

package template

import (
	"fmt"
	"slices"
	"strings"
)

// lambdaFunctions run a small function of the expression's own over an array or an object.
var lambdaFunctions = map[string]function{
	"lambda":          {1, -1, nil, func(*scope, *call) (any, error) { return nil, fmt.Errorf("it stands where no lambda is asked for") }, false},
	"lambdaVariables": {1, 1, nil, lambdaVariable, false},
	"filter":          {2, 2, nil, filter, true},
	"map":             {2, 2, nil, mapped, true},
	"mapValues":       {2, 2, nil, mapValues, true},
	"reduce":          {3, 3, nil, reduce, true},
	"sort":            {2, 2, nil, sorted, true},
	"toObject":        {2, 3, nil, toObject, true},
	"groupBy":         {2, 2, nil, groupBy, true},
}

// lambda is a function of an expression: lambda('x', 'y', body).
type lambda struct {
	names []string
	body  expression
}

// lambdaAt takes an argument as a lambda of least to most variables; 0 for least makes the variables optional.
func lambdaAt(c *call, i, least, most int) (lambda, error) {
	given, ok := c.arguments[i].(*call)
	if !ok || given.namespace != "" || !strings.EqualFold(given.name, "lambda") || len(given.arguments) == 0 {
		return lambda{}, fmt.Errorf("its parameter '%d' must be a lambda", i+1)
	}
	last := len(given.arguments) - 1
	l := lambda{body: given.arguments[last]}
	for _, argument := range given.arguments[:last] {
		name, _ := argument.(literal)
		text, ok := name.value.(string)
		if !ok {
			return lambda{}, fmt.Errorf("the variables of its lambda must be strings")
		}
		l.names = append(l.names, text)
	}
	if len(l.names) < least || len(l.names) > most {
		return lambda{}, fmt.Errorf("its lambda must have '%d' to '%d' variables", least, most)
	}
	return l, nil
}

// run evaluates a lambda's body; values that it has no variable for are left out.
func (l lambda) run(s *scope, values ...any) (any, error) {
	return s.binds(l.names, values...).eval(l.body)
}

func lambdaVariable(s *scope, c *call) (any, error) {
	value, err := s.eval(c.arguments[0])
	if err != nil {
		return nil, err
	}
	name, err := textAt([]any{value}, 0)
	if err != nil {
		return nil, err
	}
	for i := len(s.lambdas) - 1; i >= 0; i-- {
		if strings.EqualFold(s.lambdas[i].name, name) {
			return s.lambdas[i].value, nil
		}
	}
	return nil, fmt.Errorf("there is no lambda around it with a variable '%s'", name)
}

// listOf evaluates an argument that must be a list.
func (s *scope) listOf(argument expression) ([]any, error) {
	value, err := s.eval(argument)
	if err != nil {
		return nil, err
	}
	return listAt([]any{value}, 0)
}

// over evaluates the list and the lambda of a call, and hands over what the lambda makes of each element.
func (s *scope) over(c *call, most int, each func(i int, element, made any) error) error {
	list, err := s.listOf(c.arguments[0])
	if err != nil {
		return err
	}
	l, err := lambdaAt(c, 1, 1, most)
	if err != nil {
		return err
	}
	for i, element := range list {
		made, err := l.run(s, element, int64(i))
		if err != nil {
			return err
		}
		if err := each(i, element, made); err != nil {
			return err
		}
	}
	return nil
}

func filter(s *scope, c *call) (any, error) {
	kept := []any{}
	err := s.over(c, 2, func(_ int, element, made any) error {
		wanted, ok := made.(bool)
		if !ok {
			return fmt.Errorf("its lambda must answer a boolean, and answers a value of type '%s'", typeName(made))
		}
		if wanted {
			kept = append(kept, element)
		}
		return nil
	})
	return s.made(kept, err)
}

// made pays for a value.
func (s *scope) made(value any, err error) (any, error) {
	if err == nil {
		err = s.work.charge(value)
	}
	return value, err
}

func mapped(s *scope, c *call) (any, error) {
	list := []any{}
	err := s.over(c, 2, func(_ int, _, made any) error {
		list = append(list, made)
		return nil
	})
	return s.made(list, err)
}

func mapValues(s *scope, c *call) (any, error) {
	value, err := s.eval(c.arguments[0])
	if err != nil {
		return nil, err
	}
	object, err := objectAt([]any{value}, 0)
	if err != nil {
		return nil, err
	}
	l, err := lambdaAt(c, 1, 1, 1)
	if err != nil {
		return nil, err
	}
	made := make(map[string]any, len(object))
	for _, name := range sortedKeys(object) {
		if made[name], err = l.run(s, object[name]); err != nil {
			return nil, err
		}
	}
	return s.made(made, nil)
}

func reduce(s *scope, c *call) (any, error) {
	list, err := s.listOf(c.arguments[0])
	if err != nil {
		return nil, err
	}
	sum, err := s.eval(c.arguments[1])
	if err != nil {
		return nil, err
	}
	l, err := lambdaAt(c, 2, 2, 3)
	if err != nil {
		return nil, err
	}
	for i, element := range list {
		if sum, err = s.made(l.run(s, sum, element, int64(i))); err != nil {
			return nil, err
		}
	}
	return sum, nil
}

// sorted orders a list by a lambda that tells whether its first variable goes before its second.
func sorted(s *scope, c *call) (any, error) {
	list, err := s.listOf(c.arguments[0])
	if err != nil {
		return nil, err
	}
	l, err := lambdaAt(c, 1, 2, 2)
	if err != nil {
		return nil, err
	}
	var failure error
	before := func(a, b any) bool {
		if failure != nil {
			return false
		}
		made, err := l.run(s, a, b)
		truth, ok := made.(bool)
		if failure = err; err == nil && !ok {
			failure = fmt.Errorf("its lambda must answer a boolean, and answers a value of type '%s'", typeName(made))
		}
		return truth
	}
	list = slices.Clone(list)
	slices.SortStableFunc(list, func(a, b any) int {
		switch {
		case before(a, b):
			return -1
		case before(b, a):
			return 1
		}
		return 0
	})
	return s.made(list, failure)
}

// toObject makes an object of a list: names by the first lambda, values by the second.
func toObject(s *scope, c *call) (any, error) {
	object := map[string]any{}
	values := lambda{}
	if len(c.arguments) == 3 {
		var err error
		if values, err = lambdaAt(c, 2, 1, 1); err != nil {
			return nil, err
		}
	}
	err := s.over(c, 1, func(_ int, element, made any) error {
		name, ok := made.(string)
		if !ok {
			return fmt.Errorf("its lambda must answer a string, and answers a value of type '%s'", typeName(made))
		}
		if values.body != nil {
			var err error
			if element, err = values.run(s, element); err != nil {
				return err
			}
		}
		object[name] = element
		return nil
	})
	return s.made(object, err)
}

// groupBy makes an object of lists: of the elements whose names by the lambda are the same.
func groupBy(s *scope, c *call) (any, error) {
	groups := map[string][]any{}
	err := s.over(c, 2, func(_ int, element, made any) error {
		name, ok := made.(string)
		if !ok {
			return fmt.Errorf("its lambda must answer a string, and answers a value of type '%s'", typeName(made))
		}
		groups[name] = append(groups[name], element)
		return nil
	})
	object := make(map[string]any, len(groups))
	for name, group := range groups {
		object[name] = group
	}
	return s.made(object, err)
}

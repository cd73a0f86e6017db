package template

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// listFunctions work on arrays, many of them on strings too.
var listFunctions = map[string]function{
	"array":           one(array),
	"createArray":     eager(0, -1, func(_ *scope, a []any) (any, error) { return append([]any{}, a...), nil }),
	"length":          one(length),
	"empty":           one(empty),
	"contains":        {2, 2, contains, nil, false},
	"first":           {1, 1, func(_ *scope, a []any) (any, error) { return end(a[0], true) }, nil, false},
	"last":            {1, 1, func(_ *scope, a []any) (any, error) { return end(a[0], false) }, nil, false},
	"skip":            eager(2, 2, func(_ *scope, a []any) (any, error) { return part(a, true) }),
	"take":            eager(2, 2, func(_ *scope, a []any) (any, error) { return part(a, false) }),
	"range":           eager(2, 2, func(_ *scope, a []any) (any, error) { return numbersFrom(a) }),
	"flatten":         one(flatten),
	"indexFromEnd":    {2, 2, fromEnd, nil, false},
	"tryIndexFromEnd": {2, 2, func(s *scope, a []any) (any, error) { return tryFromEnd(s, a) }, nil, false},
	"union":           eager(1, -1, union),
	"intersection":    eager(1, -1, intersection),
}

func array(value any) (any, error) {
	if list, ok := value.([]any); ok {
		return list, nil
	}
	return []any{value}, nil
}

func length(value any) (any, error) {
	switch value := value.(type) {
	case string:
		return int64(utf8.RuneCountInString(value)), nil
	case []any:
		return int64(len(value)), nil
	case map[string]any:
		return int64(len(value)), nil
	}
	return nil, wrong(0, "an array, an object or a string", value)
}

func empty(value any) (any, error) {
	switch value := value.(type) {
	case nil:
		return true, nil
	case string:
		return value == "", nil
	case []any:
		return len(value) == 0, nil
	case map[string]any:
		return len(value) == 0, nil
	}
	return nil, wrong(0, "an array, an object or a string", value)
}

// contains looks for an element, a member or a part of a string. Members are found whatever their case, the others with it.
func contains(s *scope, arguments []any) (any, error) {
	switch in := arguments[0].(type) {
	case []any:
		for _, element := range in {
			if same, err := s.work.equal(element, arguments[1]); err != nil || same {
				return same, err
			}
		}
		return false, nil
	case map[string]any:
		name, err := asText(arguments[1])
		if err != nil {
			return nil, err
		}
		_, ok := lookup(in, name)
		return ok, s.work.spend(len(in))
	case string:
		part, err := asText(arguments[1])
		if err != nil {
			return nil, err
		}
		return strings.Contains(in, part), s.work.spend(len(in) / 16)
	}
	return nil, wrong(0, "an array, an object or a string", arguments[0])
}

// end is the first or last element or character; null or "" where there is none.
func end(value any, first bool) (any, error) {
	switch value := value.(type) {
	case []any:
		switch {
		case len(value) == 0:
			return nil, nil
		case first:
			return value[0], nil
		}
		return value[len(value)-1], nil
	case string:
		r, size := utf8.DecodeRuneInString(value)
		if !first {
			r, size = utf8.DecodeLastRuneInString(value)
		}
		if size == 0 {
			return "", nil
		}
		return string(r), nil
	}
	return nil, wrong(0, "an array or a string", value)
}

// part is what stands before or behind the first count elements or characters.
func part(arguments []any, skip bool) (any, error) {
	count, err := numberAt(arguments, 1)
	if err != nil {
		return nil, err
	}
	cut := func(length int) (from, to int) {
		at := int(min(max(count, 0), int64(length)))
		if skip {
			return at, length
		}
		return 0, at
	}
	switch of := arguments[0].(type) {
	case []any:
		from, to := cut(len(of))
		return append([]any{}, of[from:to]...), nil
	case string:
		runes := []rune(of)
		from, to := cut(len(runes))
		return string(runes[from:to]), nil
	}
	return nil, wrong(0, "an array or a string", arguments[0])
}

// maxRange is the most that range makes.
const maxRange = 10000

func numbersFrom(arguments []any) (any, error) {
	from, err := numberAt(arguments, 0)
	if err != nil {
		return nil, err
	}
	count, err := numberAt(arguments, 1)
	if err != nil {
		return nil, err
	}
	if count < 0 || count > maxRange || from > 1<<31 || from < -1<<31 {
		return nil, fmt.Errorf("it counts from a number of 32 bits, and its count '%d' must be 0 to %d", count, maxRange)
	}
	list := make([]any, count)
	for i := range list {
		list[i] = from + int64(i)
	}
	return list, nil
}

func flatten(value any) (any, error) {
	lists, err := listAt([]any{value}, 0)
	if err != nil {
		return nil, err
	}
	flat := []any{}
	for i, element := range lists {
		list, ok := element.([]any)
		if !ok {
			return nil, fmt.Errorf("element %d of the array is of type '%s', not an array", i, typeName(element))
		}
		if len(flat)+len(list) > maxValue {
			return nil, fmt.Errorf("the array would have more than %d elements", maxValue)
		}
		flat = append(flat, list...)
	}
	return flat, nil
}

// fromEnd is an element counted from the end; the last one is 1.
func fromEnd(s *scope, arguments []any) (any, error) {
	list, err := listAt(arguments, 0)
	if err != nil {
		return nil, err
	}
	at, err := numberAt(arguments, 1)
	if err != nil {
		return nil, err
	}
	if at < 1 || at > int64(len(list)) {
		return nil, fmt.Errorf("the index '%d' from the end is out of bounds: the array has '%d' elements", at, len(list))
	}
	return list[int64(len(list))-at], nil
}

func tryFromEnd(s *scope, arguments []any) (any, error) {
	list, isList := arguments[0].([]any)
	at, isNumber := arguments[1].(int64)
	if isList && isNumber && (at < 1 || at > int64(len(list))) {
		return nil, nil
	}
	return fromEnd(s, arguments)
}

// union has all elements once, or all members; of members that both have the later one's counts, and objects are united.
func union(s *scope, arguments []any) (any, error) {
	if _, ok := arguments[0].([]any); ok {
		all := []any{}
		for i := range arguments {
			list, err := listAt(arguments, i)
			if err != nil {
				return nil, err
			}
			for _, element := range list {
				known, err := s.has(all, element)
				if err != nil {
					return nil, err
				}
				if !known {
					all = append(all, element)
				}
			}
		}
		return all, nil
	}
	all := map[string]any{}
	for i := range arguments {
		object, err := objectAt(arguments, i)
		if err != nil {
			return nil, err
		}
		if all, err = s.merged(all, object); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func (s *scope) has(list []any, value any) (bool, error) {
	for _, element := range list {
		if same, err := s.work.equal(element, value); err != nil || same {
			return same, err
		}
	}
	return false, nil
}

// merged is an object with another's members over its own, objects within likewise.
func (s *scope) merged(under, over map[string]any) (map[string]any, error) {
	if err := s.work.spend(len(under) + len(over) + 1); err != nil {
		return nil, err
	}
	all := copied(under)
	for name, value := range over {
		lower, isObject := all[name].(map[string]any)
		upper, isToo := value.(map[string]any)
		if isObject && isToo {
			united, err := s.merged(lower, upper)
			if err != nil {
				return nil, err
			}
			value = united
		}
		all[name] = value
	}
	return all, nil
}

// intersection has the elements, or the members with equal values, that all have.
func intersection(s *scope, arguments []any) (any, error) {
	if common, ok := arguments[0].([]any); ok {
		common = slices.Clone(common)
		for i := range arguments {
			list, err := listAt(arguments, i)
			if err != nil {
				return nil, err
			}
			kept := []any{}
			for _, element := range common {
				there, err := s.has(list, element)
				if err != nil {
					return nil, err
				}
				twice, err := s.has(kept, element)
				if err != nil {
					return nil, err
				}
				if there && !twice {
					kept = append(kept, element)
				}
			}
			common = kept
		}
		return common, nil
	}
	first, err := objectAt(arguments, 0)
	if err != nil {
		return nil, err
	}
	common := copied(first)
	for i := range arguments {
		object, err := objectAt(arguments, i)
		if err != nil {
			return nil, err
		}
		for name, value := range common {
			other, ok := object[name]
			same, err := s.work.equal(value, other)
			if err != nil {
				return nil, err
			}
			if !ok || !same {
				delete(common, name)
			}
		}
	}
	return common, nil
}

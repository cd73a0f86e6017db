package template

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Values of expressions are nil, bool, int64, json.Number (what is no 64-bit integer), string, []any and map[string]any. They
// are shared and never changed.

// typeName is Azure's word for a value's type.
func typeName(value any) string {
	switch value.(type) {
	case nil:
		return "Null"
	case bool:
		return "Boolean"
	case int64:
		return "Integer"
	case json.Number:
		return "Float"
	case string:
		return "String"
	case []any:
		return "Array"
	}
	return "Object"
}

// lookup finds a member of an object, whatever its case.
func lookup(object map[string]any, name string) (any, bool) {
	if value, ok := object[name]; ok {
		return value, true
	}
	for have, value := range object {
		if strings.EqualFold(have, name) {
			return value, true
		}
	}
	return nil, false
}

// sortedKeys are an object's names in order.
func sortedKeys(object map[string]any) []string { return slices.Sorted(maps.Keys(object)) }

// Bounds of one evaluation, from a template's parameters to its outputs.
const (
	maxWork  = 4_000_000 // steps: calls, values looked at, eight characters made
	maxValue = 1 << 18   // parts and characters of one value
)

// budget is what an evaluation begins with. The fuzz targets lower it: they run with slow, instrumented code.
var budget = maxWork

// work counts what an evaluation has cost so far.
type work struct{ left int }

var errTooMuch = errors.New("the evaluation takes more work than a template may: make it smaller, or part it")

// spend takes steps off.
func (w *work) spend(steps int) error {
	if w.left -= steps; w.left < 0 {
		w.left = 0
		return errTooMuch
	}
	return nil
}

// size counts a value's parts and characters. A value may hold another many times over, so the count stops above most.
func size(value any, most int) int {
	if most < 0 {
		return 1
	}
	switch value := value.(type) {
	case string:
		return 1 + len(value)
	case json.Number:
		return 1 + len(value)
	case []any:
		n := 1
		for _, element := range value {
			if n += size(element, most-n); n > most {
				break
			}
		}
		return n
	case map[string]any:
		n := 1
		for name, element := range value {
			if n += len(name) + size(element, most-n-len(name)); n > most {
				break
			}
		}
		return n
	}
	return 1
}

// charge pays for a value that was made, and refuses one that is too large.
func (w *work) charge(value any) error {
	n := size(value, maxValue)
	if n > maxValue {
		return fmt.Errorf("a value has more than %d parts and characters", maxValue)
	}
	return w.spend(1 + n/8)
}

// handle pays for looking through values, but not for what stands in their parts.
func (w *work) handle(values []any) error {
	n := 0
	for _, value := range values {
		switch value := value.(type) {
		case string:
			n += len(value)
		case []any:
			n += len(value)
		case map[string]any:
			n += len(value)
		}
	}
	return w.spend(n / 8)
}

// equal compares two values: strings with their case, numbers by value, objects member by member.
func (w *work) equal(a, b any) (bool, error) {
	if err := w.spend(1); err != nil {
		return false, err
	}
	switch a := a.(type) {
	case []any:
		b, ok := b.([]any)
		if !ok || len(a) != len(b) {
			return false, nil
		}
		for i := range a {
			if same, err := w.equal(a[i], b[i]); err != nil || !same {
				return false, err
			}
		}
		return true, nil
	case map[string]any:
		b, ok := b.(map[string]any)
		if !ok || len(a) != len(b) {
			return false, nil
		}
		for name, value := range a {
			other, ok := lookup(b, name)
			if !ok {
				return false, nil
			}
			if same, err := w.equal(value, other); err != nil || !same {
				return false, err
			}
		}
		return true, nil
	case string:
		b, ok := b.(string)
		return ok && a == b, w.spend(len(a) / 16)
	case json.Number:
		return sameNumber(a.String(), b), nil
	case int64:
		if _, ok := b.(json.Number); ok {
			return sameNumber(strconv.FormatInt(a, 10), b), nil
		}
	}
	switch b.(type) {
	case []any, map[string]any:
		return false, nil
	}
	return a == b, nil
}

func sameNumber(a string, b any) bool {
	if _, isText := b.(string); isText {
		return false
	}
	x, errX := strconv.ParseFloat(a, 64)
	y, errY := strconv.ParseFloat(fmt.Sprint(b), 64)
	return errX == nil && errY == nil && x == y
}

// asText writes a value as string() does: text as it is, everything else as JSON.
func asText(value any) (string, error) {
	switch value := value.(type) {
	case nil:
		return "", nil
	case string:
		return value, nil
	case bool:
		if value {
			return "True", nil
		}
		return "False", nil
	case int64:
		return strconv.FormatInt(value, 10), nil
	case json.Number:
		return value.String(), nil
	}
	var b bytes.Buffer
	err := writeLeaf(&b, value)
	return b.String(), err
}

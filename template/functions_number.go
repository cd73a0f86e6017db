package template

import (
	"encoding/json"
	"fmt"
	"math"
	"math/bits"
	"strconv"
	"strings"
)

// numberFunctions work on whole numbers of 64 bits.
var numberFunctions = map[string]function{
	"add":   arithmetic(add),
	"sub":   arithmetic(func(a, b int64) (int64, error) { return subtract(a, b) }),
	"mul":   arithmetic(multiply),
	"div":   arithmetic(divide),
	"mod":   arithmetic(remainder),
	"int":   one(toInt),
	"float": one(toFloat),
	"min":   eager(1, -1, func(_ *scope, a []any) (any, error) { return extreme(a, func(x, y int64) bool { return x < y }) }),
	"max":   eager(1, -1, func(_ *scope, a []any) (any, error) { return extreme(a, func(x, y int64) bool { return x > y }) }),
}

func arithmetic(do func(a, b int64) (int64, error)) function {
	return eager(2, 2, func(_ *scope, arguments []any) (any, error) {
		a, err := numberAt(arguments, 0)
		if err != nil {
			return nil, err
		}
		b, err := numberAt(arguments, 1)
		if err != nil {
			return nil, err
		}
		result, err := do(a, b)
		return result, err
	})
}

var errOverflow = fmt.Errorf("the result does not fit into 64 bits")

func add(a, b int64) (int64, error) {
	sum := a + b
	if (sum > a) != (b > 0) && b != 0 {
		return 0, errOverflow
	}
	return sum, nil
}

func subtract(a, b int64) (int64, error) {
	difference := a - b
	if (difference < a) != (b > 0) && b != 0 {
		return 0, errOverflow
	}
	return difference, nil
}

func multiply(a, b int64) (int64, error) {
	high, low := bits.Mul64(magnitude(a), magnitude(b))
	negative := (a < 0) != (b < 0)
	if high != 0 || low > 1<<63 || low == 1<<63 && !negative {
		return 0, errOverflow
	}
	return a * b, nil
}

func magnitude(a int64) uint64 {
	if a < 0 {
		return uint64(-(a + 1)) + 1
	}
	return uint64(a)
}

func divide(a, b int64) (int64, error) {
	if b == 0 {
		return 0, fmt.Errorf("a division by zero")
	}
	if a == math.MinInt64 && b == -1 {
		return 0, errOverflow
	}
	return a / b, nil
}

func remainder(a, b int64) (int64, error) {
	if b == 0 {
		return 0, fmt.Errorf("a division by zero")
	}
	if b == -1 {
		return 0, nil
	}
	return a % b, nil
}

// toInt makes a whole number of a text or of a number, whose fraction is cut off.
func toInt(value any) (any, error) {
	switch value := value.(type) {
	case int64:
		return value, nil
	case json.Number:
		f, err := value.Float64()
		if err != nil || math.Abs(f) >= 1<<63 {
			return nil, errOverflow
		}
		return int64(f), nil
	case string:
		number, err := strconv.ParseInt(strings.TrimSpace(value), 10, 64)
		if err != nil {
			return nil, fmt.Errorf("the text '%.80s' is no whole number of 64 bits", value)
		}
		return number, nil
	}
	return nil, wrong(0, "a string or an integer", value)
}

// toFloat makes a number of a text.
func toFloat(value any) (any, error) {
	switch value := value.(type) {
	case int64, json.Number:
		return value, nil
	case string:
		if number, err := strconv.ParseInt(value, 10, 64); err == nil {
			return number, nil
		}
		f, err := strconv.ParseFloat(value, 64)
		if err != nil || math.IsInf(f, 0) || math.IsNaN(f) {
			return nil, fmt.Errorf("the text '%.80s' is no number", value)
		}
		return json.Number(strconv.FormatFloat(f, 'g', -1, 64)), nil
	}
	return nil, wrong(0, "a string or a number", value)
}

func extreme(arguments []any, better func(a, b int64) bool) (any, error) {
	list, err := numbers(arguments)
	if err != nil {
		return nil, err
	}
	found := list[0]
	for _, number := range list {
		if better(number, found) {
			found = number
		}
	}
	return found, nil
}

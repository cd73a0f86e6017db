package template

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// textFunctions work on strings. Like Azure's they count characters; those that search fold case where Azure's do.
var textFunctions = map[string]function{
	"concat":       eager(1, -1, concat),
	"format":       eager(1, -1, func(_ *scope, a []any) (any, error) { return format(a) }),
	"string":       one(func(value any) (any, error) { return asText(value) }),
	"toLower":      oneText(func(text string) any { return strings.ToLower(text) }),
	"toUpper":      oneText(func(text string) any { return strings.ToUpper(text) }),
	"trim":         oneText(func(text string) any { return strings.TrimFunc(text, unicode.IsSpace) }),
	"split":        eager(2, 2, func(_ *scope, a []any) (any, error) { return split(a) }),
	"join":         eager(2, 2, func(_ *scope, a []any) (any, error) { return joined(a) }),
	"replace":      eager(3, 3, replace),
	"substring":    eager(2, 3, func(_ *scope, a []any) (any, error) { return substring(a) }),
	"padLeft":      eager(2, 3, func(_ *scope, a []any) (any, error) { return padLeft(a) }),
	"startsWith":   eager(2, 2, twoTexts(func(text, part string) any { return strings.HasPrefix(strings.ToLower(text), strings.ToLower(part)) })),
	"endsWith":     eager(2, 2, twoTexts(func(text, part string) any { return strings.HasSuffix(strings.ToLower(text), strings.ToLower(part)) })),
	"indexOf":      eager(2, 2, func(s *scope, a []any) (any, error) { return find(s, a, strings.Index) }),
	"lastIndexOf":  eager(2, 2, func(s *scope, a []any) (any, error) { return find(s, a, strings.LastIndex) }),
	"uniqueString": eager(1, -1, func(_ *scope, a []any) (any, error) { return uniqueString(a) }),
	"guid":         eager(1, -1, func(_ *scope, a []any) (any, error) { return guid(a) }),
}

func oneText(do func(string) any) function {
	return one(func(value any) (any, error) {
		text, err := textAt([]any{value}, 0)
		if err != nil {
			return nil, err
		}
		return do(text), nil
	})
}

func twoTexts(do func(a, b string) any) func(*scope, []any) (any, error) {
	return func(_ *scope, arguments []any) (any, error) {
		list, err := texts(arguments)
		if err != nil {
			return nil, err
		}
		return do(list[0], list[1]), nil
	}
}

// concat joins strings, or lists.
func concat(_ *scope, arguments []any) (any, error) {
	if _, isList := arguments[0].([]any); isList {
		list := []any{}
		for i := range arguments {
			part, err := listAt(arguments, i)
			if err != nil {
				return nil, err
			}
			if len(list)+len(part) > maxValue {
				return nil, fmt.Errorf("the array would have more than %d elements", maxValue)
			}
			list = append(list, part...)
		}
		return list, nil
	}
	var b strings.Builder
	for i, argument := range arguments {
		switch argument.(type) {
		case []any, map[string]any:
			return nil, wrong(i, "a string, a number or a boolean, as the first one", argument)
		}
		text, err := asText(argument)
		if err != nil {
			return nil, err
		}
		if b.Len()+len(text) > maxValue {
			return nil, fmt.Errorf("the string would have more than %d characters", maxValue)
		}
		b.WriteString(text)
	}
	return b.String(), nil
}

// maxMarks is at how many different texts one call splits.
const maxMarks = 64

func split(arguments []any) (any, error) {
	text, err := textAt(arguments, 0)
	if err != nil {
		return nil, err
	}
	var marks []string
	switch by := arguments[1].(type) {
	case string:
		marks = []string{by}
	case []any:
		if marks, err = texts(by); err != nil {
			return nil, err
		}
		if len(marks) > maxMarks {
			return nil, fmt.Errorf("it splits at '%d' texts at most", maxMarks)
		}
	default:
		return nil, wrong(1, "a string or an array of strings", by)
	}
	list := []any{}
	from := 0
	for at := 0; at < len(text); {
		mark := markAt(text[at:], marks)
		if mark == "" {
			at++
			continue
		}
		list = append(list, text[from:at])
		at += len(mark)
		from = at
	}
	return append(list, text[from:]), nil
}

func markAt(text string, marks []string) string {
	for _, mark := range marks {
		if mark != "" && strings.HasPrefix(text, mark) {
			return mark
		}
	}
	return ""
}

func joined(arguments []any) (any, error) {
	list, err := listAt(arguments, 0)
	if err != nil {
		return nil, err
	}
	mark, err := textAt(arguments, 1)
	if err != nil {
		return nil, err
	}
	var b strings.Builder
	for i, element := range list {
		text, err := asText(element)
		if err != nil {
			return nil, err
		}
		if i > 0 {
			b.WriteString(mark)
		}
		if b.WriteString(text); b.Len() > maxValue {
			return nil, fmt.Errorf("the string would have more than %d characters", maxValue)
		}
	}
	return b.String(), nil
}

func replace(_ *scope, arguments []any) (any, error) {
	list, err := texts(arguments)
	if err != nil {
		return nil, err
	}
	if list[1] == "" {
		return nil, fmt.Errorf("the text to replace must not be empty")
	}
	if count := strings.Count(list[0], list[1]); len(list[0])+count*len(list[2]) > maxValue {
		return nil, fmt.Errorf("the string would have more than %d characters", maxValue)
	}
	return strings.ReplaceAll(list[0], list[1], list[2]), nil
}

// substring counts in characters; without a length it goes to the end.
func substring(arguments []any) (any, error) {
	text, err := textAt(arguments, 0)
	if err != nil {
		return nil, err
	}
	from, err := numberAt(arguments, 1)
	if err != nil {
		return nil, err
	}
	runes := []rune(text)
	length := int64(len(runes)) - from
	if len(arguments) == 3 {
		if length, err = numberAt(arguments, 2); err != nil {
			return nil, err
		}
	}
	if from < 0 || length < 0 || from > int64(len(runes)) || length > int64(len(runes))-from {
		return nil, fmt.Errorf("the index and length parameters must refer to a location within the string; the index is '%d', the length '%d', "+
			"and the string has '%d' characters", from, length, len(runes))
	}
	return string(runes[from : from+length]), nil
}

// maxPadding is the longest that padLeft makes a string.
const maxPadding = 1 << 16

func padLeft(arguments []any) (any, error) {
	if number, ok := arguments[0].(int64); ok {
		arguments = append([]any{strconv.FormatInt(number, 10)}, arguments[1:]...)
	}
	text, err := textAt(arguments, 0)
	if err != nil {
		return nil, err
	}
	total, err := numberAt(arguments, 1)
	if err != nil {
		return nil, err
	}
	pad := " "
	if len(arguments) == 3 {
		if pad, err = textAt(arguments, 2); err != nil {
			return nil, err
		}
	}
	if utf8.RuneCountInString(pad) != 1 || total < 0 || total > maxPadding {
		return nil, fmt.Errorf("it pads with one character to a length of 0 to %d", maxPadding)
	}
	return strings.Repeat(pad, max(0, int(total)-utf8.RuneCountInString(text))) + text, nil
}

// find looks for a part of a string, whatever the case, or for an element of an array.
func find(s *scope, arguments []any, in func(text, part string) int) (any, error) {
	if list, ok := arguments[0].([]any); ok {
		found := int64(-1)
		for i, element := range list {
			same, err := s.work.equal(element, arguments[1])
			if err != nil {
				return nil, err
			}
			if first := in("xx", "x") == 0; same && (found < 0 || !first) {
				found = int64(i)
			}
		}
		return found, nil
	}
	list, err := texts(arguments)
	if err != nil {
		return nil, err
	}
	text := strings.ToLower(list[0])
	at := in(text, strings.ToLower(list[1]))
	if at < 0 {
		return int64(-1), nil
	}
	return int64(utf8.RuneCountInString(text[:at])), nil
}

// format is .NET's composite formatting: {index[,width][:form]}; {{ and }} are braces.
func format(arguments []any) (any, error) {
	text, err := textAt(arguments, 0)
	if err != nil {
		return nil, err
	}
	var b strings.Builder
	for at := 0; at < len(text); at++ {
		c := text[at]
		switch {
		case (c == '{' || c == '}') && strings.HasPrefix(text[at+1:], string(c)):
			b.WriteByte(c)
			at++
			continue
		case c == '}':
			return nil, fmt.Errorf("the format string has a '}' without a '{'")
		case c != '{':
			b.WriteByte(c)
			continue
		}
		end := strings.IndexByte(text[at:], '}')
		if end < 0 {
			return nil, fmt.Errorf("the format string has a '{' without a '}'")
		}
		piece, err := formatItem(text[at+1:at+end], arguments[1:])
		if err != nil {
			return nil, err
		}
		if b.WriteString(piece); b.Len() > maxValue {
			return nil, fmt.Errorf("the string would have more than %d characters", maxValue)
		}
		at += end
	}
	return b.String(), nil
}

func formatItem(item string, values []any) (string, error) {
	head, form, _ := strings.Cut(item, ":")
	number, width, hasWidth := strings.Cut(head, ",")
	i, err := strconv.Atoi(strings.TrimSpace(number))
	if err != nil || i < 0 || i >= len(values) {
		return "", fmt.Errorf("the format string has '{%.40s}', and there are %d values, counted from 0", item, len(values))
	}
	text, err := formatValue(values[i], form)
	if err != nil || !hasWidth {
		return text, err
	}
	n, err := strconv.Atoi(strings.TrimSpace(width))
	if err != nil || n > maxPadding || n < -maxPadding {
		return "", fmt.Errorf("the format string has '{%.40s}' with no valid width", item)
	}
	return fmt.Sprintf("%*s", n, text), nil
}

// formatValue knows the standard numeric forms D, N, X and F of .NET, and a row of zeros.
func formatValue(value any, form string) (string, error) {
	number, ok := value.(int64)
	if form == "" || !ok {
		return asText(value)
	}
	digits := 0
	if len(form) > 1 && form[0] != '0' {
		var err error
		if digits, err = strconv.Atoi(form[1:]); err != nil || digits < 0 || digits > 99 {
			return "", fmt.Errorf("the format '%.20s' is not known", form)
		}
	}
	sign, magnitude := "", json.Number(strconv.FormatInt(number, 10)).String()
	if number < 0 {
		sign, magnitude = "-", magnitude[1:]
	}
	switch {
	case strings.Trim(form, "0") == "" && len(form) < 100:
		return sign + zeros(magnitude, len(form)), nil
	case form[0] == 'D' || form[0] == 'd':
		return sign + zeros(magnitude, digits), nil
	case form[0] == 'x':
		return zeros(strconv.FormatUint(uint64(number), 16), digits), nil
	case form[0] == 'X':
		return zeros(strings.ToUpper(strconv.FormatUint(uint64(number), 16)), digits), nil
	case form[0] == 'F' || form[0] == 'f', form[0] == 'N' || form[0] == 'n':
		if len(form) == 1 {
			digits = 2
		}
		for at := len(magnitude) - 3; at > 0 && (form[0] == 'N' || form[0] == 'n'); at -= 3 {
			magnitude = magnitude[:at] + "," + magnitude[at:]
		}
		if digits > 0 {
			magnitude += "." + strings.Repeat("0", digits)
		}
		return sign + magnitude, nil
	}
	return "", fmt.Errorf("the format '%.20s' is not known", form)
}

func zeros(text string, width int) string {
	return strings.Repeat("0", max(0, width-len(text))) + text
}

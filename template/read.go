package template

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// maxDepth bounds how deeply a text's values may be nested.
const maxDepth = 64

// Read reads a JSON value of bounded depth, in which no member stands twice whatever its case. Like Azure's reader it takes
// comments, names without quotes and line breaks in strings: az puts a template's own text into its request as
// {"properties": {…, template:TEXT}}. The error is an *Error.
func Read(data []byte) (*Node, error) {
	r := &reader{text: data}
	if !utf8.Valid(data) {
		return nil, r.fail("the text is not UTF-8")
	}
	if bytes.HasPrefix(data, []byte("\ufeff")) {
		r.at = len("\ufeff") // files of Windows editors begin so
	}
	if err := r.space(); err != nil {
		return nil, err
	}
	root, err := r.value("", 0)
	if err != nil {
		return nil, err
	}
	if err := r.space(); err != nil {
		return nil, err
	}
	if r.at < len(data) {
		return nil, r.fail("there is more behind the JSON value")
	}
	return root, nil
}

// reader goes through a text byte by byte.
type reader struct {
	text []byte
	at   int
}

func (r *reader) fail(format string, args ...any) error {
	return parseFailed(&Node{text: r.text, start: r.at}, "", format, args...)
}

// space passes over white space and comments.
func (r *reader) space() error {
	for r.at < len(r.text) {
		rest := r.text[r.at:]
		switch {
		case strings.IndexByte(" \t\r\n", rest[0]) >= 0:
			r.at++
		case bytes.HasPrefix(rest, []byte("//")):
			for r.at < len(r.text) && r.text[r.at] != '\n' {
				r.at++
			}
		case bytes.HasPrefix(rest, []byte("/*")):
			end := bytes.Index(rest[2:], []byte("*/"))
			if end < 0 {
				return r.fail("a comment has no end")
			}
			r.at += end + 4
		default:
			return nil
		}
	}
	return nil
}

func (r *reader) peek() byte {
	if r.at < len(r.text) {
		return r.text[r.at]
	}
	return 0
}

func (r *reader) value(path string, depth int) (*Node, error) {
	if depth > maxDepth {
		return nil, r.fail("values are nested more than %d deep, at '%s'", maxDepth, path)
	}
	n := &Node{start: r.at, text: r.text}
	var err error
	switch c := r.peek(); {
	case r.at == len(r.text):
		return nil, r.fail("the text ends too early")
	case c == '{':
		n.kind, err = kindObject, r.object(n, path, depth)
	case c == '[':
		n.kind, err = kindList, r.array(n, path, depth)
	case c == '"':
		n.value, err = r.quoted()
	default:
		n.value, err = r.word()
	}
	n.end = r.at
	return n, err
}

// next goes on in an object or a list: past the comma, or to its end.
func (r *reader) next(closing byte, first bool) (more bool, err error) {
	if err := r.space(); err != nil {
		return false, err
	}
	if r.peek() == closing {
		r.at++
		return false, nil
	}
	if first {
		return true, nil
	}
	if r.peek() != ',' {
		return false, r.fail("a comma or '%c' is missing", closing)
	}
	r.at++
	if err := r.space(); err != nil {
		return false, err
	}
	if r.peek() == closing { // a comma behind the last one, as people leave it
		r.at++
		return false, nil
	}
	return true, nil
}

func (r *reader) object(n *Node, path string, depth int) error {
	seen := map[string]bool{}
	r.at++
	for first := true; ; first = false {
		more, err := r.next('}', first)
		if err != nil || !more {
			return err
		}
		name, err := r.name()
		if err != nil {
			return err
		}
		if lower := strings.ToLower(name); seen[lower] {
			return r.fail("the member '%.80s' stands twice", name)
		} else {
			seen[lower] = true
		}
		if err := r.space(); err != nil {
			return err
		}
		if r.peek() != ':' {
			return r.fail("a colon is missing behind '%.80s'", name)
		}
		r.at++
		if err := r.space(); err != nil {
			return err
		}
		value, err := r.value(join(path, name), depth+1)
		if err != nil {
			return err
		}
		n.members = append(n.members, member{name, value})
	}
}

// name reads a member's name, in quotes or not.
func (r *reader) name() (string, error) {
	if r.peek() == '"' {
		return r.quoted()
	}
	from := r.at
	for r.at < len(r.text) && nameByte(r.text[r.at], r.at > from) {
		r.at++
	}
	if r.at == from {
		return "", r.fail("a member's name is missing")
	}
	return string(r.text[from:r.at]), nil
}

func nameByte(c byte, inside bool) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '_' || c == '$' || inside && '0' <= c && c <= '9'
}

func (r *reader) array(n *Node, path string, depth int) error {
	r.at++
	for first := true; ; first = false {
		more, err := r.next(']', first)
		if err != nil || !more {
			return err
		}
		element, err := r.value(indexed(path, len(n.list)), depth+1)
		if err != nil {
			return err
		}
		n.list = append(n.list, element)
	}
}

// word reads a number, true, false or null.
func (r *reader) word() (any, error) {
	from := r.at
	for r.at < len(r.text) && (nameByte(r.text[r.at], true) || strings.IndexByte("+-.", r.text[r.at]) >= 0) {
		r.at++
	}
	text := string(r.text[from:r.at])
	switch text {
	case "true":
		return true, nil
	case "false":
		return false, nil
	case "null":
		return nil, nil
	}
	if number, err := strconv.ParseInt(text, 10, 64); err == nil && text[0] != '+' {
		return number, nil
	}
	if !json.Valid([]byte(text)) {
		r.at = from
		if text == "" {
			return nil, r.fail("a value is missing")
		}
		return nil, r.fail("'%.40s' is no value", text)
	}
	return json.Number(text), nil
}

// quoted reads a string (RFC 8259 section 7), which may go over several lines.
func (r *reader) quoted() (string, error) {
	var b strings.Builder
	from := r.at
	r.at++
	for {
		if r.at >= len(r.text) {
			r.at = from
			return "", r.fail("a string has no end")
		}
		c := r.text[r.at]
		r.at++
		switch {
		case c == '"':
			return b.String(), nil
		case c != '\\':
			b.WriteByte(c)
			continue
		}
		plain := strings.IndexByte(`"\/bfnrt`, r.peek())
		switch {
		case r.at < len(r.text) && plain >= 0:
			b.WriteByte("\"\\/\b\f\n\r\t"[plain])
			r.at++
		case r.peek() == 'u':
			one, ok := r.unit()
			if !ok {
				return "", r.fail("an escape \\u has no four digits")
			}
			if utf16.IsSurrogate(one) {
				two, ok := rune(0), false
				if r.at+1 < len(r.text) && r.text[r.at] == '\\' && r.text[r.at+1] == 'u' {
					r.at++
					two, ok = r.unit()
				}
				if one = utf16.DecodeRune(one, two); !ok || one == utf8.RuneError {
					return "", r.fail("an escape \\u is half a character")
				}
			}
			b.WriteRune(one)
		default:
			return "", r.fail("the escape '\\%c' is not known", r.peek())
		}
	}
}

// unit reads uXXXX.
func (r *reader) unit() (rune, bool) {
	if r.at+5 > len(r.text) {
		return 0, false
	}
	number, err := strconv.ParseUint(string(r.text[r.at+1:r.at+5]), 16, 16)
	r.at += 5
	return rune(number), err == nil
}

// join makes the path of a member.
func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// indexed makes the path of an element.
func indexed(path string, i int) string { return path + "[" + strconv.Itoa(i) + "]" }

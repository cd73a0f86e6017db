package template

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"strings"
	"unicode/utf8"
)

// encodingFunctions turn texts into other forms and back.
var encodingFunctions = map[string]function{
	"base64":               oneText(func(text string) any { return base64.StdEncoding.EncodeToString([]byte(text)) }),
	"base64ToString":       one(func(value any) (any, error) { return fromBase64(value) }),
	"base64ToJson":         one(base64ToJSON),
	"dataUri":              oneText(func(text string) any { return dataPrefix + base64.StdEncoding.EncodeToString([]byte(text)) }),
	"dataUriToString":      one(fromDataURI),
	"uri":                  eager(2, 2, uri),
	"uriComponent":         oneText(func(text string) any { return escape(text) }),
	"uriComponentToString": one(unescape),
}

const dataPrefix = "data:text/plain;charset=utf8;base64,"

func fromBase64(value any) (string, error) {
	text, err := textAt([]any{value}, 0)
	if err != nil {
		return "", err
	}
	data, err := base64.StdEncoding.DecodeString(text)
	if err != nil || !utf8.Valid(data) {
		return "", fmt.Errorf("the text is not base64 of UTF-8")
	}
	return string(data), nil
}

func base64ToJSON(value any) (any, error) {
	text, err := fromBase64(value)
	if err != nil {
		return nil, err
	}
	return fromJSON([]any{text})
}

// fromDataURI reads a data URI (RFC 2397) of text.
func fromDataURI(value any) (any, error) {
	text, err := textAt([]any{value}, 0)
	if err != nil {
		return nil, err
	}
	head, body, ok := strings.Cut(text, ",")
	if !ok || !strings.HasPrefix(strings.ToLower(head), "data:") {
		return nil, fmt.Errorf("the text '%.80s' is no data URI", text)
	}
	if strings.HasSuffix(strings.ToLower(head), ";base64") {
		return fromBase64(body)
	}
	return unescape(body)
}

// uri joins an address and one relative to it (RFC 3986 section 5.2).
func uri(_ *scope, arguments []any) (any, error) {
	list, err := texts(arguments)
	if err != nil {
		return nil, err
	}
	base, err := url.Parse(list[0])
	if err != nil || !base.IsAbs() {
		return nil, fmt.Errorf("the base '%.80s' is no absolute URI", list[0])
	}
	relative, err := url.Parse(list[1])
	if err != nil {
		return nil, fmt.Errorf("'%.80s' is no relative URI", list[1])
	}
	return base.ResolveReference(relative).String(), nil
}

// escape leaves what RFC 3986 section 2.3 calls unreserved, and writes all other bytes as %XX.
func escape(text string) string {
	var b strings.Builder
	for i := range len(text) {
		c := text[i]
		if nameByte(c, true) && c != '$' || strings.IndexByte("-.~", c) >= 0 {
			b.WriteByte(c)
			continue
		}
		fmt.Fprintf(&b, "%%%02X", c)
	}
	return b.String()
}

func unescape(value any) (any, error) {
	text, err := textAt([]any{value}, 0)
	if err != nil {
		return nil, err
	}
	plain, err := url.PathUnescape(text)
	if err != nil || !utf8.ValidString(plain) {
		return nil, fmt.Errorf("the text '%.80s' is not escaped as in a URI", text)
	}
	return plain, nil
}

package arm

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"unicode/utf8"

	"postern/resource"
)

// Bounds of a request's body.
const (
	maxBody  = 4 << 20 // bytes, as Azure's Resource Manager takes
	maxDepth = 64      // of objects and lists in each other
)

// body reads a request's body: one JSON object of bounded depth, in which no member stands twice.
func (r *request) body() (json.RawMessage, error) {
	data, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	return data, checkBody(data)
}

func checkBody(data []byte) error {
	bad := func(reason string, args ...any) error {
		return &resource.Error{Code: resource.CodeInvalidRequestContent, Status: http.StatusBadRequest,
			Message: "The request content was invalid and could not be deserialized: " + fmt.Sprintf(reason, args...) + "."}
	}
	if !utf8.Valid(data) {
		return bad("it is not UTF-8")
	}
	type level struct {
		object bool
		name   bool // a name is due, in an object
		seen   map[string]bool
	}
	var stack []level
	decoder := json.NewDecoder(bytes.NewReader(data))
	for first := true; first || len(stack) > 0; first = false {
		piece, err := decoder.Token()
		switch {
		case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
			return bad("it ends too early, at byte %d", len(data))
		case err != nil:
			return bad("at byte %d: %v", decoder.InputOffset(), err)
		}
		if first && piece != json.Delim('{') {
			return bad("it must be a JSON object")
		}
		top := len(stack) - 1
		switch piece := piece.(type) {
		case json.Delim:
			if piece == '}' || piece == ']' {
				stack = stack[:top]
				if top > 0 && stack[top-1].object {
					stack[top-1].name = true
				}
				continue
			}
			if len(stack) == maxDepth {
				return bad("it is nested more than %d deep", maxDepth)
			}
			stack = append(stack, level{object: piece == '{', name: piece == '{', seen: map[string]bool{}})
			continue
		case string:
			if stack[top].object && stack[top].name {
				if stack[top].seen[piece] {
					return bad("the member '%.80s' stands twice", piece)
				}
				stack[top].seen[piece], stack[top].name = true, false
				continue
			}
		}
		if stack[top].object {
			stack[top].name = true
		}
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return bad("there is more behind its JSON value")
	}
	return nil
}

package arm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"postern/resource"
)

// respond writes an answer. Raw bytes go out as they are, everything else as JSON; an error goes out in ARM's form. The
// etag of a resource becomes the answer's header too.
func respond(w http.ResponseWriter, status int, body any, err error) {
	if err != nil {
		refusal := asRefusal(err)
		status, body = refusal.Status, map[string]any{"error": refusal}
	}
	if body == nil {
		w.WriteHeader(status)
		return
	}
	data, isBytes := body.([]byte)
	contentType := "application/octet-stream"
	if !isBytes {
		contentType = "application/json; charset=utf-8"
		if data, err = json.Marshal(body); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
	}
	if raw, ok := body.(json.RawMessage); ok {
		var tagged struct {
			ETag string `json:"etag"`
		}
		if json.Unmarshal(raw, &tagged) == nil && tagged.ETag != "" {
			w.Header().Set("ETag", tagged.ETag)
		}
	}
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	w.Write(data)
}

// asRefusal is the one place where errors become ARM's.
func asRefusal(err error) *resource.Error {
	var refusal *resource.Error
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &refusal):
		copied := *refusal
		if copied.Status == 0 {
			copied.Status = http.StatusBadRequest
		}
		return &copied
	case errors.As(err, &tooLarge):
		return &resource.Error{Code: "RequestContentTooLarge", Status: http.StatusRequestEntityTooLarge,
			Message: fmt.Sprintf("The body is larger than %d bytes.", tooLarge.Limit)}
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return &resource.Error{Code: "ServerTimeout", Status: http.StatusServiceUnavailable, Message: err.Error()}
	}
	return &resource.Error{Code: "InternalServerError", Status: http.StatusInternalServerError, Message: err.Error()}
}

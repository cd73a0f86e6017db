package service

import (
	"fmt"
	"net/http"
)

// Refusal is what ARM answers to a body that cannot be: a code of Azure's, a message for a person, the field at fault.
// Package resource makes its own error of it.
type Refusal struct {
	Code, Field, Message string
	Status               int // of HTTP; 0 is 400
}

func (r *Refusal) Error() string { return r.Field + ": " + r.Code + ": " + r.Message }

// Refuse makes a 400. The message is formatted.
func Refuse(code, field, format string, args ...any) *Refusal {
	return &Refusal{Code: code, Field: field, Message: fmt.Sprintf(format, args...)}
}

// Conflict makes a 409.
func Conflict(code, field, format string, args ...any) *Refusal {
	return &Refusal{Code: code, Field: field, Message: fmt.Sprintf(format, args...), Status: http.StatusConflict}
}

// Codes that many services share.
const (
	CodeInvalidFormat  = "InvalidRequestFormat"
	CodeInvalidContent = "InvalidRequestContent"
	CodeInvalidValues  = "InvalidValuesForRequestParameters"
)

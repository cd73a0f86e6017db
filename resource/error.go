package resource

import (
	"fmt"
	"net/http"
)

// Error is a refusal in ARM's form: a code of Azure's, a message for a person, the field at fault, the HTTP status.
type Error struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Target  string `json:"target,omitempty"` // the field or the id at fault
	Status  int    `json:"-"`

	// Resource is the id of the resource that the error is about; ARM has no such field, a batch needs one.
	Resource string `json:"resource,omitempty"`

	Details []*Error    `json:"details,omitempty"` // the errors beneath this one: those of a deployment's operations
	More    []ErrorInfo `json:"additionalInfo,omitempty"`
}

// ErrorInfo is more about an error, in a form that its type names: "TemplateViolation" says where in a template it is.
type ErrorInfo struct {
	Type string         `json:"type"`
	Info map[string]any `json:"info"`
}

func (e *Error) Error() string {
	text := e.Code + ": " + e.Message
	if e.Target != "" && e.Target != e.Resource {
		text = e.Target + ": " + text
	}
	if e.Resource != "" {
		text = e.Resource + ": " + text
	}
	return text
}

// Codes that are used in more than one place. Those of one check alone stand there.
const (
	CodeInvalidRequestFormat     = "InvalidRequestFormat"
	CodeInvalidRequestContent    = "InvalidRequestContent"
	CodeInvalidResourceReference = "InvalidResourceReference"
	CodeInvalidResourceID        = "InvalidResourceId"
	CodeInvalidResourceType      = "InvalidResourceType"
	CodeResourceNotFound         = "ResourceNotFound"
	CodeParentResourceNotFound   = "ParentResourceNotFound"
)

// refuse makes a 400.
func refuse(code, target, format string, args ...any) *Error {
	return &Error{Code: code, Target: target, Message: fmt.Sprintf(format, args...), Status: http.StatusBadRequest}
}

// conflict makes a 409.
func conflict(code, target, format string, args ...any) *Error {
	err := refuse(code, target, format, args...)
	err.Status = http.StatusConflict
	return err
}

// NotFound is the answer about a resource that is not there.
func NotFound(id ID) *Error {
	return &Error{Code: CodeResourceNotFound, Target: id.String(), Status: http.StatusNotFound,
		Message: fmt.Sprintf("The Resource '%s/%s' under resource group '%s' was not found.", id.Type(), id.Name(), id.ResourceGroup)}
}

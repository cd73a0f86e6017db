package template

import (
	"errors"
	"fmt"
)

// Error says what is wrong with a template or with what it was given, in Azure's words where those are known.
type Error struct {
	Code    string // CodeInvalidTemplate, CodeDeploymentFailed…
	Message string
	Line    int    // in the template, from 1; 0 when the error has no place in it
	Column  int    // in bytes, from 1
	Path    string // "resources[0].properties.addressSpace"
}

func (e *Error) Error() string { return e.Code + ": " + e.Message }

// Codes of an Error.
const (
	CodeInvalidTemplate           = "InvalidTemplate"
	CodeInvalidTemplateDeployment = "InvalidTemplateDeployment"
)

// parseFailed says that a text is no template. The reason has no full stop.
func parseFailed(n *Node, path, reason string, args ...any) error {
	line, column := n.position()
	return &Error{Code: CodeInvalidTemplate, Line: line, Column: column, Path: path,
		Message: fmt.Sprintf("Deployment template parse failed: '%s. Path '%s', line %d, position %d.'.", fmt.Sprintf(reason, args...), path, line, column)}
}

// invalid says that a template cannot be used as it is, or not with these parameters.
func invalid(n *Node, path, reason string, args ...any) error {
	err := &Error{Code: CodeInvalidTemplate, Path: path, Message: "Deployment template validation failed: '" + fmt.Sprintf(reason, args...) + "'."}
	if n != nil {
		err.Line, err.Column = n.position()
	}
	return err
}

// unprocessable says that an expression cannot be evaluated. of names what it belongs to: "resource 'x'".
func unprocessable(n *Node, path, of string, cause error) error {
	var known *Error
	if errors.As(cause, &known) {
		return known // it has its place
	}
	line, column := n.position()
	return &Error{Code: CodeInvalidTemplate, Line: line, Column: column, Path: path,
		Message: fmt.Sprintf("Unable to process template language expressions for %s at line '%d' and column '%d'. '%s'", of, line, column, cause)}
}

package template

import (
	"errors"
	"strings"
)

// Expansion is a template with its parameters, as far as it can be evaluated before anything is deployed. It is for one
// goroutine at a time.
type Expansion struct {
	// Resources are the template's resources with all loops made, in its order; those that are there already (existing) and
	// those that are not deployed by their condition too.
	Resources []*Resource

	evaluation *evaluation
	order      []*Resource
}

// Expand evaluates a template's parameters, variables and what its resources are called. values are those of parameters, by
// name. The error is an *Error.
func (t *Template) Expand(where Environment, values map[string]any) (*Expansion, error) {
	e := &evaluation{template: t, where: &where, work: &work{left: budget}}
	if err := e.declare(values); err != nil {
		return nil, asError(err)
	}
	return e.expand()
}

func (e *evaluation) expand() (*Expansion, error) {
	if e.outer == nil {
		if err := e.readVariables(); err != nil {
			return nil, asError(err)
		}
	}
	x := &Expansion{evaluation: e}
	err := e.expandResources(x)
	if err == nil {
		x.order, err = x.sort()
	}
	if err != nil {
		return nil, asError(err)
	}
	return x, nil
}

// asError gives an error the form that callers are promised.
func asError(err error) error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return &Error{Code: CodeInvalidTemplate, Message: "Deployment template validation failed: '" + err.Error() + "'."}
}

// Order are the resources, each behind all that it depends on; otherwise in the template's order.
func (x *Expansion) Order() []*Resource { return x.order }

// Parameters are the template's parameters with their values, in its order.
func (x *Expansion) Parameters() []Parameter {
	var list []Parameter
	for _, name := range x.evaluation.template.root.Member("parameters").namesOf() {
		if p, ok := x.evaluation.parameters[strings.ToLower(name)]; ok {
			list = append(list, p.Parameter)
		}
	}
	return list
}

func (n *Node) namesOf() []string {
	if n == nil {
		return nil
	}
	return n.Members()
}

// Output is a value that a deployment answers.
type Output struct {
	Name   string
	Type   string // as in Parameter
	Value  any
	Secure bool // its value is never told
}

// CodeOutputFailed is the code of an output that cannot be evaluated.
const CodeOutputFailed = "DeploymentOutputEvaluationFailed"

// Outputs evaluates the template's outputs, in its order, when all is deployed. The error is an *Error.
func (x *Expansion) Outputs(runtime Runtime) ([]Output, error) {
	e := x.evaluation
	var list []Output
	section := e.template.root.Member("outputs")
	for _, name := range section.namesOf() {
		output, wanted, err := e.output(name, section.Member(name), &runtime)
		if err != nil {
			err := asError(err).(*Error)
			return nil, &Error{Code: CodeOutputFailed, Line: err.Line, Column: err.Column, Path: err.Path,
				Message: "Unable to evaluate template outputs: '" + name + "'. " + err.Message}
		}
		if wanted {
			list = append(list, output)
		}
	}
	return list, nil
}

func (e *evaluation) output(name string, n *Node, runtime *Runtime) (output Output, wanted bool, err error) {
	path := "outputs." + name
	of := "output '" + name + "'"
	s := &scope{evaluation: e, place: inBody, runtime: runtime}
	if wanted, err = s.condition(n, path, of); err != nil || !wanted {
		return output, false, err
	}
	declared, err := e.resolve(n, path)
	if err != nil {
		return output, false, err
	}
	kind, _ := declared.Member("type").leaf().(string)
	output = Output{Name: name, Type: parameterTypes[strings.ToLower(kind)]}
	if output.Secure = strings.HasPrefix(output.Type, "Secure"); output.Type == "" {
		return output, false, invalid(n, path, "The template output '%s' has the type '%.40s', which is not known", name, kind)
	}
	value, loops := n.Member("value"), n.Member("copy")
	switch {
	case loops != nil:
		input := loops.Member("input")
		if input == nil {
			return output, false, invalid(loops, path+".copy", "The copy loop of the output '%s' has no 'input'", name)
		}
		output.Value, err = s.turns(loops, "", path+".copy", func(inner *scope) (any, error) {
			return inner.node(input, path+".copy.input", false)
		})
	case value != nil:
		output.Value, err = s.node(value, path+".value", false)
	default:
		return output, false, invalid(n, path, "The template output '%s' has no value", name)
	}
	if err == nil {
		err = e.work.charge(output.Value)
	}
	if err != nil {
		return output, false, failed(n, path, of, err)
	}
	if nullable, _ := n.Member("nullable").leaf().(bool); nullable && output.Value == nil {
		return output, true, nil
	}
	if have, want := typeName(output.Value), wantedType(output.Type); have != want {
		return output, false, invalid(n, path, "The template output '%s' is not valid: Template output JToken type is not valid. Expected '%s'. Actual '%s'.", name, want, have)
	}
	return output, true, nil
}

// wantedType is the name of the values that a parameter or an output of a type has.
func wantedType(kind string) string {
	switch kind {
	case "Int":
		return "Integer"
	case "Bool":
		return "Boolean"
	}
	return strings.TrimPrefix(kind, "Secure")
}

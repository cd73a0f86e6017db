package template

import (
	"fmt"
	"strings"
)

// userFunction is a function of the template's own.
type userFunction struct {
	name       string // "contoso.uniqueName"
	parameters []*Node
	names      []string
	output     *Node
	path       string
}

// maxCalls bounds how deeply a template's own functions call each other.
const maxCalls = 32

// readFunctions reads the section functions: a list of namespaces with their members.
func (t *Template) readFunctions() error {
	section := t.root.Member("functions")
	if section == nil {
		return nil
	}
	if section.kind != kindList {
		return parseFailed(section, "functions", "The section 'functions' is %s, not a list", section.describe())
	}
	for i, space := range section.list {
		path := indexed("functions", i)
		namespace, ok := space.Member("namespace").leaf().(string)
		members := space.Member("members")
		if !ok || namespace == "" || members == nil || members.kind != kindObject {
			return parseFailed(space, path, "It must have a 'namespace' and 'members'")
		}
		for _, member := range members.members {
			at := join(path+".members", member.name)
			f := &userFunction{name: namespace + "." + member.name, path: at}
			if f.output = member.value.Member("output").Member("value"); f.output == nil {
				return parseFailed(member.value, at, "The function '%s' has no output value", f.name)
			}
			if parameters := member.value.Member("parameters"); parameters != nil {
				for j, parameter := range parameters.list {
					name, ok := parameter.Member("name").leaf().(string)
					if !ok {
						return parseFailed(parameter, indexed(at+".parameters", j), "The parameter has no name")
					}
					f.names, f.parameters = append(f.names, strings.ToLower(name)), append(f.parameters, parameter)
				}
			}
			t.functions[strings.ToLower(f.name)] = f
		}
	}
	return nil
}

// callOwn calls a function of the template's own. It sees its arguments and nothing else.
func (s *scope) callOwn(c *call) (any, error) {
	e := s.evaluation
	for e.outer != nil {
		e = e.outer
	}
	name := c.namespace + "." + c.name
	f := e.template.functions[strings.ToLower(name)]
	switch {
	case f == nil:
		return nil, final("The template function '%s' is not valid: the template has no function of that name.", name)
	case len(c.arguments) != len(f.names):
		return nil, fmt.Errorf("the function '%s' takes %d arguments, and %d were given", name, len(f.names), len(c.arguments))
	case s.calls == maxCalls:
		return nil, fmt.Errorf("the functions of the template call each other more than %d deep", maxCalls)
	}
	inner := &scope{evaluation: e, place: inVariable, arguments: make(map[string]any, len(f.names)), calls: s.calls + 1}
	for i, argument := range c.arguments {
		value, err := s.eval(argument)
		if err != nil {
			return nil, err
		}
		if f.parameters[i].Member("type") != nil || f.parameters[i].Member("$ref") != nil {
			if err := e.judge(f.names[i], value, f.parameters[i], f.path, false, 0); err != nil {
				return nil, err
			}
		}
		inner.arguments[f.names[i]] = value
	}
	return s.made(inner.node(f.output, f.path+".output.value", false))
}

package template

import (
	"strings"
)

// variable is one of a template, evaluated when it is first asked for.
type variable struct {
	name  string
	node  *Node
	loop  *Node // the element of "copy" that makes it; nil for none
	path  string
	state progress
	value any
	err   error
}

// readVariables finds the template's variables, those of its copy loops too.
func (e *evaluation) readVariables() error {
	e.variables = map[string]*variable{}
	section := e.template.root.Member("variables")
	if section == nil {
		return nil
	}
	for _, member := range section.members {
		path := "variables." + member.name
		if !strings.EqualFold(member.name, "copy") || !isLoops(member.value) {
			e.variables[strings.ToLower(member.name)] = &variable{name: member.name, node: member.value, path: path}
			continue
		}
		for i, element := range member.value.list {
			name, ok := element.Member("name").value.(string)
			if !ok || name == "" || e.variables[strings.ToLower(name)] != nil {
				return invalid(element, indexed(path, i), "The copy loop of a variable must have a name of its own")
			}
			e.variables[strings.ToLower(name)] = &variable{name: name, loop: element, node: element.Member("input"), path: indexed(path, i)}
		}
	}
	return nil
}

func (v *variable) evaluate(e *evaluation) (any, error) {
	switch v.state {
	case running:
		return nil, final("The template variable '%s' depends on itself. Please see https://aka.ms/arm-syntax-variables for usage details.", v.name)
	case untouched:
		v.state = running
		s := &scope{evaluation: e, place: inVariable}
		if v.loop != nil {
			v.value, v.err = s.turns(v.loop, v.name, v.path, func(inner *scope) (any, error) {
				return inner.node(v.node, v.path+".input", true)
			})
		} else {
			v.value, v.err = s.node(v.node, v.path, true)
		}
		if v.err == nil {
			v.err = e.work.charge(v.value)
		}
		if v.err != nil {
			v.err = failed(v.node, v.path, "template variable '"+v.name+"'", v.err)
		}
		v.state = done
	}
	return v.value, v.err
}

package template

import (
	"errors"
	"slices"
	"strings"
)

// depend finds what each resource depends on: what it names, and what it refers to.
func (e *evaluation) depend(x *Expansion) error {
	for _, r := range x.Resources {
		named := r.node.Member("dependsOn")
		if named != nil && named.kind != kindList {
			return invalid(named, r.path+".dependsOn", "The dependsOn of the resource '%s' is %s, not a list", r.Name, named.describe())
		}
		if named != nil {
			for i, n := range named.list {
				if err := e.dependOn(r, n, indexed(r.path+".dependsOn", i)); err != nil {
					return err
				}
			}
		}
		if err := e.implied(r); err != nil {
			return err
		}
	}
	return nil
}

func (e *evaluation) dependOn(r *Resource, n *Node, path string) error {
	value, err := r.at.node(n, path, false)
	if err != nil {
		return failed(n, path, "the dependsOn of resource '"+r.Name+"'", err)
	}
	text, ok := value.(string)
	if !ok {
		return invalid(n, path, "The dependsOn of the resource '%s' must hold strings; one is of type '%s'", r.Name, typeName(value))
	}
	found := e.resources.find(text)
	if len(found) == 0 {
		return invalid(n, path, "The resource '%s' is not defined in the template. Please see https://aka.ms/arm-syntax for usage details.", text)
	}
	if err := e.needs(r, found); err != nil {
		return failed(n, path, "the dependsOn of resource '"+r.Name+"'", err)
	}
	return nil
}

func (e *evaluation) needs(r *Resource, others []*Resource) error {
	for _, other := range others {
		if err := e.work.spend(1 + len(r.DependsOn)/16); err != nil {
			return err
		}
		if other != r && !slices.Contains(r.DependsOn, other) {
			r.DependsOn = append(r.DependsOn, other)
		}
	}
	return nil
}

// implied finds the resources that a body asks by reference() and list functions. What they ask is evaluated if it can be
// now; an argument that is known only later makes no dependency.
func (e *evaluation) implied(r *Resource) error {
	return e.walk(r.node, r, 0)
}

func (e *evaluation) walk(n *Node, r *Resource, depth int) error {
	if err := e.work.spend(1); err != nil {
		return asError(failed(r.node, r.path, "resource '"+r.Name+"'", err))
	}
	for _, element := range n.list {
		if err := e.walk(element, r, depth+1); err != nil {
			return err
		}
	}
	for _, member := range n.members {
		name := strings.ToLower(member.name)
		if depth == 0 && headers[name] || name == "template" && depth == 1 && strings.EqualFold(r.Type, TypeDeployment) && !isOuter(r.node) {
			continue
		}
		if err := e.walk(member.value, r, depth+1); err != nil {
			return err
		}
	}
	text, ok := n.leaf().(string)
	if !ok {
		return nil
	}
	if err := e.work.spend(len(text) / 8); err != nil {
		return asError(failed(n, r.path, "resource '"+r.Name+"'", err))
	}
	if parsed := parseText(text); parsed.expression != nil {
		if err := e.walkExpression(parsed.expression, r); err != nil {
			return asError(failed(n, r.path, "resource '"+r.Name+"'", err))
		}
	}
	return nil
}

func (e *evaluation) walkExpression(x expression, r *Resource) error {
	switch x := x.(type) {
	case *access:
		return errors.Join(e.walkExpression(x.of, r), e.walkExpression(x.key, r))
	case *call:
		for _, argument := range x.arguments {
			if err := e.walkExpression(argument, r); err != nil {
				return err
			}
		}
		name := strings.ToLower(x.name)
		if len(x.arguments) == 0 || x.namespace != "" || name != "reference" && name != "references" && !strings.HasPrefix(name, "list") {
			return nil
		}
		value, err := r.at.eval(x.arguments[0])
		text, ok := value.(string)
		if err != nil || !ok {
			return nil // what is known only later implies nothing
		}
		if name == "references" {
			return e.needs(r, e.resources.bySymbol[strings.ToLower(text)])
		}
		if found := e.resources.find(text); len(found) == 1 {
			return e.needs(r, found)
		}
	}
	return nil
}

// sort orders resources so that each stands behind what it depends on, and refuses circles.
func (x *Expansion) sort() ([]*Resource, error) {
	order := make([]*Resource, 0, len(x.Resources))
	state := map[*Resource]progress{}
	var way []string
	var visit func(*Resource) error
	visit = func(r *Resource) error {
		switch state[r] {
		case done:
			return nil
		case running:
			return invalid(r.node, r.path, "Circular dependency detected on resource: '%s'. It goes by: %s. Please see https://aka.ms/arm-syntax-resources "+
				"for usage details.", r.ID, strings.Join(append(way, r.Name), " → "))
		}
		state[r] = running
		way = append(way, r.Name)
		for _, other := range r.DependsOn {
			if err := visit(other); err != nil {
				return err
			}
		}
		way = way[:len(way)-1]
		state[r] = done
		order = append(order, r)
		return nil
	}
	for _, r := range x.Resources {
		if err := visit(r); err != nil {
			return nil, err
		}
	}
	return order, nil
}

package template

import (
	"strings"
)

// Nested is a deployment within a deployment.
type Nested struct {
	Name           string
	SubscriptionID string
	ResourceGroup  string // "" at a subscription
	Location       string
	Mode           string // "" for Incremental
	Template       *Template

	values map[string]any // of its parameters
	outer  *scope         // in the outer scope: where it stands; nil in the inner one
	parent *evaluation
}

// isOuter tells in whose scope a nested deployment's expressions stand; without a word in the outer one's.
func isOuter(n *Node) bool {
	text, _ := n.Member("properties").Member("expressionEvaluationOptions").Member("scope").leaf().(string)
	return !strings.EqualFold(text, "inner")
}

// Nested evaluates a resource of TypeDeployment as far as its template's own expansion. The error is an *Error.
func (r *Resource) Nested(runtime Runtime) (*Nested, error) {
	properties := r.node.Member("properties")
	path := r.path + ".properties"
	s := *r.at
	s.place, s.runtime = inBody, &runtime
	if link := properties.Member("templateLink"); link != nil {
		return nil, linked(link, path+".templateLink")
	}
	inline := properties.Member("template")
	if inline == nil {
		return nil, invalid(r.node, path, "The nested deployment '%s' has no template", r.Name)
	}
	if s.depth >= MaxNested {
		return nil, invalid(r.node, path, "Deployments are nested more than %d deep", MaxNested)
	}
	n := &Nested{Name: r.Name, parent: s.evaluation}
	n.SubscriptionID, n.ResourceGroup = placeOf(r.ID)
	var err error
	if n.Location, err = s.header(r.node, r.path, "location"); err != nil {
		return nil, asError(err)
	}
	if n.Mode, err = s.header(properties, path, "mode"); err != nil {
		return nil, asError(err)
	}
	if n.Template, err = New(inline); err != nil {
		return nil, err
	}
	if isOuter(r.node) {
		n.outer = &s
		return n, nil
	}
	if given := properties.Member("parameters"); given != nil {
		value, err := s.node(given, path+".parameters", false)
		if err != nil {
			return nil, asError(failed(given, path+".parameters", "resource '"+r.ID+"'", err))
		}
		object, _ := value.(map[string]any)
		if n.values, err = Values(object); err != nil {
			return nil, err
		}
	}
	return n, nil
}

// Expand expands the nested template where it is deployed to; see Template.Expand.
func (n *Nested) Expand(where Environment) (*Expansion, error) {
	e := &evaluation{template: n.Template, where: &where, work: n.parent.work, depth: n.parent.depth + 1}
	if n.outer != nil {
		e.outer, e.bound = n.parent, n.outer
		return e.expand()
	}
	if err := e.declare(n.values); err != nil {
		return nil, asError(err)
	}
	return e.expand()
}

// placeOf takes subscription and group from an id.
func placeOf(id string) (subscription, group string) {
	parts := strings.Split(id, "/")
	for i := 1; i+1 < len(parts) && i < 5; i += 2 {
		switch strings.ToLower(parts[i]) {
		case "subscriptions":
			subscription = parts[i+1]
		case "resourcegroups":
			group = parts[i+1]
		}
	}
	return subscription, group
}

// linked refuses a template that would have to be fetched.
func linked(n *Node, path string) error {
	return asError(invalid(n, path, "Linked templates are not supported: nothing is fetched from '%.200v'. Give the template itself, in 'template'",
		n.Member("uri").leaf()))
}

// Values takes the values out of a deployment's parameters, {"name": {"value": …}}. The error is an *Error.
func Values(parameters map[string]any) (map[string]any, error) {
	values := make(map[string]any, len(parameters))
	for _, name := range sortedKeys(parameters) {
		object, _ := parameters[name].(map[string]any)
		value, ok := lookup(object, "value")
		if _, secret := lookup(object, "reference"); !ok && secret {
			return nil, asError(invalid(nil, "parameters."+name, "The parameter '%s' refers to a secret of a key vault, which is not supported: give its value", name))
		}
		if !ok {
			return nil, asError(invalid(nil, "parameters."+name, "The parameter '%s' has no 'value'", name))
		}
		values[name] = value
	}
	return values, nil
}

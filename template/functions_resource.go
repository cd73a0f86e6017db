package template

import (
	"fmt"
	"strings"

	"github.com/google/uuid"
)

// resourceFunctions make ids of resources, and ask resources.
var resourceFunctions = map[string]function{
	"resourceId":             eager(2, -1, resourceID),
	"subscriptionResourceId": eager(2, -1, subscriptionResourceID),
	"tenantResourceId":       eager(2, -1, func(_ *scope, a []any) (any, error) { return idIn("", a) }),
	"extensionResourceId":    eager(3, -1, extensionResourceID),
	"reference":              {1, 3, nil, reference, true},
	"references":             {1, 2, nil, references, true},
	"resourceInfo":           {1, 1, nil, resourceInfo, true},
}

// idIn makes the end of an id, from a type and as many names as it has segments behind the provider, below a scope.
func idIn(below string, arguments []any) (string, error) {
	list, err := texts(arguments)
	if err != nil {
		return "", err
	}
	types := strings.Split(list[0], "/")
	if len(types) < 2 || types[0] == "" {
		return "", fmt.Errorf("the type '%.80s' must have the form Provider/type", list[0])
	}
	if len(types)-1 != len(list)-1 {
		return "", fmt.Errorf("the type '%.80s' requires '%d' resource name argument(s)", list[0], len(types)-1)
	}
	var b strings.Builder
	b.WriteString(below + "/providers/" + types[0])
	for i, name := range list[1:] {
		b.WriteString("/" + types[i+1] + "/" + name)
	}
	return b.String(), nil
}

// scoped takes what stands before the type: a subscription, a group.
func scoped(arguments []any) (before []string, rest []any, err error) {
	for len(arguments) > 0 {
		text, err := textAt(arguments, 0)
		if err != nil {
			return nil, nil, err
		}
		if strings.Contains(text, "/") {
			return before, arguments, nil
		}
		before, arguments = append(before, text), arguments[1:]
	}
	return nil, nil, fmt.Errorf("one of its parameters must be a type of the form Provider/type")
}

// resourceID is resourceId([subscription], [group], type, name…).
func resourceID(s *scope, arguments []any) (any, error) {
	before, rest, err := scoped(arguments)
	if err != nil {
		return nil, err
	}
	where := s.target()
	subscription, group := where.subscriptionID(), where.group()
	switch {
	case len(before) > 2:
		return nil, fmt.Errorf("the type stands third at the latest, behind a subscription and a resource group")
	case len(before) == 2:
		subscription, group = before[0], before[1]
	case len(before) == 1 && where.ResourceGroup == nil && uuid.Validate(before[0]) == nil:
		subscription = before[0]
	case len(before) == 1:
		group = before[0]
	}
	if uuid.Validate(subscription) != nil {
		return nil, fmt.Errorf("the subscription identifier '%.80s' is not a GUID", subscription)
	}
	below := "/subscriptions/" + subscription
	if group != "" {
		below += "/resourceGroups/" + group
	}
	return idIn(below, rest)
}

func subscriptionResourceID(s *scope, arguments []any) (any, error) {
	before, rest, err := scoped(arguments)
	if err != nil {
		return nil, err
	}
	subscription := s.target().subscriptionID()
	if len(before) > 1 {
		return nil, fmt.Errorf("the type stands second at the latest, behind a subscription")
	}
	if len(before) == 1 {
		subscription = before[0]
	}
	return idIn("/subscriptions/"+subscription, rest)
}

func extensionResourceID(_ *scope, arguments []any) (any, error) {
	below, err := textAt(arguments, 0)
	if err != nil {
		return nil, err
	}
	if below != "" && !strings.HasPrefix(below, "/") {
		return nil, fmt.Errorf("the resource '%.80s' must be a full id", below)
	}
	return idIn(strings.TrimSuffix(below, "/"), arguments[1:])
}

// isID tells whether a text is the full id of a resource.
func isID(text string) bool {
	return strings.HasPrefix(text, "/") && strings.Contains(strings.ToLower(text), "/providers/") || isGroupID(text)
}

func isGroupID(text string) bool {
	parts := strings.Split(strings.ToLower(strings.Trim(text, "/")), "/")
	return strings.HasPrefix(text, "/") && len(parts) == 4 && parts[0] == "subscriptions" && parts[2] == "resourcegroups"
}

// named finds the resource that an argument of reference() means: a symbolic name, a name or an id. What is none of the
// template's must be an id.
func (s *scope) named(text string) (id string, resource *Resource, err error) {
	if s.resources != nil {
		if found := s.resources.find(text); len(found) == 1 {
			return found[0].ID, found[0], nil
		} else if len(found) > 1 {
			return "", nil, fmt.Errorf("several resources are named '%s': give the id", text)
		}
	}
	if isID(text) {
		return strings.TrimSuffix(text, "/"), nil, nil
	}
	return "", nil, final("The resource reference '%s' is not valid: it is neither the id of a resource nor one that is defined in the template. "+
		"Please see https://aka.ms/arm-resource-functions/#reference for usage details.", text)
}

// reference is reference(resource, [version], ['Full']): a resource's properties, or all of it.
func reference(s *scope, c *call) (any, error) {
	list, err := s.referenceArguments(c)
	if err != nil {
		return nil, err
	}
	version, full := "", false
	if len(list) > 1 {
		version = list[1]
	}
	if len(list) > 2 {
		if full = strings.EqualFold(list[2], "Full"); !full {
			return nil, fmt.Errorf("its parameter '3' can only be 'Full', and is '%.40s'", list[2])
		}
	}
	id, resource, err := s.named(list[0])
	if err != nil {
		return nil, err
	}
	if resource != nil && !resource.Condition {
		return nil, final("The resource '%s' is not deployed, by its condition, so that it cannot be referred to.", resource.Name)
	}
	return s.read(id, version, full)
}

func (s *scope) read(id, version string, full bool) (any, error) {
	answer, err := s.runtime.Reference(id, version)
	if err != nil || full {
		return answer, err
	}
	properties, _ := lookup(answer, "properties")
	return properties, nil
}

// references is reference() of every resource of a loop, by its symbolic name.
func references(s *scope, c *call) (any, error) {
	list, err := s.referenceArguments(c)
	if err != nil {
		return nil, err
	}
	all := []any{}
	if s.resources == nil || len(s.resources.bySymbol[strings.ToLower(list[0])]) == 0 {
		return nil, fmt.Errorf("there is no resource with the symbolic name '%.80s'", list[0])
	}
	for _, resource := range s.resources.bySymbol[strings.ToLower(list[0])] {
		value, err := s.read(resource.ID, "", len(list) > 1)
		if err != nil {
			return nil, err
		}
		all = append(all, value)
	}
	return all, nil
}

func (s *scope) referenceArguments(c *call) ([]string, error) {
	if s.runtime == nil || s.arguments != nil {
		return nil, final("The template function '%s' is not expected at this location. Please see https://aka.ms/arm-functions for usage details.", c.name)
	}
	values := make([]any, len(c.arguments))
	for i, argument := range c.arguments {
		var err error
		if values[i], err = s.eval(argument); err != nil {
			return nil, err
		}
	}
	return texts(values)
}

// list is listKeys(resource, version, [body]) and its like.
func (s *scope) list(c *call) (any, error) {
	if len(c.arguments) < 2 || len(c.arguments) > 3 {
		return nil, about(c, fmt.Errorf("it takes a resource, an api-version, and no more than a body"))
	}
	head, err := s.referenceArguments(&call{name: c.name, arguments: c.arguments[:2]})
	if err != nil {
		return nil, about(c, err)
	}
	var body any
	if len(c.arguments) == 3 {
		if body, err = s.eval(c.arguments[2]); err != nil {
			return nil, err
		}
	}
	id, _, err := s.named(head[0])
	if err != nil {
		return nil, about(c, err)
	}
	value, err := s.runtime.List(c.name, id, head[1], body)
	if err == nil {
		err = s.work.charge(value)
	}
	return value, about(c, err)
}

// resourceInfo tells what is known of a resource of the template before it is deployed, by its symbolic name.
func resourceInfo(s *scope, c *call) (any, error) {
	value, err := s.eval(c.arguments[0])
	if err != nil {
		return nil, err
	}
	symbol, err := textAt([]any{value}, 0)
	if err != nil {
		return nil, err
	}
	if s.resources == nil || len(s.resources.find(symbol)) != 1 {
		return nil, fmt.Errorf("there is no resource with the symbolic name '%.80s'", symbol)
	}
	resource := s.resources.find(symbol)[0]
	return map[string]any{"id": resource.ID, "name": resource.Name, "type": resource.Type, "apiVersion": resource.APIVersion}, nil
}

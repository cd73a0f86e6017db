package resource

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"strings"

	"postern/model"
)

// ChildTypes lists the collections inside a top-level type, such as "subnets" in a VNet.
func ChildTypes(typ string) []string {
	var names []string
	if spec, _, ok := lookupName(typ); ok {
		for i := range spec.children {
			names = append(names, spec.children[i].collection)
		}
	}
	return names
}

// IsCollection tells whether resources of a type hold children of a collection, whatever the case of both.
func IsCollection(typ, collection string) bool {
	for _, name := range ChildTypes(typ) {
		if strings.EqualFold(name, collection) {
			return true
		}
	}
	return false
}

// RenderChildren is ARM's answer about all resources of one collection inside another resource, in the parent's order.
func (c *Cloud) RenderChildren(parent ID, collection, state string) ([]json.RawMessage, error) {
	spec, childSpec, ok := lookup(parent.Provider, []string{parent.Types[0], collection})
	if !ok || parent.IsChild() {
		return nil, &Error{Code: CodeInvalidResourceType, Target: collection, Status: http.StatusNotFound,
			Message: fmt.Sprintf("The resource type '%s/%s' is not known here.", parent.Type(), collection)}
	}
	data, err := c.render(parent, state, true)
	if err != nil {
		return nil, err
	}
	object, err := readObject(data)
	if err != nil {
		return nil, fmt.Errorf("render %s: %w", parent, err)
	}
	properties, _ := object[member(object, "properties")].(map[string]any)
	list, _ := properties[member(properties, childSpec.property)].([]any)
	answer := make([]json.RawMessage, 0, len(list))
	for _, element := range list {
		element.(map[string]any)["type"] = spec.name + "/" + childSpec.collection
		rendered, err := json.Marshal(element)
		if err != nil {
			return nil, fmt.Errorf("render %s: %w", parent, err)
		}
		answer = append(answer, rendered)
	}
	return answer, nil
}

// Reserved tells whether an address of a subnet is one that no NIC gets: the first four and the last of each prefix.
func Reserved(subnet *model.Subnet, address netip.Addr) bool { return reserved(subnet, address) }

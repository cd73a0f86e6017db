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

// RenderChildren is ARM's answer about the resources of one collection inside another resource, sorted by name: those
// behind the name after, "" for all, and at most limit of them, 0 for no limit. next is what to give as after for the rest,
// "" at the end.
func (c *Cloud) RenderChildren(parent ID, collection, state, after string, limit int) (answers []json.RawMessage, next string, err error) {
	_, spec, ok := lookup(parent.Provider, []string{parent.Types[0], collection})
	if !ok || parent.IsChild() {
		return nil, "", &Error{Code: CodeInvalidResourceType, Target: collection, Status: http.StatusNotFound,
			Message: fmt.Sprintf("The resource type '%s/%s' is not known here.", parent.Type(), collection)}
	}
	e := c.entries.find(parent.Key())
	if e == nil {
		return nil, "", NotFound(parent)
	}
	body, err := e.body.read(e.record)
	if err != nil {
		return nil, "", fmt.Errorf("render %s: %w", parent, err)
	}
	list := listIn(objectAt(body, "properties"), spec.property)
	places := make(map[string]int, len(list)) // by name; names are unique, whatever their case
	for at, child := range list {
		object := child.(map[string]any)
		name, _ := object[member(object, "name")].(string)
		places[strings.ToLower(name)] = at
	}
	answers = []json.RawMessage{}
	a, last := c.answer(e, state), ""
	for _, name := range sortedKeys(places) {
		switch {
		case name <= strings.ToLower(after):
			continue
		case limit > 0 && len(answers) == limit:
			return answers, last, nil
		}
		object := cloned(list[places[name]]).(map[string]any)
		a.child(object, spec, places[name])
		rendered, err := json.Marshal(object)
		if err != nil {
			return nil, "", fmt.Errorf("render %s: %w", parent, err)
		}
		answers, last = append(answers, rendered), name
	}
	return answers, "", nil
}

// Reserved tells whether an address of a subnet is one that no NIC gets: the first four and the last of each prefix.
func Reserved(subnet *model.Subnet, address netip.Addr) bool { return reserved(subnet, address) }

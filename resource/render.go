package resource

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"postern/model"
	"postern/resource/schema"
	"postern/service"
)

// Render is ARM's answer about a resource or a child: the body as written with id, name, type, etag, what Azure fills
// in where a writer says nothing, what was allotted, who refers to it, and the provisioning state at each level. The
// state is "Succeeded" when every node has applied the resource, "Updating" before.
func (c *Cloud) Render(id ID, state string) (json.RawMessage, error) {
	e := c.entries.find(id.Root().Key())
	if e == nil {
		return nil, NotFound(id)
	}
	body, err := e.body.read(e.record)
	if err != nil {
		return nil, fmt.Errorf("render %s: %w", id, err)
	}
	a := c.answer(e, state)
	if !id.IsChild() {
		object := cloned(body).(map[string]any)
		a.resource(object)
		return json.Marshal(object)
	}
	_, spec, _ := lookup(id.Provider, id.Types)
	for i, child := range listIn(objectAt(body, "properties"), spec.property) {
		if nameOf(child, id.Name()) {
			object := cloned(child).(map[string]any)
			a.child(object, spec, i)
			return json.Marshal(object)
		}
	}
	return nil, NotFound(id)
}

// answer is what the parts of one answer have in common.
type answer struct {
	cloud *Cloud
	entry *entry
	state string
	etag  string
}

func (c *Cloud) answer(e *entry, state string) *answer {
	return &answer{cloud: c, entry: e, state: state, etag: e.record.ETag()}
}

// parsedBody is a record's body, parsed when it is first answered. It is shared by all clouds that have the record.
type parsedBody struct {
	once   sync.Once
	object map[string]any // never changed
	err    error
}

// set gives the body that its writer has in parsed form.
func (p *parsedBody) set(object map[string]any) { p.once.Do(func() { p.object = object }) }

func (p *parsedBody) read(r *Record) (map[string]any, error) {
	p.once.Do(func() { p.object, p.err = readObject(r.Body) })
	return p.object, p.err
}

// resource completes the answer about a top-level resource with all its children.
func (a *answer) resource(object map[string]any) {
	record := a.entry.record
	object["id"], object["name"], object["type"] = record.ID, model.ResourceID(record.ID).Name(), record.Type
	if name, ok := modelOf(record.Type); record.Type != TypeResourceGroup && (!ok || schema.Azure().Has(name, "etag")) {
		object["etag"] = a.etag
	}
	properties := objectIn(object, "properties")
	properties["provisioningState"] = a.state
	if guid := record.Allotted.GUID; guid != "" {
		properties["resourceGuid"] = guid
	}
	spec, _, _ := lookupName(record.Type)
	for i := range spec.children {
		if spec.children[i].apart {
			delete(properties, spec.children[i].property)
			continue
		}
		list := listIn(properties, spec.children[i].property)
		for at, element := range list {
			a.child(element.(map[string]any), &spec.children[i], at)
		}
		if len(list) == 0 {
			properties[spec.children[i].property] = []any{}
		}
	}
	switch noun := a.entry.noun.(type) {
	case *model.VirtualNetwork:
		a.virtualNetwork(properties, noun)
	case *model.RouteTable:
		a.routeTable(properties, noun)
	case *model.NetworkSecurityGroup:
		a.securityGroup(properties, noun)
	case *model.ServiceEndpointPolicy:
		a.references(properties, "subnets", a.cloud.links().subnets[noun.ID.Key()])
	case *model.NatGateway:
		a.natGateway(object, properties, noun)
	case *networkInterface:
		a.networkInterface(properties, noun)
	case *model.PublicIPAddress:
		a.publicIPAddress(object, properties, noun)
	case *publicIPPrefix:
		a.publicIPPrefix(object, properties, noun)
	case *virtualMachine:
		a.virtualMachine(object, properties, noun)
	case *instance:
		a.instance(object, properties, noun)
	case *managedIdentity:
		a.managedIdentity(properties)
	case *kept:
		a.instance(object, properties, &noun.instance)
	}
}

// child completes the answer about the child at a place of its list.
func (a *answer) child(object map[string]any, spec *childSpec, at int) {
	id := a.entry.record.ID
	name, _ := object[member(object, "name")].(string)
	typ := a.entry.record.Type + "/" + spec.collection
	object["name"], object["id"], object["type"] = name, string(childID(id, spec.collection, name)), typ
	form, modelled := modelOf(typ)
	if !modelled || schema.Azure().Has(form, "etag") {
		object["etag"] = a.etag
	}
	properties := objectIn(object, "properties")
	if !modelled || schema.Azure().HasInside(form, "properties", "provisioningState") {
		properties["provisioningState"] = a.state
	}
	switch noun := a.entry.noun.(type) {
	case *model.VirtualNetwork:
		if spec.collection == "subnets" {
			a.subnet(properties, noun, &noun.Subnets[at])
		} else {
			a.peering(properties, noun, &noun.Peerings[at])
		}
	case *model.RouteTable:
		fill(properties, "hasBgpOverride", false)
	case *model.NetworkSecurityGroup:
		securityRule(properties)
	case *instance:
		a.instanceChild(properties, spec, noun)
	}
}

// references answers a list of ids, if there are any, as ARM does: [{"id": …}].
func (a *answer) references(properties map[string]any, name string, ids []string) {
	if len(ids) == 0 {
		return
	}
	list := make([]any, 0, len(ids))
	for _, id := range slices.Sorted(slices.Values(ids)) {
		list = append(list, map[string]any{"id": id})
	}
	properties[name] = list
}

// fill sets a member that the writer left out.
func fill(object map[string]any, name string, value any) {
	service.Fill(object, name, value)
}

// cloned is a deep copy of a parsed JSON value.
func cloned(value any) any {
	switch value := value.(type) {
	case map[string]any:
		object := maps.Clone(value)
		for name := range object {
			object[name] = cloned(object[name])
		}
		return object
	case []any:
		list := slices.Clone(value)
		for i := range list {
			list[i] = cloned(list[i])
		}
		return list
	}
	return value
}

// objectIn is a member that is an object; it is made where there is none.
func objectIn(object map[string]any, name string) map[string]any {
	return service.ObjectIn(object, name)
}

// objectAt is a member that is an object, or nil.
func objectAt(object map[string]any, name string) map[string]any {
	inner, _ := object[member(object, name)].(map[string]any)
	return inner
}

// listIn is a member that is a list, or nil.
func listIn(object map[string]any, name string) []any {
	return service.ListIn(object, name)
}

func lookupName(typ string) (*typeSpec, *childSpec, bool) {
	provider, name, _ := strings.Cut(typ, "/")
	return lookup(provider, []string{name})
}

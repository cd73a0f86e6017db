package resource

import (
	"errors"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"postern/model"
	"postern/service"
	"postern/service/all"
)

// instance is the noun of every service's resource types.
type instance struct {
	service.Instance
	service  *service.Service
	typ      *service.Type
	home     model.Location // of the body: where it was made
	identity identity
}

// kept is the noun of a service's resource with nothing behind it.
type kept struct{ instance }

// serviceTypes are the types of services, in their order.
func serviceTypes(services []*service.Service) []typeSpec {
	var list []typeSpec
	for _, s := range services {
		for i := range s.Types {
			typ := &s.Types[i]
			spec := typeSpec{name: typ.Name, decode: func(r *Record) (any, error) { return decodeInstance(s, typ, r) }}
			if typ.Kept {
				spec.decode = func(r *Record) (any, error) { return decodeKept(s, typ, r) }
			}
			for _, child := range typ.Children {
				spec.children = append(spec.children, childSpec{collection: child.Collection, property: child.Property, apart: child.Apart, only: child.Only})
			}
			list = append(list, spec)
		}
	}
	return list
}

func decodeInstance(s *service.Service, typ *service.Type, r *Record) (any, error) {
	var head header
	if err := leniently(r.Body, &head); err != nil {
		return nil, err
	}
	location, err := head.location()
	if err != nil {
		return nil, err
	}
	id := model.ResourceID(r.ID)
	out := &instance{service: s, typ: typ, home: location}
	if r.Allotted.Region != "" {
		location = r.Allotted.Region
	}
	out.ServiceInstance = model.ServiceInstance{ID: id, Service: s.Name, Name: id.Name(), Location: location,
		Address: r.Allotted.Address}
	if typ.KeysServed {
		out.Keys = r.Allotted.Keys
	}
	if !r.Allotted.Created.IsZero() {
		out.Created = r.Allotted.Created.UnixMicro()
	}
	if s.Zones != nil {
		out.Space = s.LabelSpace()
	}
	out.Endpoint, _ = model.ServiceByEndpoint(s.Endpoint)
	if out.identity, err = readIdentity(r); err != nil {
		return nil, err
	}
	if err := service.ReadTags(head.Tags, &out.ServiceInstance); err != nil {
		return nil, asError(err)
	}
	body := &service.Body{ID: id, Location: location, Tags: head.Tags, JSON: r.Body,
		Subnet: func(id, field string) (model.ResourceID, error) {
			return referTo(&reference{ID: id}, TypeVirtualNetwork+"/subnets", field)
		}, Resource: func(id, typ, field string) (model.ResourceID, error) {
			return referTo(&reference{ID: id}, typ, field)
		}}
	if err := typ.Decode(body, &out.Instance); err != nil {
		return nil, asError(err)
	}
	if s.Endpoint == "" {
		out.Endpoint.Identity, out.Endpoint.Bit = r.Allotted.Endpoint.Identity, r.Allotted.Endpoint.Bit
		out.ownPrefixes()
	}
	for _, host := range out.Hosts {
		if host != strings.ToLower(host) {
			return nil, refuse(CodeInvalidRequestFormat, "properties", "The name '%s' must be in lower case.", host)
		}
	}
	out.identify(r.Allotted.Rules)
	return out, nil
}

func decodeKept(s *service.Service, typ *service.Type, r *Record) (any, error) {
	var head header
	if err := leniently(r.Body, &head); err != nil {
		return nil, err
	}
	location, err := head.location()
	if err != nil {
		return nil, err
	}
	id := model.ResourceID(r.ID)
	out := &kept{instance{service: s, typ: typ, home: location}}
	out.ServiceInstance = model.ServiceInstance{ID: id, Service: s.Name, Name: id.Name(), Location: location}
	if typ.Decode != nil {
		if err := typ.Decode(&service.Body{ID: id, Location: location, Tags: head.Tags, JSON: r.Body}, &out.Instance); err != nil {
			return nil, asError(err)
		}
	}
	return out, nil
}

// ownPrefixes gives a service of the operator's own that declares no prefixes that of its address alone.
func (i *instance) ownPrefixes() {
	if i.Prefixes == nil && i.Address.IsValid() && i.ownTag() {
		i.Prefixes = []netip.Prefix{netip.PrefixFrom(i.Address, 32)}
	}
}

// ownTag tells whether the tag of an own endpoint is its own too, and not one of the tag file.
func (i *instance) ownTag() bool {
	return i.Endpoint.Tag == strings.ReplaceAll(i.Endpoint.Endpoint, ".", "-")
}

// identify gives the rules that name subnets the identities of those.
func (i *instance) identify(identities map[string]model.Identity) {
	for n := range i.Rules.VirtualNetworkRules {
		rule := &i.Rules.VirtualNetworkRules[n]
		rule.Identity = identities[rule.Subnet.Key()]
	}
	for n := range i.Rules.Filters {
		if filter := &i.Rules.Filters[n]; filter.Subnet != "" {
			filter.Identity = identities[filter.Subnet.Key()]
		}
	}
}

// FromRefusal is asError for who has a service's refusal outside a body. An error that is none stays what it is.
func FromRefusal(err error) error { return asError(err) }

// asError makes ARM's error of a service's refusal.
func asError(err error) error {
	var refusal *service.Refusal
	if !errors.As(err, &refusal) {
		return err
	}
	out := refuse(refusal.Code, refusal.Field, "%s", refusal.Message)
	if refusal.Status != 0 {
		out.Status = refusal.Status
	}
	return out
}

// modelOf names the model of Azure's SDK that a type's or a child's body follows.
func modelOf(typ string) (string, bool) {
	if name, ok := models[typ]; ok {
		return name, true
	}
	if _, found := all.Type(typ); found != nil {
		return found.Model, found.Model != ""
	}
	if child := childOf(typ); child != nil {
		return child.Model, child.Model != ""
	}
	return "", false
}

// updateOf names the model that a PATCH of a type follows.
func updateOf(typ string) (string, bool) {
	if name, ok := updates[typ]; ok {
		return name, true
	}
	if _, found := all.Type(typ); found != nil {
		return found.Update, true
	}
	return "", false
}

// forgetOurs takes out of a body what only our answers have.
func forgetOurs(id ID, object map[string]any) {
	if _, typ := all.Type(id.Type()); typ != nil {
		for _, name := range typ.Ours {
			forget(object, "properties", name)
		}
	}
}

// MannersOf is what the clients of a type, or of a child's, take for an answer.
func MannersOf(typ string) service.Manners {
	if typ == TypeNetworkWatcher {
		return service.Manners{Deleted: http.StatusNoContent}
	}
	if _, found := all.Type(typ); found != nil {
		return found.Manners
	}
	if child := childOf(typ); child != nil {
		return child.Manners
	}
	return service.Manners{}
}

// childOf finds a child's type in those of services; nil for none.
func childOf(typ string) *service.Child {
	parent, collection := typ[:max(strings.LastIndexByte(typ, '/'), 0)], typ[strings.LastIndexByte(typ, '/')+1:]
	_, found := all.Type(parent)
	if found == nil {
		return nil
	}
	for i := range found.Children {
		if strings.EqualFold(found.Children[i].Collection, collection) {
			return &found.Children[i]
		}
	}
	return nil
}

// instance completes the answer about an instance of a service.
func (a *answer) instance(object, properties map[string]any, noun *instance) {
	a.identity(object, &noun.identity)
	if noun.typ.Render != nil {
		noun.typ.Render(a.about(object, properties, noun))
	}
}

func (a *answer) instanceChild(properties map[string]any, spec *childSpec, noun *instance) {
	at := slices.IndexFunc(noun.typ.Children, func(c service.Child) bool { return c.Collection == spec.collection })
	if child := &noun.typ.Children[at]; child.Render != nil {
		child.Render(a.about(nil, nil, noun), properties)
	}
}

func (a *answer) about(object, properties map[string]any, noun *instance) *service.Answer {
	settings := a.cloud.Snapshot().Settings
	out := &service.Answer{Object: object, Properties: properties, Instance: &noun.ServiceInstance, Settings: &settings,
		Created: a.entry.record.Allotted.Created, Home: noun.home, Conversion: a.entry.record.Allotted.Conversion,
		RuleState: func(id model.ResourceID) string {
			subnet, _ := a.cloud.subnet(id)
			if subnet != nil && subnet.Identity == a.entry.record.Allotted.Rules[id.Key()] {
				return "Succeeded"
			}
			return service.StateDeleted
		}}
	if noun.service.Zones != nil {
		out.Zones = noun.service.Zones(settings)
	}
	return out
}

// withOnly gives a new record's body the children that are there from the beginning.
func withOnly(id ID, object map[string]any) {
	spec, _, _ := lookup(id.Provider, id.Types)
	if spec == nil {
		return
	}
	for _, child := range spec.children {
		if child.only == "" {
			continue
		}
		if properties := objectIn(object, "properties"); service.ListIn(properties, child.property) == nil {
			properties[child.property] = []any{map[string]any{"name": child.only, "properties": map[string]any{}}}
		}
	}
}

// keepApart carries the children that stand apart from a record's body into the one that replaces it.
func (c *Change) keepApart(id ID, record *Record, object map[string]any) error {
	spec, _, ok := lookup(id.Provider, id.Types)
	if !ok || !slices.ContainsFunc(spec.children, func(child childSpec) bool { return child.apart }) {
		return nil
	}
	for i := range spec.children {
		child := &spec.children[i]
		properties := objectIn(object, "properties")
		if _, written := properties[member(properties, child.property)]; written || !child.apart {
			continue
		}
		_, list, err := c.children(record, child)
		if err != nil {
			return err
		}
		if list != nil {
			properties[child.property] = list
		}
	}
	return nil
}

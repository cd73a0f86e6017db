package resource

import (
	"net/netip"
	"slices"
	"strings"

	"postern/model"
	"postern/service/all"
)

// DefaultServiceAddresses is what services of the operator's own that declare no prefixes get their address from: a block
// for documentation, RFC 5737 section 3.
var DefaultServiceAddresses = netip.MustParsePrefix("192.0.2.0/24")

// ownInstances are the services of the operator's own in a cloud, by endpoint.
func (c *Cloud) ownInstances() map[string][]*instance {
	found := make(map[string][]*instance)
	for _, s := range all.Services() {
		if s.Endpoint != "" {
			continue
		}
		for i := range s.Types {
			for _, e := range c.entries.of(s.Types[i].Name) {
				one := e.noun.(*instance)
				found[one.Endpoint.Endpoint] = append(found[one.Endpoint.Endpoint], one)
			}
		}
	}
	return found
}

// ownEndpoint gives a service of the operator's own what its endpoint has: the same as the others of the endpoint, or a
// new identity and a free bit. A service that moves to another endpoint gets that one's.
func (j *judge) ownEndpoint(e *entry, one *instance) error {
	allotted, name := &e.record.Allotted.Endpoint, one.Endpoint.Endpoint
	before := j.before.entries.find(e.key)
	moved := before != nil && before.noun.(*instance).Endpoint.Endpoint != name
	taken := make(map[uint8]bool)
	for other, instances := range j.after.ownInstances() {
		for _, same := range instances {
			taken[same.Endpoint.Bit] = true
			switch {
			case same == one:
				continue
			case other != name && strings.EqualFold(other, name):
				return conflict("EndpointNameTaken", "properties.endpoint", "The endpoint %s is written %s by %s: use that.", name, other, same.ID)
			case other != name:
				continue
			case same.Endpoint.Tag != one.Endpoint.Tag:
				return conflict("EndpointNameTaken", "properties.serviceTag", "The endpoint %s has the service tag %s, by %s: services with one "+
					"endpoint have one tag.", name, same.Endpoint.Tag, same.ID)
			case same.Endpoint.Identity != model.IdentityNone:
				*allotted, moved = OwnEndpoint{same.Endpoint.Identity, same.Endpoint.Bit}, false
			}
		}
	}
	if !one.ownTag() && j.options.KnownTag != nil && !j.options.KnownTag(one.Endpoint.Tag) {
		return refuse(CodeInvalidRequestFormat, "properties.serviceTag", "There is no service tag '%s'.", one.Endpoint.Tag)
	}
	if one.ownTag() && j.options.KnownTag != nil && j.options.KnownTag(one.Endpoint.Tag) {
		return conflict("EndpointNameTaken", "properties.endpoint", "The service tag %s, which the endpoint %s would have, is in the tag file: use "+
			"another name.", one.Endpoint.Tag, name)
	}
	if allotted.Identity == model.IdentityNone || moved {
		bit := uint8(model.FirstOwnBit)
		for taken[bit] {
			bit++
		}
		if bit >= model.FirstOwnBit+model.MaxOwnEndpoints {
			return conflict("EndpointLimitReached", "properties.endpoint", "A cloud has at most %d endpoints of its own: give services that belong "+
				"together one endpoint.", model.MaxOwnEndpoints)
		}
		*allotted = OwnEndpoint{j.counters.Identity, bit}
		j.counters.Identity++
	}
	one.Endpoint.Identity, one.Endpoint.Bit = allotted.Identity, allotted.Bit
	return nil
}

// endpointIsThere refuses the name of an endpoint that is neither Azure's nor a service's of the operator's own.
func (j *judge) endpointIsThere(name, code, field string) error {
	if _, ok := model.ServiceByEndpoint(name); ok || name == "Global" {
		return nil
	}
	own := j.after.ownInstances()
	if own[name] == nil {
		return refuse(code, field, "The service endpoint '%s' is not known: no service of the cloud's own declares it. Its own are: %s.", name,
			strings.Join(sortedKeys(own), ", "))
	}
	return nil
}

// endpointsStay refuses to take away the last service of an endpoint that subnets or policies name.
func (j *judge) endpointsStay() error {
	var gone []string
	after := j.after.ownInstances()
	for name := range j.before.ownInstances() {
		if after[name] == nil {
			gone = append(gone, name)
		}
	}
	if len(gone) == 0 {
		return nil
	}
	slices.Sort(gone)
	users := func(user string, names ...string) error {
		for _, name := range names {
			if slices.Contains(gone, name) {
				id := string(j.before.ownInstances()[name][0].ID)
				return about(refuse("InUseServiceCannotBeDeleted", id, "%s is the last service with the endpoint %s, which %s names. Change that first.",
					model.ResourceID(id).Name(), name, user), id)
			}
		}
		return nil
	}
	for _, e := range j.after.entries.of(TypeVirtualNetwork) {
		for _, subnet := range e.noun.(*model.VirtualNetwork).Subnets {
			if err := users(string(subnet.ID), subnet.ServiceEndpoints...); err != nil {
				return err
			}
		}
	}
	for _, e := range j.after.entries.of(TypeServiceEndpointPolicy) {
		for _, definition := range e.noun.(*model.ServiceEndpointPolicy).Definitions {
			if err := users(e.record.ID, definition.Service); err != nil {
				return err
			}
		}
	}
	return nil
}

// hasOwnTag tells whether a service tag is one of the operator's own, in one region or in all.
func (j *judge) hasOwnTag(tag string) bool {
	for _, instances := range j.after.ownInstances() {
		for _, one := range instances {
			if one.ownTag() && (strings.EqualFold(tag, one.Endpoint.Tag) || strings.EqualFold(tag, one.Endpoint.Tag+"."+string(one.Location))) {
				return true
			}
		}
	}
	return false
}

package routes

import (
	"net/netip"
	"slices"

	"postern/model"
)

// State tells whether a route is in force.
type State string

// The states, in ARM's words.
const (
	Active  State = "Active"
	Invalid State = "Invalid" // overridden by another one (ROUTE-12), or void
)

// Effective is one line of the list that Azure calls effective routes (ROUTE-18). A route with many prefixes of which
// some are overridden is listed as Active with the others, and as Invalid with those, once for each cause.
type Effective struct {
	Name        string            `json:"name,omitempty"` // the user's route, the peer's VNet, the endpoint; "" otherwise
	Source      model.RouteSource `json:"source"`
	State       State             `json:"state"`
	Prefixes    []netip.Prefix    `json:"addressPrefix"` // sorted; shared: do not write to it
	NextHopType model.NextHopType `json:"nextHopType"`
	NextHopIPs  []netip.Addr      `json:"nextHopIpAddress,omitempty"`

	ServiceTags  []string `json:"serviceTags,omitempty"`  // where the prefixes come from (ROUTE-18)
	OverriddenBy string   `json:"overriddenBy,omitempty"` // the route that wins instead
	Rule         string   `json:"rule,omitempty"`         // which says so: "ROUTE-2"
}

// cause is why a prefix of a route is Invalid; zero for Active.
type cause struct{ by, rule string }

// Effective lists all routes: the system's, the endpoints', the gateway's, the user's, each kind in a fixed order.
func (t *Table) Effective() []Effective {
	lost, endpoints := t.judge()
	var list []Effective
	add := func(line Effective, prefixes []netip.Prefix, causes map[netip.Prefix]cause) {
		list = append(list, split(line, prefixes, causes)...)
	}
	endpointsDone := false
	addEndpoints := func() {
		if endpointsDone {
			return
		}
		endpointsDone = true
		for _, s := range t.services {
			add(Effective{Name: s.Endpoint, Source: model.SourceDefault, NextHopType: model.NextHopServiceEndpoint,
				ServiceTags: s.tags}, s.prefixes, endpoints[s.Bit])
		}
	}
	for i := range t.entries {
		e := &t.entries[i]
		if e.hop.Source != model.SourceDefault {
			addEndpoints()
		}
		line := Effective{Name: e.name, Source: e.hop.Source, NextHopType: e.hop.Type, NextHopIPs: e.hops}
		if e.tag != "" {
			line.ServiceTags = []string{e.tag}
		}
		if e.broken != "" {
			line.State, line.Rule, line.Prefixes = Invalid, e.broken, e.prefixes
			list = append(list, line)
			continue
		}
		add(line, e.prefixes, lost[e])
	}
	addEndpoints()
	return list
}

// judge finds every prefix that is overridden: of entries, and of services by bit.
func (t *Table) judge() (lost map[*entry]map[netip.Prefix]cause, endpoints map[uint8]map[netip.Prefix]cause) {
	lost, endpoints = map[*entry]map[netip.Prefix]cause{}, map[uint8]map[netip.Prefix]cause{}
	mark := func(e *entry, prefix netip.Prefix, by, rule string) {
		if lost[e] == nil {
			lost[e] = map[netip.Prefix]cause{}
		}
		lost[e][prefix] = cause{by, rule}
	}
	markService := func(s *service, prefix netip.Prefix, by, rule string) {
		if endpoints[s.Bit] == nil {
			endpoints[s.Bit] = map[netip.Prefix]cause{}
		}
		endpoints[s.Bit][prefix] = cause{by, rule}
	}
	t.judgeGateways(mark)
	for _, shared := range t.region.shared {
		winner := t.region.equal(shared.prefix, t.enabled)
		for _, s := range t.services {
			if s != winner && shared.bits&(1<<s.Bit) != 0 {
				markService(s, shared.prefix, winner.Endpoint, "ROUTE-9")
			}
		}
	}
	for _, group := range t.groups {
		endpoint, around := t.region.covering(group.prefix, t.enabled)
		if endpoint != nil && t.documented {
			for _, e := range group.routes {
				mark(e, group.prefix, endpoint.Endpoint, documentedRule(e))
			}
			continue
		}
		routes := group.routes
		if endpoint != nil && slices.ContainsFunc(routes, (*entry).gateway) {
			for _, e := range routes {
				if e.gateway() {
					mark(e, group.prefix, endpoint.Endpoint, "ROUTE-3")
				}
			}
			routes = slices.DeleteFunc(slices.Clone(routes), (*entry).gateway)
		}
		if len(routes) == 0 {
			continue
		}
		winner := routes[0]
		for _, e := range routes[1:] {
			mark(e, group.prefix, winner.label(), preferRule(winner, e))
		}
		if endpoint == nil || around != group.prefix {
			continue
		}
		if !winner.beatsEqualEndpoint() {
			mark(winner, group.prefix, endpoint.Endpoint, equalRule(winner))
			continue
		}
		for _, s := range t.services {
			if s.own.Get(group.prefix) {
				markService(s, group.prefix, winner.label(), "ROUTE-13")
			}
		}
	}
	return lost, endpoints
}

// judgeGateways marks the gateway's routes inside routes of the VNet and of peerings, which are in no group.
func (t *Table) judgeGateways(mark func(e *entry, prefix netip.Prefix, by, rule string)) {
	for i := range t.entries {
		e := &t.entries[i]
		if !e.gateway() {
			continue
		}
		var best *entry
		for j := range t.entries {
			system := &t.entries[j]
			if system.system() && covers(system.prefixes[0], e.prefixes[0]) &&
				(best == nil || best.prefixes[0].Bits() < system.prefixes[0].Bits()) {
				best = system
			}
		}
		if best != nil {
			mark(e, e.prefixes[0], best.label(), "ROUTE-3")
		}
	}
}

// split makes the lines of one route: its prefixes that hold, then those that do not, by cause.
func split(line Effective, prefixes []netip.Prefix, causes map[netip.Prefix]cause) []Effective {
	var lines []Effective
	line.State, line.Prefixes = Active, prefixes
	if len(causes) == 0 {
		if len(prefixes) > 0 {
			lines = append(lines, line)
		}
		return lines
	}
	line.Prefixes = make([]netip.Prefix, 0, len(prefixes)-len(causes))
	var order []cause
	lost := map[cause][]netip.Prefix{}
	for _, prefix := range prefixes {
		why, invalid := causes[prefix]
		if !invalid {
			line.Prefixes = append(line.Prefixes, prefix)
			continue
		}
		if lost[why] == nil {
			order = append(order, why)
		}
		lost[why] = append(lost[why], prefix)
	}
	if len(line.Prefixes) > 0 {
		lines = append(lines, line)
	}
	for _, why := range order {
		line.State, line.Prefixes, line.OverriddenBy, line.Rule = Invalid, lost[why], why.by, why.rule
		lines = append(lines, line)
	}
	return lines
}

// gateway tells whether a virtual network gateway learnt the route.
func (e *entry) gateway() bool { return e.hop.Source == model.SourceVirtualNetworkGateway }

// beatsEqualEndpoint tells whether the route wins against an endpoint's route of the same prefix (ROUTE-13, observed).
func (e *entry) beatsEqualEndpoint() bool {
	return e.hop.Source == model.SourceUser && e.hop.Type != model.NextHopInternet
}

// equalRule names the rule by which an endpoint's route wins against one of the same prefix.
func equalRule(e *entry) string {
	switch e.hop.Source {
	case model.SourceUser:
		return "ROUTE-13"
	case model.SourceVirtualNetworkGateway:
		return "ROUTE-3"
	}
	return "ROUTE-9"
}

// documentedRule names the rule by which an endpoint's route wins against one inside it in the documented mode.
func documentedRule(e *entry) string {
	if e.gateway() {
		return "ROUTE-3"
	}
	return "ROUTE-13"
}

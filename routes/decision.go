package routes

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"postern/model"
	"postern/plan"
	"postern/servicetag"
)

// Candidate is one route that contains an address.
type Candidate struct {
	Name        string            `json:"name,omitempty"` // as Effective has it
	Source      model.RouteSource `json:"source"`
	Prefix      netip.Prefix      `json:"prefix"`
	NextHopType model.NextHopType `json:"nextHopType"`
	NextHopIP   netip.Addr        `json:"nextHopIpAddress,omitzero"`
	ServiceTag  string            `json:"serviceTag,omitempty"` // the tags it comes from, with ", " between

	Rule string `json:"rule"` // why it wins over the next best, or loses
	Why  string `json:"why"`  // the same in words
}

// Decision says which way a packet goes, and why not another (ROUTE-17).
type Decision struct {
	Winner  *Candidate     `json:"winner,omitempty"` // nil: no route at all
	Losers  []Candidate    `json:"losers"`           // longest prefix first
	Hop     plan.Hop       `json:"hop"`              // the winner's
	Service *model.Service `json:"-"`                // the service whose endpoint wins, nil for none
}

// contender is a candidate with what judging needs.
type contender struct {
	prefix  netip.Prefix
	entry   *entry   // nil for an endpoint's
	service *service // nil otherwise
}

// Lookup decides for one destination. Endpoints are for TCP and UDP alone (SE-6). Fragments and ICMP errors are not its
// matter.
func (t *Table) Lookup(dst netip.Addr, protocol model.Protocol) Decision {
	dst = dst.Unmap()
	if !dst.Is4() {
		return Decision{}
	}
	inTunnel := protocol == model.ProtocolTCP || protocol == model.ProtocolUDP
	winner, ordinary := t.decide(dst, inTunnel)
	var decision Decision
	var rest []contender
	for _, c := range t.contenders(dst) {
		if c.entry == winner.entry && c.service == winner.service && c.prefix == winner.prefix {
			continue
		}
		rest = append(rest, c)
	}
	slices.SortStableFunc(rest, closest)
	systemInForce := slices.ContainsFunc(append(slices.Clone(rest), winner), func(c contender) bool {
		return c.service != nil && inTunnel || c.entry != nil && c.entry.system()
	})
	for _, c := range rest {
		candidate := c.candidate()
		candidate.Rule, candidate.Why = t.why(c, winner, ordinary, inTunnel, systemInForce)
		decision.Losers = append(decision.Losers, candidate)
	}
	if winner == (contender{}) {
		return decision
	}
	won := winner.candidate()
	won.Rule, won.Why = winner.origin()
	if next := slices.IndexFunc(rest, func(c contender) bool { return c.entry == nil || c.entry.broken == "" }); next >= 0 {
		won.Rule, won.Why = decision.Losers[next].Rule, "wins over "+rest[next].label()+": "+decision.Losers[next].Why
	}
	decision.Winner = &won
	if winner.service != nil {
		decision.Service = &winner.service.Service
		decision.Hop = plan.Hop{Type: model.NextHopServiceEndpoint, Source: model.SourceDefault}
	} else {
		decision.Hop = winner.entry.hop
	}
	return decision
}

// closest orders losers: the longest first, endpoints before the others at equal length, and those as prefer does.
func closest(a, b contender) int {
	if order := cmp.Compare(b.prefix.Bits(), a.prefix.Bits()); order != 0 {
		return order
	}
	switch {
	case a.service != nil && b.service != nil:
		return cmp.Compare(a.service.Bit, b.service.Bit)
	case a.service != nil:
		return -1
	case b.service != nil:
		return 1
	}
	return prefer(a.entry, b.entry)
}

// decide finds the winner as a data path does (docs/packet.md, step 7), and the best route that is no endpoint's.
func (t *Table) decide(dst netip.Addr, inTunnel bool) (winner, ordinary contender) {
	var endpoint contender
	if inTunnel {
		if s, prefix := t.region.covering(netip.PrefixFrom(dst, 32), t.enabled); s != nil {
			endpoint = contender{prefix: prefix, service: s}
		}
	}
	for _, group := range t.groups {
		if !group.prefix.Contains(dst) || ordinary.entry != nil && ordinary.prefix.Bits() > group.prefix.Bits() {
			continue
		}
		for _, e := range group.routes {
			if endpoint.service == nil || !e.gateway() { // ROUTE-3
				ordinary = contender{prefix: group.prefix, entry: e}
				break
			}
		}
	}
	switch {
	case endpoint.service == nil:
		return ordinary, ordinary
	case t.documented || ordinary.entry == nil || endpoint.prefix.Bits() > ordinary.prefix.Bits():
		return endpoint, ordinary
	case endpoint.prefix.Bits() == ordinary.prefix.Bits() && !ordinary.entry.beatsEqualEndpoint():
		return endpoint, ordinary
	}
	return ordinary, ordinary
}

// contenders lists every route that contains the address, whatever becomes of it.
func (t *Table) contenders(dst netip.Addr) []contender {
	var list []contender
	for _, s := range t.services {
		for _, prefix := range s.prefixes {
			if prefix.Contains(dst) {
				list = append(list, contender{prefix: prefix, service: s})
			}
		}
	}
	for i := range t.entries {
		for _, prefix := range t.entries[i].prefixes {
			if prefix.Contains(dst) {
				list = append(list, contender{prefix: prefix, entry: &t.entries[i]})
			}
		}
	}
	return list
}

// why tells which rule a loser lost by. ordinary is the best route that is no endpoint's.
func (t *Table) why(loser, winner, ordinary contender, inTunnel, systemInForce bool) (rule, text string) {
	switch {
	case loser.entry != nil && loser.entry.broken != "":
		return loser.entry.broken, "the route is void"
	case loser.service != nil && !inTunnel:
		return "SE-6", "only TCP and UDP take a service endpoint"
	case loser.entry != nil && loser.entry.gateway() && systemInForce:
		return "ROUTE-3", "routes of the VNet, of peerings and of endpoints beat a gateway's"
	case t.documented && winner.service != nil && loser.entry != nil:
		return "ROUTE-13", "no route overrides a service endpoint (documented)"
	case loser.prefix.Bits() < winner.prefix.Bits():
		return "ROUTE-1", fmt.Sprintf("%s is longer", winner.prefix)
	}
	// The prefixes are equal. A route that lost to another of its kind did so before an endpoint was asked.
	if loser.entry != nil && ordinary.entry != nil && loser.entry != ordinary.entry && loser.prefix == ordinary.prefix {
		return preferRule(ordinary.entry, loser.entry), ordinary.label() + " is preferred at equal length"
	}
	switch {
	case loser.entry == nil && winner.entry == nil:
		return "ROUTE-9", "two services have the prefix; " + winner.label() + " comes first"
	case loser.entry == nil:
		return "ROUTE-13", "a user's route of equal length overrides the endpoint"
	case equalRule(loser.entry) == "ROUTE-13":
		return "ROUTE-13", "a user's route to the Internet of equal length leaves the endpoint in force"
	}
	return equalRule(loser.entry), "the endpoint is preferred at equal length"
}

// origin names the rule that a route exists by.
func (c contender) origin() (rule, text string) {
	switch {
	case c.service != nil:
		return "ROUTE-9", "the subnet's service endpoint"
	case c.entry.gateway():
		return "ROUTE-8", "learnt by the gateway"
	case c.entry.tag != "":
		return "ROUTE-11", "the user's route for a service tag"
	case c.entry.hop.Source == model.SourceUser:
		return "ROUTE-10", "the user's route"
	case c.entry.hop.Type == model.NextHopVNetPeering:
		return "ROUTE-7", "the peered VNet's address space"
	}
	return "ROUTE-4", "a route of every subnet"
}

func (c contender) label() string {
	if c.service != nil {
		return c.service.Endpoint
	}
	return c.entry.label()
}

func (c contender) candidate() Candidate {
	if c.service != nil {
		return Candidate{Name: c.service.Endpoint, Source: model.SourceDefault, Prefix: c.prefix,
			NextHopType: model.NextHopServiceEndpoint, ServiceTag: c.service.tagOf(c.prefix)}
	}
	candidate := Candidate{Name: c.entry.name, Source: c.entry.hop.Source, Prefix: c.prefix, NextHopType: c.entry.hop.Type,
		ServiceTag: c.entry.tag}
	if len(c.entry.hops) > 0 {
		candidate.NextHopIP = c.entry.hops[0]
	}
	return candidate
}

// tagOf names the tag that one prefix comes from.
func (s *service) tagOf(prefix netip.Prefix) string {
	if len(s.tags) > 1 {
		if region, ok := s.regions.Get(prefix); ok {
			for _, tag := range s.tags {
				if _, suffix, _ := strings.Cut(tag, "."); servicetag.LocationOf(suffix) == region {
					return tag
				}
			}
		}
	}
	return strings.Join(s.tags, ", ")
}

package pipeline

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"

	"postern/model"
)

// routeChosen tells the winner, every loser, and the rule that decided (ROUTE-17).
func (t *trace) routeChosen(s *snapshot, n *nic, d *datagram, c *choice) {
	address := netip.AddrFrom4(d.destination)
	rule, detail := decision(s, c)
	list := append(routeCandidates(n, address, c, rule, detail), endpointCandidates(n, address, d, c, rule, detail)...)
	slices.SortStableFunc(list, func(a, b Candidate) int {
		if a.Active != b.Active {
			if a.Active {
				return -1
			}
			return 1
		}
		return cmp.Compare(b.Prefix.Bits(), a.Prefix.Bits())
	})
	t.steps = append(t.steps, Step{Name: stepRoute, Rule: rule, Detail: detail, Candidates: list})
}

// decision names the rule that decided between the best route and the best endpoint.
func decision(s *snapshot, c *choice) (rule, detail string) {
	setAside := c.route != nil && c.service != nil && !s.documentedRoutes &&
		c.route.hop.Source == model.SourceVirtualNetworkGateway
	switch {
	case c.none():
		return "", "no route matches"
	case c.service == nil:
		return "ROUTE-1", "the longest matching prefix wins"
	case s.documentedRoutes:
		return "ROUTE-13", "documented: no route overrides an endpoint"
	case c.byService && setAside:
		return "ROUTE-3", "an endpoint beats a gateway's route, and what is beneath that"
	case c.byService && c.hop == nil:
		return "ROUTE-9", "only the endpoint matches"
	case c.byService && c.service.Bits > c.hop.bits:
		return "ROUTE-1", "the endpoint's prefix is longer than any route's"
	case c.byService && c.hop.Source == model.SourceUser:
		return "ROUTE-13", "observed: at equal length a user's route to the Internet leaves the endpoint in force"
	case c.byService:
		return "ROUTE-3", "at equal length the endpoint beats a system route"
	case c.service.Bits < c.hop.bits:
		return "ROUTE-1", "a route's prefix is longer than the endpoint's"
	}
	return "ROUTE-13", "observed: at equal length a user's route beats the endpoint"
}

func routeCandidates(n *nic, address netip.Addr, c *choice, rule, detail string) []Candidate {
	if n.routes == nil {
		return nil
	}
	var list []Candidate
	for prefix, matching := range n.routes.Supernets(netip.PrefixFrom(address, 32)) {
		one := routeCandidate(prefix, &matching.hop)
		switch {
		case matching != c.route:
			one.Rule, one.Detail = "ROUTE-1", fmt.Sprintf("a longer prefix matches: %v", c.route.prefix)
		case c.hop != &matching.hop:
			one.Rule, one.Detail = "ROUTE-3", "an endpoint covers the destination, and beats a gateway's route"
		default:
			one.Rule, one.Detail = rule, detail
			one.Active = !c.byService
		}
		list = append(list, one)
	}
	if c.route == nil || c.hop == nil || c.hop == &c.route.hop {
		return list
	}
	// A gateway's route was set aside, and what is beneath it stands in its place.
	beneath, _ := address.Prefix(int(c.hop.bits))
	one := routeCandidate(beneath, c.hop)
	one.Active, one.Rule, one.Detail = !c.byService, rule, detail
	list = slices.DeleteFunc(list, func(other Candidate) bool {
		return other.Prefix == one.Prefix && other.Source == one.Source
	})
	return append(list, one)
}

func routeCandidate(prefix netip.Prefix, h *hop) Candidate {
	return Candidate{Prefix: prefix, Source: h.Source.String(), NextHopType: h.Type.String(), NextHop: h.Address, Enabled: true}
}

func endpointCandidates(n *nic, address netip.Addr, d *datagram, c *choice, rule, detail string) []Candidate {
	if c.entry == nil {
		return nil
	}
	var list []Candidate
	for i := range c.entry.candidates {
		candidate := &c.entry.candidates[i]
		prefix, _ := address.Prefix(int(candidate.Bits))
		one := Candidate{Prefix: prefix, Source: model.SourceDefault.String(),
			NextHopType: model.NextHopServiceEndpoint.String(), Endpoint: endpointName(candidate.Bit), Bit: candidate.Bit,
			Enabled: n.enabledServices>>candidate.Bit&1 != 0}
		switch {
		case !one.Enabled:
			one.Rule, one.Detail = "ROUTE-9", "the subnet has not enabled it"
		case !hasPorts(d.protocol):
			one.Rule, one.Detail = "SE-6", "only TCP and UDP take an endpoint"
		case candidate != c.service:
			one.Rule, one.Detail = "ROUTE-1", "another enabled endpoint has a longer prefix, or stands before it"
		default:
			one.Rule, one.Detail = rule, detail
			one.Active = c.byService
		}
		list = append(list, one)
	}
	return list
}

// endpointName is the name of the endpoint with a bit; "" for one of the operator's own.
func endpointName(bit uint8) string {
	for _, service := range model.Services {
		if service.Bit == bit {
			return service.Endpoint
		}
	}
	return ""
}

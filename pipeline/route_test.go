package pipeline

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"postern/model"
	"postern/plan"
)

// The slow, obvious twin of choose. It knows no plan: it starts from every route that anybody made and every prefix of
// every service, and follows ROUTE-1, 2, 3 and 13 word by word.

type rawRoute struct {
	prefix netip.Prefix
	hop    plan.Hop
}

type rawService struct {
	prefix netip.Prefix
	bit    uint8
}

// slowChoice names the winner: "none", "service BIT", or the hop.
func slowChoice(routes []rawRoute, services []rawService, enabled uint64, documented, ports bool, address netip.Addr) string {
	var service *rawService
	for i, s := range services {
		if !ports || enabled>>s.bit&1 == 0 || !s.prefix.Contains(address) {
			continue
		}
		if service == nil || s.prefix.Bits() > service.prefix.Bits() ||
			s.prefix.Bits() == service.prefix.Bits() && s.bit < service.bit {
			service = &services[i]
		}
	}
	if documented && service != nil {
		return fmt.Sprintf("service %d", service.bit) // ROUTE-13, documented
	}
	system := service != nil
	for _, r := range routes {
		if r.prefix.Contains(address) && beatsGateways(r.hop) {
			system = true
		}
	}
	var best *rawRoute
	for i, r := range routes {
		if !r.prefix.Contains(address) || system && r.hop.Source == model.SourceVirtualNetworkGateway { // ROUTE-3
			continue
		}
		if best == nil || r.prefix.Bits() > best.prefix.Bits() || // ROUTE-1
			r.prefix.Bits() == best.prefix.Bits() && r.hop.Source > best.hop.Source { // ROUTE-2
			best = &routes[i]
		}
	}
	switch {
	case service == nil && best == nil:
		return "none"
	case service == nil:
		return fmt.Sprint(best.hop)
	case best == nil || service.prefix.Bits() > best.prefix.Bits():
		return fmt.Sprintf("service %d", service.bit)
	case service.prefix.Bits() < best.prefix.Bits():
		return fmt.Sprint(best.hop)
	case best.hop.Source == model.SourceUser && best.hop.Type != model.NextHopInternet: // ROUTE-13, observed
		return fmt.Sprint(best.hop)
	}
	return fmt.Sprintf("service %d", service.bit)
}

// beatsGateways tells whether a route is one of the system's that ROUTE-3 names.
func beatsGateways(h plan.Hop) bool {
	return h.Source == model.SourceDefault && (h.Type == model.NextHopVnetLocal || h.Type == model.NextHopVNetPeering)
}

// winners makes of raw routes what a plan holds: at most one a prefix, no gateway's inside a system route, and what is
// beneath a gateway's.
func winners(routes []rawRoute) []plan.Route {
	var list []plan.Route
	for _, r := range routes {
		beaten := slices.ContainsFunc(routes, func(other rawRoute) bool {
			if other.prefix == r.prefix && other.hop.Source > r.hop.Source {
				// A gateway's route inside a system route is no route at all, so it beats nobody.
				return other.hop.Source != model.SourceVirtualNetworkGateway || !insideSystem(routes, other.prefix)
			}
			return false
		})
		if beaten || r.hop.Source == model.SourceVirtualNetworkGateway && insideSystem(routes, r.prefix) {
			continue
		}
		made := plan.Route{Prefix: r.prefix, Hop: r.hop}
		if r.hop.Source == model.SourceVirtualNetworkGateway {
			for _, other := range routes {
				covers := other.prefix.Bits() <= r.prefix.Bits() && other.prefix.Contains(r.prefix.Addr())
				if !covers || other.hop.Source == model.SourceVirtualNetworkGateway {
					continue
				}
				if made.Beneath == nil || uint8(other.prefix.Bits()) > made.BeneathBits ||
					uint8(other.prefix.Bits()) == made.BeneathBits && other.hop.Source > made.Beneath.Source {
					made.Beneath, made.BeneathBits = &other.hop, uint8(other.prefix.Bits())
				}
			}
		}
		list = append(list, made)
	}
	return list
}

func insideSystem(routes []rawRoute, inside netip.Prefix) bool {
	return slices.ContainsFunc(routes, func(r rawRoute) bool {
		return beatsGateways(r.hop) && r.prefix.Bits() <= inside.Bits() && r.prefix.Contains(inside.Addr())
	})
}

// flatten makes a service table: each entry holds what shorter prefixes would add.
func flatten(services []rawService) plan.ServiceTable {
	table := plan.ServiceTable{}
	for bit := range 8 {
		table.Targets = append(table.Targets, plan.ServiceTarget{Service: model.Identity(16 + bit), Locator: locatorService})
	}
	seen := map[netip.Prefix]bool{}
	for _, s := range services {
		if seen[s.prefix] {
			continue
		}
		seen[s.prefix] = true
		entry := plan.ServiceEntry{Prefix: s.prefix}
		for bits := s.prefix.Bits(); bits >= 0; bits-- {
			for bit := range uint8(8) {
				had := slices.ContainsFunc(entry.Candidates, func(c plan.ServiceCandidate) bool { return c.Bit == bit })
				covering, _ := s.prefix.Addr().Prefix(bits)
				if !had && slices.Contains(services, rawService{covering, bit}) {
					entry.Candidates = append(entry.Candidates, plan.ServiceCandidate{Bit: bit, Bits: uint8(bits), Target: uint16(bit)})
				}
			}
		}
		table.Entries = append(table.Entries, entry)
	}
	return table
}

// smallPrefix is a prefix within few addresses, so that random ones meet.
func smallPrefix() *rapid.Generator[netip.Prefix] {
	return rapid.Custom(func(t *rapid.T) netip.Prefix {
		address := netip.AddrFrom4([4]byte{20, 60, byte(rapid.IntRange(0, 1).Draw(t, "third")), byte(rapid.IntRange(0, 7).Draw(t, "fourth"))})
		made, _ := address.Prefix(rapid.SampledFrom([]int{0, 8, 16, 23, 24, 29, 30, 31, 32}).Draw(t, "bits"))
		return made
	})
}

func drawRoutes(t *rapid.T) []rawRoute {
	count := rapid.IntRange(0, 12).Draw(t, "routes")
	var routes []rawRoute
	for i := range count {
		r := rawRoute{prefix: smallPrefix().Draw(t, "prefix"), hop: plan.Hop{VNet: uint32(i)}}
		r.hop.Source = model.RouteSource(rapid.IntRange(0, 2).Draw(t, "source"))
		switch r.hop.Source {
		case model.SourceVirtualNetworkGateway:
			r.hop.Type = model.NextHopVirtualNetworkGateway
		default:
			r.hop.Type = rapid.SampledFrom([]model.NextHopType{model.NextHopNone, model.NextHopVnetLocal,
				model.NextHopVNetPeering, model.NextHopInternet}).Draw(t, "type")
		}
		same := func(other rawRoute) bool { return other.prefix == r.prefix && other.hop.Source == r.hop.Source }
		if !slices.ContainsFunc(routes, same) {
			routes = append(routes, r)
		}
	}
	return routes
}

func TestRouteReference(t *testing.T) {
	t.Run("ROUTE-1 ROUTE-2 ROUTE-3 ROUTE-13 choose agrees with the slow twin", func(t *testing.T) {
		seen := map[string]int{}
		rapid.Check(t, func(t *rapid.T) {
			routes := drawRoutes(t)
			services := rapid.SliceOfNDistinct(rapid.Custom(func(t *rapid.T) rawService {
				return rawService{smallPrefix().Draw(t, "prefix"), uint8(rapid.IntRange(0, 3).Draw(t, "bit"))}
			}), 0, 6, rapid.ID).Draw(t, "services")
			node := hostPlan("a", locatorA)
			node.Host.DocumentedRoutes = rapid.Bool().Draw(t, "documented")
			node.Host.Routes["routes"] = winners(routes)
			node.Host.Services["westeurope"] = flatten(services)
			node.Host.NICs[0].EnabledServices = rapid.Uint64Range(0, 15).Draw(t, "enabled")
			s, err := newSnapshot(node, nil)
			if err != nil {
				t.Fatal(err)
			}
			for range 8 {
				address := [4]byte{20, 60, byte(rapid.IntRange(0, 1).Draw(t, "third")), byte(rapid.IntRange(0, 7).Draw(t, "fourth"))}
				protocol := rapid.SampledFrom([]model.Protocol{6, 17, 1}).Draw(t, "protocol")
				expected := slowChoice(routes, services, node.Host.NICs[0].EnabledServices, node.Host.DocumentedRoutes,
					protocol != 1, netip.AddrFrom4(address))
				c := s.choose(s.nics[1], address, protocol)
				got := "none"
				switch {
				case c.byService:
					got = fmt.Sprintf("service %d", c.service.Bit)
					seen["service"]++
				case c.hop != nil:
					got = fmt.Sprint(c.hop.Hop)
					seen[c.hop.Source.String()]++
				}
				if got != expected {
					t.Fatalf("%v protocol %d: %s, the slow twin says %s", address, protocol, got, expected)
				}
			}
		})
		for _, kind := range []string{"service", "User", "Default", "VirtualNetworkGateway"} {
			if seen[kind] == 0 {
				t.Errorf("no random case was won by %s", kind)
			}
		}
	})
}

// TestRouteChoices says the rules in single cases, which a reader can check by hand.
func TestRouteChoices(t *testing.T) {
	internet, none := model.NextHopInternet, model.NextHopNone
	user, gateway, system := model.SourceUser, model.SourceVirtualNetworkGateway, model.SourceDefault
	for _, c := range []struct {
		name       string
		route      string
		kind       model.NextHopType
		source     model.RouteSource
		documented bool
		service    bool
	}{
		{"ROUTE-1 a longer user route wins", "20.60.0.0/24", none, user, false, false},
		{"ROUTE-1 a shorter user route loses", "20.0.0.0/8", none, user, false, true},
		{"ROUTE-13 an equal user route wins", "20.60.0.0/16", none, user, false, false},
		{"ROUTE-13 an equal user route to the Internet loses", "20.60.0.0/16", internet, user, false, true},
		{"ROUTE-13 a longer user route to the Internet wins", "20.60.0.0/24", internet, user, false, false},
		{"ROUTE-2 an equal system route loses", "20.60.0.0/16", none, system, false, true},
		{"ROUTE-3 a longer gateway route loses", "20.60.0.0/24", model.NextHopVirtualNetworkGateway, gateway, false, true},
		{"ROUTE-13 documented: a longer user route loses", "20.60.0.0/24", none, user, true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			w.planA.Host.DocumentedRoutes = c.documented
			w.planA.Host.Routes["routes"] = append(w.planA.Host.Routes["routes"], plan.Route{Prefix: prefix(c.route), Hop: hopTo(c.kind, c.source, 0, "")})
			w.apply(t)
			if got := w.send(1, tcp(vmApp, storage, 1, 443, syn)).Verdict.Reason == model.ReasonServiceEndpoint; got != c.service {
				t.Fatalf("endpoint taken: %v", got)
			}
		})
	}
}

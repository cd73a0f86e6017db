package routes

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	"postern/model"
	"postern/plan"
)

// entry is one route as its maker wrote it, with one prefix or a tag's many. Endpoint routes are not entries: they
// stand in Region, for all subnets.
type entry struct {
	name     string
	hop      plan.Hop
	hops     []netip.Addr // NextHopIPs
	tag      string       // the service tag that prefixes come from, "" for none
	class    tagClass
	prefixes []netip.Prefix // sorted, each once; shared
	broken   string         // the rule that makes it void, "" for none
}

// tagClass is the order of ROUTE-11 on an exact tie; the smaller wins.
type tagClass uint8

const (
	explicitPrefix tagClass = iota
	regionalTag
	topLevelTag
	regionalCloud
	wholeCloud
)

// reserved are the private prefixes that lead nowhere unless a VNet has them (ROUTE-4).
var reserved = []netip.Prefix{
	netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"),
	netip.MustParsePrefix("172.16.0.0/12"), netip.MustParsePrefix("192.168.0.0/16"),
}

var everything = netip.MustParsePrefix("0.0.0.0/0")

// entries lists every route of the subnet but those of its endpoints, in the order of a reader: system, gateway, user.
func entries(in Input) []entry {
	own := in.VirtualNetwork
	var list []entry
	system := func(name string, prefix netip.Prefix, hopType model.NextHopType, vnet uint32) {
		list = append(list, entry{name: name, hop: plan.Hop{Type: hopType, Source: model.SourceDefault, VNet: vnet},
			prefixes: []netip.Prefix{prefix}})
	}
	var spaces []netip.Prefix
	for _, prefix := range ipv4(own.AddressSpace) { // ROUTE-6: never a subnet's prefix
		system("", prefix, model.NextHopVnetLocal, own.Number)
		spaces = append(spaces, prefix)
	}
	for _, peer := range in.Peers {
		for _, prefix := range ipv4(peer.AddressSpace) {
			system(peer.ID.Name(), prefix, model.NextHopVNetPeering, peer.Number)
			spaces = append(spaces, prefix)
		}
	}
	system("", everything, model.NextHopInternet, 0)
	for _, prefix := range reserved {
		// A peer's address space displaces it as the VNet's own does: else it would make the peering's route void.
		if !slices.ContainsFunc(spaces, func(space netip.Prefix) bool { return covers(space, prefix) }) {
			system("", prefix, model.NextHopNone, 0)
		}
	}
	if in.RouteTable == nil || !in.RouteTable.DisableBGPRoutePropagation {
		list = append(list, gatewayEntries(in.GatewayRoutes)...)
	}
	if in.RouteTable != nil {
		for _, route := range in.RouteTable.Routes {
			list = append(list, userEntry(in, route))
		}
	}
	return list
}

// gatewayEntries joins the routes of one prefix: several next hops of one route (ECMP).
func gatewayEntries(routes []GatewayRoute) []entry {
	hops := map[netip.Prefix][]netip.Addr{}
	for _, route := range routes {
		if route.Prefix.Addr().Is4() {
			prefix := route.Prefix.Masked()
			hops[prefix] = append(hops[prefix], route.NextHop)
		}
	}
	var list []entry
	for prefix, addresses := range hops {
		slices.SortFunc(addresses, netip.Addr.Compare)
		list = append(list, entry{hop: plan.Hop{Type: model.NextHopVirtualNetworkGateway, Source: model.SourceVirtualNetworkGateway},
			hops: slices.Compact(addresses), prefixes: []netip.Prefix{prefix}})
	}
	slices.SortFunc(list, func(a, b entry) int { return a.prefixes[0].Compare(b.prefixes[0]) })
	return list
}

func userEntry(in Input, route model.UserRoute) entry {
	catalogue := in.Region.catalogue
	e := entry{name: route.Name, hop: plan.Hop{Type: route.NextHopType, Source: model.SourceUser}}
	if rule, err := checkUserRoute(route, catalogue); err != nil {
		e.broken = rule
	}
	switch route.NextHopType {
	case model.NextHopVirtualAppliance:
		e.hop.Address, e.hop.VNet = route.NextHopIPAddress, vnetOf(in, route.NextHopIPAddress)
		e.hops = []netip.Addr{route.NextHopIPAddress}
	case model.NextHopVnetLocal:
		e.hop.VNet = in.VirtualNetwork.Number
	}
	if route.ServiceTag == "" {
		e.prefixes = ipv4([]netip.Prefix{route.Prefix})
		return e
	}
	e.tag = route.ServiceTag
	if tag, ok := catalogue.Tag(route.ServiceTag); ok {
		e.tag, e.prefixes = tag.Name, catalogue.IPv4(tag.Name)
		cloud := strings.EqualFold(tag.Service(), "AzureCloud")
		switch {
		case tag.Location != "" && cloud:
			e.class = regionalCloud
		case tag.Location != "":
			e.class = regionalTag
		case cloud:
			e.class = wholeCloud
		default:
			e.class = topLevelTag
		}
	}
	return e
}

// vnetOf is the number of the VNet, own or peered, whose address space has an appliance's address; the own for none.
func vnetOf(in Input, addr netip.Addr) uint32 {
	best, number := -1, in.VirtualNetwork.Number
	for _, vnet := range append([]*model.VirtualNetwork{in.VirtualNetwork}, in.Peers...) {
		for _, prefix := range vnet.AddressSpace {
			if prefix.Contains(addr) && prefix.Bits() > best {
				best, number = prefix.Bits(), vnet.Number
			}
		}
	}
	return number
}

// ipv4 is the IPv4 part of a list, masked.
func ipv4(prefixes []netip.Prefix) []netip.Prefix {
	var list []netip.Prefix
	for _, prefix := range prefixes {
		if prefix.Addr().Is4() {
			list = append(list, prefix.Masked())
		}
	}
	return list
}

// covers tells whether all of inner lies in outer.
func covers(outer, inner netip.Prefix) bool {
	return outer.Bits() <= inner.Bits() && outer.Contains(inner.Addr())
}

// system tells whether gateway routes inside this one count for nothing (ROUTE-3).
func (e *entry) system() bool {
	return e.hop.Source == model.SourceDefault && (e.hop.Type == model.NextHopVnetLocal || e.hop.Type == model.NextHopVNetPeering)
}

// defaultOrder is which of two system routes of one prefix wins: the smaller. A VNet that has a prefix is surer about
// it than the defaults of every subnet.
func (e *entry) defaultOrder() int {
	switch {
	case e.hop.Source != model.SourceDefault || e.hop.Type == model.NextHopVnetLocal:
		return 0
	case e.hop.Type == model.NextHopVNetPeering:
		return 1
	case e.hop.Type == model.NextHopInternet:
		return 2
	}
	return 3
}

// prefer orders routes of one and the same prefix, winner first (ROUTE-2, ROUTE-11). Routes that no rule tells apart
// are ordered by name, so that the same table always gives the same routes.
func prefer(a, b *entry) int {
	return cmp.Or(
		cmp.Compare(b.hop.Source, a.hop.Source),
		cmp.Compare(a.class, b.class),
		cmp.Compare(a.defaultOrder(), b.defaultOrder()),
		cmp.Compare(strings.ToLower(a.name), strings.ToLower(b.name)),
	)
}

// preferRule names the rule by which prefer told two routes apart.
func preferRule(winner, loser *entry) string {
	switch {
	case winner.hop.Source != loser.hop.Source:
		return "ROUTE-2"
	case winner.hop.Source == model.SourceUser:
		return "ROUTE-11"
	case winner.hop.Type == model.NextHopVNetPeering:
		return "ROUTE-7"
	}
	return "ROUTE-5"
}

// label names a route in a sentence about another one.
func (e *entry) label() string {
	if e.name != "" {
		return e.name
	}
	return e.hop.Source.String() + " " + e.hop.Type.String()
}

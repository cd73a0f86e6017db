// Package arbitrary makes random plans and random packets that mean something to them: what the comparison of the two
// data paths feeds on. The same seed gives the same cloud and the same packets.
package arbitrary

import (
	"fmt"
	"math/rand/v2"
	"net/netip"

	"postern/model"
	"postern/plan"
)

// Host is a random plan of one host, with the addresses that its packets should be about.
type Host struct {
	Node plan.Node

	random       *rand.Rand
	destinations []netip.Addr // worth sending to
	sent         [][]byte     // IPv4 packets that went either way, to answer and to quote
}

var (
	ownLocator   = model.MustLocator("fd00:1:1:100::/56")
	otherLocator = model.MustLocator("fd00:1:1:200::/56")
	edgeLocator  = model.MustLocator("fd00:1:1:300::/56")
	serviceHere  = model.MustLocator("fd00:1:f0:100::/56")
	serviceThere = model.MustLocator("fd00:2:f0:100::/56")
	platform     = model.MustLocator("fd00:1:f1:100::/56")
)

// NewHost makes a host whose NICs are numbered from firstNIC on, so that no flow of an earlier host is theirs.
func NewHost(seed uint64, firstNIC uint32) *Host {
	h := &Host{random: rand.New(rand.NewPCG(seed, 13))}
	h.Node = plan.Node{
		Node: "host", Role: model.RoleHost, Location: "westeurope", Locator: ownLocator,
		FabricMTU: []int{1280, 1400, 1500, 1600, 9000}[h.random.IntN(5)],
		Host: &plan.Host{
			DocumentedRoutes: h.random.IntN(4) == 0,
			Platform:         h.sometimes(platform), Egress: h.sometimes(edgeLocator),
			Routes: map[plan.Ref][]plan.Route{}, Rules: map[plan.Ref][]plan.Rule{}, Sets: map[plan.Ref][]netip.Prefix{},
			Policies: map[plan.Ref][]netip.Addr{}, Services: map[plan.Ref]plan.ServiceTable{},
		},
	}
	h.addDirectory(firstNIC)
	h.addServices()
	h.addSets()
	h.addLists()
	for i := range h.Node.Host.NICs {
		h.finish(&h.Node.Host.NICs[i])
	}
	h.destinations = append(h.destinations, model.PlatformDNS, model.PlatformMetadata,
		netip.MustParseAddr("8.8.8.8"), netip.MustParseAddr("192.168.7.7"), netip.MustParseAddr("10.9.9.9"))
	return h
}

func (h *Host) chance(oneIn int) bool { return h.random.IntN(oneIn) == 0 }

func pick[T any](h *Host, from []T) T { return from[h.random.IntN(len(from))] }

func (h *Host) sometimes(locator model.Locator) model.Locator {
	if h.chance(12) {
		return model.Locator{}
	}
	return locator
}

func ref(kind, number int) plan.Ref { return plan.Ref(fmt.Sprintf("%08x%08x", kind, number+1)) }

func ipv4(a, b, c, d byte) netip.Addr { return netip.AddrFrom4([4]byte{a, b, c, d}) }

// addDirectory makes two VNets with overlapping addresses, some NICs of each here and some elsewhere.
func (h *Host) addDirectory(firstNIC uint32) {
	host := h.Node.Host
	for vnet := uint32(1); vnet <= 2; vnet++ {
		for i := range byte(6) {
			subnet := model.FirstSubnetIdentity + model.Identity(vnet*10+uint32(i%2))
			address := ipv4(10, 1, i%2, 4+i)
			place := plan.Location{VNet: vnet, IPv4: address, Subnet: subnet, Locator: otherLocator, Forwarding: h.chance(2)}
			if i < 3 {
				place.Locator = ownLocator
				host.NICs = append(host.NICs, plan.NIC{
					Number: firstNIC + uint32(len(host.NICs)), ID: model.ResourceID(fmt.Sprintf("/nic/%d-%d", vnet, i)),
					VNet: vnet, Subnet: subnet, IPv4: address, MAC: model.MAC{2, 0, 0, 0, byte(vnet), i},
					Forwarding: place.Forwarding, Outbound: !h.chance(5), NATGateway: h.chance(3), DenyDNS: h.chance(8), DenyMetadata: h.chance(8),
				})
			}
			host.Directory = append(host.Directory, place)
			if vnet == 1 {
				h.destinations = append(h.destinations, address)
			}
		}
	}
	h.destinations = append(h.destinations, ipv4(10, 1, 0, 99))
}

func (h *Host) addServices() {
	table := plan.ServiceTable{Targets: []plan.ServiceTarget{
		{Service: 16, Region: "westeurope", Locator: serviceHere},
		{Service: 16, Region: "germanywestcentral", Locator: serviceThere},
		{Service: 17, Region: "westeurope"},
		{Service: 18, Region: "westeurope", Locator: serviceHere},
	}}
	seen := map[netip.Prefix]bool{}
	for range 1 + h.random.IntN(12) {
		bits := 16 + h.random.IntN(17)
		prefix := netip.PrefixFrom(ipv4(20, byte(h.random.IntN(3)), byte(h.random.IntN(4)), byte(h.random.IntN(256))), bits).Masked()
		if seen[prefix] {
			continue
		}
		seen[prefix] = true
		entry := plan.ServiceEntry{Prefix: prefix, Regional: h.chance(2)}
		last := bits
		for range 1 + h.random.IntN(3) {
			entry.Candidates = append(entry.Candidates, plan.ServiceCandidate{
				Bit: uint8(h.random.IntN(5)), Bits: uint8(last), Target: uint16(h.random.IntN(len(table.Targets))),
			})
			last = 8 + h.random.IntN(last-7)
		}
		table.Entries = append(table.Entries, entry)
		h.destinations = append(h.destinations, prefix.Addr(), prefix.Addr())
	}
	h.Node.Host.Services[ref(4, 0)] = table
	policy := []netip.Addr{}
	for _, address := range h.destinations {
		if h.chance(2) {
			policy = append(policy, address)
		}
	}
	h.Node.Host.Policies[ref(5, 0)] = policy
}

func (h *Host) prefix() netip.Prefix {
	bits := []int{8, 12, 16, 20, 24, 28, 32, 0}[h.random.IntN(8)]
	return netip.PrefixFrom(pick(h, h.destinations), bits).Masked()
}

func (h *Host) addSets() {
	for i := range 4 {
		var set []netip.Prefix
		for range 1 + h.random.IntN(3) {
			set = append(set, h.prefix())
		}
		h.Node.Host.Sets[ref(3, i)] = set
	}
}

func (h *Host) addLists() {
	host := h.Node.Host
	for i := range 4 {
		var rules []plan.Rule
		for priority := range 1 + h.random.IntN(5) {
			rule := plan.Rule{
				Name: fmt.Sprintf("rule-%d", priority), Priority: uint16(100 + priority), Allow: !h.chance(3),
				Protocol:    pick(h, []model.Protocol{0, 0, 1, 6, 17}),
				SourcePorts: model.AllPorts, DestinationPorts: pick(h, []model.PortRange{model.AllPorts, {First: 80, Last: 443}, {First: 53, Last: 53}}),
			}
			if h.chance(2) {
				rule.Source = ref(3, h.random.IntN(4))
			}
			if h.chance(2) {
				rule.Destination = ref(3, h.random.IntN(4))
			}
			rules = append(rules, rule)
		}
		if !h.chance(3) {
			rules = append(rules, plan.Rule{Name: "last", Priority: 65000, Allow: true, SourcePorts: model.AllPorts, DestinationPorts: model.AllPorts})
		}
		host.Rules[ref(2, i)] = rules
	}
	for i := range 3 {
		routes := map[netip.Prefix]plan.Route{
			netip.MustParsePrefix("10.1.0.0/16"): {Hop: plan.Hop{Type: model.NextHopVnetLocal, VNet: 1}},
			netip.MustParsePrefix("0.0.0.0/0"):   {Hop: plan.Hop{Type: model.NextHopInternet}},
		}
		for range h.random.IntN(8) {
			route, prefix := plan.Route{Hop: h.hop()}, h.prefix()
			if route.Hop.Source == model.SourceVirtualNetworkGateway && h.chance(2) {
				beneath := h.hop()
				beneath.Source = pick(h, []model.RouteSource{model.SourceDefault, model.SourceUser})
				route.Beneath, route.BeneathBits = &beneath, uint8(h.random.IntN(prefix.Bits()+1))
			}
			routes[prefix] = route
		}
		if h.chance(4) {
			delete(routes, netip.MustParsePrefix("0.0.0.0/0"))
		}
		for prefix, route := range routes {
			route.Prefix = prefix
			host.Routes[ref(1, i)] = append(host.Routes[ref(1, i)], route)
		}
	}
}

func (h *Host) hop() plan.Hop {
	hop := plan.Hop{
		Type: model.NextHopType(h.random.IntN(6)), VNet: 1 + uint32(h.random.IntN(2)),
		Source: pick(h, []model.RouteSource{model.SourceUser, model.SourceUser, model.SourceVirtualNetworkGateway, model.SourceDefault}),
	}
	if hop.Type == model.NextHopVirtualAppliance {
		hop.Address = pick(h, h.destinations[:7])
	}
	return hop
}

func (h *Host) finish(nic *plan.NIC) {
	list := func() plan.Ref {
		if h.chance(2) {
			return ""
		}
		return ref(2, h.random.IntN(4))
	}
	nic.Outgoing, nic.Incoming = [2]plan.Ref{list(), list()}, [2]plan.Ref{list(), list()}
	nic.Routes, nic.Services = ref(1, h.random.IntN(3)), ref(4, 0)
	nic.EnabledServices = h.random.Uint64() & 31
	if h.chance(3) {
		nic.Policy = ref(5, 0)
	}
}

// Change gives some NICs other lists, routes, services and NAT gateways: what an Apply in mid-flow does.
func (h *Host) Change() {
	for i := range h.Node.Host.NICs {
		nic := &h.Node.Host.NICs[i]
		if h.chance(2) {
			h.finish(nic)
		}
		if h.chance(3) {
			nic.NATGateway = !nic.NATGateway
		}
	}
}

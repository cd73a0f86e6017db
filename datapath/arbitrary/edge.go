package arbitrary

import (
	"math/rand/v2"
	"net/netip"

	"postern/model"
	"postern/plan"
	"postern/wire"
)

// Edge is a random plan of one edge, with the addresses that its packets should be about.
type Edge struct {
	Node plan.Node
	host *Host // writes packets
}

// NewEdge makes an edge with a few NICs, some with public addresses, some behind a NAT gateway, some without a way out.
func NewEdge(seed uint64) *Edge {
	h := &Host{random: rand.New(rand.NewPCG(seed, 31))}
	e := &Edge{host: h, Node: plan.Node{
		Node: "edge", Role: model.RoleEdge, Location: "westeurope", Locator: edgeLocator, FabricMTU: 9000,
		Edge: &plan.Edge{OutboundAddress: ipv4(203, 0, 113, 250), PlatformPool: netip.MustParsePrefix("100.64.0.0/16"),
			NATGateways: map[plan.Ref]plan.NATGateway{ref(6, 0): {ID: "/natGateway", Addresses: []netip.Addr{ipv4(203, 0, 113, 200), ipv4(203, 0, 113, 201)}}}},
	}}
	for i := range byte(6) {
		nic := plan.EgressNIC{
			Subnet: model.FirstSubnetIdentity + model.Identity(i%2), IPv4: ipv4(10, 1, i%2, 4+i), Locator: ownLocator,
			PlatformAddress: ipv4(100, 64, 0, 1+i), Outbound: h.chance(2),
		}
		if h.chance(2) {
			nic.Public = ipv4(203, 0, 113, 1+i)
		}
		if h.chance(3) {
			nic.NATGateway, nic.NATAddress = ref(6, 0), ipv4(203, 0, 113, 200+i%2)
		}
		e.Node.Edge.NICs = append(e.Node.Edge.NICs, nic)
	}
	h.destinations = []netip.Addr{ipv4(8, 8, 8, 8), ipv4(20, 0, 0, 1), ipv4(198, 51, 100, 7), ipv4(10, 1, 0, 4)}
	return e
}

// FromFabric is an IPv6 packet that the fabric brings to the edge.
func (e *Edge) FromFabric() []byte {
	h, nic := e.host, pick(e.host, e.Node.Edge.NICs)
	source := wire.Parts{Locator: ownLocator, Identity: nic.Subnet, IPv4: nic.IPv4}
	destination := wire.Parts{Locator: edgeLocator, IPv4: pick(h, h.destinations),
		Function: pick(h, []model.Function{model.FunctionInternetEgress, model.FunctionRegionalEgress, model.FunctionNATEgress})}
	switch h.random.IntN(20) {
	case 0:
		destination.Locator = otherLocator
	case 1:
		destination.Function = model.FunctionNIC
	case 2:
		source.Identity++
	case 3:
		source.IPv4 = ipv4(10, 1, 0, 77)
	}
	inner := nic.IPv4
	if h.chance(12) {
		inner = ipv4(10, 1, 1, 9)
	}
	packet := h.packetFrom(inner, []netip.Addr{destination.IPv4})
	h.remember(packet)
	next := byte(model.ProtocolIPv4)
	if h.chance(20) {
		next = 6
	}
	return h.damageIPv6(ipv6(source.Address(), destination.Address(), next, byte(h.random.IntN(256)), h.damage(packet)))
}

// ToFabric is an IPv4 packet that was routed to a public or a platform address.
func (e *Edge) ToFabric() []byte {
	h, nic := e.host, pick(e.host, e.Node.Edge.NICs)
	destination := nic.PlatformAddress
	if nic.Public.IsValid() && h.chance(2) {
		destination = nic.Public
	}
	if h.chance(15) {
		destination = ipv4(203, 0, 113, 99)
	}
	source := pick(h, append(h.destinations, ipv4(172, 20, 0, 1), ipv4(192, 168, 1, 1), ipv4(100, 64, 0, 9), ipv4(169, 254, 1, 1)))
	if h.chance(2) {
		source = ipv4(8, 8, 4, 4)
	}
	packet := h.packetFrom(source, []netip.Addr{destination})
	h.remember(packet)
	packet = h.damage(packet)
	if h.chance(10) {
		packet = append(packet, h.body(20)...)
	}
	return packet
}

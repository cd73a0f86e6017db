package pipeline

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"postern/model"
	"postern/plan"
)

// One line a case: what was there before, who sends what, and what becomes of it. The packets of before must not be
// dropped by accident, so each says itself what it wants.

type reasonCase struct {
	name   string
	before func(t *testing.T, w *world)
	judge  func(w *world) Result
	action model.Action
	reason model.Reason
}

func vm(nic uint32, ip []byte) func(*world) Result {
	return func(w *world) Result { return w.send(nic, ip) }
}

func vmFrame(nic uint32, frame []byte) func(*world) Result {
	return func(w *world) Result { return kept(w.a.FromVM(nic, frame, w.out)) }
}

func vmLater(nic uint32, first, later []byte) func(*world) Result {
	return func(w *world) Result { w.send(nic, first); return w.send(nic, later) }
}

func in(ip []byte) func(*world) Result { return func(w *world) Result { return w.receive(ip) } }

func inLater(first, later []byte) func(*world) Result {
	return func(w *world) Result { w.receive(first); return w.receive(later) }
}

func edgeIn(ip []byte) func(*world) Result {
	return func(w *world) Result { return kept(w.edge.FromFabric(ip, w.out)) }
}

func edgeOut(ip []byte) func(*world) Result {
	return func(w *world) Result { return kept(w.edge.ToFabric(ip, w.out)) }
}

// sent makes flows.
func sent(nic uint32, packets ...[]byte) func(*testing.T, *world) {
	return func(t *testing.T, w *world) {
		for _, ip := range packets {
			want(t, w.send(nic, ip), model.ToFabric, w.send(nic, ip).Verdict.Reason)
		}
	}
}

func replan(change func(a *plan.Host)) func(*testing.T, *world) {
	return func(t *testing.T, w *world) { change(w.planA.Host); w.apply(t) }
}

func arpFrame(sender, target string, operation byte) []byte {
	body := []byte{0, 1, 8, 0, 6, 4, 0, operation}
	mac, from, to := macOf(1), ip4(sender), ip4(target)
	body = append(append(body, mac[:]...), from[:]...)
	body = append(append(body, 0, 0, 0, 0, 0, 0), to[:]...)
	return frameFrom(macOf(1), 0x0806, body)
}

func udpFragment(source, destination string, id, fragment uint16, layer4 []byte) []byte {
	return datagram4{source: source, destination: destination, protocol: 17, identification: id, fragment: fragment,
		layer4: layer4, partial: true}.build()
}

var (
	firstPart   = append([]byte{0x9c, 0x40, 0, 80, 0, 32, 0xab, 0xcd}, make([]byte, 16)...) // ports 40000 and 80, 24 bytes
	toNeighbour = tcp(vmApp, vmNeighbour, 40000, 80, syn)
	toStorage   = tcp(vmApp, storage, 40000, 443, syn)
	options     = func(kind, length, pointer byte) []byte { return []byte{kind, length, pointer, 0, 0, 0, 0, 0} }
	egress      = func(function model.Function, ip []byte) []byte {
		return ip6(fabric(locatorA, model.FunctionNIC, subnetApp, vmApp), fabric(locatorEdge, function, 0, outsider), 4, ip)
	}
	quoteOfTunnel = func(source [16]byte, inner []byte) []byte {
		return ip6(source, fabric(locatorB, model.FunctionNIC, subnetApp, vmNeighbour), 4, inner)
	}
	appAddress = fabric(locatorA, model.FunctionNIC, subnetApp, vmApp)
	fabricNode = fabric(model.MustLocator("fd00:9:9:900::/56"), 0, 0, "0.0.0.1")
)

// natted gives NIC 1 a NAT gateway.
func natted(t *testing.T, w *world) {
	replan(func(a *plan.Host) { a.NICs[0].NATGateway = true })(t, w)
}

// unnatted lets NIC 1 send a packet while it has a NAT gateway, and takes that away.
func unnatted(ip []byte) func(*testing.T, *world) {
	return func(t *testing.T, w *world) {
		natted(t, w)
		sent(1, ip)(t, w)
		replan(func(a *plan.Host) { a.NICs[0].NATGateway = false })(t, w)
	}
}

// served lets the Internet open a connection to port 80 of NIC 1, which has a NAT gateway; servedUDP a flow.
func served(t *testing.T, w *world) {
	natted(t, w)
	fromInternet(t, w, tcp(outsider, publicApp, 4000, 80, syn))
}

func servedUDP(t *testing.T, w *world) {
	natted(t, w)
	replan(func(a *plan.Host) { a.NICs[0].Incoming = [2]plan.Ref{} })(t, w)
	fromInternet(t, w, udp(outsider, publicApp, 40000, 80))
}

func fromInternet(t *testing.T, w *world, ip []byte) {
	t.Helper()
	brought := want(t, edgeOut(ip)(w), model.ToFabric, model.ReasonInternet)
	want(t, w.receive(brought.Data), model.Deliver, model.ReasonDelivered)
}

// nattedEdge judges a packet of NIC 1, which has a public address, at an edge that has a NAT gateway for it.
func nattedEdge(function model.Function) func(*world) Result {
	return func(w *world) Result {
		node := edgePlan()
		address := netip.MustParseAddr("52.1.1.40")
		node.Edge.NATGateways = map[plan.Ref]plan.NATGateway{"nat": {ID: "nat", Addresses: []netip.Addr{address}}}
		node.Edge.NICs[0].NATGateway, node.Edge.NICs[0].NATAddress = "nat", address
		if err := w.edge.Apply(node); err != nil {
			panic(err)
		}
		return edgeIn(egress(function, tcp(vmApp, outsider, 1, 2, syn)))(w)
	}
}

var (
	toInternet = tcp(vmApp, outsider, 40000, 80, syn)
	answerPart = append([]byte{0, 80, 0x9c, 0x40, 0, 32, 0xab, 0xcd}, make([]byte, 16)...) // ports 80 and 40000, 24 bytes
)

var reasonCases = []reasonCase{
	// From the VM, steps 1 to 4.
	{"no plan", nil, func(w *world) Result {
		return NewHost(func() int64 { return 0 }).FromVM(1, frameFrom(macOf(1), 0x0800, toNeighbour), w.out)
	}, model.Drop, model.ReasonUnsynced},
	{"no plan, from the fabric", nil, func(w *world) Result {
		return NewHost(func() int64 { return 0 }).FromFabric(tunnelled(tcp(vmNeighbour, vmApp, 1, 80, syn)), w.out)
	}, model.Drop, model.ReasonUnsynced},
	{"unknown NIC", nil, vm(99, toNeighbour), model.Drop, model.ReasonUnsynced},
	{"frame of 13 bytes", nil, vmFrame(1, make([]byte, 13)), model.Drop, model.ReasonMalformed},
	{"SE-13 another source MAC", nil, vmFrame(1, frameFrom(macOf(2), 0x0800, toNeighbour)), model.Drop, model.ReasonSourceMAC},
	{"SE-13 VLAN tag", nil, vmFrame(1, frameFrom(macOf(1), 0x8100, toNeighbour)), model.Drop, model.ReasonVLAN},
	{"SE-13 QinQ tag", nil, vmFrame(1, frameFrom(macOf(1), 0x88a8, toNeighbour)), model.Drop, model.ReasonVLAN},
	{"SE-13 IPv6 into the fabric", nil, vmFrame(1, frameFrom(macOf(1), 0x86dd, tunnelled(toNeighbour))), model.Drop, model.ReasonIPv6},
	{"LLDP", nil, vmFrame(1, frameFrom(macOf(1), 0x88cc, toNeighbour)), model.Drop, model.ReasonEtherType},
	{"ARP for the gateway", nil, vmFrame(1, arpFrame(vmApp, "10.1.0.1", 1)), model.Reply, model.ReasonARP},
	{"ARP for itself", nil, vmFrame(1, arpFrame(vmApp, vmApp, 1)), model.Drop, model.ReasonARPIgnored},
	{"ARP reply", nil, vmFrame(1, arpFrame(vmApp, "10.1.0.1", 2)), model.Drop, model.ReasonARPIgnored},
	{"SE-13 ARP with another sender", nil, vmFrame(1, arpFrame("10.1.0.9", "10.1.0.1", 1)), model.Drop, model.ReasonARPIgnored},
	{"ARP cut short", nil, vmFrame(1, arpFrame(vmApp, "10.1.0.1", 1)[:41]), model.Drop, model.ReasonARPIgnored},
	{"IPv4 of 19 bytes", nil, vm(1, toNeighbour[:19]), model.Drop, model.ReasonMalformed},
	{"version 5", nil, vm(1, with(toNeighbour, 0, 0x55)), model.Drop, model.ReasonMalformed},
	{"header length 16", nil, vm(1, with(toNeighbour, 0, 0x44)), model.Drop, model.ReasonMalformed},
	{"header longer than the packet", nil, vm(1, with(tcp(vmApp, vmNeighbour, 1, 2, 0), 3, 19)), model.Drop, model.ReasonMalformed},
	{"total length beyond the frame", nil, vm(1, with(toNeighbour, 3, 41)), model.Drop, model.ReasonMalformed},
	{"padding is cut off", nil, vm(1, append(append([]byte{}, toNeighbour...), 0, 0, 0)), model.ToFabric, model.ReasonVirtualNetwork},
	{"SE-13 another source address", nil, vm(1, tcp("10.1.0.9", vmNeighbour, 1, 2, syn)), model.Drop, model.ReasonSourceAddress},
	{"a forwarding NIC sends for another", nil, vm(2, tcp("10.1.0.9", vmNeighbour, 1, 2, syn)), model.ToFabric, model.ReasonVirtualNetwork},
	{"SE-13 a forwarding NIC sends from loopback", nil, vm(2, tcp("127.0.0.1", vmNeighbour, 1, 2, syn)), model.Drop, model.ReasonSourceAddress},
	{"multicast", nil, vm(1, udp(vmApp, "224.0.0.1", 1, 2)), model.Drop, model.ReasonDestination},
	{"broadcast", nil, vm(1, udp(vmApp, "255.255.255.255", 1, 2)), model.Drop, model.ReasonDestination},
	{"loopback", nil, vm(1, udp(vmApp, "127.0.0.1", 1, 2)), model.Drop, model.ReasonDestination},
	{"zero", nil, vm(1, udp(vmApp, "0.1.2.3", 1, 2)), model.Drop, model.ReasonDestination},

	// Step 5.
	{"SE-13 first fragment hides its ports", nil, vm(1, udpFragment(vmApp, vmNeighbour, 1, 0x2000, firstPart[:7])), model.Drop, model.ReasonFragmentTiny},
	{"SE-13 first TCP fragment of 16 bytes", nil, vm(1, datagram4{source: vmApp, destination: vmNeighbour, protocol: 6, fragment: 0x2000, layer4: make([]byte, 16), partial: true}.build()), model.Drop, model.ReasonFragmentTiny},
	{"first TCP fragment, data offset beyond it", nil, vm(1, datagram4{source: vmApp, destination: vmNeighbour, protocol: 6, fragment: 0x2000, layer4: with(make([]byte, 24), 12, 0xf0), partial: true}.build()), model.Drop, model.ReasonMalformed},
	{"SE-13 later fragment without its first", nil, vm(1, udpFragment(vmApp, vmNeighbour, 1, 3, firstPart)), model.Drop, model.ReasonFragmentFirstMissing},
	{"SE-13 later fragment over the first", nil, vmLater(1, udpFragment(vmApp, vmNeighbour, 1, 0x2000, firstPart), udpFragment(vmApp, vmNeighbour, 1, 2, firstPart)), model.Drop, model.ReasonFragmentOverlap},
	{"later fragment behind the first", nil, vmLater(1, udpFragment(vmApp, vmNeighbour, 1, 0x2000, firstPart), udpFragment(vmApp, vmNeighbour, 1, 3, firstPart)), model.ToFabric, model.ReasonVirtualNetwork},
	{"later fragment of another identification", nil, vmLater(1, udpFragment(vmApp, vmNeighbour, 1, 0x2000, firstPart), udpFragment(vmApp, vmNeighbour, 2, 3, firstPart)), model.Drop, model.ReasonFragmentFirstMissing},
	{"later fragment after 31 s", nil, func(w *world) Result {
		w.send(1, udpFragment(vmApp, vmNeighbour, 1, 0x2000, firstPart))
		w.wait(31 * time.Second)
		return w.send(1, udpFragment(vmApp, vmNeighbour, 1, 3, firstPart))
	}, model.Drop, model.ReasonFragmentFirstMissing},
	{"SE-13 a denied first fragment leaves nothing", nil, func(w *world) Result {
		mail := datagram4{source: vmApp, destination: outsider, protocol: 6, fragment: 0x2000, layer4: tcpSegment(1, 25, ack, nil, make([]byte, 4)), partial: true}
		w.send(1, mail.build())
		mail.fragment = 3
		return w.send(1, mail.build())
	}, model.Drop, model.ReasonFragmentFirstMissing},
	{"TCP of 12 bytes", nil, vm(1, datagram4{source: vmApp, destination: vmNeighbour, protocol: 6, layer4: make([]byte, 12), partial: true}.build()), model.Drop, model.ReasonMalformed},
	{"TCP, data offset 16", nil, vm(1, with(toNeighbour, 32, 0x40)), model.Drop, model.ReasonMalformed},
	{"TCP, data offset beyond the packet", nil, vm(1, with(toNeighbour, 32, 0x60)), model.Drop, model.ReasonMalformed},
	{"UDP of 7 bytes", nil, vm(1, datagram4{source: vmApp, destination: vmNeighbour, protocol: 17, layer4: make([]byte, 7), partial: true}.build()), model.Drop, model.ReasonMalformed},
	{"ICMP of 7 bytes", nil, vm(1, datagram4{source: vmApp, destination: vmNeighbour, protocol: 1, layer4: make([]byte, 7), partial: true}.build()), model.Drop, model.ReasonMalformed},

	// Step 6.
	{"NSG-1 a rule denies", nil, vm(1, tcp(vmApp, outsider, 1, 25, syn)), model.Drop, model.ReasonSecurityGroup},
	{"NSG-5 a platform tag denies name resolution", nil, vm(5, udp(vmPrivate, dns, 1, 53)), model.Drop, model.ReasonSecurityGroup},
	{"NSG-5 a platform tag denies metadata", nil, vm(5, tcp(vmPrivate, metadata, 1, 80, syn)), model.Drop, model.ReasonSecurityGroup},
	{"NSG-5 the platform is exempt from rules", nil, vm(1, tcp(vmApp, dns, 1, 25, syn)), model.ToFabric, model.ReasonPlatform},
	{"ICMP error about nothing", nil, vm(1, icmp(vmApp, vmNeighbour, 3, 3, 0, tcp(vmNeighbour, vmApp, 80, 40000, ack)[:28])), model.Drop, model.ReasonUnrelatedError},
	{"ICMP error that quotes 27 bytes", sent(1, toNeighbour), vm(1, icmp(vmApp, vmNeighbour, 3, 3, 0, tcp(vmNeighbour, vmApp, 80, 40000, ack)[:27])), model.Drop, model.ReasonUnrelatedError},
	{"ICMP error that quotes options", sent(1, toNeighbour), vm(1, icmp(vmApp, vmNeighbour, 3, 3, 0, with(tcp(vmNeighbour, vmApp, 80, 40000, ack)[:28], 0, 0x46))), model.Drop, model.ReasonUnrelatedError},
	{"NSG-2 ICMP error about a flow", sent(1, toNeighbour), vm(1, icmp(vmApp, vmNeighbour, 3, 3, 0, tcp(vmNeighbour, vmApp, 80, 40000, ack)[:28])), model.ToFabric, model.ReasonVirtualNetwork},

	// Steps 7 and 8.
	{"no routing table", nil, vm(6, tcp(vmRouteless, outsider, 1, 2, syn)), model.Drop, model.ReasonNoRoute},
	{"ROUTE-4 reserved prefix", nil, vm(1, tcp(vmApp, "10.99.0.1", 1, 2, syn)), model.Drop, model.ReasonRouteNone},
	{"gateway's route without a gateway", nil, vm(1, tcp(vmApp, "198.51.100.130", 1, 2, syn)), model.Drop, model.ReasonNoGateway},
	{"private endpoint's route", nil, vm(1, tcp(vmApp, "198.51.100.200", 1, 2, syn)), model.Drop, model.ReasonNoNode},
	{"address that no NIC has", nil, vm(1, tcp(vmApp, "10.1.0.77", 1, 2, syn)), model.Drop, model.ReasonNoSuchAddress},
	{"peered VNet", nil, vm(1, tcp(vmApp, vmPeer, 1, 2, syn)), model.ToFabric, model.ReasonVirtualNetwork},
	{"ROUTE-14 through an appliance", nil, vm(1, tcp(vmApp, "203.0.113.9", 1, 2, syn)), model.ToFabric, model.ReasonAppliance},
	{"ROUTE-14 appliance that nobody owns", nil, vm(1, tcp(vmApp, "198.51.100.1", 1, 2, syn)), model.Drop, model.ReasonApplianceUnowned},
	{"ROUTE-14 appliance that does not forward", nil, vm(1, tcp(vmApp, "198.51.100.65", 1, 2, syn)), model.Drop, model.ReasonApplianceNotForwarding},
	{"ROUTE-14 appliance's own packet", nil, vm(2, tcp(vmAppliance, "203.0.113.9", 1, 2, syn)), model.Drop, model.ReasonApplianceLoop},
	{"OUT-1 Internet", nil, vm(1, tcp(vmApp, outsider, 1, 2, syn)), model.ToFabric, model.ReasonInternet},
	{"OUT-1 no way out", nil, vm(5, tcp(vmPrivate, outsider, 1, 2, syn)), model.Drop, model.ReasonNoOutbound},
	{"OUT-1 by the NAT gateway", natted, vm(1, tcp(vmApp, outsider, 1, 2, syn)), model.ToFabric, model.ReasonNATGateway},
	{"OUT-1 an appliance's route comes before the NAT gateway", natted, vm(1, tcp(vmApp, "203.0.113.9", 1, 2, syn)), model.ToFabric, model.ReasonAppliance},
	{"SE-12 an endpoint passes the NAT gateway by", natted, vm(1, toStorage), model.ToFabric, model.ReasonServiceEndpoint},
	{"FW-5 so does a regional service", natted, vm(1, tcp(vmApp, sqlServer, 1, 1433, syn)), model.ToFabric, model.ReasonRegionalEgress},
	{"OUT-1 and what the Internet opened", served, vm(1, tcp(vmApp, outsider, 80, 4000, syn|ack)), model.ToFabric, model.ReasonInternet},
	{"OUT-1 with the later fragments of it", servedUDP, vmLater(1, udpFragment(vmApp, outsider, 1, 0x2000, answerPart), udpFragment(vmApp, outsider, 1, 3, firstPart)), model.ToFabric, model.ReasonInternet},
	{"OUT-1 and ICMP errors about it", served, vm(1, icmp(vmApp, outsider, 3, 3, 0, tcp(outsider, vmApp, 4000, 80, ack)[:28])), model.ToFabric, model.ReasonInternet},
	{"OUT-1 ICMP errors about what the VM opened take the NAT gateway", func(t *testing.T, w *world) { natted(t, w); sent(1, tcp(vmApp, outsider, 80, 4000, syn))(t, w) },
		vm(1, icmp(vmApp, outsider, 3, 3, 0, tcp(outsider, vmApp, 4000, 80, ack)[:28])), model.ToFabric, model.ReasonNATGateway},
	{"OUT-1 later fragments too", natted, vmLater(1, udpFragment(vmApp, outsider, 1, 0x2000, firstPart), udpFragment(vmApp, outsider, 1, 3, firstPart)), model.ToFabric, model.ReasonNATGateway},
	{"OUT-1 a connection from before the NAT gateway keeps its way", func(t *testing.T, w *world) { sent(1, toInternet)(t, w); natted(t, w) },
		vm(1, tcp(vmApp, outsider, 40000, 80, ack)), model.ToFabric, model.ReasonInternet},
	{"OUT-1 after its flow expired it is new", func(t *testing.T, w *world) { sent(1, toInternet)(t, w); natted(t, w); w.wait(31 * time.Minute) },
		vm(1, tcp(vmApp, outsider, 40000, 80, ack)), model.ToFabric, model.ReasonNATGateway},
	{"OUT-1 the NAT gateway goes under an open connection", unnatted(toInternet), vm(1, tcp(vmApp, outsider, 40000, 80, ack)), model.Reply, model.ReasonPathChanged},
	{"OUT-1 and the VM's own RST needs no answer", unnatted(toInternet), vm(1, tcp(vmApp, outsider, 40000, 80, rst)), model.Drop, model.ReasonPathChanged},
	{"OUT-1 UDP goes on without it", unnatted(udp(vmApp, outsider, 40000, 80)), vm(1, udp(vmApp, outsider, 40000, 80)), model.ToFabric, model.ReasonInternet},
	{"OUT-1 a connection inside the VNet does not notice", unnatted(toNeighbour), vm(1, tcp(vmApp, vmNeighbour, 40000, 80, ack)), model.ToFabric, model.ReasonVirtualNetwork},
	{"OUT-2 no way out, but the endpoint", nil, vm(5, tcp(vmPrivate, storage, 1, 2, syn)), model.ToFabric, model.ReasonServiceEndpoint},
	{"no edge", replan(func(a *plan.Host) { a.Egress = model.Locator{} }), vm(1, tcp(vmApp, outsider, 1, 2, syn)), model.Drop, model.ReasonNoNode},
	{"no platform", replan(func(a *plan.Host) { a.Platform = model.Locator{} }), vm(1, udp(vmApp, dns, 1, 53)), model.Drop, model.ReasonNoNode},
	{"no gateway for the service", nil, vm(1, tcp(vmApp, storageAway, 1, 2, syn)), model.Drop, model.ReasonNoNode},
	{"regional service without endpoint", nil, vm(1, tcp(vmApp, sqlServer, 1, 1433, syn)), model.ToFabric, model.ReasonRegionalEgress},
	{"SE-6 ICMP to a regional service", nil, vm(1, ping(vmApp, storage)), model.ToFabric, model.ReasonInternet},
	{"SEP-2 TCP outside the policy", nil, vm(5, tcp(vmPrivate, rogueStorage, 1, 2, syn)), model.Reply, model.ReasonEndpointPolicy},
	{"SEP-2 RST outside the policy", nil, vm(5, tcp(vmPrivate, rogueStorage, 1, 2, rst)), model.Drop, model.ReasonEndpointPolicy},
	{"SEP-2 UDP outside the policy", nil, vm(5, udp(vmPrivate, rogueStorage, 1, 2)), model.Drop, model.ReasonEndpointPolicy},
	{"forwarded to a service", nil, vm(2, tcp("10.1.0.9", storage, 1, 2, syn)), model.Drop, model.ReasonForwardedToService},
	{"forwarded to the platform", nil, vm(2, udp("10.1.0.9", dns, 1, 53)), model.Drop, model.ReasonForwardedToService},
	{"GRE to the platform", nil, vm(1, other(vmApp, dns, 47)), model.Drop, model.ReasonUnsupportedProtocol},
	{"ICMP timestamp to the platform", nil, vm(1, icmp(vmApp, dns, 13, 0, 0, nil)), model.Drop, model.ReasonUnsupportedProtocol},
	{"GRE to a neighbour", nil, vm(1, other(vmApp, vmNeighbour, 47)), model.ToFabric, model.ReasonVirtualNetwork},
	{"unexpired source route", nil, vm(1, datagram4{source: vmApp, destination: storage, protocol: 6, options: options(131, 7, 4), layer4: tcpSegment(1, 2, syn, nil, nil)}.build()), model.Drop, model.ReasonSourceRoute},
	{"expired source route", nil, vm(1, datagram4{source: vmApp, destination: storage, protocol: 6, options: options(137, 7, 8), layer4: tcpSegment(1, 2, syn, nil, nil)}.build()), model.ToFabric, model.ReasonServiceEndpoint},
	{"options that cannot be walked", nil, vm(1, datagram4{source: vmApp, destination: storage, protocol: 6, options: options(7, 9, 0), layer4: tcpSegment(1, 2, syn, nil, nil)}.build()), model.Drop, model.ReasonSourceRoute},
	{"source route to a neighbour", nil, vm(1, datagram4{source: vmApp, destination: vmNeighbour, protocol: 6, options: options(131, 7, 4), layer4: tcpSegment(1, 2, syn, nil, nil)}.build()), model.ToFabric, model.ReasonVirtualNetwork},
	{"fragmented UDP without checksum", nil, vm(1, udpFragment(vmApp, storage, 1, 0x2000, with(with(firstPart, 6, 0), 7, 0))), model.Drop, model.ReasonUDPZeroChecksum},
	{"fragmented UDP with checksum", nil, vm(1, udpFragment(vmApp, storage, 1, 0x2000, firstPart)), model.ToFabric, model.ReasonServiceEndpoint},
	{"ping the platform", nil, vm(1, ping(vmApp, dns)), model.ToFabric, model.ReasonPlatform},

	// Steps 9 to 12.
	{"encapsulated, at the MTU", nil, vm(1, tcpData(vmApp, vmNeighbour, 1, 2, 1520)), model.ToFabric, model.ReasonVirtualNetwork},
	{"encapsulated, over the MTU", nil, vm(1, tcpData(vmApp, vmNeighbour, 1, 2, 1521)), model.Reply, model.ReasonTooBig},
	{"translated, at the MTU", nil, vm(1, tcpData(vmApp, storage, 1, 2, 1540)), model.ToFabric, model.ReasonServiceEndpoint},
	{"translated, over the MTU", nil, vm(1, tcpData(vmApp, storage, 1, 2, 1541)), model.Reply, model.ReasonTooBig},
	{"later fragment over the MTU", nil, vmLater(1, udpFragment(vmApp, vmNeighbour, 1, 0x2000, firstPart), udpFragment(vmApp, vmNeighbour, 1, 3, make([]byte, 1541))), model.Drop, model.ReasonTooBig},
	{"ICMP error over the MTU", sent(1, toNeighbour), vm(1, icmp(vmApp, vmNeighbour, 3, 3, 0, append(tcp(vmNeighbour, vmApp, 80, 40000, ack), make([]byte, 1520)...))), model.Drop, model.ReasonTooBig},
	{"SE-3 endpoint disabled under an open connection", func(t *testing.T, w *world) {
		sent(1, toStorage)(t, w)
		replan(func(a *plan.Host) { a.NICs[0].EnabledServices = 0 })(t, w)
	}, vm(1, tcp(vmApp, storage, 40000, 443, ack)), model.Reply, model.ReasonPathChanged},
	{"SE-3 the VM's own RST needs no answer", func(t *testing.T, w *world) {
		sent(1, toStorage)(t, w)
		replan(func(a *plan.Host) { a.NICs[0].EnabledServices = 0 })(t, w)
	}, vm(1, tcp(vmApp, storage, 40000, 443, rst)), model.Drop, model.ReasonPathChanged},

	// From the fabric, steps 1 to 3.
	{"IPv4 from the fabric", nil, in(toNeighbour), model.Pass, model.ReasonNotOurs},
	{"39 bytes from the fabric", nil, in(tunnelled(nil)[:39]), model.Pass, model.ReasonNotOurs},
	{"another host's", nil, in(ip6(appAddress, fabric(locatorB, 0, subnetApp, vmApp), 4, toNeighbour)), model.Pass, model.ReasonNotOurs},
	{"the node's own service function", nil, in(ip6(fabricNode, fabric(locatorA, model.FunctionService, subnetApp, vmApp), 6, toNeighbour)), model.Pass, model.ReasonNotOurs},
	{"the node's own address", nil, in(ip6(fabricNode, fabric(locatorA, 0, 0, "0.0.0.1"), 6, toNeighbour)), model.Pass, model.ReasonNotOurs},
	{"payload beyond the packet", nil, in(with(tunnelled(toNeighbour), 5, 200)), model.Drop, model.ReasonMalformed},
	{"no such NIC", nil, in(ip6(fabricNode, fabric(locatorA, 0, subnetApp, "10.1.0.200"), 4, toNeighbour)), model.Drop, model.ReasonNoSuchNIC},
	{"unsound packet inside", nil, in(tunnelled(toNeighbour[:19])), model.Drop, model.ReasonMalformed},
	{"inside for another", nil, in(tunnelled(tcp(vmNeighbour, "10.1.0.8", 1, 80, syn))), model.Drop, model.ReasonDestination},
	{"through a NIC that does not forward", nil, in(ip6(fabricNode, fabric(locatorA, model.FunctionAppliance, subnetApp, vmApp), 4, tcp(vmNeighbour, "203.0.113.9", 1, 80, syn))), model.Drop, model.ReasonApplianceNotForwarding},
	{"through an appliance", nil, in(ip6(fabricNode, fabric(locatorA, model.FunctionAppliance, subnetAppliance, vmAppliance), 4, tcp(vmNeighbour, "203.0.113.9", 1, 80, syn))), model.Deliver, model.ReasonDelivered},
	{"through an appliance to multicast", nil, in(ip6(fabricNode, fabric(locatorA, model.FunctionAppliance, subnetAppliance, vmAppliance), 4, udp(vmNeighbour, "224.0.0.1", 1, 80))), model.Drop, model.ReasonDestination},
	{"from loopback", nil, in(tunnelled(tcp("127.0.0.1", vmApp, 1, 80, syn))), model.Drop, model.ReasonSourceAddress},
	{"NSG-1 allowed in", nil, in(tunnelled(tcp(vmNeighbour, vmApp, 1, 22, syn))), model.Deliver, model.ReasonDelivered},
	{"NSG-1 denied in", nil, in(tunnelled(tcp(outsider, vmApp, 1, 22, syn))), model.Drop, model.ReasonSecurityGroup},
	{"NSG-2 the answer comes in", sent(1, tcp(vmApp, outsider, 40000, 22, syn)), in(tunnelled(tcp(outsider, vmApp, 22, 40000, syn|ack))), model.Deliver, model.ReasonDelivered},
	{"NSG-2 the answer of a ping", sent(1, ping(vmApp, outsider)), in(tunnelled(icmp(outsider, vmApp, 0, 0, 7<<16|1, nil))), model.Deliver, model.ReasonDelivered},
	{"NSG-2 a ping of another identifier", sent(1, ping(vmApp, outsider)), in(tunnelled(icmp(outsider, vmApp, 0, 0, 8<<16|1, nil))), model.Drop, model.ReasonSecurityGroup},
	{"ICMP error in, about a flow", sent(1, toNeighbour), in(tunnelled(icmp("10.1.0.1", vmApp, 11, 0, 0, toNeighbour[:28]))), model.Deliver, model.ReasonDelivered},
	{"ICMP error in, about nothing", nil, in(tunnelled(icmp("10.1.0.1", vmApp, 11, 0, 0, toNeighbour[:28]))), model.Drop, model.ReasonUnrelatedError},
	{"later fragment in, without its first", nil, in(tunnelled(udpFragment(vmNeighbour, vmApp, 1, 3, firstPart))), model.Drop, model.ReasonFragmentFirstMissing},
	{"later fragment in", nil, inLater(tunnelled(udpFragment(vmNeighbour, vmApp, 1, 0x2000, firstPart)), tunnelled(udpFragment(vmNeighbour, vmApp, 1, 3, firstPart))), model.Deliver, model.ReasonDelivered},

	// From the fabric, step 4.
	{"SE-14 the service opens a connection", nil, in(fromStorage(6, tcpSegment(443, 40000, syn, nil, nil))), model.Drop, model.ReasonUnsolicited},
	{"SE-14 the service answers", sent(1, toStorage), in(fromStorage(6, tcpSegment(443, 40000, syn|ack, nil, nil))), model.Deliver, model.ReasonDelivered},
	{"SE-14 another service answers", sent(1, toStorage), in(ip6(fabric(locatorService, model.FunctionService, identitySQL, storage), appAddress, 6, tcpSegment(443, 40000, ack, nil, nil))), model.Drop, model.ReasonUnsolicited},
	{"SE-14 a NIC answers for the service", sent(1, toStorage), in(ip6(fabric(locatorB, model.FunctionNIC, identityStorage, storage), appAddress, 6, tcpSegment(443, 40000, ack, nil, nil))), model.Drop, model.ReasonUnsolicited},
	{"SE-14 after the flow expired", func(t *testing.T, w *world) { sent(1, toStorage)(t, w); w.wait(31 * time.Minute) }, in(fromStorage(6, tcpSegment(443, 40000, ack, nil, nil))), model.Drop, model.ReasonUnsolicited},
	{"the platform answers", sent(1, udp(vmApp, dns, 5000, 53)), in(ip6(fabric(locatorPlatform, model.FunctionPlatform, model.IdentityPlatform, dns), appAddress, 17, udpSegment(53, 5000, nil))), model.Deliver, model.ReasonDelivered},
	{"the platform answers a ping", sent(1, ping(vmApp, dns)), in(ip6(fabric(locatorPlatform, model.FunctionPlatform, model.IdentityPlatform, dns), appAddress, 58, icmpMessage(129, 0, 7<<16|1, nil))), model.Deliver, model.ReasonDelivered},
	{"translated, through an appliance", nil, in(ip6(fabricNode, fabric(locatorA, model.FunctionAppliance, subnetAppliance, vmAppliance), 6, tcpSegment(1, 2, ack, nil, nil))), model.Drop, model.ReasonNoSuchNIC},
	{"router advertisement", nil, in(fromStorage(58, icmpMessage(134, 0, 0, nil))), model.Drop, model.ReasonUnsupportedProtocol},
	{"SCTP from the fabric", nil, in(fromStorage(132, make([]byte, 16))), model.Drop, model.ReasonUnsupportedProtocol},
	{"destination options", nil, in(fromStorage(60, make([]byte, 16))), model.Drop, model.ReasonExtensionHeader},
	{"SCTP behind a Fragment header", nil, in(fromStorage(44, fragment6(132, 0, true, 1, make([]byte, 16)))), model.Drop, model.ReasonExtensionHeader},
	{"Fragment header cut short", nil, in(fromStorage(44, make([]byte, 7))), model.Drop, model.ReasonMalformed},
	{"TCP of 12 bytes from the service", sent(1, toStorage), in(fromStorage(6, make([]byte, 12))), model.Drop, model.ReasonMalformed},
	{"tiny first fragment from the service", nil, in(fromStorage(44, fragment6(6, 0, true, 1, make([]byte, 16)))), model.Drop, model.ReasonFragmentTiny},
	{"later fragment from the service, without its first", nil, in(fromStorage(44, fragment6(17, 24, false, 1, make([]byte, 16)))), model.Drop, model.ReasonFragmentFirstMissing},
	{"fragments from the service", sent(1, udp(vmApp, storage, 80, 40000)), inLater(fromStorage(44, fragment6(17, 0, true, 1, firstPart)), fromStorage(44, fragment6(17, 24, false, 1, make([]byte, 16)))), model.Deliver, model.ReasonDelivered},
	{"fragmented ICMPv6 error", nil, in(ip6(fabricNode, appAddress, 44, fragment6(58, 0, true, 1, icmpMessage(2, 0, 1400, quoteOfTunnel(appAddress, toNeighbour))))), model.Drop, model.ReasonUnsupportedProtocol},
	{"atomic fragment from the service", sent(1, toStorage), in(fromStorage(44, fragment6(6, 0, false, 1, tcpSegment(443, 40000, ack, nil, nil)))), model.Deliver, model.ReasonDelivered},

	// From the fabric, step 5.
	{"PMTU of a tunnel", sent(1, toNeighbour), in(ip6(fabricNode, appAddress, 58, icmpMessage(2, 0, 1400, quoteOfTunnel(appAddress, toNeighbour)))), model.Deliver, model.ReasonDelivered},
	{"PMTU of a tunnel that was never sent", nil, in(ip6(fabricNode, appAddress, 58, icmpMessage(2, 0, 1400, quoteOfTunnel(appAddress, toNeighbour)))), model.Drop, model.ReasonUnrelatedError},
	{"PMTU of another NIC's tunnel", sent(1, toNeighbour), in(ip6(fabricNode, appAddress, 58, icmpMessage(2, 0, 1400, quoteOfTunnel(fabric(locatorA, 0, subnetApp, "10.1.0.9"), toNeighbour)))), model.Drop, model.ReasonUnrelatedError},
	{"unreachable about a tunnel", sent(1, toNeighbour), in(ip6(fabricNode, appAddress, 58, icmpMessage(1, 0, 0, quoteOfTunnel(appAddress, toNeighbour)))), model.Drop, model.ReasonUnrelatedError},
	{"error that quotes 47 bytes", nil, in(ip6(fabricNode, appAddress, 58, icmpMessage(1, 0, 0, make([]byte, 47)))), model.Drop, model.ReasonMalformed},
	{"error about a service flow", sent(1, toStorage), in(ip6(fabricNode, appAddress, 58, icmpMessage(1, 0, 0, ip6(appAddress, fabric(locatorService, 2, identityStorage, storage), 6, tcpSegment(40000, 443, syn, nil, nil))))), model.Deliver, model.ReasonDelivered},
	{"error about a fragment", sent(1, toStorage), in(ip6(fabricNode, appAddress, 58, icmpMessage(1, 0, 0, ip6(appAddress, fabric(locatorService, 2, identityStorage, storage), 44, fragment6(6, 0, true, 1, make([]byte, 20)))))), model.Drop, model.ReasonUnrelatedError},

	// The edge.
	{"edge without a plan", nil, func(w *world) Result { return NewEdge().ToFabric(toNeighbour, w.out) }, model.Drop, model.ReasonUnsynced},
	{"edge, no plan, from the fabric", nil, func(w *world) Result { return NewEdge().FromFabric(tunnelled(toNeighbour), w.out) }, model.Drop, model.ReasonUnsynced},
	{"edge, another's packet", nil, edgeIn(tunnelled(toNeighbour)), model.Pass, model.ReasonNotOurs},
	{"edge, not encapsulated", nil, edgeIn(ip6(appAddress, fabric(locatorEdge, model.FunctionInternetEgress, 0, outsider), 6, toNeighbour)), model.Drop, model.ReasonMalformed},
	{"edge, unsound inside", nil, edgeIn(egress(model.FunctionInternetEgress, toNeighbour[:19])), model.Drop, model.ReasonMalformed},
	{"edge, unknown NIC", nil, edgeIn(ip6(fabricNode, fabric(locatorEdge, model.FunctionInternetEgress, 0, outsider), 4, tcp(vmApp, outsider, 1, 2, syn))), model.Drop, model.ReasonNoSuchNIC},
	{"SE-13 edge, source inside is another", nil, edgeIn(egress(model.FunctionInternetEgress, tcp("10.1.0.9", outsider, 1, 2, syn))), model.Drop, model.ReasonSourceAddress},
	{"edge, to the Internet", nil, edgeIn(egress(model.FunctionInternetEgress, tcp(vmApp, outsider, 1, 2, syn))), model.ToInternet, model.ReasonInternet},
	{"edge, to a regional service", nil, edgeIn(egress(model.FunctionRegionalEgress, tcp(vmApp, sqlServer, 1, 2, syn))), model.ToInternet, model.ReasonRegionalEgress},
	{"OUT-1 edge, no way out", nil, edgeIn(ip6(fabric(locatorA, 0, subnetPrivate, vmPrivate), fabric(locatorEdge, model.FunctionInternetEgress, 0, outsider), 4, tcp(vmPrivate, outsider, 1, 2, syn))), model.Drop, model.ReasonNoOutbound},
	{"OUT-1 edge, by the NAT gateway", nil, nattedEdge(model.FunctionNATEgress), model.ToInternet, model.ReasonNATGateway},
	{"OUT-1 edge, past the NAT gateway", nil, nattedEdge(model.FunctionInternetEgress), model.ToInternet, model.ReasonInternet},
	{"OUT-1 edge, the NAT gateway has gone already", nil, edgeIn(egress(model.FunctionNATEgress, tcp(vmApp, outsider, 1, 2, syn))), model.ToInternet, model.ReasonInternet},
	{"edge, from the Internet", nil, edgeOut(tcp(outsider, publicApp, 1, 80, syn)), model.ToFabric, model.ReasonInternet},
	{"edge, private source", nil, edgeOut(tcp("172.31.0.1", publicApp, 1, 80, syn)), model.Drop, model.ReasonMartian},
	{"edge, link-local source", nil, edgeOut(tcp("169.254.0.1", publicApp, 1, 80, syn)), model.Drop, model.ReasonMartian},
	{"edge, address of no NIC", nil, edgeOut(tcp(outsider, "52.1.1.99", 1, 80, syn)), model.Drop, model.ReasonNoSuchNIC},
	{"edge, unsound from the Internet", nil, edgeOut(toNeighbour[:19]), model.Drop, model.ReasonMalformed},
	{"edge, too big with DF", nil, edgeOut(tcpData(outsider, publicApp, 1, 80, 1521)), model.Reply, model.ReasonTooBig},
	{"edge, too big without DF", nil, edgeOut(with(tcpData(outsider, publicApp, 1, 80, 1521), 6, 0)), model.Drop, model.ReasonTooBig},
}

func TestReasons(t *testing.T) {
	given, judged := map[model.Reason]bool{}, 0
	for _, c := range reasonCases {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			if c.before != nil {
				c.before(t, w)
			}
			r := c.judge(w)
			given[r.Verdict.Reason], judged = true, judged+1
			want(t, r, c.action, c.reason)
			edge := strings.Contains(c.name, "edge,")
			mustSound(t, r, edge)
		})
	}
	if judged < len(reasonCases) {
		return // -run chose some of them
	}
	for reason := model.ReasonNone + 1; reason < model.ReasonCount; reason++ {
		if !given[reason] && !slices.Contains(gatewayReasons, reason) {
			t.Errorf("no case gives %v", reason)
		}
	}
}

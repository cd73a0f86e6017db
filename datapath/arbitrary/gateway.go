package arbitrary

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"

	"postern/model"
	"postern/plan"
	"postern/wire"
)

// Gateway is a random plan of instances' own addresses, with packets about them. The pools that packets are made from are
// small, so that connections meet their own segments, and each other's.
type Gateway struct {
	Plan plan.Direct
	host *Host                  // chance
	met  [2][][2]netip.AddrPort // caller and server of earlier packets, on the fabric and on the Internet
}

// The places of a Gateway's packets.
var (
	gatewayService  = model.MustLocator("fd00:1:1:400::/56")
	gatewayPlatform = model.MustLocator("fd00:1:1:500::/56")
	gatewayRemote   = netip.MustParseAddr("fd00:2::7")
	gatewayInside   = []netip.Addr{ipv4(192, 0, 2, 1), ipv4(192, 0, 2, 2), ipv4(192, 0, 2, 3)}
	gatewayPorts    = []uint16{9000, 9001, 9002, 9003, 80}
)

const gatewayIdentity = model.Identity(70)

// NewGateway makes a plan.
func NewGateway(seed uint64) *Gateway {
	g := &Gateway{host: &Host{random: rand.New(rand.NewPCG(seed, 47))}}
	g.Change()
	return g
}

// Change makes another plan: other callers, backends that died, ports that went.
func (g *Gateway) Change() {
	h := g.host
	g.Plan = plan.Direct{ServiceLocator: gatewayService, PlatformLocator: gatewayPlatform, Addresses: gatewayInside,
		ServicePorts: []uint16{80, 443}, PlatformPorts: []uint16{53, 80}, Callers: map[plan.Ref]plan.Callers{}}
	var refs []plan.Ref
	for range 2 {
		who := plan.Callers{Origins: []plan.Origin{{Prefix: netip.MustParsePrefix("0.0.0.0/0"), May: h.chance(2)}}}
		for subnet := range model.Identity(4) {
			if !h.chance(4) {
				who.Subnets = append(who.Subnets, model.FirstSubnetIdentity+subnet)
			}
		}
		for _, text := range []string{"203.0.113.0/24", "203.0.113.4/32", "100.64.0.0/10"} {
			if h.chance(2) {
				who.Origins = append(who.Origins, plan.Origin{Prefix: netip.MustParsePrefix(text), May: h.chance(2)})
			}
		}
		ref := plan.RefOf("callers", who)
		g.Plan.Callers[ref] = who
		refs = append(refs, ref)
	}
	for _, address := range gatewayInside[:2] {
		for _, port := range gatewayPorts[:4] {
			if h.chance(8) {
				continue
			}
			one := plan.DirectPort{Address: address, Port: port, Service: gatewayIdentity, Callers: pick(h, refs)}
			for _, backend := range []netip.AddrPort{netip.AddrPortFrom(netip.IPv6Loopback(), 9000), netip.AddrPortFrom(netip.IPv6Loopback(), port),
				netip.AddrPortFrom(gatewayRemote, 7000)} {
				if !h.chance(3) {
					one.Backends = append(one.Backends, plan.DirectBackend{Server: backend, Weight: 1 + h.random.IntN(3)})
				}
			}
			g.Plan.Ports = append(g.Plan.Ports, one)
		}
	}
}

// fabricCaller is an end on the fabric: mostly a NIC of a subnet that plans know.
func (g *Gateway) fabricCaller() netip.Addr {
	h := g.host
	from := wire.Parts{Locator: ownLocator, Identity: model.FirstSubnetIdentity + model.Identity(h.random.IntN(4)), IPv4: ipv4(10, 0, 0, 4)}
	switch h.random.IntN(40) {
	case 0:
		from.Function = model.FunctionInternetEgress
	case 1:
		from.IPv4 = ipv4(127, 0, 0, 1)
	case 2:
		from.Identity = 9
	case 3:
		return netip.AddrFrom16(ipv4(203, 0, 113, 4).As16())
	}
	return from.Address()
}

// fabricServer is the instance's side of a packet on the fabric.
func (g *Gateway) fabricServer() netip.Addr {
	h := g.host
	to := wire.Parts{Locator: gatewayService, Function: model.FunctionService, Identity: gatewayIdentity, IPv4: pick(h, gatewayInside)}
	switch h.random.IntN(24) {
	case 0:
		to.Identity++
	case 1:
		to.Function = model.FunctionPlatform
	case 2:
		to.Locator, to.Function, to.Identity = gatewayPlatform, model.FunctionPlatform, model.IdentityPlatform
	case 3:
		to.Locator = otherLocator
	}
	return to.Address()
}

// segment is TCP between two ends, with a sound checksum.
func (g *Gateway) segment(source, destination netip.AddrPort) []byte {
	h := g.host
	payload := h.body(40)
	tcp := make([]byte, 20, 20+len(payload))
	binary.BigEndian.PutUint16(tcp, source.Port())
	binary.BigEndian.PutUint16(tcp[2:], destination.Port())
	binary.BigEndian.PutUint32(tcp[4:], pick(h, []uint32{0, 1, 1, h.random.Uint32()})) // mostly what the other end expects
	binary.BigEndian.PutUint32(tcp[8:], h.random.Uint32())
	tcp[12] = 5 << 4
	tcp[13] = pick(h, []byte{0x02, 0x02, 0x02, 0x02, 0x02, 0x02, 0x10, 0x10, 0x18, 0x18, 0x12, 0x11, 0x04, 0x00, 0x01})
	tcp = append(tcp, payload...)
	binary.BigEndian.PutUint16(tcp[16:], checksum(tcp, pseudo(source.Addr(), destination.Addr(), 6, len(tcp))))
	return tcp
}

// ends gives a packet its two ends: mostly those of an earlier packet, perhaps as its backend would answer.
func (g *Gateway) ends(of int, toward bool, caller, server netip.Addr) (from, to netip.AddrPort) {
	h, met := g.host, &g.met[of]
	from = netip.AddrPortFrom(caller, 40000+uint16(h.random.IntN(3)))
	to = netip.AddrPortFrom(server, pick(h, gatewayPorts))
	if len(*met) > 0 && !h.chance(3) {
		one := pick(h, *met)
		from, to = one[0], one[1]
		if !toward && h.chance(3) {
			to = netip.AddrPortFrom(to.Addr(), 9000)
		}
	}
	if !toward && of == 0 && h.chance(4) {
		to = netip.AddrPortFrom(gatewayRemote, 7000)
	}
	if toward {
		if *met = append(*met, [2]netip.AddrPort{from, to}); len(*met) > 32 {
			*met = (*met)[1:]
		}
	}
	return from, to
}

// FromFabric is a packet that the fabric brings.
func (g *Gateway) FromFabric() []byte { return g.onFabric(true) }

// ToFabric is a packet that leaves for the fabric.
func (g *Gateway) ToFabric() []byte { return g.onFabric(false) }

func (g *Gateway) onFabric(toward bool) []byte {
	h := g.host
	source, destination := g.ends(0, toward, g.fabricCaller(), g.fabricServer())
	if !toward {
		source, destination = destination, source
	}
	next, payload := byte(6), g.segment(source, destination)
	if h.chance(30) {
		next = pick(h, []byte{17, 44, 58})
	}
	packet := ipv6(source.Addr(), destination.Addr(), next, byte(h.random.IntN(256)), payload)
	return g.damage(packet, 40)
}

// FromInternet is a packet that the Internet brings.
func (g *Gateway) FromInternet() []byte { return g.onInternet(true) }

// ToInternet is a packet that leaves for the Internet.
func (g *Gateway) ToInternet() []byte { return g.onInternet(false) }

func (g *Gateway) onInternet(toward bool) []byte {
	h := g.host
	caller := pick(h, []netip.Addr{ipv4(203, 0, 113, 4), ipv4(203, 0, 113, 5), ipv4(8, 8, 8, 8), ipv4(100, 64, 0, 1), ipv4(127, 0, 0, 1)})
	server := pick(h, gatewayInside)
	if h.chance(20) {
		server = ipv4(192, 0, 2, 99)
	}
	source, destination := g.ends(1, toward, caller, server)
	if !toward {
		source, destination = destination, source
	}
	p := ipPacket{source: source.Addr(), destination: destination.Addr(), protocol: 6, ttl: 64, tos: byte(h.random.IntN(256)),
		payload: g.segment(source, destination)}
	if h.chance(15) {
		p.options = h.ipOptions()
	}
	if h.chance(20) {
		p.fragment = pick(h, []uint16{0x2000, 0x0001, 0x4000})
	}
	if h.chance(30) {
		p.protocol = 17
	}
	return g.damage(p.bytes(), 20)
}

// damage cuts a packet, spoils its TCP header's length, or puts bytes behind it.
func (g *Gateway) damage(packet []byte, header int) []byte {
	h := g.host
	switch h.random.IntN(30) {
	case 0:
		return packet[:header+h.random.IntN(len(packet)-header)]
	case 1:
		packet[len(packet)-1-h.random.IntN(len(packet)-header)] ^= byte(1 + h.random.IntN(255))
	case 2:
		return append(packet, make([]byte, 1+h.random.IntN(8))...)
	}
	return packet
}

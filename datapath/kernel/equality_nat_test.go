//go:build linux

package kernel

import (
	"net/netip"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"postern/model"
	"postern/pipeline"
	"postern/plan"
	"postern/wire"
)

var (
	natHost    = model.MustLocator("fd00:1:1:100::/56")
	natEdge    = model.MustLocator("fd00:1:1:300::/56")
	natVM      = netip.MustParseAddr("10.1.0.4")
	natOutside = netip.MustParseAddr("198.51.100.7")
)

// natPlan is a host with one NIC that may reach, and be reached by, the whole Internet.
func natPlan(number uint32, gateway bool) plan.Node {
	return plan.Node{Node: "host", Role: model.RoleHost, Locator: natHost, FabricMTU: 1600, Host: &plan.Host{
		Egress: natEdge,
		NICs: []plan.NIC{{Number: number, VNet: 1, Subnet: model.FirstSubnetIdentity, IPv4: natVM, MAC: model.MAC{2, 0, 0, 0, 0, 1},
			Outbound: true, NATGateway: gateway, Routes: "0000000000000001"}},
		Routes: map[plan.Ref][]plan.Route{"0000000000000001": {{Prefix: netip.MustParsePrefix("0.0.0.0/0"), Hop: plan.Hop{Type: model.NextHopInternet}}}},
	}}
}

// natPacket is an IPv4 packet between the VM and the outsider, without its Ethernet header.
func natPacket(t *testing.T, fromVM bool, inside ...gopacket.SerializableLayer) []byte {
	t.Helper()
	ip := &layers.IPv4{Version: 4, TTL: 64, SrcIP: natOutside.AsSlice(), DstIP: natVM.AsSlice()}
	if fromVM {
		ip.SrcIP, ip.DstIP = ip.DstIP, ip.SrcIP
	}
	for _, layer := range inside {
		switch layer := layer.(type) {
		case *layers.TCP:
			ip.Protocol = layers.IPProtocolTCP
			layer.SetNetworkLayerForChecksum(ip)
		case *layers.UDP:
			ip.Protocol = layers.IPProtocolUDP
			layer.SetNetworkLayerForChecksum(ip)
		case *layers.ICMPv4:
			ip.Protocol = layers.IPProtocolICMPv4
		}
	}
	buffer := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(buffer, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true},
		append([]gopacket.SerializableLayer{ip}, inside...)...); err != nil {
		t.Fatal(err)
	}
	return buffer.Bytes()
}

// Who opened a flow, and when, says whether it takes the NAT gateway: the programs and the pipeline agree on every step (OUT-1).
func TestEqualityNATGateway(t *testing.T) {
	w := newTwins(t)
	tcp := func(local, remote uint16, flags string) *layers.TCP {
		header := &layers.TCP{SrcPort: layers.TCPPort(local), DstPort: layers.TCPPort(remote), Seq: 5, Ack: 9, Window: 100}
		for _, flag := range flags {
			switch flag {
			case 'S':
				header.SYN = true
			case 'A':
				header.ACK = true
			case 'R':
				header.RST = true
			}
		}
		return header
	}
	udp := func(local, remote uint16) *layers.UDP {
		return &layers.UDP{SrcPort: layers.UDPPort(local), DstPort: layers.UDPPort(remote)}
	}
	type step struct {
		plan   string // "with", "without" the gateway: applied; "": a packet
		fromVM bool
		ip     []byte
		want   model.Reason
	}
	with, without := step{plan: "with"}, step{plan: "without"}
	sent := func(want model.Reason, inside ...gopacket.SerializableLayer) step {
		return step{fromVM: true, ip: natPacket(t, true, inside...), want: want}
	}
	received := func(inside ...gopacket.SerializableLayer) step {
		return step{ip: natPacket(t, false, inside...), want: model.ReasonDelivered}
	}
	// about is an ICMP error of the VM about a packet that came to it.
	about := func(inside gopacket.SerializableLayer) []gopacket.SerializableLayer {
		return []gopacket.SerializableLayer{&layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(3, 3)},
			gopacket.Payload(natPacket(t, false, inside))}
	}
	// fragments are two of one UDP datagram.
	fragments := func(want model.Reason, local, remote uint16) []step {
		whole := natPacket(t, true, udp(local, remote), gopacket.Payload(make([]byte, 40)))
		first, later := append([]byte{}, whole[:20+24]...), append(append([]byte{}, whole[:20]...), whole[20+24:]...)
		first[6], later[7] = 0x20, 3
		for _, fragment := range [][]byte{first, later} {
			fragment[2], fragment[3], fragment[4] = 0, byte(len(fragment)), byte(local)
			fragment[10], fragment[11] = 0, 0 // nobody looks at an IPv4 checksum
		}
		return []step{{fromVM: true, ip: first, want: want}, {fromVM: true, ip: later, want: want}}
	}
	const byGateway, direct = model.ReasonNATGateway, model.ReasonInternet
	// No subtests: they would run outside the thread, and so the network namespace, of the driver.
	for name, steps := range map[string][]step{
		"OUT-1 the VM opens":             {with, sent(byGateway, tcp(1, 80, "S")), received(tcp(80, 1, "SA")), sent(byGateway, tcp(1, 80, "A"))},
		"OUT-1 the Internet opens":       {with, received(tcp(4000, 22, "S")), sent(direct, tcp(22, 4000, "SA")), sent(direct, tcp(22, 4000, "A"))},
		"OUT-1 UDP both ways":            {with, sent(byGateway, udp(1, 53)), received(udp(4000, 53)), sent(direct, udp(53, 4000))},
		"OUT-1 the gateway comes":        {without, sent(direct, tcp(1, 80, "S")), with, sent(direct, tcp(1, 80, "A")), sent(byGateway, tcp(2, 80, "S"))},
		"OUT-1 the gateway goes":         {with, sent(byGateway, tcp(1, 80, "S")), without, sent(model.ReasonPathChanged, tcp(1, 80, "A")), sent(direct, tcp(1, 80, "S"))},
		"OUT-1 a reset when it has gone": {with, sent(byGateway, tcp(1, 80, "S")), without, sent(model.ReasonPathChanged, tcp(1, 80, "R"))},
		"OUT-1 UDP when it has gone":     {with, sent(byGateway, udp(1, 53)), without, sent(direct, udp(1, 53)), with, sent(byGateway, udp(1, 53))},
		"OUT-1 errors": {with, received(tcp(4000, 22, "S")), sent(direct, about(tcp(4000, 22, "A"))...),
			sent(byGateway, tcp(1, 80, "S")), sent(byGateway, about(tcp(80, 1, "A"))...)},
		"OUT-1 fragments": append(append([]step{with, received(udp(4000, 53))}, fragments(direct, 53, 4000)...), fragments(byGateway, 54, 4000)...),
	} {
		started := time.Now()
		host := pipeline.NewHost(func() int64 { return time.Since(started).Nanoseconds() })
		number := w.nextNIC
		w.nextNIC++
		var before map[counterKey]uint64
		for i, s := range steps {
			if s.plan != "" {
				w.apply(t, host, natPlan(number, s.plan == "with"))
				before = w.counters(t)
				continue
			}
			var p pair
			if s.fromVM {
				frame := append(append(append([]byte{}, model.RouterMAC[:]...), 2, 0, 0, 0, 0, 1, 0x08, 0), s.ip...)
				p = w.fromVM(t, host, natPlan(number, false).Host.NICs[0], frame)
			} else {
				p = w.fromFabric(t, host, natFromEdge(s.ip))
			}
			after := w.counters(t)
			p.reason, p.nic = increment(before, after)
			before = after
			if problem := p.differ(); problem != "" || p.want.Verdict.Reason != s.want {
				t.Errorf("%s: step %d: %s; pipeline %v, kernel %v, want %v\n%s", name, i, problem, p.want.Verdict.Reason, p.reason, s.want, dump(p.sent))
				break
			}
		}
	}
}

// natFromEdge is an IPv4 packet as the edge sends it to the VM.
func natFromEdge(ip []byte) []byte {
	source := wire.Parts{Locator: natEdge, Function: model.FunctionInternetEgress, IPv4: natOutside}.Address().As16()
	destination := wire.Parts{Locator: natHost, Identity: model.FirstSubnetIdentity, IPv4: natVM}.Address().As16()
	packet := append([]byte{0x60, 0, 0, 0, 0, byte(len(ip)), 4, 64}, source[:]...)
	return append(append(packet, destination[:]...), ip...)
}

package pipeline

import (
	"net/netip"
	"testing"

	"postern/model"
	"postern/plan"
)

// TestMartian asks about the first and the last address of each private range, and about their neighbours outside.
func TestMartian(t *testing.T) {
	for _, text := range []string{"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16",
		"172.16.0.0/12", "192.168.0.0/16", "224.0.0.0/3"} {
		p := netip.MustParsePrefix(text)
		first, last := p.Addr().As4(), p.Addr().As4()
		for bit := p.Bits(); bit < 32; bit++ {
			last[bit/8] |= 0x80 >> (bit % 8)
		}
		for _, inside := range [][4]byte{first, last} {
			if !martian(inside) {
				t.Errorf("%v of %s passes", inside, text)
			}
		}
		for _, outside := range []netip.Addr{netip.AddrFrom4(first).Prev(), netip.AddrFrom4(last).Next()} {
			if outside.IsValid() && martian(outside.As4()) {
				t.Errorf("%v outside %s is refused", outside, text)
			}
		}
	}
}

// TestEdgeNATPlan refuses plans whose NAT gateways do not fit together.
func TestEdgeNATPlan(t *testing.T) {
	address := netip.MustParseAddr("52.1.1.40")
	for name, change := range map[string]func(*plan.Edge){
		"a NAT gateway that is not there":   func(e *plan.Edge) { e.NICs[0].NATGateway, e.NICs[0].NATAddress = "other", address },
		"an address that it does not have":  func(e *plan.Edge) { e.NICs[0].NATGateway, e.NICs[0].NATAddress = "nat", address.Next() },
		"a NAT gateway without any address": func(e *plan.Edge) { e.NICs[0].NATGateway = "nat" },
	} {
		t.Run(name, func(t *testing.T) {
			node := edgePlan()
			node.Edge.NATGateways = map[plan.Ref]plan.NATGateway{"nat": {ID: "nat", Addresses: []netip.Addr{address}}}
			change(node.Edge)
			if err := NewEdge().Apply(node); err == nil {
				t.Error("the plan is taken")
			}
		})
	}
}

// TestEdgeTooBig says about what no ICMP error is sent.
func TestEdgeTooBig(t *testing.T) {
	w := newWorld(t)
	big := make([]byte, 1600)
	later := datagram4{source: outsider, destination: publicApp, protocol: 17, fragment: 0x4003, layer4: big, partial: true}.build()
	want(t, w.edge.ToFabric(later, w.out), model.Drop, model.ReasonTooBig)
	report := with(icmp(outsider, publicApp, 3, 3, 0, big), 6, 0x40)
	want(t, w.edge.ToFabric(report, w.out), model.Drop, model.ReasonTooBig)
	request := tcpData(outsider, publicApp, 1, 80, 1521)
	answer := mustCheck(t, want(t, w.edge.ToFabric(request, w.out), model.Reply, model.ReasonTooBig).Data)
	if answer.Source() != ip4(publicApp) || answer.Destination() != ip4(outsider) || answer.Payload()[6] != 1560>>8 || answer.Payload()[7] != 1560&0xff {
		t.Fatalf("%x", answer)
	}
}

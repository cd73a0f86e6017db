package pipeline

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"

	"postern/model"
	"postern/packet"
	"postern/plan"
)

// gatewayReasons are those that a gateway alone gives.
var gatewayReasons = []model.Reason{model.ReasonOwnAddress, model.ReasonNetworkRules, model.ReasonPortClosed, model.ReasonNoBackend,
	model.ReasonNoConnection, model.ReasonRevoked, model.ReasonConnectionsFull, model.ReasonPortTaken}

const (
	identityOwn = model.Identity(70)
	ownVIP      = "192.0.2.65"
)

var (
	appCaller   = fabric(locatorA, model.FunctionNIC, subnetApp, vmApp)
	otherCaller = fabric(locatorA, model.FunctionNIC, subnetAppliance, vmAppliance)
	ownService  = fabric(locatorService, model.FunctionService, identityOwn, ownVIP)
)

// ownPlan lets subnetApp and one public address in, at ports 6379 (its backend has 7000), 6380 (the same backend), 7000
// (where the backend itself is), 6381 (no backend) and 6382 (a backend elsewhere).
func ownPlan(subnets ...model.Identity) plan.Direct {
	who := plan.Callers{Subnets: subnets, Origins: []plan.Origin{{Prefix: prefix("0.0.0.0/0")}, {Prefix: prefix("93.184.216.34/32"), May: true}}}
	at := func(port uint16, backends ...string) plan.DirectPort {
		one := plan.DirectPort{Address: netip.MustParseAddr(ownVIP), Port: port, Service: identityOwn, Callers: "c"}
		for _, backend := range backends {
			one.Backends = append(one.Backends, plan.DirectBackend{Server: netip.MustParseAddrPort(backend), Weight: 1})
		}
		return one
	}
	return plan.Direct{ServiceLocator: locatorService, PlatformLocator: locatorPlatform, Addresses: []netip.Addr{netip.MustParseAddr(ownVIP)},
		ServicePorts: []uint16{80, 443}, PlatformPorts: []uint16{53, 80}, Callers: map[plan.Ref]plan.Callers{"c": who},
		Ports: []plan.DirectPort{at(6379, "[::1]:7000"), at(6380, "[::1]:7000"), at(7000, "[::1]:7000"), at(6381), at(6382, "[fd00:9::1]:5000")}}
}

// gatewayWorld is a gateway with a plan.
type gatewayWorld struct {
	*Gateway
	now int64
	out []byte
}

func newGatewayWorld(t *testing.T, limit int) *gatewayWorld {
	t.Helper()
	w := &gatewayWorld{out: make([]byte, 4096)}
	w.Gateway = NewGateway(func() int64 { w.now++; return w.now }, limit)
	if err := w.Apply(ownPlan(subnetApp)); err != nil {
		t.Fatal(err)
	}
	return w
}

// call sends a segment from a caller, and answer one from a server.
func (w *gatewayWorld) call(caller [16]byte, from, to uint16, flags byte) Result {
	return kept(w.FromFabric(ip6(caller, ownService, 6, tcpSegment(from, to, flags, nil, nil)), w.out))
}

func (w *gatewayWorld) answer(server, caller [16]byte, from, to uint16, flags byte) Result {
	return kept(w.ToFabric(ip6(server, caller, 6, tcpSegment(from, to, flags, nil, nil)), w.out))
}

func TestGatewayReasons(t *testing.T) {
	given, judged := map[model.Reason]bool{}, 0
	cases := []struct {
		name   string
		judge  func(t *testing.T, w *gatewayWorld) Result
		action model.Action
		reason model.Reason
	}{
		{"FW-6 a subnet of the rules", func(_ *testing.T, w *gatewayWorld) Result { return w.call(appCaller, 40000, 6379, syn) }, model.Deliver, model.ReasonOwnAddress},
		{"FW-6 another subnet", func(_ *testing.T, w *gatewayWorld) Result { return w.call(otherCaller, 40000, 6379, syn) }, model.Reply, model.ReasonNetworkRules},
		{"FW-3 no NIC", func(_ *testing.T, w *gatewayWorld) Result {
			return w.call(fabric(locatorA, model.FunctionInternetEgress, subnetApp, vmApp), 40000, 6379, syn)
		}, model.Reply, model.ReasonNetworkRules},
		{"SE-13 by another service's endpoint", func(_ *testing.T, w *gatewayWorld) Result {
			other := fabric(locatorService, model.FunctionService, identityStorage, ownVIP)
			return kept(w.FromFabric(ip6(appCaller, other, 6, tcpSegment(40000, 6379, syn, nil, nil)), w.out))
		}, model.Reply, model.ReasonNetworkRules},
		{"SE-13 a fabric address that says it is an Internet one", func(_ *testing.T, w *gatewayWorld) Result {
			return w.call(mapped(netip.MustParseAddr(outsider).As4()), 40000, 6379, syn)
		}, model.Reply, model.ReasonNetworkRules},
		{"FW-4 an address of the Internet", func(_ *testing.T, w *gatewayWorld) Result {
			return kept(w.FromInternet(tcp(outsider, ownVIP, 40000, 6379, syn), w.out))
		}, model.Deliver, model.ReasonOwnAddress},
		{"FW-4 another", func(_ *testing.T, w *gatewayWorld) Result {
			return kept(w.FromInternet(tcp("93.184.216.35", ownVIP, 40000, 6379, syn), w.out))
		}, model.Reply, model.ReasonNetworkRules},
		{"a port that sockets serve", func(_ *testing.T, w *gatewayWorld) Result { return w.call(otherCaller, 40000, 443, syn) }, model.Pass, model.ReasonNotOurs},
		{"a port that nobody serves", func(_ *testing.T, w *gatewayWorld) Result { return w.call(appCaller, 40000, 22, syn) }, model.Reply, model.ReasonPortClosed},
		{"the backend's port, by the platform's address", func(_ *testing.T, w *gatewayWorld) Result {
			to := fabric(locatorPlatform, model.FunctionPlatform, model.IdentityPlatform, dns)
			return kept(w.FromFabric(ip6(appCaller, to, 6, tcpSegment(40000, 7000, syn, nil, nil)), w.out))
		}, model.Reply, model.ReasonPortClosed},
		{"no backend", func(_ *testing.T, w *gatewayWorld) Result { return w.call(appCaller, 40000, 6381, syn) }, model.Reply, model.ReasonNoBackend},
		{"IPv4 to a backend elsewhere", func(_ *testing.T, w *gatewayWorld) Result {
			return kept(w.FromInternet(tcp(outsider, ownVIP, 40000, 6382, syn), w.out))
		}, model.Reply, model.ReasonNoBackend},
		{"no beginning", func(_ *testing.T, w *gatewayWorld) Result { return w.call(appCaller, 40000, 6379, ack) }, model.Reply, model.ReasonNoConnection},
		{"a reset of nothing is not answered", func(_ *testing.T, w *gatewayWorld) Result { return w.call(appCaller, 40000, 6379, rst) }, model.Drop, model.ReasonNoConnection},
		{"the answer of a server that nobody called", func(_ *testing.T, w *gatewayWorld) Result {
			return w.answer(ownService, appCaller, 7000, 40000, syn|ack)
		}, model.Drop, model.ReasonNoConnection},
		{"what a socket sends", func(_ *testing.T, w *gatewayWorld) Result { return w.answer(ownService, otherCaller, 443, 40000, ack) }, model.Pass, model.ReasonNotOurs},
		{"the backend's answer", func(_ *testing.T, w *gatewayWorld) Result {
			w.call(appCaller, 40000, 6379, syn)
			return w.answer(ownService, appCaller, 7000, 40000, syn|ack)
		}, model.ToFabric, model.ReasonOwnAddress},
		{"FW-1 revoked: the caller is answered", func(t *testing.T, w *gatewayWorld) Result {
			w.call(appCaller, 40000, 6379, syn)
			w.apply(t, ownPlan())
			return w.call(appCaller, 40000, 6379, ack)
		}, model.Reply, model.ReasonRevoked},
		{"FW-1 revoked: the server is answered", func(t *testing.T, w *gatewayWorld) Result {
			w.call(appCaller, 40000, 6379, syn)
			w.apply(t, ownPlan())
			return w.answer(ownService, appCaller, 7000, 40000, ack)
		}, model.Reply, model.ReasonRevoked},
		{"another plan that still admits", func(t *testing.T, w *gatewayWorld) Result {
			w.call(appCaller, 40000, 6379, syn)
			w.apply(t, ownPlan(subnetApp, subnetAppliance))
			return w.call(appCaller, 40000, 6379, ack)
		}, model.Deliver, model.ReasonOwnAddress},
		{"after a revocation the ports may be used again", func(t *testing.T, w *gatewayWorld) Result {
			w.call(appCaller, 40000, 6379, syn)
			w.apply(t, ownPlan())
			w.apply(t, ownPlan(subnetApp))
			return w.call(appCaller, 40000, 6379, syn)
		}, model.Deliver, model.ReasonOwnAddress},
		{"one too many", func(_ *testing.T, w *gatewayWorld) Result {
			w.call(appCaller, 40000, 6379, syn)
			w.call(appCaller, 40001, 6379, syn)
			return w.call(appCaller, 40002, 6379, syn)
		}, model.Reply, model.ReasonConnectionsFull},
		{"the same server by two addresses, from one port", func(_ *testing.T, w *gatewayWorld) Result {
			w.call(appCaller, 40000, 6379, syn)
			return w.call(appCaller, 40000, 6380, syn)
		}, model.Reply, model.ReasonPortTaken},
		{"the same server by its own port", func(_ *testing.T, w *gatewayWorld) Result {
			w.call(appCaller, 40000, 6379, syn)
			return w.call(appCaller, 40000, 7000, syn)
		}, model.Reply, model.ReasonPortTaken},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			w := newGatewayWorld(t, 2)
			r := c.judge(t, w)
			given[r.Verdict.Reason], judged = true, judged+1
			want(t, r, c.action, c.reason)
			if r.Data != nil {
				mustBeTCP(t, r.Data)
			}
		})
	}
	for _, reason := range gatewayReasons {
		if judged == len(cases) && !given[reason] {
			t.Errorf("no case gives %v", reason)
		}
	}
}

func (w *gatewayWorld) apply(t *testing.T, wanted plan.Direct) {
	t.Helper()
	if err := w.Apply(wanted); err != nil {
		t.Fatal(err)
	}
}

// mustBeTCP checks that a packet is whole and that its checksum is right.
func mustBeTCP(t *testing.T, ip []byte) {
	t.Helper()
	addresses, layer4 := ip[8:40], ip[40:]
	if ip[0]>>4 == 4 {
		addresses, layer4 = ip[12:20], packet.IPv4(ip).Payload()
	}
	if sum := packet.Checksum(packet.Add(packet.PseudoHeader(addresses, model.ProtocolTCP, len(layer4)), layer4)); sum != 0 {
		t.Errorf("the TCP checksum is wrong by %#x", sum)
	}
}

// A connection's packets are brought to the backend's port and back, as they are otherwise; and it is remembered.
func TestGatewayConnection(t *testing.T) {
	w := newGatewayWorld(t, 0)
	opened := w.call(appCaller, 40000, 6379, syn)
	if source, destination := packet.Ports(opened.Data[40:]); source != 40000 || destination != 7000 {
		t.Errorf("the backend gets a segment from %d to %d", source, destination)
	}
	if !bytes.Equal(opened.Data[8:24], appCaller[:]) || !bytes.Equal(opened.Data[24:40], ownService[:]) {
		t.Error("the backend sees other addresses")
	}
	back := w.answer(ownService, appCaller, 7000, 40000, syn|ack)
	if source, _ := packet.Ports(back.Data[40:]); source != 6379 {
		t.Errorf("the caller is answered from port %d", source)
	}
	w.FromFabric(at(ip6(appCaller, ownService, 6, tcpSegment(40000, 6379, ack, nil, make([]byte, 100))), 1001), w.out) // behind the SYN
	got := w.Connections()
	if len(got) != 1 || got[0].Received != 100 || got[0].CallerNext != 1101 || got[0].ServerNext != 1001 || got[0].Over {
		t.Errorf("got %+v", got)
	}
	w.call(appCaller, 40000, 6379, rst)
	if got := w.Connections(); got[0].Over {
		t.Errorf("a reset that the server does not take: got %+v", got)
	}
	w.FromFabric(at(ip6(appCaller, ownService, 6, tcpSegment(40000, 6379, ack|fin, nil, nil)), 1101), w.out)
	w.ToFabric(at(ip6(ownService, appCaller, 6, tcpSegment(7000, 40000, ack|fin, nil, nil)), 1001), w.out)
	if got := w.Connections(); !got[0].Over {
		t.Errorf("got %+v", got)
	}
	if again := w.call(appCaller, 40000, 6379, syn); again.Verdict.Reason != model.ReasonOwnAddress || w.Connections()[0].Over {
		t.Errorf("the ports are not used again: %v", again.Verdict)
	}
}

// at is an IPv6 packet with another sequence number.
func at(ip []byte, sequence uint32) []byte {
	binary.BigEndian.PutUint32(ip[44:], sequence)
	return ip
}

// Connections go to the backends by their weights.
func TestGatewayWeights(t *testing.T) {
	wanted := ownPlan(subnetApp)
	wanted.Ports[0].Backends = []plan.DirectBackend{
		{Server: netip.MustParseAddrPort("[::1]:7001"), Weight: 3}, {Server: netip.MustParseAddrPort("[::1]:7002"), Weight: 1}}
	w := newGatewayWorld(t, 0)
	w.apply(t, wanted)
	const calls = 4000
	taken := map[uint16]int{}
	for from := range uint16(calls) {
		_, to := packet.Ports(w.call(appCaller, 20000+from, 6379, syn).Data[40:])
		taken[to]++
	}
	if taken[7001]+taken[7002] != calls || taken[7001] < calls*2/3 || taken[7001] > calls*5/6 {
		t.Errorf("got %v, want 3 to 1", taken)
	}
}

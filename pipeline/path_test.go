package pipeline

import (
	"testing"

	"postern/model"
)

// path is one way through the pipeline, for the tests of allocation and for the benchmarks.
type path struct {
	name   string
	judge  func(out []byte) Result
	action model.Action
	reason model.Reason
}

func paths(t testing.TB) []path {
	w := newWorld(t)
	w.send(1, toStorage)
	w.send(1, udp(vmApp, storage, 80, 40000))
	w.send(1, toNeighbour)
	fromVM := func(nic uint32, ip []byte) func([]byte) Result {
		frame := frameFrom(macOf(nic), 0x0800, ip)
		return func(out []byte) Result { return w.a.FromVM(nic, frame, out) }
	}
	fromFabric := func(ip []byte) func([]byte) Result {
		return func(out []byte) Result { return w.a.FromFabric(ip, out) }
	}
	withMSS := func(destination string) []byte {
		return datagram4{source: vmApp, destination: destination, protocol: 6,
			layer4: tcpSegment(40000, 443, syn, []byte{2, 4, 0x23, 0x28}, nil)}.build()
	}
	w.send(1, udpFragment(vmApp, storage, 7, 0x2000, firstPart))
	arp, edgeIn := arpFrame(vmApp, "10.1.0.1", 1), egress(model.FunctionInternetEgress, tcpData(vmApp, outsider, 1, 2, 1400))
	fromInternet, big := tcpData(outsider, publicApp, 1, 80, 1400), tcpData(outsider, publicApp, 1, 80, 1600)
	w.planA.Host.NICs[1].NATGateway = true
	w.apply(t)
	return []path{
		{"encapsulate", fromVM(1, tcpData(vmApp, vmNeighbour, 40000, 80, 1400)), model.ToFabric, model.ReasonVirtualNetwork},
		{"internet", fromVM(1, tcpData(vmApp, outsider, 40000, 80, 1400)), model.ToFabric, model.ReasonInternet},
		{"by a NAT gateway", fromVM(2, tcpData(vmAppliance, outsider, 40000, 80, 1400)), model.ToFabric, model.ReasonNATGateway},
		{"translate", fromVM(1, tcpData(vmApp, storage, 40000, 443, 1400)), model.ToFabric, model.ReasonServiceEndpoint},
		{"translate an ICMP echo", fromVM(1, ping(vmApp, dns)), model.ToFabric, model.ReasonPlatform},
		{"MSS, encapsulated", fromVM(1, withMSS(vmNeighbour)), model.ToFabric, model.ReasonVirtualNetwork},
		{"MSS, translated", fromVM(1, withMSS(storage)), model.ToFabric, model.ReasonServiceEndpoint},
		{"first fragment", fromVM(1, udpFragment(vmApp, storage, 8, 0x2000, firstPart)), model.ToFabric, model.ReasonServiceEndpoint},
		{"later fragment", fromVM(1, udpFragment(vmApp, storage, 7, 3, firstPart)), model.ToFabric, model.ReasonServiceEndpoint},
		{"drop by rule", fromVM(1, tcp(vmApp, outsider, 1, 25, syn)), model.Drop, model.ReasonSecurityGroup},
		{"drop by source", fromVM(1, tcp("10.1.0.9", outsider, 1, 25, syn)), model.Drop, model.ReasonSourceAddress},
		{"ICMP error out", fromVM(1, icmp(vmApp, vmNeighbour, 3, 3, 0, tcp(vmNeighbour, vmApp, 80, 40000, ack)[:28])), model.ToFabric, model.ReasonVirtualNetwork},
		{"reset", fromVM(5, tcp(vmPrivate, rogueStorage, 1, 2, syn)), model.Reply, model.ReasonEndpointPolicy},
		{"too big", fromVM(1, tcpData(vmApp, vmNeighbour, 40000, 80, 2000)), model.Reply, model.ReasonTooBig},
		{"ARP", func(out []byte) Result { return w.a.FromVM(1, arp, out) }, model.Reply, model.ReasonARP},
		{"deliver, encapsulated", fromFabric(tunnelled(tcpData(vmNeighbour, vmApp, 80, 40000, 1400))), model.Deliver, model.ReasonDelivered},
		{"deliver, translated", fromFabric(fromStorage(6, tcpSegment(443, 40000, ack, nil, make([]byte, 1400)))), model.Deliver, model.ReasonDelivered},
		{"deliver a fragment", fromFabric(fromStorage(44, fragment6(17, 0, true, 1, firstPart))), model.Deliver, model.ReasonDelivered},
		{"deliver a tunnel's PMTU", fromFabric(ip6(fabricNode, appAddress, 58, icmpMessage(2, 0, 1400, quoteOfTunnel(appAddress, toNeighbour)))), model.Deliver, model.ReasonDelivered},
		{"deliver a service's error", fromFabric(ip6(fabricNode, appAddress, 58, icmpMessage(1, 0, 0, ip6(appAddress, fabric(locatorService, 2, identityStorage, storage), 6, tcpSegment(40000, 443, syn, nil, nil))))), model.Deliver, model.ReasonDelivered},
		{"unsolicited", fromFabric(fromStorage(6, tcpSegment(443, 9, syn, nil, nil))), model.Drop, model.ReasonUnsolicited},
		{"edge to the Internet", func(out []byte) Result { return w.edge.FromFabric(edgeIn, out) }, model.ToInternet, model.ReasonInternet},
		{"edge from the Internet", func(out []byte) Result { return w.edge.ToFabric(fromInternet, out) }, model.ToFabric, model.ReasonInternet},
		{"edge too big", func(out []byte) Result { return w.edge.ToFabric(big, out) }, model.Reply, model.ReasonTooBig},
	}
}

func TestNoAllocations(t *testing.T) {
	out := make([]byte, 0, 4096)
	for _, p := range paths(t) {
		t.Run(p.name, func(t *testing.T) {
			want(t, p.judge(out), p.action, p.reason)
			if allocations := testing.AllocsPerRun(200, func() { p.judge(out) }); allocations != 0 {
				t.Fatalf("%v allocations a packet", allocations)
			}
		})
	}
	t.Run("new flows in a full table", func(t *testing.T) {
		table := newFlowTable(1024, 4)
		next := 0
		send := func() { next++; table.send(numberedKey(next), 0, passage{}, 0) }
		for range 4096 {
			send()
		}
		if allocations := testing.AllocsPerRun(1000, send); allocations != 0 {
			t.Fatalf("%v allocations a flow", allocations)
		}
	})
}

func BenchmarkPath(b *testing.B) {
	out := make([]byte, 0, 4096)
	for _, p := range paths(b) {
		b.Run(p.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				p.judge(out)
			}
		})
	}
}

func BenchmarkNewFlow(b *testing.B) {
	table := newFlowTable(maxFlows, 64)
	next := 0
	for b.Loop() {
		next++
		table.send(numberedKey(next&0xffffff), int64(next), passage{}, 0)
	}
}

package pipeline

import (
	"bytes"
	"testing"

	"postern/model"
)

// fuzzPackets are frames and fabric packets of every kind: seeds of the fuzzers, questions to explain.
func fuzzPackets() [][]byte {
	frames := [][]byte{
		toNeighbour, toStorage, udp(vmApp, dns, 1, 53), ping(vmApp, dns), ping(vmApp, outsider), other(vmApp, outsider, 47),
		tcp(vmApp, outsider, 1, 25, syn), tcp(vmPrivate, rogueStorage, 1, 2, syn), tcp(vmPrivate, metadata, 1, 80, syn),
		tcp(vmApp, sqlServer, 1, 2, syn), tcp(vmApp, "203.0.113.9", 1, 2, syn), tcp(vmApp, "198.51.100.130", 1, 2, syn),
		tcpData(vmApp, storage, 40000, 443, 1600), tcp(vmApp, storage, 40000, 443, fin|ack), tcp("10.1.0.9", storage, 1, 2, syn),
		udpFragment(vmApp, storage, 1, 3, firstPart), tcp(vmRouteless, outsider, 1, 2, syn),
		icmp(vmApp, vmNeighbour, 3, 3, 0, tcp(vmNeighbour, vmApp, 80, 40000, ack)[:28]),
		icmp(vmApp, storage, 11, 0, 0, tcp(storage, vmApp, 443, 40000, ack)[:28]),
		datagram4{source: vmApp, destination: storage, protocol: 6, options: options(131, 7, 4), layer4: tcpSegment(1, 2, syn, []byte{2, 4, 0x23, 0x28}, nil)}.build(),
	}
	var all [][]byte
	for _, ip := range frames {
		all = append(all, frameFrom(macOf(1), 0x0800, ip))
	}
	all = append(all, arpFrame(vmApp, "10.1.0.1", 1), frameFrom(macOf(1), 0x86dd, toNeighbour), frameFrom(macOf(5), 0x0800, tcp(vmPrivate, rogueStorage, 1, 2, syn)), nil, []byte{0x60})
	service := fabric(locatorService, model.FunctionService, identityStorage, storage)
	return append(all,
		tunnelled(tcp(vmNeighbour, vmApp, 1, 80, syn)), tunnelled(tcp(outsider, vmApp, 1, 22, syn)),
		tunnelled(icmp("10.1.0.1", vmApp, 11, 0, 0, toNeighbour[:28])), tunnelled(udpFragment(vmNeighbour, vmApp, 1, 3, firstPart)),
		fromStorage(6, tcpSegment(443, 40000, ack, nil, nil)), fromStorage(6, tcpSegment(443, 1, syn, nil, nil)),
		fromStorage(44, fragment6(6, 0, false, 1, tcpSegment(443, 40000, ack, nil, nil))), fromStorage(44, fragment6(17, 24, false, 1, make([]byte, 16))),
		fromStorage(58, icmpMessage(129, 0, 7<<16, nil)), fromStorage(60, make([]byte, 16)),
		ip6(fabricNode, appAddress, 58, icmpMessage(2, 0, 1400, quoteOfTunnel(appAddress, toNeighbour))),
		ip6(service, appAddress, 58, icmpMessage(1, 4, 0, ip6(appAddress, service, 6, tcpSegment(40000, 443, syn, nil, nil)))),
		ip6(fabricNode, fabric(locatorA, model.FunctionAppliance, subnetAppliance, vmAppliance), 4, tcp(vmNeighbour, "203.0.113.9", 1, 80, syn)),
		egress(model.FunctionInternetEgress, tcp(vmApp, outsider, 1, 2, syn)), egress(model.FunctionRegionalEgress, udp(vmApp, sqlServer, 1, 2)),
	)
}

// fuzzWorld has a flow of each kind.
func fuzzWorld(t testing.TB) *world {
	w := newWorld(t)
	w.send(1, toStorage)
	w.send(1, toNeighbour)
	w.send(1, ping(vmApp, dns))
	w.send(1, udp(vmApp, storage, 1, 2))
	return w
}

func FuzzFromVM(f *testing.F) {
	for _, seed := range fuzzPackets() {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		if len(frame) > 65000 {
			return
		}
		w := fuzzWorld(t)
		kept := bytes.Clone(frame)
		for _, nic := range []uint32{1, 2, 5} {
			if len(frame) >= 12 {
				mac := macOf(nic)
				copy(frame[6:12], mac[:])
			}
			r := w.a.FromVM(nic, frame, w.out)
			mustSound(t, r, false)
			if r.Verdict.Action == model.Deliver || r.Verdict.Action == model.Pass || r.Verdict.Action == model.ToInternet {
				t.Fatalf("action %v", r.Verdict.Action)
			}
			// SE-13: what leaves is from the NIC's own address, whatever the frame says.
			if own := w.a.current.Load().nics[nic].fabricAddress; r.Verdict.Action == model.ToFabric && [16]byte(r.Data[8:24]) != own {
				t.Fatalf("left from %x", r.Data[8:24])
			}
			if len(frame) > 12 && !bytes.Equal(frame[12:], kept[12:]) {
				t.Fatal("the frame was written to")
			}
		}
	})
}

func FuzzFromFabric(f *testing.F) {
	for _, seed := range fuzzPackets() {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, ip []byte) {
		if len(ip) > 65000 {
			return
		}
		w := fuzzWorld(t)
		kept := bytes.Clone(ip)
		r := w.a.FromFabric(ip, w.out)
		mustSound(t, r, false)
		if r.Verdict.Action == model.ToFabric || r.Verdict.Action == model.Reply || r.Verdict.Action == model.ToInternet {
			t.Fatalf("action %v", r.Verdict.Action)
		}
		mustSound(t, w.edge.FromFabric(ip, w.out), true)
		mustSound(t, w.edge.ToFabric(ip, w.out), true)
		if !bytes.Equal(ip, kept) {
			t.Fatal("the packet was written to")
		}
	})
}

// FuzzGateway gives a gateway any packet on any of its ways: none makes it panic, and what comes out is whole.
func FuzzGateway(f *testing.F) {
	for way := range byte(4) {
		f.Add(way, ip6(appCaller, ownService, 6, tcpSegment(40000, 6379, syn, nil, nil)))
		f.Add(way, ip6(ownService, appCaller, 6, tcpSegment(7000, 40000, syn|ack, nil, nil)))
		f.Add(way, tcp(outsider, ownVIP, 40000, 6379, syn))
		f.Add(way, tcp(ownVIP, outsider, 7000, 40000, syn|ack))
	}
	f.Fuzz(func(t *testing.T, way byte, packet []byte) {
		gateway := NewGateway(func() int64 { return 1 }, 0)
		if err := gateway.Apply(ownPlan(subnetApp)); err != nil {
			t.Fatal(err)
		}
		out := make([]byte, len(packet)+Headroom)
		gateway.FromFabric(ip6(appCaller, ownService, 6, tcpSegment(40000, 6379, syn, nil, nil)), make([]byte, 256))
		judge := []func(packet, out []byte) Result{gateway.FromFabric, gateway.ToFabric, gateway.FromInternet, gateway.ToInternet}[way%4]
		r := judge(packet, out)
		switch r.Verdict.Action {
		case model.Drop, model.Pass:
			if r.Data != nil {
				t.Errorf("%v with %d bytes", r.Verdict.Action, len(r.Data))
			}
		case model.Reply:
			mustBeTCP(t, r.Data)
		default:
			if len(r.Data) == 0 || len(r.Data) > len(packet) || r.Verdict.Reason != model.ReasonOwnAddress {
				t.Errorf("%v, %v with %d bytes", r.Verdict.Action, r.Verdict.Reason, len(r.Data))
			}
		}
	})
}

package pipeline

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"postern/model"
	"postern/packet"
	"postern/plan"
	"postern/wire"
)

// Each story follows packets from one end to the other and back.

func partsAt(ip packet.IPv6, source bool) wire.Parts {
	address := ip.Destination()
	if source {
		address = ip.Source()
	}
	return wire.Parse(netip.AddrFrom16(address))
}

func parts(locator model.Locator, function model.Function, identity model.Identity, address string) wire.Parts {
	return wire.Parts{Locator: locator, Function: function, Identity: identity, IPv4: netip.MustParseAddr(address)}
}

func TestStoryNICToNIC(t *testing.T) {
	w := newWorld(t)
	request := tcp(vmApp, vmNeighbour, 40000, 80, syn)
	r := want(t, w.send(1, request), model.ToFabric, model.ReasonVirtualNetwork)
	outer := packet.IPv6(r.Data)
	if from := partsAt(outer, true); from != parts(locatorA, model.FunctionNIC, subnetApp, vmApp) {
		t.Fatalf("from %+v", from)
	}
	if to := partsAt(outer, false); to != parts(locatorB, model.FunctionNIC, subnetApp, vmNeighbour) {
		t.Fatalf("to %+v", to)
	}
	if outer.TrafficClass() != 0x28 || outer.HopLimit() != 64 || outer.NextHeader() != 4 || r.Data[1]&0x0f != 0 || r.Data[2]|r.Data[3] != 0 {
		t.Fatalf("outer header %x", r.Data[:40])
	}
	arrived := want(t, kept(w.b.FromFabric(r.Data, w.out)), model.Deliver, model.ReasonDelivered)
	if arrived.NIC != 3 || packet.Ethernet(arrived.Data).Destination() != macOf(3) || packet.Ethernet(arrived.Data).Source() != model.RouterMAC {
		t.Fatalf("delivered to NIC %d: %x", arrived.NIC, arrived.Data[:14])
	}
	if !bytes.Equal(arrived.Data[14:], request) {
		t.Fatal("encapsulation changed the packet")
	}
	answer := tcp(vmNeighbour, vmApp, 80, 40000, syn|ack)
	r = want(t, kept(w.b.FromVM(3, frameFrom(macOf(3), 0x0800, answer), w.out)), model.ToFabric, model.ReasonVirtualNetwork)
	arrived = want(t, w.receive(r.Data), model.Deliver, model.ReasonDelivered)
	if arrived.NIC != 1 || !bytes.Equal(arrived.Data[14:], answer) {
		t.Fatal("the answer is another packet")
	}
}

func TestStoryService(t *testing.T) {
	t.Run("SE-2 SE-7 SE-12 to the service and back", func(t *testing.T) {
		w := newWorld(t)
		r := want(t, w.send(5, tcp(vmPrivate, storage, 40000, 443, syn)), model.ToFabric, model.ReasonServiceEndpoint)
		ip := packet.IPv6(r.Data)
		if from := partsAt(ip, true); from != parts(locatorA, model.FunctionNIC, subnetPrivate, vmPrivate) {
			t.Fatalf("SE-2: the service sees %+v", from)
		}
		if to := partsAt(ip, false); to != parts(locatorService, model.FunctionService, identityStorage, storage) {
			t.Fatalf("to %+v", to)
		}
		if ip.NextHeader() != 6 || ip.HopLimit() != 63 || !layer4Sound(ip.Payload(), 6, r.Data[8:40]) {
			t.Fatalf("translated to %x", r.Data)
		}
		answer := ip6(ip.Destination(), ip.Source(), 6, tcpSegment(443, 40000, syn|ack, nil, nil))
		arrived := want(t, w.receive(answer), model.Deliver, model.ReasonDelivered)
		inner := mustCheck(t, arrived.Data[14:])
		if arrived.NIC != 5 || inner.Source() != ip4(storage) || inner.Destination() != ip4(vmPrivate) {
			t.Fatalf("delivered to NIC %d: %x", arrived.NIC, arrived.Data)
		}
	})
	t.Run("SE-7 a security group still applies", func(t *testing.T) {
		w := newWorld(t)
		want(t, w.send(1, tcp(vmApp, storage, 40000, 25, syn)), model.Drop, model.ReasonSecurityGroup)
	})
	t.Run("SE-6 UDP takes the endpoint, ICMP does not", func(t *testing.T) {
		w := newWorld(t)
		want(t, w.send(1, udp(vmApp, storage, 1, 443)), model.ToFabric, model.ReasonServiceEndpoint)
		want(t, w.send(1, ping(vmApp, storage)), model.ToFabric, model.ReasonInternet)
		want(t, w.send(1, other(vmApp, storage, 47)), model.ToFabric, model.ReasonInternet)
	})
	t.Run("SE-13 nobody else answers for a service by writing its address", func(t *testing.T) {
		w := newWorld(t)
		want(t, w.send(1, tcp(vmApp, storage, 40000, 443, syn)), model.ToFabric, model.ReasonServiceEndpoint)
		want(t, w.receive(tunnelled(tcp(storage, vmApp, 443, 40000, syn|ack))), model.Drop, model.ReasonUnsolicited)
	})
	t.Run("SE-14 a flow that the VM never answered has no service", func(t *testing.T) {
		w := newWorld(t)
		want(t, w.receive(tunnelled(tcp(storage, vmApp, 443, 80, syn))), model.Deliver, model.ReasonDelivered)
		nobody := ip6(fabric(locatorService, model.FunctionService, model.IdentityNone, storage), appAddress, 6, tcpSegment(443, 80, ack, nil, nil))
		want(t, w.receive(nobody), model.Drop, model.ReasonUnsolicited)
	})
	t.Run("SE-14 a service opens nothing, whatever rules say", func(t *testing.T) {
		w := newWorld(t)
		w.planA.Host.NICs[0].Incoming = [2]plan.Ref{}
		w.apply(t)
		want(t, w.receive(fromStorage(6, tcpSegment(443, 80, syn, nil, nil))), model.Drop, model.ReasonUnsolicited)
		want(t, w.receive(fromStorage(17, udpSegment(443, 80, nil))), model.Drop, model.ReasonUnsolicited)
	})
}

func TestStoryInternet(t *testing.T) {
	w := newWorld(t)
	r := want(t, w.send(1, tcp(vmApp, outsider, 40000, 80, syn)), model.ToFabric, model.ReasonInternet)
	left := want(t, kept(w.edge.FromFabric(r.Data, w.out)), model.ToInternet, model.ReasonInternet)
	ip := mustCheck(t, left.Data)
	if ip.Source() != ip4(publicApp) || ip.Destination() != ip4(outsider) || ip.TTL() != 63 {
		t.Fatalf("left as %x", left.Data)
	}
	back := want(t, kept(w.edge.ToFabric(tcp(outsider, publicApp, 80, 40000, syn|ack), w.out)), model.ToFabric, model.ReasonInternet)
	if from := partsAt(packet.IPv6(back.Data), true); from != parts(locatorEdge, model.FunctionInternetEgress, 0, outsider) {
		t.Fatalf("back from %+v", from)
	}
	arrived := want(t, w.receive(back.Data), model.Deliver, model.ReasonDelivered)
	if inner := mustCheck(t, arrived.Data[14:]); inner.Destination() != ip4(vmApp) || inner.Source() != ip4(outsider) {
		t.Fatalf("arrived as %x", arrived.Data)
	}
	t.Run("NSG-2 a stranger is not let in", func(t *testing.T) {
		stranger := kept(w.edge.ToFabric(tcp(outsider, publicApp, 80, 40001, syn), w.out))
		want(t, w.receive(stranger.Data), model.Drop, model.ReasonSecurityGroup)
	})
	t.Run("an ICMP error on the way is rewritten with what it quotes", func(t *testing.T) {
		router := kept(w.edge.ToFabric(icmp("62.0.0.1", publicApp, 11, 0, 0, left.Data[:28]), w.out))
		arrived := want(t, w.receive(router.Data), model.Deliver, model.ReasonDelivered)
		inner := mustCheck(t, arrived.Data[14:])
		quoted := packet.IPv4(inner.Payload()[8:])
		if quoted.Source() != ip4(vmApp) || quoted.Destination() != ip4(outsider) || slowChecksum(quoted[:20]) != 0 {
			t.Fatalf("quoted %x", quoted)
		}
	})
	t.Run("an ICMP error of the VM is rewritten with what it quotes", func(t *testing.T) {
		r := want(t, w.send(1, icmp(vmApp, outsider, 3, 3, 0, tcp(outsider, vmApp, 80, 40000, ack)[:28])), model.ToFabric, model.ReasonInternet)
		left := want(t, kept(w.edge.FromFabric(r.Data, w.out)), model.ToInternet, model.ReasonInternet)
		quoted := packet.IPv4(mustCheck(t, left.Data).Payload()[8:])
		if quoted.Destination() != ip4(publicApp) || slowChecksum(quoted[:20]) != 0 {
			t.Fatalf("quoted %x", quoted)
		}
	})
	t.Run("OUT-1 default outbound starts from the platform address", func(t *testing.T) {
		ip := egressOf(vmNeighbour, locatorB, tcp(vmNeighbour, outsider, 1, 2, syn), model.FunctionInternetEgress)
		left := want(t, kept(w.edge.FromFabric(ip, w.out)), model.ToInternet, model.ReasonInternet)
		if source := mustCheck(t, left.Data).Source(); source != ip4("25.0.0.2") {
			t.Fatalf("left from %v", source)
		}
	})
	t.Run("FW-5 a regional service sees the platform address, not the public one", func(t *testing.T) {
		r := want(t, w.send(1, tcp(vmApp, sqlServer, 40000, 1433, syn)), model.ToFabric, model.ReasonRegionalEgress)
		left := want(t, kept(w.edge.FromFabric(r.Data, w.out)), model.ToInternet, model.ReasonRegionalEgress)
		if source := mustCheck(t, left.Data).Source(); source != ip4(platformApp) {
			t.Fatalf("left from %v", source)
		}
	})
	t.Run("UDP and later fragments", func(t *testing.T) {
		zero := with(with(udp(vmApp, outsider, 1, 2), 26, 0), 27, 0)
		left := kept(w.edge.FromFabric(egress(model.FunctionInternetEgress, zero), w.out))
		if sum := left.Data[26:28]; sum[0]|sum[1] != 0 {
			t.Fatalf("a checksum of 0 became %x", sum)
		}
		mustCheck(t, kept(w.edge.FromFabric(egress(model.FunctionInternetEgress, udp(vmApp, outsider, 1, 2)), w.out)).Data)
		later := udpFragment(vmApp, outsider, 1, 3, firstPart)
		left = kept(w.edge.FromFabric(egress(model.FunctionInternetEgress, later), w.out))
		if !bytes.Equal(left.Data[20:], firstPart) {
			t.Fatal("a later fragment's data was changed")
		}
	})
}

// TestStoryNATGateway follows a connection that NIC 1, which has a public address, opens by a NAT gateway, and one to it.
func TestStoryNATGateway(t *testing.T) {
	w := newWorld(t)
	natted(t, w)
	r := want(t, w.send(1, toInternet), model.ToFabric, model.ReasonNATGateway)
	if to := partsAt(packet.IPv6(r.Data), false); to != parts(locatorEdge, model.FunctionNATEgress, 0, outsider) {
		t.Fatalf("OUT-1: to %+v", to)
	}
	left := want(t, nattedEdge(model.FunctionNATEgress)(w), model.ToInternet, model.ReasonNATGateway)
	if source := mustCheck(t, left.Data).Source(); source != ip4(platformApp) {
		t.Fatalf("OUT-1: left from %v, want the platform address, which the NAT takes on", source)
	}
	back := want(t, kept(w.edge.ToFabric(tcp(outsider, platformApp, 80, 40000, syn|ack), w.out)), model.ToFabric, model.ReasonInternet)
	want(t, w.receive(back.Data), model.Deliver, model.ReasonDelivered)
	want(t, w.send(1, tcp(vmApp, outsider, 40000, 80, ack)), model.ToFabric, model.ReasonNATGateway)

	fromInternet(t, w, tcp(outsider, publicApp, 4000, 80, syn))
	r = want(t, w.send(1, tcp(vmApp, outsider, 80, 4000, syn|ack)), model.ToFabric, model.ReasonInternet)
	left = want(t, kept(w.edge.FromFabric(r.Data, w.out)), model.ToInternet, model.ReasonInternet)
	if source := mustCheck(t, left.Data).Source(); source != ip4(publicApp) {
		t.Fatalf("OUT-1: the answer left from %v, want the public address", source)
	}
}

func egressOf(address string, locator model.Locator, ip []byte, function model.Function) []byte {
	return ip6(fabric(locator, model.FunctionNIC, subnetApp, address), fabric(locatorEdge, function, 0, outsider), 4, ip)
}

// mustReset fails unless a frame is the reset that a TCP packet of NIC 1 without data calls for.
func mustReset(t *testing.T, frame, request []byte) {
	t.Helper()
	if len(frame) != 54 {
		t.Fatalf("a reset of %d bytes", len(frame))
	}
	ip := mustCheck(t, frame[14:])
	asked := packet.IPv4(request)
	if ip.Source() != asked.Destination() || ip.Destination() != asked.Source() {
		t.Fatalf("a reset between %v and %v", ip.Source(), ip.Destination())
	}
	have, got := packet.TCP(asked.Payload()), packet.TCP(ip.Payload())
	wantFlags, sequence, acknowledgement := rst|ack, uint32(0), have.Sequence()+1 // of a SYN
	if have.Flags()&ack != 0 {
		wantFlags, sequence, acknowledgement = rst, have.Acknowledgement(), 0
	}
	if got.Flags() != wantFlags || got.Sequence() != sequence || got.Acknowledgement() != acknowledgement ||
		!bytes.Equal(got[0:2], have[2:4]) || !bytes.Equal(got[2:4], have[0:2]) {
		t.Fatalf("reset %x for %x", got, have)
	}
}

func TestStoryPathChange(t *testing.T) {
	for _, c := range []struct {
		name     string
		from, to uint64
	}{{"SE-3 the endpoint is enabled", 0, 1}, {"SE-3 the endpoint is disabled", 1, 0}} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			w.planA.Host.NICs[0].EnabledServices = c.from
			w.apply(t)
			before := w.send(1, toStorage).Verdict
			elsewhere := want(t, w.send(1, toNeighbour), model.ToFabric, model.ReasonVirtualNetwork)
			w.planA.Host.NICs[0].EnabledServices = c.to
			w.apply(t)
			data := tcp(vmApp, storage, 40000, 443, ack)
			mustReset(t, want(t, w.send(1, data), model.Reply, model.ReasonPathChanged).Data, data)
			if again := w.send(1, toStorage).Verdict; again.Action != model.ToFabric || again == before {
				t.Fatalf("a new connection has verdict %v", again)
			}
			if still := w.send(1, toNeighbour); still.Verdict != elsewhere.Verdict {
				t.Fatalf("another connection has verdict %v", still.Verdict)
			}
		})
	}
	t.Run("SE-3 a SYN of an open connection is answered too", func(t *testing.T) {
		w := newWorld(t)
		w.send(1, toStorage)
		w.planA.Host.NICs[0].EnabledServices = 0
		w.apply(t)
		mustReset(t, want(t, w.send(1, toStorage), model.Reply, model.ReasonPathChanged).Data, toStorage)
	})
	t.Run("SE-3 a connection that the other side opened", func(t *testing.T) {
		opening, answer := tunnelled(tcp(storage, vmApp, 443, 80, syn)), tcp(vmApp, storage, 80, 443, syn|ack)
		w := newWorld(t)
		want(t, w.receive(opening), model.Deliver, model.ReasonDelivered)
		want(t, w.send(1, answer), model.ToFabric, model.ReasonServiceEndpoint) // the first way is no change

		w = newWorld(t)
		w.planA.Host.NICs[0].EnabledServices = 0
		w.apply(t)
		want(t, w.receive(opening), model.Deliver, model.ReasonDelivered)
		want(t, w.send(1, answer), model.ToFabric, model.ReasonRegionalEgress)
		w.planA.Host.NICs[0].EnabledServices = 1
		w.apply(t)
		mustReset(t, want(t, w.send(1, answer), model.Reply, model.ReasonPathChanged).Data, answer)
	})
	t.Run("SE-3 UDP changes its way in silence", func(t *testing.T) {
		w := newWorld(t)
		want(t, w.send(1, udp(vmApp, storage, 1, 2)), model.ToFabric, model.ReasonServiceEndpoint)
		w.planA.Host.NICs[0].EnabledServices = 0
		w.apply(t)
		want(t, w.send(1, udp(vmApp, storage, 1, 2)), model.ToFabric, model.ReasonRegionalEgress)
		want(t, w.receive(fromStorage(17, udpSegment(2, 1, nil))), model.Drop, model.ReasonUnsolicited)
	})
}

func TestStoryPolicy(t *testing.T) {
	t.Run("SEP-2 what the policy does not list is refused with a reset", func(t *testing.T) {
		w := newWorld(t)
		request := tcp(vmPrivate, rogueStorage, 40000, 443, syn)
		r := want(t, w.send(5, request), model.Reply, model.ReasonEndpointPolicy)
		mustReset(t, r.Data, request)
		want(t, w.send(5, tcp(vmPrivate, storage, 40000, 443, syn)), model.ToFabric, model.ReasonServiceEndpoint)
		w.planA.Host.NICs[2].Policy = ""
		w.apply(t)
		want(t, w.send(5, request), model.ToFabric, model.ReasonServiceEndpoint)
	})
	t.Run("SEP-2 an open connection ends when the policy comes", func(t *testing.T) {
		w := newWorld(t)
		request := tcp(vmApp, rogueStorage, 40000, 443, ack)
		want(t, w.send(1, request), model.ToFabric, model.ReasonServiceEndpoint)
		w.planA.Host.NICs[0].Policy = "own"
		w.apply(t)
		mustReset(t, want(t, w.send(1, request), model.Reply, model.ReasonEndpointPolicy).Data, request)
	})
}

func TestStoryPathMTU(t *testing.T) {
	t.Run("the host's own answer", func(t *testing.T) {
		w := newWorld(t)
		for _, c := range []struct {
			destination string
			mtu         uint16
		}{{vmNeighbour, 1560}, {storage, 1580}} {
			request := tcpData(vmApp, c.destination, 40000, 443, 2000)
			r := want(t, w.send(1, request), model.Reply, model.ReasonTooBig)
			ip := mustCheck(t, r.Data[14:])
			message := ip.Payload()
			if len(r.Data) != 70 || message[0] != 3 || message[1] != 4 || binary.BigEndian.Uint16(message[6:]) != c.mtu ||
				!bytes.Equal(message[8:], request[:28]) || ip.Source() != ip4(c.destination) {
				t.Fatalf("%s: %x", c.destination, r.Data)
			}
			if w.a.flows.size() != 0 {
				t.Fatal("a packet that did not get through made a flow")
			}
		}
	})
	t.Run("a router of the fabric, tunnel", func(t *testing.T) {
		w := newWorld(t)
		request := tcpData(vmApp, vmNeighbour, 40000, 80, 1400)
		sent := want(t, w.send(1, request), model.ToFabric, model.ReasonVirtualNetwork)
		r := want(t, w.receive(ip6(fabricNode, appAddress, 58, icmpMessage(2, 0, 1400, sent.Data[:200]))), model.Deliver, model.ReasonDelivered)
		message := mustCheck(t, r.Data[14:]).Payload()
		if message[0] != 3 || message[1] != 4 || binary.BigEndian.Uint16(message[6:]) != 1360 || !bytes.Equal(message[8:], request[:28]) {
			t.Fatalf("%x", r.Data)
		}
	})
	t.Run("a router of the fabric, service", func(t *testing.T) {
		w := newWorld(t)
		sent := want(t, w.send(1, tcpData(vmApp, storage, 40000, 443, 1400)), model.ToFabric, model.ReasonServiceEndpoint)
		report := icmpMessage(2, 0, 1400, sent.Data[:200])
		r := want(t, w.receive(ip6(fabricNode, appAddress, 58, report)), model.Deliver, model.ReasonDelivered)
		ip := mustCheck(t, r.Data[14:])
		if binary.BigEndian.Uint16(ip.Payload()[6:]) != 1380 || ip.Source() != unnamedRouter {
			t.Fatalf("%x", r.Data)
		}
		r = want(t, w.receive(fromStorage(58, report)), model.Deliver, model.ReasonDelivered)
		if source := mustCheck(t, r.Data[14:]).Source(); source != ip4(storage) {
			t.Fatalf("the service's own error comes from %v", source)
		}
	})
	t.Run("a SYN asks for segments that fit", func(t *testing.T) {
		for destination, mss := range map[string]uint16{vmNeighbour: 1520, storage: 1540} {
			w := newWorld(t)
			offer := datagram4{source: vmApp, destination: destination, protocol: 6,
				layer4: tcpSegment(40000, 443, syn, []byte{1, 1, 1, 1, 2, 4, 0x23, 0x28}, nil)}
			data := packet.IPv6(w.send(1, offer.build()).Data)
			segment := data[len(data)-28:]
			if got := binary.BigEndian.Uint16(segment[26:]); got != mss {
				t.Fatalf("%s: MSS %d", destination, got)
			}
			if data.NextHeader() == 4 {
				mustCheck(t, data.Payload())
			} else if !layer4Sound(data.Payload(), 6, data[8:40]) {
				t.Fatal("wrong checksum")
			}
			offer.layer4 = tcpSegment(40001, 443, syn, []byte{2, 4, 5, 0xb4}, nil)
			data = packet.IPv6(w.send(1, offer.build()).Data)
			if got := binary.BigEndian.Uint16(data[len(data)-2:]); got != 1460 {
				t.Fatalf("%s: MSS 1460 became %d", destination, got)
			}
		}
	})
}

func TestStoryFlowsEnd(t *testing.T) {
	answer := fromStorage(6, tcpSegment(443, 40000, ack, nil, nil))
	for _, c := range []struct {
		name string
		play func(w *world)
		wait time.Duration
		open bool
	}{
		{"idle for 29 minutes", func(w *world) { w.send(1, toStorage) }, 29 * time.Minute, true},
		{"idle for 31 minutes", func(w *world) { w.send(1, toStorage) }, 31 * time.Minute, false},
		{"one FIN", func(w *world) {
			w.send(1, toStorage)
			w.send(1, tcp(vmApp, storage, 40000, 443, fin|ack))
		}, time.Minute, true},
		{"FIN from both, at once", func(w *world) {
			w.send(1, toStorage)
			w.send(1, tcp(vmApp, storage, 40000, 443, fin|ack))
			w.receive(fromStorage(6, tcpSegment(443, 40000, fin|ack, nil, nil)))
		}, 9 * time.Second, true},
		{"FIN from both, later", func(w *world) {
			w.send(1, toStorage)
			w.send(1, tcp(vmApp, storage, 40000, 443, fin|ack))
			w.receive(fromStorage(6, tcpSegment(443, 40000, fin|ack, nil, nil)))
		}, 11 * time.Second, false},
		{"RST from the service", func(w *world) {
			w.send(1, toStorage)
			w.receive(fromStorage(6, tcpSegment(443, 40000, rst, nil, nil)))
		}, 11 * time.Second, false},
		{"RST, then a new SYN on the same ports", func(w *world) {
			w.send(1, toStorage)
			w.receive(fromStorage(6, tcpSegment(443, 40000, rst, nil, nil)))
			w.send(1, tcp(vmApp, storage, 40000, 443, syn))
		}, 11 * time.Second, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			c.play(w)
			w.wait(c.wait)
			reason, action := model.ReasonDelivered, model.Deliver
			if !c.open {
				reason, action = model.ReasonUnsolicited, model.Drop
			}
			want(t, w.receive(answer), action, reason)
		})
	}
	t.Run("an ICMP error makes no flow and keeps none alive", func(t *testing.T) {
		w := newWorld(t)
		w.send(1, udp(vmApp, vmNeighbour, 1, 2))
		quoteOut, quoteIn := udp(vmApp, vmNeighbour, 1, 2)[:28], udp(vmNeighbour, vmApp, 2, 1)[:28]
		errorOut := icmp(vmApp, vmNeighbour, 3, 3, 0, quoteIn)
		errorIn := tunnelled(icmp(vmNeighbour, vmApp, 3, 3, 0, quoteOut))
		for range 2 {
			want(t, w.send(1, errorOut), model.ToFabric, model.ReasonVirtualNetwork)
			want(t, w.receive(errorIn), model.Deliver, model.ReasonDelivered)
			w.wait(time.Minute)
		}
		if size := w.a.flows.size(); size != 1 {
			t.Fatalf("%d flows", size)
		}
		w.wait(time.Second)
		want(t, w.send(1, errorOut), model.Drop, model.ReasonUnrelatedError)
		want(t, w.receive(errorIn), model.Drop, model.ReasonUnrelatedError)
	})
	t.Run("SE-14 a refresh makes no flow", func(t *testing.T) {
		table := newFlowTable(16, 1)
		table.receive(numberedKey(1), 0, 0, false)
		if table.size() != 0 {
			t.Fatal("there is a flow")
		}
	})
	t.Run("UDP after 121 s", func(t *testing.T) {
		w := newWorld(t)
		w.send(1, udp(vmApp, storage, 1, 2))
		w.wait(121 * time.Second)
		want(t, w.receive(fromStorage(17, udpSegment(2, 1, nil))), model.Drop, model.ReasonUnsolicited)
	})
}

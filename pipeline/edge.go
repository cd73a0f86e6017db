package pipeline

import (
	"sync"
	"sync/atomic"

	"postern/model"
	"postern/packet"
	"postern/plan"
	"postern/wire"
)

// Edge judges the packets between the fabric and the Internet: "The edge" of docs/packet.md. It rewrites addresses 1:1
// and keeps no state. Its methods are safe for concurrent use.
type Edge struct {
	counters reasonCounters
	applying sync.Mutex
	current  atomic.Pointer[edgeSnapshot]
}

// NewEdge makes an edge without a plan: until the first Apply it drops every packet with model.ReasonUnsynced.
func NewEdge() *Edge { return new(Edge) }

// Apply makes a plan the one to judge by. A plan that is no edge's or is malformed is refused as a whole, and the old one
// stays in force.
func (e *Edge) Apply(node plan.Node) error {
	e.applying.Lock()
	defer e.applying.Unlock()
	next, err := newEdgeSnapshot(node)
	if err != nil {
		return err
	}
	e.current.Store(next)
	return nil
}

// Counters gives every counter that is not zero, by reason, all under NIC 0.
func (e *Edge) Counters() []Counter { return e.counters.appendTo(nil, 0) }

// FromFabric judges an IPv6 packet that the fabric brought to the edge. What goes ToInternet is an IPv4 packet. Out must
// have capacity for len(bytes) + Headroom and must not overlap the packet.
func (e *Edge) FromFabric(bytes, out []byte) Result {
	return e.counted(e.fromFabric(bytes, out[:cap(out)]))
}

// ToFabric judges an IPv4 packet that the Internet brought to a public or a platform address. What goes ToFabric is an
// IPv6 packet; a Reply is an IPv4 packet for the sender. Out as in FromFabric.
func (e *Edge) ToFabric(bytes, out []byte) Result {
	return e.counted(e.toFabric(bytes, out[:cap(out)]))
}

func (e *Edge) counted(result Result) Result {
	e.counters.count(result.Verdict.Reason)
	return result
}

func edgeResult(action model.Action, reason model.Reason, data []byte) Result {
	return Result{Verdict: model.Verdict{Action: action, Reason: reason}, Data: data}
}

func (e *Edge) fromFabric(bytes, out []byte) Result {
	s := e.current.Load()
	if s == nil {
		return edgeResult(model.Drop, model.ReasonUnsynced, nil)
	}
	if len(bytes) < packet.IPv6Len || bytes[0]>>4 != 6 {
		return edgeResult(model.Pass, model.ReasonNotOurs, nil)
	}
	to := partsOf(packet.IPv6(bytes).Destination())
	if to.locator != s.locator || !isEgress(to.function) {
		return edgeResult(model.Pass, model.ReasonNotOurs, nil)
	}
	outer, ok := packet.CheckIPv6(bytes)
	if !ok || outer.NextHeader() != model.ProtocolIPv4 {
		return edgeResult(model.Drop, model.ReasonMalformed, nil)
	}
	inner, ok := packet.CheckIPv4(outer.Payload())
	if !ok {
		return edgeResult(model.Drop, model.ReasonMalformed, nil)
	}
	from := partsOf(outer.Source())
	n := s.fabric[nicAddress{from.identity, from.ipv4}]
	if n == nil {
		return edgeResult(model.Drop, model.ReasonNoSuchNIC, nil)
	}
	if inner.Source() != n.ipv4 {
		return edgeResult(model.Drop, model.ReasonSourceAddress, nil)
	}
	source, reason := n.leave(to.function)
	if reason == model.ReasonNoOutbound {
		return edgeResult(model.Drop, reason, nil)
	}
	data := packet.IPv4(out[:len(inner)])
	copy(data, inner)
	rewriteAddress(data, sourceSide, n.ipv4, source)
	return edgeResult(model.ToInternet, reason, data)
}

// isEgress tells whether a function is an edge's.
func isEgress(function model.Function) bool {
	return function == model.FunctionInternetEgress || function == model.FunctionRegionalEgress || function == model.FunctionNATEgress
}

// leave gives the address that a NIC's packet leaves the edge under. Behind a platform address the edge's NAT goes on, with
// the NAT gateway's address for ReasonNATGateway, and the outbound address for ReasonInternet (OUT-1).
func (n *edgeNIC) leave(function model.Function) ([4]byte, model.Reason) {
	switch {
	case function == model.FunctionRegionalEgress:
		return n.platform, model.ReasonRegionalEgress
	case n.hasPublic && (function == model.FunctionInternetEgress || !n.natGateway):
		return n.public, model.ReasonInternet
	case n.natGateway:
		return n.platform, model.ReasonNATGateway
	case n.outbound:
		return n.platform, model.ReasonInternet
	}
	return n.platform, model.ReasonNoOutbound
}

func (e *Edge) toFabric(bytes, out []byte) Result {
	s := e.current.Load()
	if s == nil {
		return edgeResult(model.Drop, model.ReasonUnsynced, nil)
	}
	ip, ok := packet.CheckIPv4(bytes)
	if !ok {
		return edgeResult(model.Drop, model.ReasonMalformed, nil)
	}
	if martian(ip.Source()) {
		return edgeResult(model.Drop, model.ReasonMartian, nil)
	}
	destination := ip.Destination()
	n := s.internet[destination]
	if n == nil {
		return edgeResult(model.Drop, model.ReasonNoSuchNIC, nil)
	}
	if len(ip)+packet.IPv6Len > s.fabricMTU {
		if !ip.DontFragment() || ip.FragmentOffset() > 0 || isICMPError(ip) {
			return edgeResult(model.Drop, model.ReasonTooBig, nil)
		}
		reply := packet.FragmentationNeeded(out, ip, uint16(s.fabricMTU-packet.IPv6Len))
		return edgeResult(model.Reply, model.ReasonTooBig, reply)
	}
	data := out[:packet.IPv6Len+len(ip)]
	fields := packet.IPv6Fields{TrafficClass: ip.TOS(), PayloadLen: uint16(len(ip)), NextHeader: model.ProtocolIPv4,
		HopLimit: encapsulatedHopLimit, Destination: n.fabricAddress}
	wire.Put(&fields.Source, s.locator, model.FunctionInternetEgress, model.IdentityNone, ip.Source())
	packet.PutIPv6(data, fields)
	inner := packet.IPv4(data[packet.IPv6Len:])
	copy(inner, ip)
	rewriteAddress(inner, destinationSide, destination, n.ipv4)
	return edgeResult(model.ToFabric, model.ReasonInternet, data)
}

// martian tells whether no packet from the Internet may have a source.
func martian(source [4]byte) bool {
	switch a, b := source[0], source[1]; {
	case a == 0, a == 10, a == 127, a >= 224:
		return true
	case a == 172:
		return b >= 16 && b < 32
	case a == 192:
		return b == 168
	case a == 100:
		return b >= 64 && b < 128
	case a == 169:
		return b == 254
	}
	return false
}

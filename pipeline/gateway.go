package pipeline

import (
	"cmp"
	"fmt"
	"sync"
	"sync/atomic"

	"postern/model"
	"postern/packet"
	"postern/plan"
)

// Gateway judges the packets between callers and instances' own addresses: "An instance's own address" of docs/packet.md.
// Its methods are safe for concurrent use.
type Gateway struct {
	now         func() int64
	connections *connectionTable
	counters    reasonCounters
	current     atomic.Pointer[gatewaySnapshot]
	applying    sync.Mutex // one Apply at a time
}

// NewGateway makes a gateway without a plan: until the first Apply nothing is its own. Now is a monotonic clock in
// nanoseconds. It remembers limit connections, 0 for 262,144; what comes then is refused.
func NewGateway(now func() int64, limit int) *Gateway {
	return &Gateway{now: now, connections: newConnectionTable(cmp.Or(limit, maxConnections))}
}

// Apply makes a plan the one to judge by. Connections that it does not admit are revoked; who is to be told of them is for
// the caller. A plan that refers to what it does not hold is refused as a whole, and the old one stays in force.
func (g *Gateway) Apply(wanted plan.Direct) error {
	g.applying.Lock()
	defer g.applying.Unlock()
	next, err := newGatewaySnapshot(wanted)
	if err != nil {
		return fmt.Errorf("apply own addresses: %w; those before stay in force", err)
	}
	g.current.Store(next)
	g.connections.revoke(next)
	return nil
}

// Counters gives every counter that is not zero, by reason, all under NIC 0.
func (g *Gateway) Counters() []Counter { return g.counters.appendTo(nil, 0) }

// FromFabric judges an IPv6 packet that the fabric brought to the gateway. What is to Deliver is an IPv6 packet for the
// backend, a Reply one for the caller. Out must have capacity for len(bytes) + Headroom and must not overlap the packet.
func (g *Gateway) FromFabric(bytes, out []byte) Result { return g.judge(bytes, out, take6, true) }

// FromInternet is FromFabric for an IPv4 packet from the Internet.
func (g *Gateway) FromInternet(bytes, out []byte) Result { return g.judge(bytes, out, take4, true) }

// ToFabric judges an IPv6 packet that leaves the gateway's host for the fabric. What goes ToFabric is an IPv6 packet; a Reply
// is one for the server that sent it.
func (g *Gateway) ToFabric(bytes, out []byte) Result { return g.judge(bytes, out, take6, false) }

// ToInternet is ToFabric for an IPv4 packet that leaves for the Internet.
func (g *Gateway) ToInternet(bytes, out []byte) Result { return g.judge(bytes, out, take4, false) }

func (g *Gateway) judge(bytes, out []byte, take func(*gatewaySnapshot, []byte, bool) (segment, taken), toward bool) Result {
	notOurs := gatewayResult(model.Pass, model.ReasonNotOurs, nil)
	s := g.current.Load()
	if s == nil {
		return notOurs
	}
	t, how := take(s, bytes, toward)
	result := notOurs
	switch {
	case how == takenNotOurs:
		return notOurs
	case how == takenMalformed:
		result = gatewayResult(model.Drop, model.ReasonMalformed, nil)
	case toward:
		result = g.judgeCaller(s, &t, out[:cap(out)])
	default:
		result = g.judgeServer(s, &t, out[:cap(out)])
	}
	if result.Verdict.Reason != model.ReasonNotOurs {
		g.counters.count(result.Verdict.Reason)
	}
	return result
}

func gatewayResult(action model.Action, reason model.Reason, data []byte) Result {
	return Result{Verdict: model.Verdict{Action: action, Reason: reason}, Data: data}
}

// refuse answers a segment with a reset to who sent it. A reset is never answered.
func refuse(t *segment, out []byte, reason model.Reason) Result {
	if t.tcp.Flags()&packet.TCPRst != 0 {
		return gatewayResult(model.Drop, reason, nil)
	}
	return gatewayResult(model.Reply, reason, packet.Reset(out, t.packet))
}

// judgeCaller judges what a caller sends.
func (g *Gateway) judgeCaller(s *gatewaySnapshot, t *segment, out []byte) Result {
	port := s.portOf(t)
	if port == nil {
		if s.served[t.served()] {
			return gatewayResult(model.Pass, model.ReasonNotOurs, nil)
		}
		return refuse(t, out, model.ReasonPortClosed)
	}
	side, reason := g.connections.fromCaller(s, port, t, g.now())
	if reason != model.ReasonOwnAddress {
		return refuse(t, out, reason)
	}
	return gatewayResult(model.Deliver, reason, rewriteSide(out, t, destinationSide, side))
}

// judgeServer judges what leaves toward a caller, of a backend or of any of this host's servers.
func (g *Gateway) judgeServer(s *gatewaySnapshot, t *segment, out []byte) Result {
	side, reason := g.connections.fromServer(s, t, g.now())
	switch reason {
	case model.ReasonOwnAddress:
		action := model.ToFabric
		if t.packet[0]>>4 == 4 {
			action = model.ToInternet
		}
		return gatewayResult(action, reason, rewriteSide(out, t, sourceSide, side))
	case model.ReasonNoConnection:
		if t.function == model.FunctionNIC || t.tcp.Flags()&packet.TCPRst != 0 || s.served[t.served()] {
			return gatewayResult(model.Pass, model.ReasonNotOurs, nil)
		}
		return gatewayResult(model.Drop, reason, nil)
	}
	switch {
	case t.tcp.Flags()&packet.TCPRst != 0 && t.key.server == side: // the gateway's own
		return gatewayResult(model.Pass, model.ReasonNotOurs, nil)
	case t.function == model.FunctionNIC:
		return gatewayResult(model.Drop, reason, nil)
	}
	return refuse(t, out, reason)
}

package userspace

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"

	"postern/model"
	"postern/pipeline"
	"postern/plan"
)

// EdgeOptions are the choices of an Edge.
type EdgeOptions struct {
	// HostInternet dials addresses that nobody on the simulated Internet has, with the real machine's sockets, for what leaves
	// by a NAT gateway or default outbound access: network is "tcp" or "udp". A net.Dialer's DialContext fits. nil: such addresses do not answer.
	// Private, loopback and link-local addresses are never dialled.
	HostInternet func(ctx context.Context, network, address string) (net.Conn, error)
}

// Edge is the driver of an edge node: it joins fabric and Internet, and forwards the connections that leave by a NAT gateway or
// by default outbound access, from that gateway's address or the plan's OutboundAddress (OUT-1).
type Edge struct {
	crossing
	pipeline *pipeline.Edge
	nat      *outbound
	platform atomic.Pointer[map[netip.Addr]struct{}] // the PlatformAddress of every NIC
}

// NewEdge makes an edge without a plan: nothing passes until the first Apply.
func NewEdge(fabric *Fabric, internet *Internet, name string, options EdgeOptions) (*Edge, error) {
	e := &Edge{crossing: crossing{title: "edge " + name, fabric: fabric, internet: internet}, pipeline: pipeline.NewEdge()}
	e.platform.Store(&map[netip.Addr]struct{}{})
	// Each goroutine has a buffer of its own for what the pipeline writes.
	toFabric := func() func([]byte) {
		out := answerBuffer(machineMTU)
		return func(packet []byte) { e.toFabric(packet, out) }
	}
	nat, err := newOutbound(name, internet, options.HostInternet, toFabric())
	if err != nil {
		return nil, fmt.Errorf("make edge %s: %w", name, err)
	}
	e.nat = nat
	out := answerBuffer(fabric.mtu)
	e.fabricPort = newPort(func(packet []byte) { e.fromFabric(packet, out) })
	e.internetPort = newPort(toFabric())
	return e, nil
}

// Apply makes the edge equal to the plan.
func (e *Edge) Apply(ctx context.Context, node plan.Node) error {
	if node.Role != model.RoleEdge || node.Edge == nil {
		return fmt.Errorf("apply plan to %s: the plan is that of a %s; give an edge's", e.title, node.Role)
	}
	return e.apply(ctx, func() error { return e.become(node) })
}

func (e *Edge) become(node plan.Node) error {
	if err := e.pipeline.Apply(node); err != nil {
		return err
	}
	platform := make(map[netip.Addr]struct{}, len(node.Edge.NICs))
	addresses := make([]netip.Addr, 0, 2*len(node.Edge.NICs))
	for _, nic := range node.Edge.NICs {
		if nic.PlatformAddress.IsValid() {
			platform[nic.PlatformAddress] = struct{}{}
			addresses = append(addresses, nic.PlatformAddress)
		}
		if nic.Public.IsValid() {
			addresses = append(addresses, nic.Public)
		}
	}
	e.platform.Store(&platform)
	e.fabric.segment.announce(e.fabricPort, []model.Locator{node.Locator})
	e.internet.segment.announce(e.internetPort, addresses)
	return e.nat.setExits(node.Edge)
}

// fromFabric sends a packet out: from its public address, from its platform address to a service of the region
// (FW-5), and all else by its NAT gateway or default outbound access.
func (e *Edge) fromFabric(packet, out []byte) {
	result := e.pipeline.FromFabric(packet, out)
	switch result.Verdict.Action {
	case model.ToInternet:
		if model.Function(packet[31]) != model.FunctionRegionalEgress && len(result.Data) >= ipv4HeaderLength {
			if _, shared := (*e.platform.Load())[netip.AddrFrom4([4]byte(result.Data[12:16]))]; shared {
				e.nat.forward(result.Data)
				return
			}
		}
		e.internet.Send(result.Data)
	case model.ToFabric, model.Reply:
		e.fabric.Send(result.Data)
	}
}

// toFabric takes a packet for a public or platform address in, from the Internet or from the forwarding.
func (e *Edge) toFabric(packet, out []byte) {
	result := e.pipeline.ToFabric(packet, out)
	switch result.Verdict.Action {
	case model.ToFabric:
		e.fabric.Send(result.Data)
	case model.Reply:
		e.internet.Send(result.Data)
	}
}

// Counters are the pipeline's.
func (e *Edge) Counters() []pipeline.Counter { return e.pipeline.Counters() }

// Outbound are the counters of NAT gateways and default outbound access.
func (e *Edge) Outbound() OutboundCounters { return e.nat.counters() }

// Close resets what the edge forwards and ends it.
func (e *Edge) Close() error { return e.shut(e.nat.close) }

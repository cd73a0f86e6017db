package userspace

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"

	"postern/model"
	"postern/plan"
)

// The NICs of a gateway's stack.
const (
	gatewayFabric   tcpip.NICID = 1
	gatewayInternet tcpip.NICID = 2
)

// Gateway is the driver of a gateway node: a stack that answers on every address of its service and platform locators
// on the fabric, and on the plan's public addresses on the Internet. It judges nothing; who listens does.
type Gateway struct {
	*Stack
	crossing
	inside, outside *link // toward the fabric, toward the Internet
	udp             *anyUDP
	locators        atomic.Pointer[gatewayLocators]
	notOurs         atomic.Uint64
}

type gatewayLocators struct{ service, platform model.Locator }

// NewGateway makes a gateway without a plan: listeners may be made, and nothing reaches them until the first Apply.
func NewGateway(fabric *Fabric, internet *Internet, name string) (*Gateway, error) {
	g := &Gateway{
		Stack:    newStack(name, family{ipv4: true, ipv6: true}),
		crossing: crossing{title: "gateway " + name, fabric: fabric, internet: internet},
		inside:   newLink(fabric.mtu, ""), outside: newLink(machineMTU, ""),
	}
	g.locators.Store(&gatewayLocators{})
	g.inside.start(fabric.Send)
	g.outside.start(internet.Send)
	g.fabricPort = newPort(g.fromFabric)
	g.internetPort = newPort(func(packet []byte) { g.outside.inject(header.IPv4ProtocolNumber, packet) })
	if err := g.attach(gatewayFabric, g.inside, g.inside, true); err != nil {
		g.Close()
		return nil, err
	}
	if err := g.attach(gatewayInternet, g.outside, g.outside, true); err != nil {
		g.Close()
		return nil, err
	}
	g.ip.SetRouteTable([]tcpip.Route{
		{Destination: header.IPv6EmptySubnet, NIC: gatewayFabric},
		{Destination: header.IPv4EmptySubnet, NIC: gatewayInternet},
	})
	g.toward = func(peer netip.Addr) tcpip.NICID {
		if peer.Is4() {
			return gatewayInternet
		}
		return gatewayFabric
	}
	g.udp = newAnyUDP(g.Stack)
	return g, nil
}

// Apply makes the gateway reachable as the plan says. The accounts and rules of the plan are for who listens.
func (g *Gateway) Apply(ctx context.Context, node plan.Node) error {
	if node.Role != model.RoleGateway || node.Gateway == nil {
		return fmt.Errorf("apply plan to %s: the plan is that of a %s; give a gateway's", g.title, node.Role)
	}
	return g.apply(ctx, func() error { g.become(node); return nil })
}

func (g *Gateway) become(node plan.Node) {
	locators := gatewayLocators{service: node.Gateway.ServiceLocator, platform: node.Gateway.PlatformLocator}
	g.locators.Store(&locators)
	var announced []model.Locator
	for _, locator := range []model.Locator{node.Locator, locators.service, locators.platform} {
		if !locator.IsZero() && !contains(announced, locator) {
			announced = append(announced, locator)
		}
	}
	g.fabric.segment.announce(g.fabricPort, announced)
	g.internet.segment.announce(g.internetPort, node.Gateway.Addresses)
}

func contains(list []model.Locator, locator model.Locator) bool {
	for _, one := range list {
		if one == locator {
			return true
		}
	}
	return false
}

// fromFabric lets in what is for a service or platform address alone: no other function is this node's.
func (g *Gateway) fromFabric(packet []byte) {
	locators := g.locators.Load()
	locator, function := model.Locator(packet[24:31]), model.Function(packet[31])
	service := function == model.FunctionService && locator == locators.service
	platform := function == model.FunctionPlatform && locator == locators.platform
	if !service && !platform {
		g.notOurs.Add(1)
		return
	}
	g.inside.inject(header.IPv6ProtocolNumber, packet)
}

// ListenTCP accepts connections to a port of every address, on the fabric and on the Internet. They are *Conn: the
// local address is the one that was dialled; the remote one on the fabric is the identity of a NIC (wire.Parse).
func (g *Gateway) ListenTCP(port uint16) (net.Listener, error) {
	return g.listenTCP(netip.AddrPortFrom(netip.IPv6Unspecified(), port))
}

// ListenUDP receives datagrams to a port of every address, on the fabric and on the Internet. Addresses are Flow.
func (g *Gateway) ListenUDP(port uint16) (*PacketConn, error) { return g.udp.listen(port) }

// DialFrom connects to a fabric or Internet address from one of the gateway's own. A VM never takes such a connection
// (SE-14).
func (g *Gateway) DialFrom(ctx context.Context, local, remote netip.AddrPort) (net.Conn, error) {
	return g.dialTCP(ctx, local, remote)
}

// NotOurs counts packets from the fabric that were for neither of the gateway's functions.
func (g *Gateway) NotOurs() uint64 { return g.notOurs.Load() }

// Close resets every connection and ends the gateway. Listeners answer net.ErrClosed once they are closed themselves.
func (g *Gateway) Close() error {
	return g.shut(func() {
		g.links = []*link{g.inside, g.outside}
		g.close()
	})
}

//go:build linux

package lab

import (
	"fmt"
	"net/netip"

	"postern/model"
	"postern/wire"
)

// FabricLink is the name of the interface by which every node is on the fabric.
const FabricLink = "fabric0"

// The two ends of every link between the fabric's router and a node. Link-local ones suffice for routing, and leave
// every other address to the operator's locators.
var (
	fabricRouterSide = netip.MustParseAddr("fe80::1")
	fabricNodeSide   = netip.MustParseAddr("fe80::2")
)

// fabricRouter is whom the fabric's own ICMPv6 errors come from.
var fabricRouter = netip.MustParseAddr("fd00:ffff::1")

// Host is a node that carries NICs.
type Host struct {
	*Namespace
	Node model.Node
	lab  *Lab
}

// Gateway is a node that answers for services and for the platform of its region.
type Gateway struct {
	*Namespace
	Node     model.Node
	internet *uplink
	public   publicAddresses
}

// NodeAddress is a node's own address on the fabric: function 0, identity none, IPv4 part 0.0.0.1.
func NodeAddress(node model.Node) netip.Addr {
	return wire.Parts{Locator: node.Locator, Function: model.FunctionNIC, Identity: model.IdentityNone,
		IPv4: netip.AddrFrom4([4]byte{0, 0, 0, 1})}.Address()
}

func (l *Lab) prepareFabric() error {
	if err := l.Fabric.sysctl(setting{"ipv6/conf/all/forwarding", "1"}, setting{"ipv6/conf/default/forwarding", "1"}); err != nil {
		return err
	}
	return l.Fabric.addAddress("lo", single(fabricRouter))
}

// AddHost adds a host: fabric0 on the fabric, no forwarding, no NICs yet.
func (l *Lab) AddHost(node model.Node) (*Host, error) {
	namespace, err := l.addNode(node, model.RoleHost)
	if err != nil {
		return nil, err
	}
	return &Host{namespace, node, l}, nil
}

// AddGateway adds a gateway: fabric0 on the fabric and inet0 on the Internet. Every address of its service and platform
// locators is its own (AnyIP), so that a wildcard listener accepts them all. Several gateways may share these locators.
func (l *Lab) AddGateway(node model.Node) (*Gateway, error) {
	if node.ServiceLocator.IsZero() || node.PlatformLocator.IsZero() {
		return nil, fmt.Errorf("add gateway %s: no service or platform locator; set both", node.Name)
	}
	namespace, err := l.addNode(node, model.RoleGateway, node.ServiceLocator, node.PlatformLocator)
	if err != nil {
		return nil, err
	}
	for _, locator := range []model.Locator{node.ServiceLocator, node.PlatformLocator} {
		if err := namespace.addRoute(way{destination: locator.Prefix(), ifname: "lo", local: true}); err != nil {
			return nil, fmt.Errorf("add gateway %s: %w", node.Name, err)
		}
	}
	internet, err := l.joinInternet(namespace)
	if err != nil {
		return nil, fmt.Errorf("add gateway %s: %w", node.Name, err)
	}
	return &Gateway{Namespace: namespace, Node: node, internet: internet}, nil
}

// SetPublic makes these, and no others, the gateway's public IPv4 addresses: the Internet routes them to it, and it
// accepts connections to them.
func (g *Gateway) SetPublic(addresses []netip.Addr) error {
	return g.internet.setPublic(publicKind{&g.public, addresses,
		func(address netip.Addr) error { return g.addRoute(publicAnyIP(address)) },
		func(address netip.Addr) error { return g.deleteRoute(publicAnyIP(address)) }})
}

func publicAnyIP(address netip.Addr) way {
	return way{destination: single(address), ifname: "lo", local: true}
}

// addNode makes a node's machine and joins it to the fabric: its own locator leads to it alone, anycast ones perhaps to
// others too.
func (l *Lab) addNode(node model.Node, role model.Role, anycast ...model.Locator) (*Namespace, error) {
	if node.Role != role {
		return nil, fmt.Errorf("add node %s: its role is %q, want %q", node.Name, node.Role, role)
	}
	if node.Locator.IsZero() {
		return nil, fmt.Errorf("add node %s: no locator; set one, for example fd00:1:1:100::/56", node.Name)
	}
	namespace, err := l.addNamespace(node.Name)
	if err != nil {
		return nil, err
	}
	if err := l.joinFabric(namespace, node, anycast); err != nil {
		return nil, fmt.Errorf("add node %s: %w", node.Name, err)
	}
	return namespace, nil
}

func (l *Lab) joinFabric(namespace *Namespace, node model.Node, anycast []model.Locator) error {
	number := l.nextLink()
	routerLink := fmt.Sprintf("node%d", number)
	routerMAC, nodeMAC := linkMAC(macFabricRouter, number), linkMAC(macFabricNode, number)
	mtu := l.plugIn(plug{namespace, node.Role, routerLink})
	routerEnd := end{l.Fabric, routerLink, routerMAC, mtu}
	nodeEnd := end{namespace, FabricLink, nodeMAC, mtu}
	own := NodeAddress(node)
	steps := []func() error{
		func() error { return connect(routerEnd, nodeEnd) },
		func() error { return l.Fabric.addAddress(routerLink, netip.PrefixFrom(fabricRouterSide, 64)) },
		func() error { return namespace.addAddress(FabricLink, netip.PrefixFrom(fabricNodeSide, 64)) },
		func() error { return namespace.addAddress(FabricLink, single(own)) },
		// The kernel makes an address of an interface deliverable later, from a work queue; a route is there at once.
		func() error { return namespace.addRoute(way{destination: single(own), ifname: "lo", local: true}) },
		func() error { return bringUp(routerEnd, nodeEnd) },
		func() error { return l.Fabric.addNeighbour(routerLink, fabricNodeSide, nodeMAC) },
		func() error { return namespace.addNeighbour(FabricLink, fabricRouterSide, routerMAC) },
		func() error {
			return namespace.addRoute(way{destination: netip.MustParsePrefix("::/0"), ifname: FabricLink,
				gateway: fabricRouterSide, source: own})
		},
		func() error {
			return l.Fabric.addRoute(way{destination: node.Locator.Prefix(), ifname: routerLink, gateway: fabricNodeSide})
		},
	}
	for _, locator := range anycast {
		steps = append(steps, func() error {
			return l.Fabric.addRoute(way{destination: locator.Prefix(), ifname: routerLink, gateway: fabricNodeSide, anycast: true})
		})
	}
	return inTurn(steps)
}

// plugIn notes a place on the fabric and tells the MTU that its links are to have.
func (l *Lab) plugIn(p plug) (mtu int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.plugs = append(l.plugs, p)
	return l.settings.FabricMTU
}

func (l *Lab) fabricMTU() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.settings.FabricMTU
}

// inTurn does steps until one fails.
func inTurn(steps []func() error) error {
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

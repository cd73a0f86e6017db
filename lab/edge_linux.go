//go:build linux

package lab

import (
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"

	"postern/model"
)

// The edge's door to the NICs: what the edge routes to a NIC's public or platform address leaves through ShadowLink,
// where the program edge_to_fabric takes it. ShadowPeer is the other end of that veth pair: frames that no program took
// arrive there, and end. Frames sent on ShadowPeer enter the edge as if a program had brought them from the fabric.
const (
	ShadowLink = "shadow0"
	ShadowPeer = "shadow1"
)

// encapsulation is what the fabric adds to an IPv4 packet: an IPv6 header, in bytes.
const encapsulation = 40

// Edge is a node that joins the fabric and the Internet. It forwards IPv4.
type Edge struct {
	*Namespace
	Node     model.Node
	Pool     netip.Prefix // of platform addresses
	internet *uplink
	nat      *translation
	public   publicAddresses // of NICs
	shared   publicAddresses // of NAT gateways
}

// AddEdge adds an edge: fabric0 on the fabric, inet0 on the Internet, shadow0 toward the NICs. The Internet routes the
// node's OutboundAddress and the pool of platform addresses, a part of 100.64.0.0/10, to it.
//
// A forwarded packet whose source is in the pool gets the OutboundAddress as its source, unless it carries a firewall mark:
// RegionalMark leaves it as it is, any other is the address itself, its bytes as they stand in a packet. 1:1 traffic of
// public addresses is not tracked.
func (l *Lab) AddEdge(node model.Node, pool netip.Prefix) (*Edge, error) {
	if !node.OutboundAddress.Is4() {
		return nil, fmt.Errorf("add edge %s: outbound address %s: want an IPv4 address", node.Name, node.OutboundAddress)
	}
	if !pool.Addr().Is4() || pool != pool.Masked() {
		return nil, fmt.Errorf("add edge %s: platform pool %s: want an IPv4 prefix, for example 100.64.0.0/16", node.Name, pool)
	}
	namespace, err := l.addNode(node, model.RoleEdge)
	if err != nil {
		return nil, err
	}
	edge := &Edge{Namespace: namespace, Node: node, Pool: pool}
	if edge.internet, err = l.joinInternet(namespace); err == nil {
		err = inTurn([]func() error{
			func() error { return namespace.sysctl(setting{"ipv4/ip_forward", "1"}) },
			func() error { return edge.addShadow(l.fabricMTU() - encapsulation) },
			func() error { return namespace.addAddress("lo", single(node.OutboundAddress)) },
			func() error { return namespace.addRoute(way{destination: pool, ifname: ShadowLink}) },
			func() error { edge.nat, err = newTranslation(namespace, node.OutboundAddress, pool); return err },
			func() error { return l.Internet.addRoute(edge.internet.lead(single(node.OutboundAddress))) },
			func() error { return l.Internet.addRoute(edge.internet.lead(pool)) },
		})
	}
	if err != nil {
		return nil, fmt.Errorf("add edge %s: %w", node.Name, err)
	}
	return edge, nil
}

// addShadow makes the shadow pair. Without ARP a packet to any address leaves at once, with shadow0's own MAC as its
// destination, which is not the peer's: what arrives there goes no further. The MTU lets the kernel itself
// answer, or fragment, what would not fit into the fabric.
func (e *Edge) addShadow(mtu int) error {
	door := end{e.Namespace, ShadowLink, linkMAC(macShadow, 0), mtu}
	peer := end{e.Namespace, ShadowPeer, linkMAC(macShadow, 1), mtu}
	return inTurn([]func() error{
		func() error { return connect(door, peer) },
		func() error {
			return e.sysctl(setting{"ipv6/conf/" + ShadowLink + "/disable_ipv6", "1"},
				setting{"ipv6/conf/" + ShadowPeer + "/disable_ipv6", "1"})
		},
		func() error { return e.withoutARP(ShadowLink) },
		func() error { return e.withoutARP(ShadowPeer) },
		func() error { return bringUp(door, peer) },
	})
}

func (e *Edge) withoutARP(ifname string) error {
	if err := e.onLink(ifname, (*netlink.Handle).LinkSetARPOff); err != nil {
		return fmt.Errorf("namespace %s: set %s without ARP: %w", e.Name, ifname, err)
	}
	return nil
}

// SetPublic makes these, and no others, the public addresses of the NICs and of the NAT gateways behind the edge: the Internet
// routes them to it. It routes those of NICs to shadow0; at a NAT gateway's, what is no answer meets nobody.
func (e *Edge) SetPublic(nics, natGateways []netip.Addr) error {
	return e.internet.setPublic(
		publicKind{&e.public, nics,
			func(address netip.Addr) error {
				if err := e.addRoute(way{destination: single(address), ifname: ShadowLink}); err != nil {
					return err
				}
				return e.nat.add(e.nat.public, address)
			},
			func(address netip.Addr) error {
				if err := e.deleteRoute(way{destination: single(address), ifname: ShadowLink}); err != nil {
					return err
				}
				return e.nat.remove(e.nat.public, address)
			}},
		publicKind{&e.shared, natGateways,
			func(address netip.Addr) error {
				if err := e.addRoute(publicAnyIP(address)); err != nil {
					return err
				}
				return e.nat.add(e.nat.outbound, address)
			},
			func(address netip.Addr) error {
				if err := e.deleteRoute(publicAnyIP(address)); err != nil {
					return err
				}
				return e.nat.remove(e.nat.outbound, address)
			}})
}

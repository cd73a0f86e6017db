//go:build linux

package lab

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// rtnetlink changes or reads links, addresses and routes inside the namespace. It must not run after remove: a handle
// that was closed would speak to the thread's own namespace.
func (n *Namespace) rtnetlink(work func(*netlink.Handle) error) error {
	n.mu.RLock()
	defer n.mu.RUnlock()
	if n.closed {
		return ErrClosed
	}
	return work(n.links)
}

// onLink is rtnetlink for one interface.
func (n *Namespace) onLink(ifname string, work func(*netlink.Handle, netlink.Link) error) error {
	return n.rtnetlink(func(handle *netlink.Handle) error {
		link, err := handle.LinkByName(ifname)
		if err != nil {
			return err
		}
		return work(handle, link)
	})
}

// LinkIndex is the number of an interface of the namespace, as bpf links and maps want it.
func (n *Namespace) LinkIndex(ifname string) (index int, err error) {
	err = n.onLink(ifname, func(_ *netlink.Handle, link netlink.Link) error {
		index = link.Attrs().Index
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("namespace %s: find interface %s: %w", n.Name, ifname, err)
	}
	return index, nil
}

// end is one end of a veth pair.
type end struct {
	namespace *Namespace
	name      string
	mac       net.HardwareAddr
	mtu       int
}

// connect makes a veth pair, both ends down.
func connect(a, b end) error {
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.HardwareAddr, attrs.MTU = a.name, a.mac, a.mtu
	pair := netlink.NewVeth(attrs)
	pair.PeerName, pair.PeerHardwareAddr, pair.PeerMTU = b.name, b.mac, uint32(b.mtu)
	join := func(handle *netlink.Handle) error { return handle.LinkAdd(pair) }
	if a.namespace != b.namespace {
		join = func(handle *netlink.Handle) error {
			return b.namespace.rtnetlink(func(*netlink.Handle) error {
				pair.PeerNamespace = netlink.NsFd(b.namespace.file)
				return handle.LinkAdd(pair)
			})
		}
	}
	if err := a.namespace.rtnetlink(join); err != nil {
		return fmt.Errorf("join %s %s and %s %s: %w", a.namespace.Name, a.name, b.namespace.Name, b.name, err)
	}
	return nil
}

// up sets an interface up.
func (n *Namespace) up(ifname string) error {
	if err := n.onLink(ifname, (*netlink.Handle).LinkSetUp); err != nil {
		return fmt.Errorf("namespace %s: set %s up: %w", n.Name, ifname, err)
	}
	return nil
}

// addAddress gives an interface an address. No duplicate address detection: it is usable at once.
func (n *Namespace) addAddress(ifname string, address netip.Prefix) error {
	err := n.onLink(ifname, func(handle *netlink.Handle, link netlink.Link) error {
		entry := &netlink.Addr{IPNet: ipNet(address)}
		if address.Addr().Is6() {
			entry.Flags = unix.IFA_F_NODAD
		}
		return handle.AddrAdd(link, entry)
	})
	if err != nil {
		return fmt.Errorf("namespace %s: address %s on %s: %w", n.Name, address, ifname, err)
	}
	return nil
}

// addNeighbour says for good which MAC an address on the link has, so that nothing waits for, or is lost to, ARP and
// neighbour discovery.
func (n *Namespace) addNeighbour(ifname string, address netip.Addr, mac net.HardwareAddr) error {
	err := n.onLink(ifname, func(handle *netlink.Handle, link netlink.Link) error {
		return handle.NeighSet(&netlink.Neigh{LinkIndex: link.Attrs().Index, State: netlink.NUD_PERMANENT,
			IP: address.AsSlice(), HardwareAddr: mac})
	})
	if err != nil {
		return fmt.Errorf("namespace %s: neighbour %s on %s: %w", n.Name, address, ifname, err)
	}
	return nil
}

// way is a route: packets to Destination leave through an interface.
type way struct {
	destination netip.Prefix
	ifname      string
	gateway     netip.Addr // invalid: the destination is on the link
	source      netip.Addr // of packets that the machine itself sends; invalid: the kernel's choice
	local       bool       // AnyIP: every address of the destination is the machine's own
	anycast     bool       // besides others to the same destination; each flow keeps to one
}

// addRoute adds a route; one to the same destination that is there already is an error, unless it is anycast.
func (n *Namespace) addRoute(w way) error {
	err := n.onLink(w.ifname, func(handle *netlink.Handle, link netlink.Link) error {
		if w.anycast {
			return handle.RouteAppend(w.route(link))
		}
		return handle.RouteAdd(w.route(link))
	})
	if errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("namespace %s: route %s: another machine has it already", n.Name, w.destination)
	}
	if err != nil {
		return fmt.Errorf("namespace %s: route %s: %w", n.Name, w.destination, err)
	}
	return nil
}

// deleteRoute takes a route away; that it is gone already is no error.
func (n *Namespace) deleteRoute(w way) error {
	err := n.onLink(w.ifname, func(handle *netlink.Handle, link netlink.Link) error {
		return handle.RouteDel(w.route(link))
	})
	if err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("namespace %s: delete route %s: %w", n.Name, w.destination, err)
	}
	return nil
}

// route is the way as rtnetlink has it.
func (w way) route(link netlink.Link) *netlink.Route {
	route := &netlink.Route{LinkIndex: link.Attrs().Index, Dst: ipNet(w.destination), Protocol: unix.RTPROT_STATIC}
	switch {
	case w.local:
		route.Type, route.Table, route.Scope = unix.RTN_LOCAL, unix.RT_TABLE_LOCAL, unix.RT_SCOPE_HOST
	case w.gateway.IsValid():
		route.Gw, route.Flags = w.gateway.AsSlice(), int(netlink.FLAG_ONLINK)
	case w.destination.Addr().Is4():
		route.Scope = unix.RT_SCOPE_LINK
	}
	if w.source.IsValid() {
		route.Src = w.source.AsSlice()
	}
	return route
}

// deleteLinks deletes every interface but the loopback, with their peers elsewhere. The kernel would do it too once
// nothing holds the namespace, but later, and an open socket holds it. The caller has n.mu.
func (n *Namespace) deleteLinks() error {
	links, err := n.links.LinkList()
	if err != nil {
		return fmt.Errorf("namespace %s: list interfaces: %w", n.Name, err)
	}
	var failures []error
	for _, link := range links {
		if link.Attrs().Flags&net.FlagLoopback != 0 {
			continue
		}
		// ENODEV: its peer was in this list too. EOPNOTSUPP: a device that the kernel makes in every namespace (sit0).
		err := n.links.LinkDel(link)
		if err != nil && !errors.Is(err, unix.ENODEV) && !errors.Is(err, unix.EOPNOTSUPP) {
			failures = append(failures, fmt.Errorf("namespace %s: delete %s: %w", n.Name, link.Attrs().Name, err))
		}
	}
	return errors.Join(failures...)
}

// ipNet is a prefix in the form of package net; bits behind the prefix are kept.
func ipNet(prefix netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: prefix.Addr().AsSlice(), Mask: net.CIDRMask(prefix.Bits(), prefix.Addr().BitLen())}
}

// single is the prefix of one address.
func single(address netip.Addr) netip.Prefix { return netip.PrefixFrom(address, address.BitLen()) }

// The MACs of the lab's own links, so that both ends can be told of each other: locally administered, the kind of the
// end, then a number.
const (
	macFabricRouter byte = iota
	macFabricNode
	macInternetRouter
	macInternetNode
	macShadow
)

func linkMAC(kind byte, number int) net.HardwareAddr {
	return net.HardwareAddr{0x02, 0x50, kind, byte(number >> 16), byte(number >> 8), byte(number)}
}

package bench

import (
	"errors"
	"fmt"
	"net/netip"
	"os"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"postern/lab"
)

// newRouted is the plain twin of the endpoint path: the same machines and cables, without any program of ours. Host and
// fabric router forward IPv4, and the gateway has the service's address.
func newRouted() (*wires, error) {
	w, err := newWires(1)
	if err != nil {
		return nil, err
	}
	if err := w.routePlainly(); err != nil {
		return nil, errors.Join(fmt.Errorf("routed IPv4: %w", err), w.Close())
	}
	return w, nil
}

func (w *wires) routePlainly() error {
	const hostSide, gatewaySide = "192.0.2.1/30", "192.0.2.5/30" // addresses of the fabric's router; the node has the next one
	var toHost, toGateway string
	if err := w.Fabric.Do(func() (err error) {
		if toHost, err = linkToward(w.hosts[0].Node.Locator.Prefix()); err != nil {
			return err
		}
		toGateway, err = linkToward(w.gateway.Node.Locator.Prefix())
		return err
	}); err != nil {
		return err
	}
	nic := lab.NICLink(nicNumber(0))
	steps := []struct {
		where *lab.Namespace
		do    []func() error
	}{
		{w.hosts[0].Namespace, []func() error{
			setting("ipv4/ip_forward", "1"), setting("ipv4/conf/"+nic+"/arp_ignore", "0"),
			address(nic, netip.PrefixFrom(subnetGateway, 24).String()), address(lab.FabricLink, "192.0.2.2/30"), gatewayRoute("0.0.0.0/0", "192.0.2.1"),
		}},
		{w.Fabric, []func() error{
			setting("ipv4/ip_forward", "1"), address(toHost, hostSide), address(toGateway, gatewaySide),
			gatewayRoute("10.13.76.0/24", "192.0.2.2"), gatewayRoute("20.60.0.0/16", "192.0.2.6"),
		}},
		{w.gateway.Namespace, []func() error{
			address(lab.FabricLink, "192.0.2.6/30"), address("lo", netip.PrefixFrom(serviceAddress, 32).String()), gatewayRoute("10.13.76.0/24", "192.0.2.5"),
		}},
	}
	for _, step := range steps {
		for _, do := range step.do {
			if err := step.where.Do(do); err != nil {
				return err
			}
		}
	}
	return nil
}

// newBridged joins two VMs by VXLAN over IPv6: on each host a bridge of the VM's link and the tunnel.
func newBridged() (*wires, error) {
	w, err := newWires(2)
	if err != nil {
		return nil, err
	}
	for i, host := range w.hosts {
		own, other := lab.NodeAddress(host.Node), lab.NodeAddress(w.hosts[1-i].Node)
		if err := host.Do(func() error { return bridge(lab.NICLink(nicNumber(i)), own, other) }); err != nil {
			return nil, errors.Join(fmt.Errorf("VXLAN: %w", err), w.Close())
		}
	}
	return w, nil
}

func bridge(nic string, own, other netip.Addr) error {
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.MTU = "vxlan0", 1500
	tunnel := &netlink.Vxlan{LinkAttrs: attrs, VxlanId: vnet, Port: 4789, Learning: true, SrcAddr: own.AsSlice(), Group: other.AsSlice()}
	attrs = netlink.NewLinkAttrs()
	attrs.Name = "bridge0"
	between := &netlink.Bridge{LinkAttrs: attrs}
	for _, link := range []netlink.Link{tunnel, between} {
		if err := netlink.LinkAdd(link); err != nil {
			return fmt.Errorf("add %s: %w", link.Attrs().Name, err)
		}
	}
	port, err := netlink.LinkByName(nic)
	if err != nil {
		return fmt.Errorf("find %s: %w", nic, err)
	}
	for _, link := range []netlink.Link{port, tunnel} {
		if err := netlink.LinkSetMaster(link, between); err != nil {
			return fmt.Errorf("put %s on the bridge: %w", link.Attrs().Name, err)
		}
	}
	for _, link := range []netlink.Link{tunnel, between} {
		if err := netlink.LinkSetUp(link); err != nil {
			return fmt.Errorf("set %s up: %w", link.Attrs().Name, err)
		}
	}
	return nil
}

// linkToward is the name of the interface by which this namespace routes a prefix.
func linkToward(prefix netip.Prefix) (string, error) {
	routes, err := netlink.RouteList(nil, unix.AF_INET6)
	if err != nil {
		return "", fmt.Errorf("list routes: %w", err)
	}
	for _, route := range routes {
		if route.Dst == nil || route.Dst.String() != prefix.String() {
			continue
		}
		link, err := netlink.LinkByIndex(route.LinkIndex)
		if err != nil {
			return "", fmt.Errorf("find the interface toward %s: %w", prefix, err)
		}
		return link.Attrs().Name, nil
	}
	return "", fmt.Errorf("no route to %s", prefix)
}

func setting(path, value string) func() error {
	return func() error { return os.WriteFile("/proc/sys/net/"+path, []byte(value), 0) }
}

func address(ifname, prefix string) func() error {
	return func() error {
		link, err := netlink.LinkByName(ifname)
		if err != nil {
			return fmt.Errorf("find %s: %w", ifname, err)
		}
		parsed, err := netlink.ParseAddr(prefix)
		if err == nil {
			err = netlink.AddrAdd(link, parsed)
		}
		if err != nil {
			return fmt.Errorf("address %s on %s: %w", prefix, ifname, err)
		}
		return nil
	}
}

func gatewayRoute(destination, through string) func() error {
	return func() error {
		prefix, err := netlink.ParseIPNet(destination)
		if err == nil {
			err = netlink.RouteReplace(&netlink.Route{Dst: prefix, Gw: netip.MustParseAddr(through).AsSlice()})
		}
		if err != nil {
			return fmt.Errorf("route %s through %s: %w", destination, through, err)
		}
		return nil
	}
}

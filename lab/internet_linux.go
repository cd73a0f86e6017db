//go:build linux

package lab

import (
	"errors"
	"fmt"
	"net/netip"
	"sync"
)

// InternetLink is the name of the interface by which gateways, edges and outsiders are on the Internet.
const InternetLink = "inet0"

// internetMTU is that of the Internet's links, in bytes.
const internetMTU = 1500

// internetRouter is the router's address on each of its links, and the links of gateways and edges are numbered
// from internetLinks: both of 198.18.0.0/15, which no cloud gives to anybody (RFC 2544).
var (
	internetRouter = netip.AddrFrom4([4]byte{198, 18, 0, 1})
	internetLinks  = [2]byte{198, 19}
)

// uplink is how a machine is on the Internet.
type uplink struct {
	lab        *Lab
	routerLink string     // on the Internet's router
	address    netip.Addr // the machine's own; routes to it lead by this

	mu     sync.Mutex
	public map[netip.Addr]struct{} // what leads to it now
}

func (l *Lab) prepareInternet() error {
	return l.Internet.sysctl(setting{"ipv4/ip_forward", "1"})
}

// AddOutsider adds a machine of the Internet with one public IPv4 address, on inet0.
func (l *Lab) AddOutsider(name string, address netip.Addr) (*Namespace, error) {
	if !address.Is4() {
		return nil, fmt.Errorf("add outsider %s: address %s: want an IPv4 address", name, address)
	}
	namespace, err := l.addNamespace(name)
	if err != nil {
		return nil, err
	}
	if _, err := l.joinInternetAs(namespace, l.nextLink(), address); err != nil {
		return nil, fmt.Errorf("add outsider %s: %w", name, err)
	}
	return namespace, nil
}

// joinInternet joins a node under an address of its link.
func (l *Lab) joinInternet(namespace *Namespace) (*uplink, error) {
	number := l.nextLink()
	if number >= 1<<16 {
		return nil, errors.New("join the Internet: too many links; make another lab")
	}
	address := netip.AddrFrom4([4]byte{internetLinks[0], internetLinks[1], byte(number >> 8), byte(number)})
	return l.joinInternetAs(namespace, number, address)
}

func (l *Lab) joinInternetAs(namespace *Namespace, number int, address netip.Addr) (*uplink, error) {
	link := &uplink{lab: l, routerLink: fmt.Sprintf("inet%d", number), address: address, public: map[netip.Addr]struct{}{}}
	routerMAC, nodeMAC := linkMAC(macInternetRouter, number), linkMAC(macInternetNode, number)
	routerEnd := end{l.Internet, link.routerLink, routerMAC, internetMTU}
	nodeEnd := end{namespace, InternetLink, nodeMAC, internetMTU}
	return link, inTurn([]func() error{
		func() error { return connect(routerEnd, nodeEnd) },
		func() error { return l.Internet.addAddress(link.routerLink, single(internetRouter)) },
		func() error { return namespace.addAddress(InternetLink, single(address)) },
		func() error { return bringUp(routerEnd, nodeEnd) },
		func() error { return l.Internet.addNeighbour(link.routerLink, address, nodeMAC) },
		func() error { return namespace.addNeighbour(InternetLink, internetRouter, routerMAC) },
		func() error {
			return namespace.addRoute(way{destination: netip.MustParsePrefix("0.0.0.0/0"), ifname: InternetLink,
				gateway: internetRouter, source: address})
		},
		func() error {
			return l.Internet.addRoute(way{destination: single(address), ifname: link.routerLink})
		},
	})
}

// lead routes a prefix of the Internet to the machine.
func (u *uplink) lead(prefix netip.Prefix) way {
	return way{destination: prefix, ifname: u.routerLink, gateway: u.address}
}

// setPublic brings the public addresses to the wanted ones. New ones are first made known to the machine (add), then
// to the Internet; old ones first leave the Internet, then the machine (remove). What failed is tried again by the
// next call.
func (u *uplink) setPublic(wanted []netip.Addr, add, remove func(netip.Addr) error) error {
	want := make(map[netip.Addr]struct{}, len(wanted))
	for _, address := range wanted {
		if !address.Is4() {
			return fmt.Errorf("set public addresses: %s: want an IPv4 address", address)
		}
		want[address] = struct{}{}
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	for address := range u.public {
		if _, stays := want[address]; stays {
			continue
		}
		if err := u.lab.Internet.deleteRoute(u.lead(single(address))); err != nil {
			return fmt.Errorf("set public addresses: %w", err)
		}
		if err := remove(address); err != nil {
			return fmt.Errorf("set public addresses: %w", err)
		}
		delete(u.public, address)
	}
	for address := range want {
		if _, there := u.public[address]; there {
			continue
		}
		if err := add(address); err != nil {
			return fmt.Errorf("set public addresses: %w", err)
		}
		if err := u.lab.Internet.addRoute(u.lead(single(address))); err != nil {
			return errors.Join(fmt.Errorf("set public addresses: %w", err), remove(address))
		}
		u.public[address] = struct{}{}
	}
	return nil
}

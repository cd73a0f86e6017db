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

	mu sync.Mutex // guards the publicAddresses of the machine
}

// publicAddresses are addresses that lead to a machine now, of one kind.
type publicAddresses map[netip.Addr]struct{}

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
	link := &uplink{lab: l, routerLink: fmt.Sprintf("inet%d", number), address: address}
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

// publicKind is one kind of public addresses of a machine: what the machine itself needs for one of them. What failed is tried
// again by the next call.
type publicKind struct {
	have        *publicAddresses
	wanted      []netip.Addr
	add, remove func(netip.Addr) error
}

// setPublic brings the public addresses of every kind to the wanted ones: those that go do so first, so that an address can
// change its kind. New ones are first made known to the machine, then to the Internet; old ones first leave the
// Internet, then the machine.
func (u *uplink) setPublic(kinds ...publicKind) error {
	for _, kind := range kinds {
		for _, address := range kind.wanted {
			if !address.Is4() {
				return fmt.Errorf("set public addresses: %s: want an IPv4 address", address)
			}
		}
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, kind := range kinds {
		if err := u.withdraw(kind); err != nil {
			return fmt.Errorf("set public addresses: %w", err)
		}
	}
	for _, kind := range kinds {
		if err := u.announce(kind); err != nil {
			return fmt.Errorf("set public addresses: %w", err)
		}
	}
	return nil
}

// withdraw takes away what is not wanted any more.
func (u *uplink) withdraw(kind publicKind) error {
	wanted := make(publicAddresses, len(kind.wanted))
	for _, address := range kind.wanted {
		wanted[address] = struct{}{}
	}
	for address := range *kind.have {
		if _, stays := wanted[address]; stays {
			continue
		}
		if err := u.lab.Internet.deleteRoute(u.lead(single(address))); err != nil {
			return err
		}
		if err := kind.remove(address); err != nil {
			return err
		}
		delete(*kind.have, address)
	}
	return nil
}

// announce adds what is wanted and not there.
func (u *uplink) announce(kind publicKind) error {
	if *kind.have == nil {
		*kind.have = publicAddresses{}
	}
	for _, address := range kind.wanted {
		if _, there := (*kind.have)[address]; there {
			continue
		}
		if err := kind.add(address); err != nil {
			return err
		}
		if err := u.lab.Internet.addRoute(u.lead(single(address))); err != nil {
			return errors.Join(err, kind.remove(address))
		}
		(*kind.have)[address] = struct{}{}
	}
	return nil
}

package userspace

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"sync"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/network/arp"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv6"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/icmp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"
)

const (
	machineMTU = 1500 // of a VM and of the Internet, in bytes of IPv4

	// maxTCPBuffer bounds what one connection has in flight: about 700 full packets, fewer than any queue holds.
	maxTCPBuffer = 1 << 20
)

// Stack is the network of one machine, in the form of package net: its own connections, listeners and names.
type Stack struct {
	name string
	ip   *stack.Stack

	// resolver answers names; nil: only addresses can be dialled.
	resolver *net.Resolver

	// toward names the NIC toward an address, for a stack that answers on every address of several NICs; nil: any NIC.
	toward func(netip.Addr) tcpip.NICID

	once  sync.Once
	links []*link
}

// family tells which protocols a stack speaks.
type family struct{ ipv4, ipv6, loopback bool }

func newStack(name string, speaks family) *Stack {
	options := stack.Options{
		TransportProtocols: []stack.TransportProtocolFactory{tcp.NewProtocol, udp.NewProtocol},
		HandleLocal:        speaks.loopback,
	}
	if speaks.ipv4 {
		options.NetworkProtocols = append(options.NetworkProtocols, ipv4.NewProtocol, arp.NewProtocol)
		options.TransportProtocols = append(options.TransportProtocols, icmp.NewProtocol4)
	}
	if speaks.ipv6 {
		// No address of its own, no router and no neighbours: the fabric's links know none of them.
		options.NetworkProtocols = append(options.NetworkProtocols, ipv6.NewProtocolWithOptions(ipv6.Options{}))
		options.TransportProtocols = append(options.TransportProtocols, icmp.NewProtocol6)
	}
	s := &Stack{name: name, ip: stack.New(options)}
	for _, option := range []tcpip.SettableTransportProtocolOption{
		ptr(tcpip.TCPSACKEnabled(true)),
		ptr(tcpip.TCPRecovery(0)), // RACK resends too early when acknowledgements come from another goroutine
		&tcpip.TCPSendBufferSizeRangeOption{Min: tcp.MinBufferSize, Default: 256 << 10, Max: maxTCPBuffer},
		&tcpip.TCPReceiveBufferSizeRangeOption{Min: tcp.MinBufferSize, Default: 256 << 10, Max: maxTCPBuffer},
		ptr(tcpip.TCPModerateReceiveBufferOption(true)),
	} {
		if err := s.ip.SetTransportProtocolOption(tcp.ProtocolNumber, option); err != nil {
			panic(fmt.Sprintf("network stack %s: option %T: %s", name, option, err))
		}
	}
	return s
}

func ptr[T any](value T) *T { return &value }

// attach makes a NIC on a link. anyIP makes it answer on, and send from, every address.
func (s *Stack) attach(number tcpip.NICID, endpoint stack.LinkEndpoint, l *link, anyIP bool) error {
	if err := s.ip.CreateNIC(number, endpoint); err != nil {
		return fmt.Errorf("network stack %s: create NIC %d: %s", s.name, number, err)
	}
	if anyIP {
		if err := s.ip.SetPromiscuousMode(number, true); err != nil {
			return fmt.Errorf("network stack %s: receive every address on NIC %d: %s", s.name, number, err)
		}
		if err := s.ip.SetSpoofing(number, true); err != nil {
			return fmt.Errorf("network stack %s: send from every address on NIC %d: %s", s.name, number, err)
		}
	}
	s.links = append(s.links, l)
	return nil
}

// address gives a NIC an IPv4 address with its prefix.
func (s *Stack) address(number tcpip.NICID, prefix netip.Prefix) error {
	err := s.ip.AddProtocolAddress(number, tcpip.ProtocolAddress{
		Protocol: ipv4.ProtocolNumber,
		AddressWithPrefix: tcpip.AddressWithPrefix{
			Address: tcpip.AddrFrom4(prefix.Addr().As4()), PrefixLen: prefix.Bits(),
		},
	}, stack.AddressProperties{})
	if err != nil {
		return fmt.Errorf("network stack %s: address %s: %s", s.name, prefix, err)
	}
	return nil
}

// close resets every connection, sends what waits, and ends every goroutine of the stack.
func (s *Stack) close() {
	s.once.Do(func() {
		s.ip.Close()
		for _, l := range s.links {
			l.stop()
		}
		s.ip.Wait()
	})
}

// Resolver asks the machine's own name server (168.63.129.16 for a VM); nil for a machine without one.
func (s *Stack) Resolver() *net.Resolver { return s.resolver }

// lookup turns host:port into addresses: host is an address, or a name for the resolver.
func (s *Stack) lookup(ctx context.Context, address string) ([]netip.AddrPort, error) {
	host, service, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	port, err := net.DefaultResolver.LookupPort(ctx, "tcp", service)
	if err != nil {
		return nil, err
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		return []netip.AddrPort{netip.AddrPortFrom(ip.Unmap(), uint16(port))}, nil
	}
	if s.resolver == nil {
		return nil, &net.DNSError{Err: "this machine has no name server; give an address", Name: host}
	}
	ips, err := s.resolver.LookupNetIP(ctx, "ip4", absolute(host))
	if err != nil {
		return nil, err
	}
	addresses := make([]netip.AddrPort, len(ips))
	for i, ip := range ips {
		addresses[i] = netip.AddrPortFrom(ip.Unmap(), uint16(port))
	}
	return addresses, nil
}

// absolute ends a name of several labels with a dot, so that the search list of the real machine is not asked.
func absolute(name string) string {
	for i := range len(name) - 1 {
		if name[i] == '.' && name[len(name)-1] != '.' {
			return name + "."
		}
	}
	return name
}

// full is an address in gVisor's form. The unspecified address is its zero.
func full(address netip.AddrPort) (tcpip.FullAddress, tcpip.NetworkProtocolNumber) {
	ip := address.Addr().Unmap()
	number, form := header.IPv4ProtocolNumber, tcpip.FullAddress{Port: address.Port()}
	switch {
	case ip.Is6():
		number = header.IPv6ProtocolNumber
		if !ip.IsUnspecified() {
			form.Addr = tcpip.AddrFrom16(ip.As16())
		}
	case ip.Is4() && !ip.IsUnspecified():
		form.Addr = tcpip.AddrFrom4(ip.As4())
	}
	return form, number
}

// plain is the reverse of full; IPv4 inside IPv6 becomes IPv4.
func plain(address tcpip.FullAddress) netip.AddrPort {
	ip, _ := netip.AddrFromSlice(address.Addr.AsSlice())
	return netip.AddrPortFrom(ip.Unmap(), address.Port)
}

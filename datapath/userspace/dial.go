package userspace

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"
	"gvisor.dev/gvisor/pkg/waiter"
)

// maxAddresses bounds how many addresses of one name are tried.
const maxAddresses = 8

// DialContext is that of net.Dialer: network is "tcp", "tcp4", "udp" or "udp4", address host:port, where host may be a
// name if the machine has a Resolver. TCP connections are *Conn.
func (s *Stack) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	fail := func(err error) error {
		return &net.OpError{Op: "dial", Net: network, Err: fmt.Errorf("%s from %s: %w", address, s.name, err)}
	}
	addresses, err := s.lookup(ctx, address)
	if err != nil {
		return nil, fail(err)
	}
	err = fmt.Errorf("the name has no address")
	for _, remote := range addresses[:min(len(addresses), maxAddresses)] {
		var conn net.Conn
		switch {
		case strings.HasPrefix(network, "tcp"):
			conn, err = s.dialTCP(ctx, netip.AddrPort{}, remote)
		case strings.HasPrefix(network, "udp"):
			conn, err = s.dialUDP(remote)
		default:
			return nil, fail(net.UnknownNetworkError(network))
		}
		if err == nil {
			return conn, nil
		}
		if ctx.Err() != nil {
			break
		}
	}
	return nil, fail(err)
}

// dialTCP connects to remote from local; a zero local lets the stack choose.
func (s *Stack) dialTCP(ctx context.Context, local, remote netip.AddrPort) (net.Conn, error) {
	to, number := full(remote)
	fail := func(operation string, err tcpip.Error) error {
		return known(&net.OpError{Op: operation, Net: "tcp", Addr: net.TCPAddrFromAddrPort(remote), Err: textError(err.String())})
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	queue := new(waiter.Queue)
	endpoint, err := s.ip.NewEndpoint(tcp.ProtocolNumber, number, queue)
	if err != nil {
		return nil, fail("socket", err)
	}
	if local.IsValid() {
		from, _ := full(local)
		if s.toward != nil {
			from.NIC = s.toward(local.Addr())
		}
		if err := endpoint.Bind(from); err != nil {
			endpoint.Close()
			return nil, fail("bind", err)
		}
	}
	entry, ready := waiter.NewChannelEntry(waiter.WritableEvents)
	queue.EventRegister(&entry)
	defer queue.EventUnregister(&entry)
	err = endpoint.Connect(to)
	if _, started := err.(*tcpip.ErrConnectStarted); started {
		select {
		case <-ctx.Done():
			endpoint.Close()
			return nil, ctx.Err()
		case <-ready:
		}
		err = endpoint.LastError()
	}
	if err != nil {
		endpoint.Close()
		return nil, fail("connect", err)
	}
	return newConn(queue, endpoint), nil
}

func (s *Stack) dialUDP(remote netip.AddrPort) (net.Conn, error) {
	to, number := full(remote)
	conn, err := gonet.DialUDP(s.ip, nil, &to, number)
	if err != nil {
		return nil, known(err)
	}
	return &udpConn{conn}, nil
}

// Listen is that of package net, for "tcp": address is host:port or :port, and port 0 any free one. Without a host it
// listens on every address of every family that the stack speaks.
func (s *Stack) Listen(network, address string) (net.Listener, error) {
	if !strings.HasPrefix(network, "tcp") {
		return nil, net.UnknownNetworkError(network)
	}
	local, err := s.localAddress(address)
	if err != nil {
		return nil, err
	}
	return s.listenTCP(local)
}

// ListenPacket is that of package net, for "udp". Addresses are *net.UDPAddr.
func (s *Stack) ListenPacket(network, address string) (net.PacketConn, error) {
	if !strings.HasPrefix(network, "udp") {
		return nil, net.UnknownNetworkError(network)
	}
	local, err := s.localAddress(address)
	if err != nil {
		return nil, err
	}
	form, number := full(local)
	queue := new(waiter.Queue)
	endpoint, fault := s.ip.NewEndpoint(udp.ProtocolNumber, number, queue)
	if fault == nil {
		if fault = endpoint.Bind(form); fault == nil {
			return &udpConn{gonet.NewUDPConn(queue, endpoint)}, nil
		}
		endpoint.Close()
	}
	return nil, known(&net.OpError{Op: "listen", Net: network, Addr: net.UDPAddrFromAddrPort(local), Err: textError(fault.String())})
}

// localAddress reads host:port where host is an address or nothing, which means every address.
func (s *Stack) localAddress(address string) (netip.AddrPort, error) {
	host, service, err := net.SplitHostPort(address)
	if err != nil {
		return netip.AddrPort{}, err
	}
	port, err := strconv.ParseUint(service, 10, 16)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("listen on %s: port %q is no number below 65536", address, service)
	}
	ip := netip.IPv4Unspecified()
	if s.ip.CheckNetworkProtocol(header.IPv6ProtocolNumber) {
		ip = netip.IPv6Unspecified()
	}
	if host != "" {
		if ip, err = netip.ParseAddr(host); err != nil {
			return netip.AddrPort{}, fmt.Errorf("listen on %s: %w", address, err)
		}
	}
	return netip.AddrPortFrom(ip, uint16(port)), nil
}

// udpConn is gVisor's, with addresses in either form of net.IP.
type udpConn struct{ *gonet.UDPConn }

// WriteTo sends to a *net.UDPAddr.
func (c *udpConn) WriteTo(data []byte, address net.Addr) (int, error) {
	to, ok := address.(*net.UDPAddr)
	if !ok {
		return 0, fmt.Errorf("send to %s: want a *net.UDPAddr, have %T", address, address)
	}
	if four := to.IP.To4(); four != nil {
		to = &net.UDPAddr{IP: four, Port: to.Port}
	}
	n, err := c.UDPConn.WriteTo(data, to)
	return n, known(err)
}

// Write sends to the address that was dialled.
func (c *udpConn) Write(data []byte) (int, error) {
	n, err := c.UDPConn.Write(data)
	return n, known(err)
}

// Read receives from the address that was dialled.
func (c *udpConn) Read(data []byte) (int, error) {
	n, err := c.UDPConn.Read(data)
	return n, known(err)
}

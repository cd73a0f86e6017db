//go:build linux

package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// DialContext connects from inside the namespace; the connection may be used anywhere. Its signature is that of
// net.Dialer, for http.Transport. The host is an address, or a name where the machine has a resolver (a VM's is the
// platform's). The addresses of a name are tried in turn.
func (n *Namespace) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	return n.DialFrom(ctx, nil, network, address)
}

// DialFrom is DialContext from a local address (*net.TCPAddr, *net.UDPAddr); nil lets the kernel choose.
func (n *Namespace) DialFrom(ctx context.Context, local net.Addr, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("dial from %s: %w", n.Name, err)
	}
	addresses, err := n.lookup(ctx, network, host)
	if err != nil {
		return nil, fmt.Errorf("dial from %s: %w", n.Name, err)
	}
	var failures []error
	for _, literal := range addresses {
		conn, err := n.dialLiteral(ctx, local, network, net.JoinHostPort(literal.String(), port))
		if err == nil {
			return conn, nil
		}
		failures = append(failures, err)
		if ctx.Err() != nil {
			break
		}
	}
	return nil, fmt.Errorf("dial from %s: %w", n.Name, errors.Join(failures...))
}

// dialLiteral dials one address: with no name to resolve and no second address to race, the dialer makes its socket on
// the goroutine that calls it.
func (n *Namespace) dialLiteral(ctx context.Context, local net.Addr, network, address string) (conn net.Conn, err error) {
	dialer := net.Dialer{LocalAddr: local}
	dialer.SetMultipathTCP(false)
	err = n.Do(func() error {
		conn, err = dialer.DialContext(ctx, network, address)
		return err
	})
	return conn, err
}

// lookup gives the addresses of a host, of the family that the network asks for.
func (n *Namespace) lookup(ctx context.Context, network, host string) ([]netip.Addr, error) {
	if literal, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{literal}, nil
	}
	if !n.resolver.IsValid() {
		return nil, fmt.Errorf("look up %q: this machine has no resolver; give an address", host)
	}
	resolver := net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return n.dialLiteral(ctx, nil, network, net.JoinHostPort(n.resolver.String(), "53"))
	}}
	family := "ip"
	if last := network[len(network)-1]; last == '4' || last == '6' {
		family += string(last)
	}
	// The dot at the end keeps the search list of this computer's own resolv.conf away.
	return resolver.LookupNetIP(ctx, family, strings.TrimSuffix(host, ".")+".")
}

// listenConfig makes a wildcard IPv6 socket of a network without a family take IPv4 too. The net package decides that
// from what the first namespace that it saw could do.
func listenConfig() *net.ListenConfig {
	config := &net.ListenConfig{Control: func(network, address string, conn syscall.RawConn) error {
		if !strings.HasPrefix(address, "[::]:") || (network != "tcp" && network != "udp") {
			return nil
		}
		var failure error
		if err := conn.Control(func(socket uintptr) {
			failure = unix.SetsockoptInt(int(socket), unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 0)
		}); err != nil {
			return err
		}
		return failure
	}}
	config.SetMultipathTCP(false)
	return config
}

// Listen listens inside the namespace. The host of the address is an address or empty: "[::]:80" takes both families.
func (n *Namespace) Listen(ctx context.Context, network, address string) (listener net.Listener, err error) {
	err = n.Do(func() error {
		listener, err = listenConfig().Listen(ctx, network, address)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("listen in %s: %w", n.Name, err)
	}
	return listener, nil
}

// ListenPacket makes a datagram socket inside the namespace. The host of the address is an address or empty.
func (n *Namespace) ListenPacket(ctx context.Context, network, address string) (conn net.PacketConn, err error) {
	err = n.Do(func() error {
		conn, err = listenConfig().ListenPacket(ctx, network, address)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("listen in %s: %w", n.Name, err)
	}
	return conn, nil
}

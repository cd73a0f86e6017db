package platform

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"

	"golang.org/x/net/ipv6"
)

// ListenPacket opens the kernel's PacketConn: a UDP socket on the IPv6 wildcard, or on one address of the fabric. With a
// route "local PREFIX dev lo" it gets what comes to any address of the prefix, and IPV6_RECVPKTINFO (RFC 3542 section 6)
// tells which. Linux sends from such an address only with IPV6_FREEBIND, since no interface has it.
func ListenPacket(ctx context.Context, address netip.AddrPort) (PacketConn, error) {
	config := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		var failed error
		if err := raw.Control(func(fd uintptr) { failed = freebind(fd) }); err != nil {
			return err
		}
		return failed
	}}
	connection, err := config.ListenPacket(ctx, "udp6", address.String())
	if err != nil {
		return nil, fmt.Errorf("listen for names on UDP %s: %w", address, err)
	}
	packets := ipv6.NewPacketConn(connection)
	if err := packets.SetControlMessage(ipv6.FlagDst, true); err != nil {
		return nil, errors.Join(fmt.Errorf("listen for names on UDP %s: ask for destinations: %w", address, err), connection.Close())
	}
	local := addressOf(connection.LocalAddr())
	return &kernelPackets{packets: packets, port: local.Port()}, nil
}

type kernelPackets struct {
	packets *ipv6.PacketConn
	port    uint16
}

var errNoDestination = errors.New("the kernel did not tell the destination of a datagram")

func (k *kernelPackets) ReadFrom(b []byte) (int, netip.AddrPort, netip.AddrPort, error) {
	n, control, source, err := k.packets.ReadFrom(b)
	if err != nil {
		return 0, netip.AddrPort{}, netip.AddrPort{}, err
	}
	if control == nil {
		return 0, netip.AddrPort{}, netip.AddrPort{}, errNoDestination
	}
	destination, ok := netip.AddrFromSlice(control.Dst)
	if !ok {
		return 0, netip.AddrPort{}, netip.AddrPort{}, errNoDestination
	}
	return n, netip.AddrPortFrom(destination, k.port), addressOf(source), nil
}

func (k *kernelPackets) WriteTo(b []byte, local, remote netip.AddrPort) error {
	_, err := k.packets.WriteTo(b, &ipv6.ControlMessage{Src: local.Addr().AsSlice()}, net.UDPAddrFromAddrPort(remote))
	return err
}

func (k *kernelPackets) Close() error { return k.packets.Close() }

//go:build linux

package kernel

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"

	"postern/datapath/kernel/bpf"
	"postern/model"
	"postern/packet"
)

// resets sends TCP resets in the name of either end of a connection: to one that is idle and would not learn otherwise
// that it is over.
type resets struct{ six, four int } // raw sockets

func openResets() (*resets, error) {
	six, err := unix.Socket(unix.AF_INET6, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
	if err != nil {
		return nil, fmt.Errorf("open a raw socket: %w", err)
	}
	four, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open a raw socket: %w", err), unix.Close(six))
	}
	return &resets{six, four}, nil
}

// send resets both ends. What cannot be sent is not sent again: the connection is marked, so the next packet of either end
// is answered with a reset.
func (r *resets) send(key bpf.PosternConnectionKey, c bpf.PosternConnection) {
	caller, dialled := callerOf(key), dialledOf(key)
	server := netip.AddrPortFrom(dialled.Addr(), be16(c.BackendPort))
	if c.Backend != (bpf.PosternAddress{}) {
		server = netip.AddrPortFrom(ofAddress(c.Backend), server.Port())
	}
	_ = r.sendOne(dialled, caller, c.ServerNext)
	_ = r.sendOne(caller, server, c.CallerNext)
}

func (r *resets) sendOne(from, to netip.AddrPort, sequence uint32) error {
	if from.Addr().Is4() {
		return unix.Sendto(r.four, resetPacket(from, to, sequence), 0, &unix.SockaddrInet4{Addr: to.Addr().As4()})
	}
	return unix.Sendto(r.six, resetPacket(from, to, sequence), 0, &unix.SockaddrInet6{Addr: to.Addr().As16()})
}

// resetPacket is an IP packet with a TCP reset.
func resetPacket(from, to netip.AddrPort, sequence uint32) []byte {
	var data, addresses []byte
	if from.Addr().Is4() {
		data = make([]byte, packet.IPv4Len+packet.TCPLen)
		packet.PutIPv4(data, packet.IPv4Fields{TotalLen: uint16(len(data)), Fragment: packet.IPv4DontFragment, TTL: 64,
			Protocol: model.ProtocolTCP, Source: from.Addr().As4(), Destination: to.Addr().As4()})
		addresses = data[12:20]
	} else {
		data = make([]byte, packet.IPv6Len+packet.TCPLen)
		packet.PutIPv6(data, packet.IPv6Fields{PayloadLen: packet.TCPLen, NextHeader: model.ProtocolTCP, HopLimit: 64,
			Source: from.Addr().As16(), Destination: to.Addr().As16()})
		addresses = data[8:40]
	}
	tcp := data[len(data)-packet.TCPLen:]
	binary.BigEndian.PutUint16(tcp, from.Port())
	binary.BigEndian.PutUint16(tcp[2:], to.Port())
	binary.BigEndian.PutUint32(tcp[4:], sequence)
	tcp[12], tcp[13] = packet.TCPLen/4<<4, packet.TCPRst
	sum := packet.Add(packet.PseudoHeader(addresses, model.ProtocolTCP, packet.TCPLen), tcp)
	binary.BigEndian.PutUint16(tcp[packet.TCPChecksumOffset:], packet.Checksum(sum))
	return data
}

func (r *resets) close() error { return errors.Join(unix.Close(r.six), unix.Close(r.four)) }

package demo

import (
	"encoding/binary"
	"net/netip"

	"postern/model"
	"postern/packet"
)

// packet4 is an IPv4 packet in the making. Payload is what stands behind the header, whole or a fragment's part.
type packet4 struct {
	from, to       netip.Addr
	protocol       model.Protocol
	identification uint16
	offset         int // of a fragment, in bytes; a multiple of 8
	more           bool
	payload        []byte
}

// bytes is the packet with a right header checksum.
func (p packet4) bytes() []byte {
	out := make([]byte, packet.IPv4Len+len(p.payload))
	fragment := uint16(p.offset / 8)
	if p.more {
		fragment |= packet.IPv4MoreFragments
	}
	packet.PutIPv4(out, packet.IPv4Fields{
		TotalLen: uint16(len(out)), Identification: p.identification, Fragment: fragment, TTL: 64,
		Protocol: p.protocol, Source: p.from.As4(), Destination: p.to.As4(),
	})
	copy(out[packet.IPv4Len:], p.payload)
	return out
}

// syn is a TCP segment that asks for a connection, followed by data, with its checksum over the two addresses, which are
// both IPv4 or both IPv6.
func syn(from, to netip.Addr, sourcePort, destinationPort uint16, data ...byte) []byte {
	out := make([]byte, packet.TCPLen+len(data))
	binary.BigEndian.PutUint16(out, sourcePort)
	binary.BigEndian.PutUint16(out[2:], destinationPort)
	binary.BigEndian.PutUint32(out[4:], 0x706f7374)
	out[12] = packet.TCPLen / 4 << 4
	out[13] = packet.TCPSyn
	binary.BigEndian.PutUint16(out[14:], 0xffff)
	copy(out[packet.TCPLen:], data)
	addresses := append(from.AsSlice(), to.AsSlice()...)
	sum := packet.Add(packet.PseudoHeader(addresses, model.ProtocolTCP, len(out)), out)
	binary.BigEndian.PutUint16(out[packet.TCPChecksumOffset:], packet.Checksum(sum))
	return out
}

// packet6 is an IPv6 packet.
func packet6(from, to netip.Addr, next model.Protocol, payload []byte) []byte {
	out := make([]byte, packet.IPv6Len+len(payload))
	packet.PutIPv6(out, packet.IPv6Fields{PayloadLen: uint16(len(payload)), NextHeader: next, HopLimit: 64,
		Source: from.As16(), Destination: to.As16()})
	copy(out[packet.IPv6Len:], payload)
	return out
}

// frame puts Ethernet before a packet, to the router as every NIC sees it.
func frame(from model.MAC, etherType uint16, inside []byte) []byte {
	out := make([]byte, packet.EthernetLen+len(inside))
	packet.PutEthernet(out, model.RouterMAC, from, etherType)
	copy(out[packet.EthernetLen:], inside)
	return out
}

// tagged is a frame with an 802.1Q tag.
func tagged(from model.MAC, vlan, etherType uint16, inside []byte) []byte {
	tag := binary.BigEndian.AppendUint16(nil, vlan)
	tag = binary.BigEndian.AppendUint16(tag, etherType)
	return frame(from, packet.EtherTypeVLAN, append(tag, inside...))
}

package explain

import (
	"encoding/binary"
	"net/netip"

	"postern/model"
	"postern/packet"
)

// sourcePort is the sender's port of every packet: the first of the dynamic ones (RFC 6335 section 6).
const sourcePort = 49152

// firstFrame is the Ethernet frame in which a NIC opens a connection.
func firstFrame(nic *model.NetworkInterface, from, to netip.AddrPort, protocol model.Protocol) []byte {
	frame := make([]byte, packet.EthernetLen)
	packet.PutEthernet(frame, model.RouterMAC, nic.MAC, packet.EtherTypeIPv4)
	return append(frame, firstPacket(from, to, protocol)...)
}

// firstPacket is the IPv4 packet that opens a connection: a TCP SYN without options, or an empty UDP datagram.
func firstPacket(from, to netip.AddrPort, protocol model.Protocol) []byte {
	segment := make([]byte, packet.UDPLen)
	checksum := packet.UDPChecksumOffset
	if protocol == model.ProtocolTCP {
		segment = make([]byte, packet.TCPLen)
		checksum = packet.TCPChecksumOffset
		segment[12], segment[13] = packet.TCPLen/4<<4, packet.TCPSyn
		binary.BigEndian.PutUint16(segment[14:], 0xffff) // window
	} else {
		binary.BigEndian.PutUint16(segment[4:], uint16(len(segment)))
	}
	binary.BigEndian.PutUint16(segment, from.Port())
	binary.BigEndian.PutUint16(segment[2:], to.Port())

	source, destination := from.Addr().As4(), to.Addr().As4()
	sum := packet.Add(packet.PseudoHeader(append(source[:], destination[:]...), protocol, len(segment)), segment)
	binary.BigEndian.PutUint16(segment[checksum:], packet.ChecksumUDP(sum))

	header := make([]byte, packet.IPv4Len, packet.IPv4Len+len(segment))
	packet.PutIPv4(header, packet.IPv4Fields{TotalLen: uint16(packet.IPv4Len + len(segment)),
		Fragment: packet.IPv4DontFragment, TTL: 64, Protocol: protocol, Source: source, Destination: destination})
	return append(header, segment...)
}

package pipeline

import (
	"encoding/binary"

	"postern/model"
	"postern/packet"
)

// side is the offset of an address in an IPv4 header.
type side int

const (
	sourceSide      side = 12
	destinationSide side = 16
)

// other is the side that the same host has in a packet of the other direction, as an ICMP error quotes it.
func (s side) other() side { return sourceSide + destinationSide - s }

// rewriteAddress replaces one address of a sound IPv4 packet, in place, and updates the checksums that cover it: of the
// IPv4 header, and of TCP and UDP in a packet that is no later fragment. In an ICMP error the quoted packet's address on
// the other side is replaced too, where it is the old one.
func rewriteAddress(ip packet.IPv4, at side, before, after [4]byte) {
	difference := packet.Subtract(packet.Add(0, after[:]), packet.Add(0, before[:]))
	rewriteHeader(ip, at, after, difference)
	if ip.FragmentOffset() > 0 {
		return
	}
	layer4 := ip.Payload()
	switch ip.Protocol() {
	case model.ProtocolTCP:
		if len(layer4) >= packet.TCPLen {
			sum := layer4[packet.TCPChecksumOffset:]
			binary.BigEndian.PutUint16(sum, packet.Update(binary.BigEndian.Uint16(sum), difference))
		}
	case model.ProtocolUDP:
		if len(layer4) >= packet.UDPLen {
			sum := layer4[packet.UDPChecksumOffset:]
			binary.BigEndian.PutUint16(sum, packet.UpdateUDP(binary.BigEndian.Uint16(sum), difference))
		}
	case model.ProtocolICMP:
		if !isICMPError(ip) {
			return
		}
		// The quoted header's checksum changes by as much as the address, the other way, so the checksum of the ICMP message,
		// which covers both, stays as it is.
		quoted := packet.IPv4(packet.ICMP(layer4).Quoted())
		if len(quoted) >= packet.IPv4Len && quoted[0]>>4 == 4 && [4]byte(quoted[at.other():]) == before {
			rewriteHeader(quoted, at.other(), after, difference)
		}
	}
}

func rewriteHeader(ip packet.IPv4, at side, after [4]byte, difference uint64) {
	copy(ip[at:at+4], after[:])
	binary.BigEndian.PutUint16(ip[10:], packet.Update(ip.Checksum(), difference))
}

// isICMPError tells whether a packet that is no later fragment is an ICMP error.
func isICMPError(ip packet.IPv4) bool {
	layer4 := ip.Payload()
	return ip.Protocol() == model.ProtocolICMP && ip.FragmentOffset() == 0 && len(layer4) >= packet.ICMPLen &&
		packet.ICMP(layer4).IsError()
}

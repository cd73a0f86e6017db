package packet

import (
	"encoding/binary"

	"postern/model"
)

// Reset writes into out the IP packet, of the same family, that resets the TCP connection of a packet to who sent it, and
// returns as much of out (docs/packet.md, "A reset"; RFC 9293, section 3.10.7.1). The packet must be sound, without
// extension headers, and hold its whole TCP header; out must have room for 60 bytes and not overlap.
func Reset(out, packet []byte) []byte {
	if packet[0]>>4 == 4 {
		ip := IPv4(packet)
		out = out[:IPv4Len+TCPLen]
		PutIPv4(out, IPv4Fields{TotalLen: IPv4Len + TCPLen, Fragment: IPv4DontFragment, TTL: replyTTL, Protocol: model.ProtocolTCP,
			Source: ip.Destination(), Destination: ip.Source()})
		putReset(out[IPv4Len:], TCP(packet[ip.HeaderLen():ip.TotalLen()]), out[12:20])
		return out
	}
	ip := IPv6(packet)
	out = out[:IPv6Len+TCPLen]
	PutIPv6(out, IPv6Fields{PayloadLen: TCPLen, NextHeader: model.ProtocolTCP, HopLimit: replyTTL,
		Source: ip.Destination(), Destination: ip.Source()})
	putReset(out[IPv6Len:], TCP(packet[IPv6Len:IPv6Len+ip.PayloadLen()]), out[8:40])
	return out
}

// putReset writes the TCP header of a reset that answers a segment; addresses are those of the packet around it.
func putReset(reply []byte, segment TCP, addresses []byte) {
	flags, sequence, acknowledgement := TCPRst|TCPAck, uint32(0), uint32(0)
	if segment.Flags()&TCPAck != 0 {
		flags, sequence = TCPRst, segment.Acknowledgement()
	} else {
		acknowledgement = segment.Sequence() + uint32(len(segment)-segment.DataOffset())
		if segment.Flags()&TCPSyn != 0 {
			acknowledgement++
		}
		if segment.Flags()&TCPFin != 0 {
			acknowledgement++
		}
	}
	copy(reply[0:2], segment[2:4])
	copy(reply[2:4], segment[0:2])
	binary.BigEndian.PutUint32(reply[4:], sequence)
	binary.BigEndian.PutUint32(reply[8:], acknowledgement)
	reply[12], reply[13] = TCPLen/4<<4, flags
	clear(reply[14:TCPLen]) // window, checksum, urgent pointer
	sum := Add(PseudoHeader(addresses, model.ProtocolTCP, TCPLen), reply)
	binary.BigEndian.PutUint16(reply[TCPChecksumOffset:], Checksum(sum))
}

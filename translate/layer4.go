package translate

import (
	"encoding/binary"

	"postern/packet"
)

// The functions here change the first 8 bytes of layer 4 and, in TCP, the checksum: they serve whole packets, first
// fragments and the 8 bytes that an ICMP error quotes.

// updateTCP takes a difference of the addresses into the checksum of a TCP header.
func updateTCP(header []byte, difference uint64) {
	sum := header[packet.TCPChecksumOffset:]
	binary.BigEndian.PutUint16(sum, packet.Update(binary.BigEndian.Uint16(sum), difference))
}

// updateUDP takes a difference of the addresses into the checksum of a UDP header, if it has one.
func updateUDP(header []byte, difference uint64) {
	sum := header[packet.UDPChecksumOffset:]
	binary.BigEndian.PutUint16(sum, packet.UpdateUDP(binary.BigEndian.Uint16(sum), difference))
}

// echoTo6 turns an ICMP echo into an ICMPv6 echo, whose checksum covers a pseudo-header with the given sum.
func echoTo6(message packet.ICMP, pseudoHeader uint64) {
	before := message.Type()
	message[0] = packet.ICMPv6EchoRequest
	if before == packet.ICMPEchoReply {
		message[0] = packet.ICMPv6EchoReply
	}
	updateICMP(message, packet.Subtract(pseudoHeader+uint64(message[0])<<8, uint64(before)<<8))
}

// echoTo4 turns an ICMPv6 echo, whose checksum covers a pseudo-header with the given sum, into an ICMP echo.
func echoTo4(message packet.ICMP, pseudoHeader uint64) {
	before := message.Type()
	message[0] = packet.ICMPEchoRequest
	if before == packet.ICMPv6EchoReply {
		message[0] = packet.ICMPEchoReply
	}
	updateICMP(message, packet.Subtract(uint64(message[0])<<8, pseudoHeader+uint64(before)<<8))
	// A reply of nothing but zeros is the one message whose only valid checksum is 0xffff, which no update gives. Any
	// other message whose checksum came out as 0 is as valid with 0xffff, so the data need not be looked at.
	if message[0] == packet.ICMPEchoReply && message.Checksum() == 0 && message.Rest() == 0 {
		binary.BigEndian.PutUint16(message[packet.ICMPChecksumOffset:], 0xffff)
	}
}

func updateICMP(message packet.ICMP, difference uint64) {
	sum := packet.Update(message.Checksum(), difference)
	binary.BigEndian.PutUint16(message[packet.ICMPChecksumOffset:], sum)
}

package translate

import (
	"encoding/binary"

	"postern/packet"
)

// errorHead is the first 8 bytes of an ICMP or ICMPv6 error, less the checksum.
type errorHead struct {
	kind, code uint8
	rest       uint32 // MTU, pointer, or 0
}

// put writes the head into the first 8 bytes of a message, with a checksum of 0.
func (h errorHead) put(message []byte) {
	message[0], message[1], message[2], message[3] = h.kind, h.code, 0, 0
	binary.BigEndian.PutUint32(message[4:], h.rest)
}

// minimumIPv6MTU is what every IPv6 link carries, in bytes (RFC 8200, section 5).
const minimumIPv6MTU = 1280

// headerDifference is by how much an IPv6 header is longer than an IPv4 header, in bytes.
const headerDifference = packet.IPv6Len - packet.IPv4Len

// none stands in the tables below for what the other protocol has no word for.
const none = 0xff

// unreachableTo6 gives the ICMPv6 code of type 1 for each ICMP code of type 3 (RFC 7915, section 4.2). Codes 2 and 4
// become other types.
var unreachableTo6 = [16]uint8{0, 0, none, 4, none, 0, 0, 0, 0, 1, 1, 0, 0, 1, none, 1}

// unreachableTo4 gives the ICMP code of type 3 for each ICMPv6 code of type 1 (RFC 7915, section 5.2).
var unreachableTo4 = [5]uint8{1, 10, 1, 1, 3}

// pointerTo6 gives, for a byte of the IPv4 header, the byte of the IPv6 header with the same meaning (RFC 7915, figure 3).
var pointerTo6 = [packet.IPv4Len]uint8{
	0, 1, 4, 4, // version and header length, TOS, total length
	none, none, none, none, // identification, flags, offset
	7, 6, none, none, // TTL, protocol, checksum
	8, 8, 8, 8, // source
	24, 24, 24, 24, // destination
}

// pointerTo4 is the other way (RFC 7915, figure 6).
var pointerTo4 = [packet.IPv6Len]uint8{
	0, 1, none, none, // version, traffic class, flow label
	2, 2, 9, 8, // payload length, next header, hop limit
	12, 12, 12, 12, 12, 12, 12, 12, 12, 12, 12, 12, 12, 12, 12, 12, // source
	16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, // destination
}

// nextHeaderPointer is where the next header stands in an IPv6 header, in bytes.
const nextHeaderPointer = 6

// errorTo6 maps type, code, MTU and pointer of an ICMP message (RFC 7915, section 4.2). False means that it is no error,
// or one that ICMPv6 has no word for. An MTU that an old router left 0 counts as the least there can be.
func errorTo6(message packet.ICMP) (errorHead, bool) {
	code := message.Code()
	switch message.Type() {
	case packet.ICMPUnreachable:
		switch {
		case code == 2: // protocol unreachable
			return errorHead{packet.ICMPv6ParameterProblem, 1, nextHeaderPointer}, true
		case code == packet.ICMPFragmentationCode:
			mtu := message.Rest() & 0xffff
			return errorHead{packet.ICMPv6PacketTooBig, 0, max(mtu+headerDifference, minimumIPv6MTU)}, true
		case int(code) < len(unreachableTo6) && unreachableTo6[code] != none:
			return errorHead{packet.ICMPv6Unreachable, unreachableTo6[code], 0}, true
		}
	case packet.ICMPTimeExceeded:
		return errorHead{packet.ICMPv6TimeExceeded, code, 0}, true
	case packet.ICMPParameterProblem:
		pointer := message.Rest() >> 24
		if (code == 0 || code == 2) && int(pointer) < len(pointerTo6) && pointerTo6[pointer] != none {
			return errorHead{packet.ICMPv6ParameterProblem, 0, uint32(pointerTo6[pointer])}, true
		}
	}
	return errorHead{}, false
}

// errorTo4 maps type, code, MTU and pointer of an ICMPv6 message (RFC 7915, section 5.2). False means that it is no error,
// or one that ICMP has no word for. An MTU below 1280 is none that IPv6 knows and counts as 1280; one above what 16 bits
// hold counts as the most they do.
func errorTo4(message packet.ICMP) (errorHead, bool) {
	code := message.Code()
	switch message.Type() {
	case packet.ICMPv6Unreachable:
		if int(code) < len(unreachableTo4) {
			return errorHead{packet.ICMPUnreachable, unreachableTo4[code], 0}, true
		}
	case packet.ICMPv6PacketTooBig:
		mtu := min(max(message.Rest(), minimumIPv6MTU)-headerDifference, 0xffff)
		return errorHead{packet.ICMPUnreachable, packet.ICMPFragmentationCode, mtu}, true
	case packet.ICMPv6TimeExceeded:
		return errorHead{packet.ICMPTimeExceeded, code, 0}, true
	case packet.ICMPv6ParameterProblem:
		switch pointer := message.Rest(); {
		case code == 1: // unrecognised next header
			return errorHead{packet.ICMPUnreachable, 2, 0}, true
		case code == 0 && pointer < packet.IPv6Len && pointerTo4[pointer] != none:
			return errorHead{packet.ICMPParameterProblem, 0, uint32(pointerTo4[pointer]) << 24}, true
		}
	}
	return errorHead{}, false
}

package packet

import "encoding/binary"

// Lengths of the fixed headers behind IP, in bytes.
const (
	TCPLen  = 20
	UDPLen  = 8
	ICMPLen = 8
)

// QuotedPayloadLen is how much of a packet's payload an ICMP error quotes at least, and this project's at most: 8 bytes
// hold the ports of TCP and UDP and the identifier of an echo (RFC 792).
const QuotedPayloadLen = 8

// Offsets of the checksum in each header behind IP, in bytes.
const (
	TCPChecksumOffset  = 16
	UDPChecksumOffset  = 6
	ICMPChecksumOffset = 2
)

// Flags of TCP.
const (
	TCPFin uint8 = 1 << iota
	TCPSyn
	TCPRst
	TCPPsh
	TCPAck
)

// Ports gives the ports of a TCP or UDP header, of which the first 4 bytes must be there.
func Ports(header []byte) (source, destination uint16) {
	return binary.BigEndian.Uint16(header), binary.BigEndian.Uint16(header[2:])
}

// TCP is a TCP segment of at least TCPLen bytes.
type TCP []byte

// Sequence is the sequence number of the first byte.
func (t TCP) Sequence() uint32 { return binary.BigEndian.Uint32(t[4:]) }

// Acknowledgement is the next sequence number that the sender waits for. It means something with TCPAck alone.
func (t TCP) Acknowledgement() uint32 { return binary.BigEndian.Uint32(t[8:]) }

// DataOffset is the length of the header with its options, in bytes.
func (t TCP) DataOffset() int { return int(t[12]>>4) * 4 }

// Flags are TCPFin and its kin.
func (t TCP) Flags() uint8 { return t[13] }

// Checksum is the checksum as it stands there.
func (t TCP) Checksum() uint16 { return binary.BigEndian.Uint16(t[TCPChecksumOffset:]) }

// CheckTCP tells whether the fixed header is there and the data offset is at least 20 and fits (docs/packet.md, step 5).
func CheckTCP(segment []byte) bool {
	return len(segment) >= TCPLen && TCP(segment).DataOffset() >= TCPLen && TCP(segment).DataOffset() <= len(segment)
}

// UDP is a UDP datagram of at least UDPLen bytes.
type UDP []byte

// Length is the length of header and data, in bytes, as the header states it.
func (u UDP) Length() int { return int(binary.BigEndian.Uint16(u[4:])) }

// Checksum is the checksum as it stands there; 0 says that there is none.
func (u UDP) Checksum() uint16 { return binary.BigEndian.Uint16(u[UDPChecksumOffset:]) }

// ICMP is an ICMP or ICMPv6 message of at least ICMPLen bytes.
type ICMP []byte

// Types of ICMP (RFC 792) that docs/packet.md names.
const (
	ICMPEchoReply          = 0
	ICMPUnreachable        = 3
	ICMPSourceQuench       = 4
	ICMPRedirect           = 5
	ICMPEchoRequest        = 8
	ICMPTimeExceeded       = 11
	ICMPParameterProblem   = 12
	ICMPFragmentationCode  = 4 // the code of ICMPUnreachable that says: fragmentation needed, and DF set
	ICMPv6Unreachable      = 1
	ICMPv6PacketTooBig     = 2
	ICMPv6TimeExceeded     = 3
	ICMPv6ParameterProblem = 4
	ICMPv6EchoRequest      = 128
	ICMPv6EchoReply        = 129
)

// Type is the ICMP type.
func (m ICMP) Type() uint8 { return m[0] }

// Code is the ICMP code.
func (m ICMP) Code() uint8 { return m[1] }

// Checksum is the checksum as it stands there.
func (m ICMP) Checksum() uint16 { return binary.BigEndian.Uint16(m[ICMPChecksumOffset:]) }

// Identifier is an echo's, which serves as its port on both sides.
func (m ICMP) Identifier() uint16 { return binary.BigEndian.Uint16(m[4:]) }

// Rest is the second word of the header: MTU, pointer, or identifier and sequence number, by type.
func (m ICMP) Rest() uint32 { return binary.BigEndian.Uint32(m[4:]) }

// Quoted is what follows the header: in an error, the packet that it is about.
func (m ICMP) Quoted() []byte { return m[ICMPLen:] }

// IsEcho tells whether an ICMP message (not ICMPv6) is an echo request or reply.
func (m ICMP) IsEcho() bool { return m[0] == ICMPEchoRequest || m[0] == ICMPEchoReply }

// IsError tells whether an ICMP message (not ICMPv6) is about another packet (docs/packet.md, step 6).
func (m ICMP) IsError() bool {
	switch m[0] {
	case ICMPUnreachable, ICMPSourceQuench, ICMPRedirect, ICMPTimeExceeded, ICMPParameterProblem:
		return true
	}
	return false
}

// IsEchoV6 tells whether an ICMPv6 message is an echo request or reply.
func (m ICMP) IsEchoV6() bool { return m[0] == ICMPv6EchoRequest || m[0] == ICMPv6EchoReply }

// IsErrorV6 tells whether an ICMPv6 message is one of the errors 1 to 4 (docs/packet.md, from the fabric, step 4).
func (m ICMP) IsErrorV6() bool { return m[0] >= ICMPv6Unreachable && m[0] <= ICMPv6ParameterProblem }

// Kinds of TCP options (RFC 9293, section 3.2).
const (
	tcpOptionEnd         = 0
	tcpOptionNoOperation = 1
	tcpOptionMSS         = 2
	tcpOptionMSSLen      = 4
)

// ClampMSS lowers every MSS option of a SYN that is above the limit to it, and updates the checksum by the difference, so a
// wrong one stays wrong. Options are walked from the front; one that cannot be walked ends the walk (docs/packet.md,
// step 11). The segment must hold its fixed header; options beyond its end are not touched. It tells whether anything
// was changed.
func ClampMSS(tcp []byte, limit uint16) bool {
	segment := TCP(tcp)
	if len(tcp) < TCPLen || segment.Flags()&TCPSyn == 0 {
		return false
	}
	end := min(segment.DataOffset(), len(tcp))
	changed := false
	for i := TCPLen; i < end; {
		kind := tcp[i]
		if kind == tcpOptionEnd {
			break
		}
		if kind == tcpOptionNoOperation {
			i++
			continue
		}
		if i+1 >= end {
			break
		}
		length := int(tcp[i+1])
		if length < 2 || i+length > end {
			break
		}
		if kind == tcpOptionMSS && length == tcpOptionMSSLen {
			if mss := binary.BigEndian.Uint16(tcp[i+2:]); mss > limit {
				replaceWord(tcp, i+2, limit)
				changed = true
			}
		}
		i += length
	}
	return changed
}

// replaceWord writes a 16-bit value at any offset of a TCP segment, odd ones included, and updates the checksum. A byte at
// an odd offset is the low half of its 16-bit word, so a value across two words counts with its bytes swapped.
func replaceWord(tcp []byte, offset int, value uint16) {
	before := binary.BigEndian.Uint16(tcp[offset:])
	binary.BigEndian.PutUint16(tcp[offset:], value)
	if offset%2 != 0 {
		before, value = before<<8|before>>8, value<<8|value>>8
	}
	sum := Update(TCP(tcp).Checksum(), uint64(^before)+uint64(value))
	binary.BigEndian.PutUint16(tcp[TCPChecksumOffset:], sum)
}

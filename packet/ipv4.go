package packet

import (
	"encoding/binary"

	"postern/model"
)

// IPv4Len is the length of an IPv4 header without options, in bytes.
const IPv4Len = 20

// Bits of the third 16-bit word pair of an IPv4 header (RFC 791): two flags and the fragment offset.
const (
	IPv4DontFragment  = 0x4000
	IPv4MoreFragments = 0x2000
	IPv4OffsetMask    = 0x1fff // in units of 8 bytes
)

// IPv4 is an IPv4 packet: at least its whole header.
type IPv4 []byte

// CheckIPv4 checks the header as step 3 of docs/packet.md says (at least 20 bytes there, version 4, header length at
// least 20, header length ≤ total length ≤ the bytes there) and gives the packet without the bytes behind its total
// length. False means that the packet is malformed.
func CheckIPv4(bytes []byte) (IPv4, bool) {
	if len(bytes) < IPv4Len || bytes[0]>>4 != 4 {
		return nil, false
	}
	ip := IPv4(bytes)
	header, total := ip.HeaderLen(), ip.TotalLen()
	if header < IPv4Len || total < header || total > len(bytes) {
		return nil, false
	}
	return ip[:total], true
}

// CheckQuotedIPv4 checks an IPv4 packet that an ICMP error quotes, which may be cut anywhere behind its first 8 bytes of
// payload: version 4, header length at least 20, header and 8 bytes there and within the total length.
func CheckQuotedIPv4(bytes []byte) (IPv4, bool) {
	if len(bytes) < IPv4Len || bytes[0]>>4 != 4 {
		return nil, false
	}
	ip := IPv4(bytes)
	need := ip.HeaderLen() + QuotedPayloadLen
	if ip.HeaderLen() < IPv4Len || need > ip.TotalLen() || need > len(bytes) {
		return nil, false
	}
	return ip, true
}

// HeaderLen is the length of the header with its options, in bytes.
func (p IPv4) HeaderLen() int { return int(p[0]&0x0f) * 4 }

// TOS is the type of service byte: DSCP and ECN.
func (p IPv4) TOS() uint8 { return p[1] }

// TotalLen is the length of header and payload, in bytes, as the header states it.
func (p IPv4) TotalLen() int { return int(binary.BigEndian.Uint16(p[2:])) }

// Identification is what the fragments of a packet have in common.
func (p IPv4) Identification() uint16 { return binary.BigEndian.Uint16(p[4:]) }

// DontFragment tells whether the DF bit is set.
func (p IPv4) DontFragment() bool { return p.fragment()&IPv4DontFragment != 0 }

// MoreFragments tells whether the MF bit is set.
func (p IPv4) MoreFragments() bool { return p.fragment()&IPv4MoreFragments != 0 }

// FragmentOffset is where the payload stands in the unfragmented packet's, in bytes.
func (p IPv4) FragmentOffset() int { return int(p.fragment()&IPv4OffsetMask) * 8 }

// Fragmented tells whether the packet is a fragment: MF set, or an offset.
func (p IPv4) Fragmented() bool { return p.fragment()&(IPv4MoreFragments|IPv4OffsetMask) != 0 }

func (p IPv4) fragment() uint16 { return binary.BigEndian.Uint16(p[6:]) }

// TTL is the time to live.
func (p IPv4) TTL() uint8 { return p[8] }

// Protocol is the protocol of the payload.
func (p IPv4) Protocol() model.Protocol { return model.Protocol(p[9]) }

// Checksum is the header's checksum as it stands there.
func (p IPv4) Checksum() uint16 { return binary.BigEndian.Uint16(p[10:]) }

// Source is the address of the sender.
func (p IPv4) Source() [4]byte { return [4]byte(p[12:16]) }

// Destination is the address of the receiver.
func (p IPv4) Destination() [4]byte { return [4]byte(p[16:20]) }

// Options are the bytes between the fixed header and the payload.
func (p IPv4) Options() []byte { return p[IPv4Len:p.HeaderLen()] }

// Payload is what follows the header and its options, up to the end of the slice.
func (p IPv4) Payload() []byte { return p[p.HeaderLen():] }

// IPv4Fields are the parts of an IPv4 header without options.
type IPv4Fields struct {
	TOS                 uint8
	TotalLen            uint16 // header and payload, in bytes
	Identification      uint16
	Fragment            uint16 // IPv4DontFragment, IPv4MoreFragments and the offset in units of 8 bytes
	TTL                 uint8
	Protocol            model.Protocol
	Source, Destination [4]byte
}

// PutIPv4 writes a header without options, and its checksum, into the first IPv4Len bytes of out.
func PutIPv4(out []byte, fields IPv4Fields) {
	_ = out[IPv4Len-1]
	out[0] = 0x45
	out[1] = fields.TOS
	binary.BigEndian.PutUint16(out[2:], fields.TotalLen)
	binary.BigEndian.PutUint16(out[4:], fields.Identification)
	binary.BigEndian.PutUint16(out[6:], fields.Fragment)
	out[8] = fields.TTL
	out[9] = byte(fields.Protocol)
	binary.BigEndian.PutUint16(out[10:], 0)
	copy(out[12:16], fields.Source[:])
	copy(out[16:20], fields.Destination[:])
	binary.BigEndian.PutUint16(out[10:], Checksum(Add(0, out[:IPv4Len])))
}

// Source routes among the IPv4 options (RFC 791, section 3.1).
const (
	optionEnd               = 0
	optionNoOperation       = 1
	optionLooseSourceRoute  = 131
	optionStrictSourceRoute = 137
)

// UnexpiredSourceRoute walks IPv4 options from the front and tells whether one of them is a source route that still has
// hops to go (pointer ≤ length), as step 8 of docs/packet.md asks. Options that cannot be walked count as one: what
// cannot be read cannot be shown to be harmless.
func UnexpiredSourceRoute(options []byte) bool {
	for i := 0; i < len(options); {
		kind := options[i]
		if kind == optionEnd {
			return false
		}
		if kind == optionNoOperation {
			i++
			continue
		}
		if i+1 >= len(options) {
			return true
		}
		length := int(options[i+1])
		if length < 2 || i+length > len(options) {
			return true
		}
		if kind == optionLooseSourceRoute || kind == optionStrictSourceRoute {
			if length < 3 || int(options[i+2]) <= length {
				return true
			}
		}
		i += length
	}
	return false
}

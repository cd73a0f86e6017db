package packet

import (
	"encoding/binary"

	"postern/model"
)

// Lengths of the IPv6 header and of the Fragment header, in bytes.
const (
	IPv6Len     = 40
	FragmentLen = 8
)

// IPv6 next headers that are neither model.Protocol names nor translated, but for the Fragment header.
const (
	NextHeaderHopByHop     model.Protocol = 0
	NextHeaderRouting      model.Protocol = 43
	NextHeaderFragment     model.Protocol = 44
	NextHeaderESP          model.Protocol = 50
	NextHeaderAH           model.Protocol = 51
	NextHeaderDestinations model.Protocol = 60
	NextHeaderMobility     model.Protocol = 135
)

// IPv6 is an IPv6 packet: at least its whole header.
type IPv6 []byte

// CheckIPv6 checks that a whole IPv6 packet is there (40 bytes, version 6, payload length within the bytes) and gives it
// without the bytes behind its payload length. False means that the packet is malformed.
func CheckIPv6(bytes []byte) (IPv6, bool) {
	if len(bytes) < IPv6Len || bytes[0]>>4 != 6 {
		return nil, false
	}
	end := IPv6Len + IPv6(bytes).PayloadLen()
	if end > len(bytes) {
		return nil, false
	}
	return IPv6(bytes[:end]), true
}

// TrafficClass is the DSCP and ECN byte.
func (p IPv6) TrafficClass() uint8 { return uint8(binary.BigEndian.Uint16(p) >> 4) }

// PayloadLen is the number of bytes behind the header, extension headers included, as the header states it.
func (p IPv6) PayloadLen() int { return int(binary.BigEndian.Uint16(p[4:])) }

// NextHeader is the protocol of what follows the header.
func (p IPv6) NextHeader() model.Protocol { return model.Protocol(p[6]) }

// HopLimit is what IPv4 calls time to live.
func (p IPv6) HopLimit() uint8 { return p[7] }

// Source is the address of the sender.
func (p IPv6) Source() [16]byte { return [16]byte(p[8:24]) }

// Destination is the address of the receiver.
func (p IPv6) Destination() [16]byte { return [16]byte(p[24:40]) }

// Payload is what follows the header, up to the end of the slice.
func (p IPv6) Payload() []byte { return p[IPv6Len:] }

// IPv6Fields are the parts of an IPv6 header. The flow label is always 0.
type IPv6Fields struct {
	TrafficClass        uint8
	PayloadLen          uint16 // bytes behind the header
	NextHeader          model.Protocol
	HopLimit            uint8
	Source, Destination [16]byte
}

// PutIPv6 writes a header into the first IPv6Len bytes of out.
func PutIPv6(out []byte, fields IPv6Fields) {
	_ = out[IPv6Len-1]
	binary.BigEndian.PutUint32(out, 6<<28|uint32(fields.TrafficClass)<<20)
	binary.BigEndian.PutUint16(out[4:], fields.PayloadLen)
	out[6] = byte(fields.NextHeader)
	out[7] = fields.HopLimit
	copy(out[8:24], fields.Source[:])
	copy(out[24:40], fields.Destination[:])
}

// Fragment is an IPv6 Fragment header of FragmentLen bytes (RFC 8200, section 4.5).
type Fragment []byte

// NextHeader is the protocol of what follows the header.
func (f Fragment) NextHeader() model.Protocol { return model.Protocol(f[0]) }

// Offset is where the bytes behind the header stand in the unfragmented packet, in bytes.
func (f Fragment) Offset() int { return int(binary.BigEndian.Uint16(f[2:]) &^ 7) }

// More tells whether further fragments follow.
func (f Fragment) More() bool { return f[3]&1 != 0 }

// Identification is what the fragments of a packet have in common. Its low 16 bits are the IPv4 identification.
func (f Fragment) Identification() uint32 { return binary.BigEndian.Uint32(f[4:]) }

// Atomic tells whether the header belongs to a packet in one piece (RFC 6946).
func (f Fragment) Atomic() bool { return f.Offset() == 0 && !f.More() }

// PutFragment writes a Fragment header into the first FragmentLen bytes of out. The offset is in bytes, a multiple of 8.
func PutFragment(out []byte, next model.Protocol, offset int, more bool, identification uint32) {
	_ = out[FragmentLen-1]
	out[0], out[1] = byte(next), 0
	word := uint16(offset)
	if more {
		word |= 1
	}
	binary.BigEndian.PutUint16(out[2:], word)
	binary.BigEndian.PutUint32(out[4:], identification)
}

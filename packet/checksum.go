package packet

import (
	"encoding/binary"

	"postern/model"
)

// Checksums of the Internet protocols (RFC 1071) are ones' complement sums of 16-bit words. A sum is kept in a uint64
// whose value matters modulo 65535 only, plus whether it is zero: that fits more words than any packet has, and needs no
// carry on the way.
//
// Ones' complement has two zeros, and an incremental update cannot always tell which of them a full computation would
// give. The choice here is the Linux kernel's csum_replace_by_diff, which is RFC 1624 equation 3 on an accumulator that
// is never zero: an updated checksum is in 0…0xfffe, never 0xffff. A full computation over anything but zeros is in the
// same range, so the two agree; the pseudo-header sees to that in TCP, UDP and ICMPv6.

// Add adds bytes to a sum as 16-bit words in network order. An odd last byte counts as the high half of a word.
func Add(sum uint64, bytes []byte) uint64 {
	for len(bytes) >= 8 {
		word := binary.BigEndian.Uint64(bytes)
		// 2³² is 1 modulo 65535, so halves of 32 bits add up as four words of 16 do.
		sum += word>>32 + word&0xffffffff
		bytes = bytes[8:]
	}
	for len(bytes) >= 2 {
		sum += uint64(binary.BigEndian.Uint16(bytes))
		bytes = bytes[2:]
	}
	if len(bytes) == 1 {
		sum += uint64(bytes[0]) << 8
	}
	return sum
}

// Subtract takes another sum off: it adds the complement.
func Subtract(sum, other uint64) uint64 { return sum + uint64(^fold(other)) }

// Checksum is the complement of a sum, folded to 16 bits: what stands in a header. For UDP use ChecksumUDP.
func Checksum(sum uint64) uint16 { return ^fold(sum) }

// ChecksumUDP is Checksum with 0xffff in the place of 0, which would say that there is none (RFC 768).
func ChecksumUDP(sum uint64) uint16 { return markZero(Checksum(sum)) }

// Update is the checksum after the bytes that it covers changed by a difference (Subtract old bytes, Add new ones). A
// checksum that was wrong before is wrong after, by as much. The result is never 0xffff.
func Update(checksum uint16, difference uint64) uint16 {
	return ^fold(difference + 0xffff + uint64(^checksum))
}

// UpdateUDP is Update for UDP: no checksum (0) stays none, and a result of 0 is written 0xffff.
func UpdateUDP(checksum uint16, difference uint64) uint16 {
	if checksum == 0 {
		return 0
	}
	return markZero(Update(checksum, difference))
}

// PseudoHeader is the sum of a pseudo-header of TCP, UDP or ICMPv6, over IPv4 or IPv6: addresses are the bytes of source
// and destination as they stand next to each other in the IP header (8 or 32), length that of the layer-4 header and
// data (RFC 793, section 3.1; RFC 8200, section 8.1).
func PseudoHeader(addresses []byte, protocol model.Protocol, length int) uint64 {
	return Add(uint64(protocol)+uint64(length), addresses)
}

func markZero(checksum uint16) uint16 {
	if checksum == 0 {
		return 0xffff
	}
	return checksum
}

// fold brings a sum to 16 bits. Only a sum of zero gives zero.
func fold(sum uint64) uint16 {
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return uint16(sum)
}

// Package wire is the layout of a fabric address: who sends, who shall receive, in 128 bits.
//
//	 0        55 56    63 64            95 96           127
//	+-----------+--------+----------------+---------------+
//	|  locator  |  fn    |   identity     |  IPv4 address |
//	+-----------+--------+----------------+---------------+
//	  56 bits     8 bits   32 bits          32 bits
//
// All parts stand in network byte order. datapath/kernel/bpf/wire.h draws the same layout for C, and a test of the
// kernel data path compares the offsets.
package wire

import (
	"encoding/binary"
	"net/netip"

	"postern/model"
)

// Offsets of the parts of an address, in bytes.
const (
	OffsetFunction = 7
	OffsetIdentity = 8
	OffsetIPv4     = 12
	AddressLen     = 16
)

// Parts are the four meanings of a fabric address.
type Parts struct {
	Locator  model.Locator
	Function model.Function
	Identity model.Identity
	IPv4     netip.Addr // always an IPv4 address
}

// Address puts the parts together. The IPv4 part must be an IPv4 address.
func (p Parts) Address() netip.Addr {
	var bytes [AddressLen]byte
	Put(&bytes, p.Locator, p.Function, p.Identity, p.IPv4.As4())
	return netip.AddrFrom16(bytes)
}

// Parse takes an address apart. Every IPv6 address has parts; whether they mean anything is for the reader's locator.
func Parse(address netip.Addr) Parts {
	bytes := address.As16()
	var parts Parts
	copy(parts.Locator[:], bytes[:OffsetFunction])
	parts.Function = model.Function(bytes[OffsetFunction])
	parts.Identity = model.Identity(binary.BigEndian.Uint32(bytes[OffsetIdentity:]))
	parts.IPv4 = netip.AddrFrom4([4]byte(bytes[OffsetIPv4:]))
	return parts
}

// Put writes an address into dst without allocating: the data path's form of Address.
func Put(dst *[AddressLen]byte, locator model.Locator, function model.Function, identity model.Identity, ipv4 [4]byte) {
	copy(dst[:], locator[:])
	dst[OffsetFunction] = byte(function)
	binary.BigEndian.PutUint32(dst[OffsetIdentity:], uint32(identity))
	copy(dst[OffsetIPv4:], ipv4[:])
}

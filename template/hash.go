package template

import (
	"encoding/base32"
	"encoding/binary"
	"math/bits"
	"strings"

	"github.com/google/uuid"
)

// guidNamespace is the namespace of guid(), by Microsoft's page on Bicep's string functions.
var guidNamespace = uuid.MustParse("11fb06fb-712d-4ddd-98c7-e71bbd588830")

// guid is a UUID of version 5 (RFC 9562 section 5.5) of its arguments, with hyphens between them.
func guid(arguments []any) (any, error) {
	list, err := texts(arguments)
	if err != nil {
		return nil, err
	}
	return uuid.NewSHA1(guidNamespace, []byte(strings.Join(list, "-"))).String(), nil
}

var lowerBase32 = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// uniqueString is a hash of its arguments, with hyphens between them: 64 bits, 13 characters of base32. It makes the same
// text as Azure in all known examples (see hash_test.go); Microsoft does not document how it is made.
func uniqueString(arguments []any) (any, error) {
	list, err := texts(arguments)
	if err != nil {
		return nil, err
	}
	var sum [8]byte
	binary.BigEndian.PutUint64(sum[:], murmur64([]byte(strings.Join(list, "-"))))
	return lowerBase32.EncodeToString(sum[:]), nil
}

// murmur64 is a MurmurHash3 with two lanes of 32 bits: the mixing of its x86 form of 128 bits, cut down to lanes 1 and 2.
func murmur64(data []byte) uint64 {
	const c1, c2 = 0xab0e9789, 0x239b961b
	mix1 := func(k uint32) uint32 { return bits.RotateLeft32(k*c2, 15) * c1 }
	mix2 := func(k uint32) uint32 { return bits.RotateLeft32(k*c1, 17) * c2 }
	var h1, h2 uint32
	rest := data
	for ; len(rest) >= 8; rest = rest[8:] {
		h1 ^= mix1(binary.LittleEndian.Uint32(rest))
		h1 = (bits.RotateLeft32(h1, 19)+h2)*5 + 0x561ccd1b
		h2 ^= mix2(binary.LittleEndian.Uint32(rest[4:]))
		h2 = (bits.RotateLeft32(h2, 13)+h1)*5 + 0x0bcaa747
	}
	var tail [8]byte
	copy(tail[:], rest)
	h1 ^= mix1(binary.LittleEndian.Uint32(tail[:]))
	h2 ^= mix2(binary.LittleEndian.Uint32(tail[4:]))
	h1 ^= uint32(len(data))
	h2 ^= uint32(len(data))
	h1 += h2
	h2 += h1
	h1, h2 = avalanche(h1), avalanche(h2)
	h1 += h2
	h2 += h1
	return uint64(h2)<<32 | uint64(h1)
}

// avalanche lets every bit change every other.
func avalanche(h uint32) uint32 {
	h = (h ^ h>>16) * 0x85ebca6b
	h = (h ^ h>>13) * 0xc2b2ae35
	return h ^ h>>16
}

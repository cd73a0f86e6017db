package service

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
)

// ReadRange reads the first and the last IPv4 address of a range as the prefixes that it is made of, lowest first.
func ReadRange(first, last, field string) ([]netip.Prefix, error) {
	from, err := netip.ParseAddr(first)
	if err != nil || !from.Is4() {
		return nil, Refuse(CodeInvalidValues, field, "The range begins with '%s', which is no IPv4 address.", first)
	}
	to, err := netip.ParseAddr(last)
	if err != nil || !to.Is4() || to.Less(from) {
		return nil, Refuse(CodeInvalidValues, field, "The range from %s ends with '%s', which is no IPv4 address behind it.", first, last)
	}
	begin, end := number(from), number(to)
	var list []netip.Prefix
	for begin <= end {
		// The largest block that begins here and does not reach over the end.
		size := min(bits.TrailingZeros64(begin|1<<32), bits.Len64(end-begin+1)-1)
		var address [4]byte
		binary.BigEndian.PutUint32(address[:], uint32(begin))
		list = append(list, netip.PrefixFrom(netip.AddrFrom4(address), 32-size))
		begin += 1 << size
	}
	return list, nil
}

func number(address netip.Addr) uint64 {
	bytes := address.As4()
	return uint64(binary.BigEndian.Uint32(bytes[:]))
}

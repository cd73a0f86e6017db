package compile

import (
	"cmp"
	"net/netip"
	"slices"
)

// notInternet is what the tag Internet never has: private and special addresses, and the platform's.
var notInternet = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"),
	netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("168.63.129.16/32"), netip.MustParsePrefix("169.254.0.0/16"),
	netip.MustParsePrefix("172.16.0.0/12"), netip.MustParsePrefix("192.168.0.0/16"), netip.MustParsePrefix("224.0.0.0/3"),
}

// disjoint sorts IPv4 prefixes and drops those inside another one. Others than IPv4 are dropped too.
func disjoint(prefixes []netip.Prefix) []netip.Prefix {
	var sorted []netip.Prefix
	for _, prefix := range prefixes {
		if prefix.Addr().Is4() {
			sorted = append(sorted, prefix.Masked())
		}
	}
	slices.SortFunc(sorted, func(a, b netip.Prefix) int {
		return cmp.Or(a.Addr().Compare(b.Addr()), cmp.Compare(a.Bits(), b.Bits()))
	})
	var out []netip.Prefix
	for _, prefix := range sorted {
		if len(out) == 0 || !out[len(out)-1].Overlaps(prefix) {
			out = append(out, prefix)
		}
	}
	return out
}

// complement is every IPv4 address that none of the prefixes has, as few prefixes.
func complement(prefixes []netip.Prefix) []netip.Prefix {
	return cut(netip.MustParsePrefix("0.0.0.0/0"), disjoint(prefixes))
}

// cut takes disjoint, sorted prefixes out of one that contains, or is contained in, each of them.
func cut(from netip.Prefix, prefixes []netip.Prefix) []netip.Prefix {
	if len(prefixes) == 0 {
		return []netip.Prefix{from}
	}
	if prefixes[0].Bits() <= from.Bits() {
		return nil
	}
	low := netip.PrefixFrom(from.Addr(), from.Bits()+1)
	middle, _ := slices.BinarySearchFunc(prefixes, low, func(prefix, low netip.Prefix) int {
		if low.Contains(prefix.Addr()) {
			return -1
		}
		return 1
	})
	bytes := from.Addr().As4()
	bytes[from.Bits()/8] |= 0x80 >> (from.Bits() % 8)
	high := netip.PrefixFrom(netip.AddrFrom4(bytes), from.Bits()+1)
	return append(cut(low, prefixes[:middle]), cut(high, prefixes[middle:])...)
}

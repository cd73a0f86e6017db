package template

import (
	"fmt"
	"math/big"
	"net/netip"
)

// networkFunctions work on address ranges, of IPv4 and IPv6.
var networkFunctions = map[string]function{
	"parseCidr":  one(parseCIDR),
	"cidrSubnet": eager(3, 3, cidrSubnet),
	"cidrHost":   eager(2, 2, cidrHost),
}

func prefixAt(arguments []any, i int) (netip.Prefix, error) {
	text, err := textAt(arguments, i)
	if err != nil {
		return netip.Prefix{}, err
	}
	prefix, err := netip.ParsePrefix(text)
	if err != nil || prefix.Addr().Zone() != "" {
		return netip.Prefix{}, fmt.Errorf("the text '%.80s' is no address range in CIDR notation", text)
	}
	return prefix.Masked(), nil
}

// offset is the address that lies so many behind another; false beyond the last one.
func offset(from netip.Addr, by *big.Int) (netip.Addr, bool) {
	sum := new(big.Int).SetBytes(from.AsSlice())
	sum.Add(sum, by)
	if sum.Sign() < 0 || sum.BitLen() > from.BitLen() {
		return netip.Addr{}, false
	}
	return netip.AddrFromSlice(sum.FillBytes(make([]byte, from.BitLen()/8)))
}

// addresses is how many addresses a range has.
func addresses(prefix netip.Prefix) *big.Int {
	return new(big.Int).Lsh(big.NewInt(1), uint(prefix.Addr().BitLen()-prefix.Bits()))
}

// parseCIDR tells a range's addresses. Of IPv4 the first and the last cannot be used, but for ranges of one and two.
func parseCIDR(value any) (any, error) {
	prefix, err := prefixAt([]any{value}, 0)
	if err != nil {
		return nil, err
	}
	first := prefix.Addr()
	last, _ := offset(first, new(big.Int).Sub(addresses(prefix), big.NewInt(1)))
	ones := make([]byte, first.BitLen()/8)
	for i := range ones {
		ones[i] = 0xff
	}
	all, _ := netip.AddrFromSlice(ones)
	mask, err := all.Prefix(prefix.Bits())
	if err != nil {
		return nil, err
	}
	parsed := map[string]any{"network": first.String(), "netmask": mask.Masked().Addr().String(), "cidr": int64(prefix.Bits()),
		"firstUsable": first.String(), "lastUsable": last.String()}
	if first.Is4() {
		parsed["broadcast"] = last.String()
		if prefix.Bits() < 31 {
			parsed["firstUsable"], parsed["lastUsable"] = first.Next().String(), last.Prev().String()
		}
	}
	return parsed, nil
}

// cidrSubnet is the index'th range of a length within another.
func cidrSubnet(_ *scope, arguments []any) (any, error) {
	prefix, err := prefixAt(arguments, 0)
	if err != nil {
		return nil, err
	}
	length, err := numberAt(arguments, 1)
	if err != nil {
		return nil, err
	}
	index, err := numberAt(arguments, 2)
	if err != nil {
		return nil, err
	}
	width := int64(prefix.Addr().BitLen())
	if length < int64(prefix.Bits()) || length > width {
		return nil, fmt.Errorf("the new CIDR '%d' must be %d to %d", length, prefix.Bits(), width)
	}
	count := new(big.Int).Lsh(big.NewInt(1), uint(length-int64(prefix.Bits())))
	if index < 0 || big.NewInt(index).Cmp(count) >= 0 {
		return nil, fmt.Errorf("the index '%d' must be 0 to %s: there are so many ranges of /%d in %s", index, count.Sub(count, big.NewInt(1)), length, prefix)
	}
	start, _ := offset(prefix.Addr(), new(big.Int).Lsh(big.NewInt(index), uint(width-length)))
	return netip.PrefixFrom(start, int(length)).String(), nil
}

// cidrHost is the index'th usable address of a range, from 0: the one behind the network's own.
func cidrHost(_ *scope, arguments []any) (any, error) {
	prefix, err := prefixAt(arguments, 0)
	if err != nil {
		return nil, err
	}
	index, err := numberAt(arguments, 1)
	if err != nil {
		return nil, err
	}
	at := new(big.Int).Add(big.NewInt(index), big.NewInt(1))
	host, ok := offset(prefix.Addr(), at)
	if index < 0 || !ok || !prefix.Contains(host) {
		return nil, fmt.Errorf("the index '%d' is outside the range %s", index, prefix)
	}
	return host.String(), nil
}

package service

import "net/netip"

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
	return prefixesOf(from, to), nil
}

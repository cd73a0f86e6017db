package model

import (
	"encoding/json"
	"fmt"
	"net/netip"
)

// Locator is the /56 of the fabric that a node, or a service's gateways together (anycast), answer to.
// Only the first 56 bits carry meaning; the rest is zero. Bytes stand in network order.
type Locator [7]byte

// LocatorFrom takes the locator out of an IPv6 prefix of exactly 56 bits.
func LocatorFrom(prefix netip.Prefix) (Locator, error) {
	if !prefix.Addr().Is6() || prefix.Addr().Is4In6() || prefix.Bits() != 56 {
		return Locator{}, fmt.Errorf("locator %s: want an IPv6 prefix of 56 bits, for example fd00:1:1:100::/56", prefix)
	}
	var locator Locator
	bytes := prefix.Masked().Addr().As16()
	copy(locator[:], bytes[:7])
	return locator, nil
}

// MustLocator is LocatorFrom for constants and tests; it panics on a wrong prefix.
func MustLocator(prefix string) Locator {
	locator, err := LocatorFrom(netip.MustParsePrefix(prefix))
	if err != nil {
		panic(err)
	}
	return locator
}

// Prefix is the locator as the route that the fabric carries for it.
func (l Locator) Prefix() netip.Prefix {
	var bytes [16]byte
	copy(bytes[:], l[:])
	return netip.PrefixFrom(netip.AddrFrom16(bytes), 56)
}

// IsZero tells whether no locator was set: a plan without the node that should carry the traffic.
func (l Locator) IsZero() bool { return l == Locator{} }

func (l Locator) String() string { return l.Prefix().String() }

// MarshalText writes the locator as a prefix, for JSON plans.
func (l Locator) MarshalText() ([]byte, error) {
	if l.IsZero() {
		return nil, nil
	}
	return []byte(l.String()), nil
}

// UnmarshalText reads what MarshalText wrote.
func (l *Locator) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*l = Locator{}
		return nil
	}
	prefix, err := netip.ParsePrefix(string(text))
	if err != nil {
		return fmt.Errorf("locator %q: %w", text, err)
	}
	*l, err = LocatorFrom(prefix)
	return err
}

// Function says what the node that owns a locator shall do with a packet: bits 56 to 63 of a fabric address.
type Function uint8

// The functions of the fabric. Their numbers are on the wire and in datapath/kernel/bpf/wire.h.
const (
	FunctionNIC            Function = 0 // deliver to the NIC that the identity and the IPv4 address name
	FunctionAppliance      Function = 1 // deliver through that NIC, whatever the packet's own destination is
	FunctionService        Function = 2 // service tunnel: the identity is the service
	FunctionPrivateLink    Function = 3 // kept for private endpoints
	FunctionPlatform       Function = 4 // name resolution and metadata
	FunctionInternetEgress Function = 5 // leave to the Internet
	FunctionRegionalEgress Function = 6 // leave to a service of the same region, from a platform address (FW-5)
	FunctionNATEgress      Function = 7 // leave to the Internet from an address of the subnet's NAT gateway (OUT-1)
)

// Identity is a number that the control plane allots once and never uses again: a subnet's, or a service's.
type Identity uint32

// Identities below FirstSubnetIdentity are fixed: no subnet ever gets one.
const (
	IdentityNone        Identity = 0 // the Internet, and a node's own addresses
	IdentityPlatform    Identity = 1
	FirstSubnetIdentity Identity = 4096
)

// MAC is an Ethernet address.
type MAC [6]byte

// RouterMAC is the address under which every NIC sees every neighbour, its gateway included.
var RouterMAC = MAC{0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc}

func (m MAC) String() string {
	return fmt.Sprintf("%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4], m[5])
}

// MarshalJSON writes the usual form with colons.
func (m MAC) MarshalJSON() ([]byte, error) { return json.Marshal(m.String()) }

// UnmarshalJSON reads the usual form with colons.
func (m *MAC) UnmarshalJSON(data []byte) error {
	var text string
	if err := json.Unmarshal(data, &text); err != nil {
		return err
	}
	if _, err := fmt.Sscanf(text, "%02x:%02x:%02x:%02x:%02x:%02x", &m[0], &m[1], &m[2], &m[3], &m[4], &m[5]); err != nil {
		return fmt.Errorf("MAC %q: want six bytes in hex with colons", text)
	}
	return nil
}

// The two addresses of the platform that every VM reaches, whatever its routes and security groups say (NSG-5).
var (
	PlatformDNS      = netip.AddrFrom4([4]byte{168, 63, 129, 16})
	PlatformMetadata = netip.AddrFrom4([4]byte{169, 254, 169, 254})
)

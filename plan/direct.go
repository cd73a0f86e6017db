package plan

import (
	"net/netip"

	"postern/model"
)

// MaxDirectBackends bounds the living backends of a port that is judged at its instance's own address.
const MaxDirectBackends = 8

// Direct is what judging the packets to instances' own addresses takes. A gateway derives it from its plan and from which
// backends live; it is data for the packets' judges, in the kernel and in Go.
type Direct struct {
	ServiceLocator  model.Locator
	PlatformLocator model.Locator
	Addresses       []netip.Addr // of all instances: what no port of theirs has is closed
	ServicePorts    []uint16     // on which sockets answer for instances
	PlatformPorts   []uint16     // likewise, for the platform
	Ports           []DirectPort
	Callers         map[Ref]Callers
}

// DirectPort is one port of one instance.
type DirectPort struct {
	Address  netip.Addr
	Port     uint16
	Service  model.Identity // that packets of the fabric must name
	Callers  Ref
	Backends []DirectBackend // that live; none: connections are reset
}

// DirectBackend is one server.
type DirectBackend struct {
	Server netip.AddrPort // the address ::1 is this host, under the address that was dialled
	Weight int
}

// Callers is whom an instance lets in.
type Callers struct {
	Subnets []model.Identity // by an endpoint; sorted
	Origins []Origin         // from the Internet and from the region itself; sorted by prefix, the longest match decides
}

// Origin says of one IPv4 prefix whether its addresses may.
type Origin struct {
	Prefix netip.Prefix
	May    bool
}

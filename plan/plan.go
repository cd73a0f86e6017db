// Package plan is what each node must know: the compiler's output, an agent's and a gateway's input. A plan is plain
// data with a stable JSON form: the same resources give the same bytes. Content that many NICs share (routes, rules,
// sets, policies, service tables) stands once, under a Ref that is a hash of the content, so that a driver
// can make the new content before it flips a NIC to it, and then break the old.
package plan

import (
	"net/netip"

	"postern/model"
)

// Node is the plan of one node. Exactly one of Host, Gateway and Edge is set, by Role.
type Node struct {
	Node      string         `json:"node"`
	Role      model.Role     `json:"role"`
	Location  model.Location `json:"location"`
	Locator   model.Locator  `json:"locator"`
	FabricMTU int            `json:"fabricMTU"`

	Host    *Host    `json:"host,omitempty"`
	Gateway *Gateway `json:"gateway,omitempty"`
	Edge    *Edge    `json:"edge,omitempty"`
}

// Host is what a host must know to judge the packets of its NICs.
type Host struct {
	DocumentedRoutes bool          `json:"documentedRoutes,omitempty"` // ROUTE-13
	Platform         model.Locator `json:"platform"`                   // the region's platform functions; zero: none
	Egress           model.Locator `json:"egress"`                     // the region's edge; zero: none

	NICs      []NIC                  `json:"nics"`      // on this host, by Number
	Directory []Location             `json:"directory"` // of every VNet that a NIC of this host is in or peered with
	Routes    map[Ref][]Route        `json:"routes"`
	Rules     map[Ref][]Rule         `json:"rules"`    // lists in the order of their judging
	Sets      map[Ref][]netip.Prefix `json:"sets"`     // sorted, disjoint
	Policies  map[Ref][]netip.Addr   `json:"policies"` // instance addresses that may be reached, sorted
	Services  map[Ref]ServiceTable   `json:"services"`
}

// NIC is everything about one NIC that judging its packets takes. A driver flips a NIC from one state to the next by
// replacing this as a whole.
type NIC struct {
	Number     uint32           `json:"number"`
	ID         model.ResourceID `json:"id"`
	VNet       uint32           `json:"vnet"`
	Subnet     model.Identity   `json:"subnet"`
	IPv4       netip.Addr       `json:"ipv4"`
	MAC        model.MAC        `json:"mac"`
	Forwarding bool             `json:"forwarding,omitempty"`
	Outbound   bool             `json:"outbound"`             // some way out to the Internet exists (OUT-1)
	NATGateway bool             `json:"natGateway,omitempty"` // what its VM opens leaves by one (OUT-1)

	DenyDNS      bool `json:"denyDNS,omitempty"`      // a platform tag denies 168.63.129.16 (NSG-5)
	DenyMetadata bool `json:"denyMetadata,omitempty"` // a platform tag denies 169.254.169.254 (NSG-5)

	Outgoing [2]Ref `json:"outgoing"` // rule lists, NIC's then subnet's; "" lets all pass (NSG-3)
	Incoming [2]Ref `json:"incoming"` // rule lists, subnet's then NIC's

	Routes          Ref    `json:"routes"`
	Services        Ref    `json:"services"`        // the region's service table
	EnabledServices uint64 `json:"enabledServices"` // by model.Service.Bit
	Policy          Ref    `json:"policy,omitempty"`
}

// Location tells where the NIC with an address in a VNet is.
type Location struct {
	VNet       uint32         `json:"vnet"`
	IPv4       netip.Addr     `json:"ipv4"`
	Subnet     model.Identity `json:"subnet"`
	Locator    model.Locator  `json:"locator"`
	Forwarding bool           `json:"forwarding,omitempty"`
}

// Route is one prefix of a routing table with what is to be done. A table holds winners alone: at most one Route a
// prefix, and none of a gateway inside a system route (ROUTE-3).
type Route struct {
	Prefix netip.Prefix `json:"prefix"`
	Hop    Hop          `json:"hop"`

	// Beneath is, for a route that a gateway learnt, the route that would win without any gateway's: it stands where a
	// service endpoint covers the packet, since that beats every gateway's route (ROUTE-3). BeneathBits is its length.
	Beneath     *Hop  `json:"beneath,omitempty"`
	BeneathBits uint8 `json:"beneathBits,omitempty"`
}

// Hop is where a route leads.
type Hop struct {
	Type    model.NextHopType `json:"type"`
	Source  model.RouteSource `json:"source"`
	Address netip.Addr        `json:"address,omitzero"` // of a VirtualAppliance
	VNet    uint32            `json:"vnet,omitempty"`   // whose directory has the next NIC: VnetLocal, VNetPeering, VirtualAppliance
}

// Rule is one line of a rule list. A model.SecurityRule with several port ranges becomes several lines.
type Rule struct {
	Name             string          `json:"name"`
	Priority         uint16          `json:"priority"`
	Allow            bool            `json:"allow,omitempty"`
	Protocol         model.Protocol  `json:"protocol,omitempty"` // 0 is any
	Source           Ref             `json:"source,omitempty"`   // a set; "" is any address
	Destination      Ref             `json:"destination,omitempty"`
	SourcePorts      model.PortRange `json:"sourcePorts"`
	DestinationPorts model.PortRange `json:"destinationPorts"`
}

// ServiceTable is every service prefix that the VNets of one region can see: one for all subnets.
type ServiceTable struct {
	Targets []ServiceTarget `json:"targets"`
	Entries []ServiceEntry  `json:"entries"` // sorted by prefix
}

// ServiceTarget is where a service's packets go.
type ServiceTarget struct {
	Service model.Identity `json:"service"`
	Region  model.Location `json:"region"`
	Locator model.Locator  `json:"locator"` // zero: no gateway serves it now
}

// MaxServiceCandidates bounds the services that can share one prefix.
const MaxServiceCandidates = 6

// ServiceEntry is the answer for every address whose longest match it is: it holds what shorter entries would add, so
// one lookup is enough.
type ServiceEntry struct {
	Prefix     netip.Prefix       `json:"prefix"`
	Regional   bool               `json:"regional,omitempty"` // some service of the VNet's own region has it (FW-5)
	Candidates []ServiceCandidate `json:"candidates"`         // longest Bits first, then lowest Bit; at most MaxServiceCandidates
}

// ServiceCandidate is one service that has the address.
type ServiceCandidate struct {
	Bit    uint8  `json:"bit"`    // model.Service.Bit
	Bits   uint8  `json:"bits"`   // length of the service's own prefix, which is what routes compare (ROUTE-1)
	Target uint16 `json:"target"` // index into Targets
}

package plan

import (
	"net/netip"

	"postern/model"
)

// Gateway is what the service's side must know: which instances it answers for, who may reach them, and whose every
// fabric address is. It also serves the platform functions of its region.
type Gateway struct {
	ServiceLocator  model.Locator     `json:"serviceLocator"`
	PlatformLocator model.Locator     `json:"platformLocator"`
	Addresses       []netip.Addr      `json:"addresses"` // public IPv4 addresses to answer on
	Zones           []model.Zone      `json:"zones"`     // below which instances have names
	Tenant          string            `json:"tenant"`
	Instances       []Instance        `json:"instances"`
	Subnets         []Subnet          `json:"subnets"`
	Machines        []Machine         `json:"machines"`
	Policies        map[Ref][]string  `json:"policies"` // keys of the instance ids that may be reached, sorted
	Names           map[string]string `json:"names"`    // of every region's instances: see NameKey; to the public address
	VirtualNetworks []VirtualNetwork  `json:"virtualNetworks"`
}

// NameKey is how Names has the name of an instance in the zones of a space. Full host names stand in Names as they are.
func NameKey(space, label string) string { return space + "/" + label }

// Instance is one service instance of the gateway's region.
type Instance struct {
	ID       model.ResourceID    `json:"id"`
	Service  string              `json:"service"` // name of its description: see package service
	Space    string              `json:"space"`   // of zones, in which Name is its own; "" where it has no names in zones
	Endpoint model.Service       `json:"endpoint"`
	Name     string              `json:"name"`
	Labels   []string            `json:"labels,omitempty"` // what names in its zones may begin with beside Name; lower case
	Hosts    []string            `json:"hosts,omitempty"`  // full names beside those of its zones
	Address  netip.Addr          `json:"address"`
	Keys     [2]string           `json:"keys"`
	Created  int64               `json:"created,omitzero"` // as model.ServiceInstance has it
	Rules    model.NetworkRules  `json:"rules"`
	Ports    []model.ServicePort `json:"ports"`
	Backends []model.Backend     `json:"backends,omitempty"` // none: the gateway's own service, if it has one
	Delivery model.Delivery      `json:"delivery,omitzero"`
}

// Subnet says whose an identity is. A subnet that is gone, or has no NIC, is not here, so its identity is unknown, and
// denied (FW-3).
type Subnet struct {
	Identity        model.Identity   `json:"identity"`
	ID              model.ResourceID `json:"id"`
	VNet            model.ResourceID `json:"vnet"`
	EnabledServices uint64           `json:"enabledServices"`
	Policy          Ref              `json:"policy,omitempty"` // "": every instance
}

// Machine is a NIC as the platform functions know it: who asks for a name or a token (ID-1, DNS-1).
type Machine struct {
	Subnet      model.Identity   `json:"subnet"`
	IPv4        netip.Addr       `json:"ipv4"`
	NIC         model.ResourceID `json:"nic"`
	VM          model.ResourceID `json:"vm,omitempty"`
	PrincipalID string           `json:"principalId,omitempty"` // "": no managed identity
	VNet        model.ResourceID `json:"vnet"`
}

// VirtualNetwork is what name resolution needs of a VNet.
type VirtualNetwork struct {
	ID         model.ResourceID `json:"id"`
	DNSServers []netip.Addr     `json:"dnsServers,omitempty"`
}

// Edge is what the join of fabric and Internet must know.
type Edge struct {
	OutboundAddress netip.Addr   `json:"outboundAddress"` // default outbound traffic leaves from here
	NICs            []EgressNIC  `json:"nics"`            // every NIC of the region, by Subnet and IPv4
	PlatformPool    netip.Prefix `json:"platformPool"`    // the pool of PlatformAddress

	NATGateways map[Ref]NATGateway `json:"natGateways,omitempty"` // those of the region that have an address
}

// Exits are, by platform address, from where the connections that start there may leave (OUT-1): the first one is that of new
// ones; the others are of those that are open. A NIC without a way out of this kind has none.
func (e *Edge) Exits() map[netip.Addr][]netip.Addr {
	exits := make(map[netip.Addr][]netip.Addr, len(e.NICs))
	for _, nic := range e.NICs {
		var list []netip.Addr
		if nic.NATAddress.IsValid() {
			list = append([]netip.Addr{nic.NATAddress}, e.NATGateways[nic.NATGateway].Addresses...)
		}
		if nic.Outbound && e.OutboundAddress.IsValid() {
			list = append(list, e.OutboundAddress)
		}
		exits[nic.PlatformAddress] = list
	}
	return exits
}

// NATGateway is a NAT gateway that has a public address (OUT-1).
type NATGateway struct {
	ID        model.ResourceID `json:"id"`
	Addresses []netip.Addr     `json:"addresses"` // sorted, never empty
}

// EgressNIC is one NIC as the Internet sees it.
type EgressNIC struct {
	Subnet  model.Identity `json:"subnet"`
	IPv4    netip.Addr     `json:"ipv4"`
	Locator model.Locator  `json:"locator"` // of its host

	// Public is its instance-level public address, rewritten 1:1 without state; invalid for none.
	Public netip.Addr `json:"public,omitzero"`

	// PlatformAddress is unique to the NIC within the region's pool. It is the source toward the region's own services
	// (FW-5), and what default outbound NAT starts from, so that VNets with the same addresses stay apart.
	PlatformAddress netip.Addr `json:"platformAddress"`

	// Outbound tells whether default outbound access is on.
	Outbound bool `json:"outbound"`

	// NATGateway is the NAT gateway of its subnet, "" for none, and NATAddress the one of its addresses that new
	// connections of this NIC leave from. Those that are open keep theirs as long as the gateway has it.
	NATGateway Ref        `json:"natGateway,omitempty"`
	NATAddress netip.Addr `json:"natAddress,omitzero"`
}

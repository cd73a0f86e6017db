package model

import (
	"net/netip"
	"slices"
)

// Role is what a node of the fabric does.
type Role string

// The roles.
const (
	RoleHost    Role = "host"    // carries NICs
	RoleGateway Role = "gateway" // answers for services and for the platform
	RoleEdge    Role = "edge"    // joins the fabric and the Internet
)

// Node is a machine of the fabric. It is a resource of Postern's own: Postern.Fabric/nodes.
type Node struct {
	Name     string
	Role     Role
	Location Location
	Locator  Locator

	// ServiceLocator is the anycast locator of the region's services and PlatformLocator that of its platform
	// functions: a gateway's alone.
	ServiceLocator  Locator
	PlatformLocator Locator

	// OutboundAddress is the public IPv4 address that default outbound traffic leaves from: an edge's alone.
	OutboundAddress netip.Addr

	// PlatformPool is the part of 100.64.0.0/10 that an edge gives platform addresses from, one to each NIC of its
	// region. The Internet side routes it to this edge.
	PlatformPool netip.Prefix
}

// Settings are the cloud's own switches and limits.
type Settings struct {
	FabricMTU int // bytes of the largest IPv6 packet that the fabric carries

	// DocumentedRoutes switches ROUTE-13 from what labs observe to what the documentation says: no route of the
	// user's ever overrides a service endpoint.
	DocumentedRoutes bool

	// DNSSuffixes of service names; "core.windows.net" by default.
	StorageSuffix string

	// ServiceSuffix is what the zones of the other services end in, behind a word of each service's: with
	// "cloud.example" vaults are NAME.vault.cloud.example. "": they have the zones of Azure's public cloud.
	ServiceSuffix string

	Tenant string // GUID of the one tenant
}

// DefaultSettings are those of a new cloud. The fabric's MTU leaves room for an encapsulated packet of 1500 bytes.
var DefaultSettings = Settings{
	FabricMTU:     1600,
	StorageSuffix: "core.windows.net",
	Tenant:        "7e57ab1e-0000-4000-8000-000000000001",
}

// Snapshot is every resource of a cloud at one revision of the store. It is immutable once made.
type Snapshot struct {
	Revision                int64
	Settings                Settings
	Zones                   []Zone // below which instances have names
	Nodes                   []*Node
	VirtualNetworks         []*VirtualNetwork
	RouteTables             []*RouteTable
	NetworkSecurityGroups   []*NetworkSecurityGroup
	NetworkInterfaces       []*NetworkInterface
	PublicIPAddresses       []*PublicIPAddress
	NatGateways             []*NatGateway
	VirtualMachines         []*VirtualMachine
	ServiceEndpointPolicies []*ServiceEndpointPolicy
	Instances               []*ServiceInstance
}

// NATAddresses are the public addresses of every NAT gateway that has one, sorted, by the gateway's key.
func (s *Snapshot) NATAddresses() map[string][]netip.Addr {
	if len(s.NatGateways) == 0 {
		return nil
	}
	publics := make(map[string]netip.Addr, len(s.PublicIPAddresses))
	for _, public := range s.PublicIPAddresses {
		publics[public.ID.Key()] = public.IPv4
	}
	out := map[string][]netip.Addr{}
	for _, gateway := range s.NatGateways {
		var list []netip.Addr
		for _, id := range gateway.PublicIPAddresses {
			if address := publics[id.Key()]; address.IsValid() {
				list = append(list, address)
			}
		}
		if len(list) > 0 {
			slices.SortFunc(list, netip.Addr.Compare)
			out[gateway.ID.Key()] = list
		}
	}
	return out
}

// Services are all services that subnets can reach: Azure's and those of the operator's own, in the order of their bits.
func (s *Snapshot) Services() []Service {
	list := slices.Clone(Services)
	for i := range s.Instances {
		if one := s.Instances[i].Endpoint; one.IsOwn() && !slices.Contains(list, one) {
			list = append(list, one)
		}
	}
	slices.SortFunc(list, func(a, b Service) int { return int(a.Bit) - int(b.Bit) })
	return list
}

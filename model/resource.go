// Package model owns the nouns: what a cloud is made of, without any I/O. Every other package speaks in these types.
package model

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// ResourceID is the ARM id of a resource as its writer spelled it. Compare with Key, never with ==, since ARM ids do
// not depend on case.
type ResourceID string

// Location is a region's name in its short form: "westeurope".
type Location string

// VirtualNetwork is Microsoft.Network/virtualNetworks.
type VirtualNetwork struct {
	ID           ResourceID
	Number       uint32 // allotted once, never used again; keys the directory of NICs
	Location     Location
	AddressSpace []netip.Prefix
	DNSServers   []netip.Addr // of the VNet's own; empty: the platform's
	Subnets      []Subnet
	Peerings     []Peering
}

// Subnet is Microsoft.Network/virtualNetworks/subnets.
type Subnet struct {
	ID                      ResourceID
	Identity                Identity // allotted at creation: a new subnet of the same name gets another one (FW-7)
	Prefixes                []netip.Prefix
	RouteTable              ResourceID // "" for none
	NetworkSecurityGroup    ResourceID // "" for none
	NatGateway              ResourceID // "" for none of its own: the VNet's, if that has one
	ServiceEndpoints        []string   // "Microsoft.Storage", "Microsoft.Storage.Global", ...
	ServiceEndpointPolicies []ResourceID
	DefaultOutboundAccess   bool // false: a private subnet (OUT-2)
}

// Peering is one half of a peering; traffic flows when both halves exist (ROUTE-7).
type Peering struct {
	ID                    ResourceID
	RemoteVirtualNetwork  ResourceID
	AllowForwardedTraffic bool
}

// RouteTable is Microsoft.Network/routeTables.
type RouteTable struct {
	ID                         ResourceID
	Location                   Location
	DisableBGPRoutePropagation bool
	Routes                     []UserRoute
}

// UserRoute is one route of a RouteTable. Exactly one of Prefix and ServiceTag is set (ROUTE-11).
type UserRoute struct {
	Name             string
	Prefix           netip.Prefix
	ServiceTag       string
	NextHopType      NextHopType
	NextHopIPAddress netip.Addr // for VirtualAppliance alone
}

// NextHopType is where a route leads.
type NextHopType uint8

// The next hop types, in ARM's words. The numbers are shared with datapath/kernel/bpf/plan.h.
const (
	NextHopNone NextHopType = iota
	NextHopVnetLocal
	NextHopVNetPeering
	NextHopVirtualAppliance
	NextHopInternet
	NextHopVirtualNetworkGateway
	NextHopServiceEndpoint
	NextHopInterfaceEndpoint
)

var nextHopNames = [...]string{"None", "VnetLocal", "VNetPeering", "VirtualAppliance", "Internet",
	"VirtualNetworkGateway", "VirtualNetworkServiceEndpoint", "InterfaceEndpoint"}

func (t NextHopType) String() string { return nextHopNames[t] }

// MarshalText writes ARM's word.
func (t NextHopType) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText reads ARM's word: a plan that a node takes from the store has it.
func (t *NextHopType) UnmarshalText(text []byte) error {
	number := slices.Index(nextHopNames[:], string(text))
	if number < 0 {
		return fmt.Errorf("next hop type %q: want one of %s", text, strings.Join(nextHopNames[:], ", "))
	}
	*t = NextHopType(number)
	return nil
}

// RouteSource is who made a route.
type RouteSource uint8

// Sources in the order in which they win at equal prefix length (ROUTE-2): the larger one.
const (
	SourceDefault RouteSource = iota
	SourceVirtualNetworkGateway
	SourceUser
)

var routeSourceNames = [...]string{"Default", "VirtualNetworkGateway", "User"}

func (s RouteSource) String() string { return routeSourceNames[s] }

// MarshalText writes ARM's word.
func (s RouteSource) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads ARM's word.
func (s *RouteSource) UnmarshalText(text []byte) error {
	number := slices.Index(routeSourceNames[:], string(text))
	if number < 0 {
		return fmt.Errorf("route source %q: want one of %s", text, strings.Join(routeSourceNames[:], ", "))
	}
	*s = RouteSource(number)
	return nil
}

// NetworkSecurityGroup is Microsoft.Network/networkSecurityGroups. The three default rules each way are not listed;
// compile adds them (NSG-1).
type NetworkSecurityGroup struct {
	ID       ResourceID
	Location Location
	Rules    []SecurityRule
}

// SecurityRule is one rule of a NetworkSecurityGroup.
type SecurityRule struct {
	Name                string
	Priority            int // 100 to 4096, lowest first
	Inbound             bool
	Allow               bool
	Protocol            Protocol // ProtocolAny for "*"
	Source, Destination SecurityPeers
	SourcePorts         []PortRange // never empty: "*" is 0-65535
	DestinationPorts    []PortRange
}

// SecurityPeers is one side of a security rule: any of these. All empty means nobody.
type SecurityPeers struct {
	Any      bool
	Prefixes []netip.Prefix
	Tag      string // a service tag: VirtualNetwork, Internet, Storage.WestEurope ...
	ASGs     []ResourceID
}

// PortRange is First to Last, both included.
type PortRange struct{ First, Last uint16 }

// AllPorts is "*".
var AllPorts = PortRange{0, 65535}

// Protocol is an IP protocol number.
type Protocol uint8

// Protocols that the pipeline knows by name.
const (
	ProtocolAny    Protocol = 0
	ProtocolICMP   Protocol = 1
	ProtocolIPv4   Protocol = 4 // IPv4 in IPv6
	ProtocolTCP    Protocol = 6
	ProtocolUDP    Protocol = 17
	ProtocolICMPv6 Protocol = 58
)

// NetworkInterface is Microsoft.Network/networkInterfaces.
type NetworkInterface struct {
	ID                   ResourceID
	Number               uint32 // allotted once, never used again; keys flows and counters
	Location             Location
	Subnet               ResourceID
	IPv4                 netip.Addr     // static, or allotted at creation
	Secondary            []netip.Prefix // of its other ipConfigurations; kept for the API, no packet has them
	PublicIPAddress      ResourceID     // "" for none
	EnableIPForwarding   bool
	NetworkSecurityGroup ResourceID // "" for none
	ASGs                 []ResourceID
	MAC                  MAC    // allotted at creation
	Node                 string // the host that carries it, chosen at creation
}

// PublicIPAddress is Microsoft.Network/publicIPAddresses.
type PublicIPAddress struct {
	Prefix   ResourceID // the public IP prefix that its address is out of; "" for none
	ID       ResourceID
	Location Location
	IPv4     netip.Addr // given, or allotted at creation
	Standard bool       // static, of a SKU above Basic: a NAT gateway takes no other
}

// NatGateway is Microsoft.Network/natGateways (OUT-1).
type NatGateway struct {
	ID                   ResourceID
	Location             Location
	PublicIPAddresses    []ResourceID // without any it has no effect
	PublicIPPrefixes     []ResourceID // kept for the API's sake: no packet leaves from their addresses
	SourceVirtualNetwork ResourceID   // the VNet that it serves wherever a subnet names no other, of the SKU StandardV2 alone; "" for none
}

// VirtualMachine is Microsoft.Compute/virtualMachines, as far as a VM here needs it.
type VirtualMachine struct {
	ID                ResourceID
	Location          Location
	NetworkInterfaces []ResourceID
	PrincipalID       string // of the system-assigned identity, "" without one; allotted at creation
	Stopped           bool   // it is powered off, deallocated or not: no host carries its NICs
}

// ServiceEndpointPolicy is Microsoft.Network/serviceEndpointPolicies.
type ServiceEndpointPolicy struct {
	ID          ResourceID
	Location    Location
	Definitions []ServiceEndpointPolicyDefinition
}

// ServiceEndpointPolicyDefinition lists what a policy lets a subnet reach (SEP-3).
type ServiceEndpointPolicyDefinition struct {
	Name             string
	Service          string   // "Microsoft.Storage", or "Global" for aliases
	ServiceResources []string // ids of a subscription, a resource group or an account; or /services/Azure... aliases
}

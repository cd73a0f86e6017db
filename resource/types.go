package resource

import (
	"strings"

	"postern/service/all"
	"postern/service/storage"
)

// typeSpec is one top-level type: how its body is read, what lives inside it, where it stands in a batch.
type typeSpec struct {
	name     string // canonical
	children []childSpec
	decode   func(*Record) (any, error) // a pointer to a noun of model, or of this package
}

// childSpec is a child type: ARM's collection segment and the property of the parent that holds it.
type childSpec struct {
	collection string // in ids: "subnets"
	property   string // in the parent's properties
	apart      bool   // the parent's answers do not have it, and a write of the parent leaves it
	only       string // the name of the one child, which comes and goes with the parent
}

// Names of the types.
const (
	TypeResourceGroup            = "Microsoft.Resources/resourceGroups"
	TypeNode                     = "Postern.Fabric/nodes"
	TypeSettings                 = "Postern.Fabric/settings"
	TypeApplicationSecurityGroup = "Microsoft.Network/applicationSecurityGroups"
	TypeNetworkSecurityGroup     = "Microsoft.Network/networkSecurityGroups"
	TypeRouteTable               = "Microsoft.Network/routeTables"
	TypeServiceEndpointPolicy    = "Microsoft.Network/serviceEndpointPolicies"
	TypeVirtualNetwork           = "Microsoft.Network/virtualNetworks"
	TypePublicIPPrefix           = "Microsoft.Network/publicIPPrefixes"
	TypePublicIPAddress          = "Microsoft.Network/publicIPAddresses"
	TypeManagedIdentity          = "Microsoft.ManagedIdentity/userAssignedIdentities"
	TypeNatGateway               = "Microsoft.Network/natGateways"
	TypeNetworkWatcher           = "Microsoft.Network/networkWatchers"
	TypeStorageAccount           = storage.TypeAccount
	TypeNetworkInterface         = "Microsoft.Network/networkInterfaces"
	TypeVirtualMachine           = "Microsoft.Compute/virtualMachines"
)

// types stand in the order of dependence: a type refers to earlier ones only, but for peerings.
// It is a variable filled below because the decoders refer to it.
var types []typeSpec

func init() {
	types = []typeSpec{
		{name: TypeResourceGroup, decode: decodeResourceGroup},
		{name: TypeSettings, decode: decodeSettings},
		{name: TypeNode, decode: decodeNode},
		{name: TypeManagedIdentity, decode: decodeManagedIdentity},
		{name: TypeApplicationSecurityGroup, decode: decodeApplicationSecurityGroup},
		{name: TypeNetworkSecurityGroup, decode: decodeNetworkSecurityGroup,
			children: []childSpec{{collection: "securityRules", property: "securityRules"}}},
		{name: TypeRouteTable, decode: decodeRouteTable, children: []childSpec{{collection: "routes", property: "routes"}}},
		{name: TypePublicIPPrefix, decode: decodePublicIPPrefix},
		{name: TypePublicIPAddress, decode: decodePublicIPAddress},
		{name: TypeNatGateway, decode: decodeNatGateway},
		{name: TypeServiceEndpointPolicy, decode: decodeServiceEndpointPolicy,
			children: []childSpec{{collection: "serviceEndpointPolicyDefinitions", property: "serviceEndpointPolicyDefinitions"}}},
		{name: TypeVirtualNetwork, decode: decodeVirtualNetwork,
			children: []childSpec{{collection: "subnets", property: "subnets"},
				{collection: "virtualNetworkPeerings", property: "virtualNetworkPeerings"}}},
	}
	types = append(types, serviceTypes(all.Services())...) // their rules name subnets
	types = append(types, []typeSpec{
		{name: TypeNetworkInterface, decode: decodeNetworkInterface},
		{name: TypeVirtualMachine, decode: decodeVirtualMachine},
		{name: TypeNetworkWatcher, decode: decodeNetworkWatcher},
	}...)
}

// TypeNames lists the top-level types in the order in which they depend on each other.
func TypeNames() []string {
	names := make([]string, len(types))
	for i, spec := range types {
		names[i] = spec.name
	}
	return names
}

// lookup finds the type of an id; the child is nil for a top-level one.
func lookup(provider string, segments []string) (*typeSpec, *childSpec, bool) {
	for i := range types {
		spec := &types[i]
		if !strings.EqualFold(spec.name, provider+"/"+segments[0]) {
			continue
		}
		if len(segments) == 1 {
			return spec, nil, true
		}
		for j := range spec.children {
			if len(segments) == 2 && strings.EqualFold(spec.children[j].collection, segments[1]) {
				return spec, &spec.children[j], true
			}
		}
	}
	return nil, nil, false
}

// byShortName finds a type without its provider: "virtualNetworks".
func byShortName(short string) (*typeSpec, bool) {
	for i := range types {
		if _, name, _ := strings.Cut(types[i].name, "/"); strings.EqualFold(name, short) {
			return &types[i], true
		}
	}
	return nil, false
}

// order is a type's place among the types; unknown ones come last.
func order(name string) int {
	for i := range types {
		if strings.EqualFold(types[i].name, name) {
			return i
		}
	}
	return len(types)
}

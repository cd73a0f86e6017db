package model

import "strings"

// Service is a platform service that subnets can reach by an endpoint.
type Service struct {
	Endpoint string   // the name a subnet enables: "Microsoft.Storage"
	Tag      string   // the service tag whose prefixes it has: "Storage"
	Identity Identity // in a fabric address; below FirstSubnetIdentity, but for those of the operator's own
	Bit      uint8    // its place in a subnet's set of enabled services; below 64
	Scope    ServiceScope
}

// ServiceScope tells which regions' prefixes an endpoint covers, seen from the VNet's region.
type ServiceScope uint8

// The scopes.
const (
	ScopeRegion     ServiceScope = iota // the VNet's region alone (SE-10)
	ScopeRegionPair                     // the VNet's region and its pair (SE-9)
	ScopeGlobal                         // every region
)

// Services are those of the service-tag file's VSE tags (SE-15) and the two forms of Storage (SE-9), in the order of
// their bits. Microsoft.Storage and Microsoft.Storage.Global are one service under two names: one identity.
var Services = []Service{
	{"Microsoft.Storage", "Storage", 16, 0, ScopeRegionPair},
	{"Microsoft.Storage.Global", "Storage", 16, 1, ScopeGlobal},
	{"Microsoft.Sql", "Sql", 17, 2, ScopeRegion},
	{"Microsoft.AzureCosmosDB", "AzureCosmosDB", 18, 3, ScopeGlobal},
	{"Microsoft.KeyVault", "AzureKeyVault", 19, 4, ScopeGlobal},
	{"Microsoft.ServiceBus", "ServiceBus", 20, 5, ScopeGlobal},
	{"Microsoft.EventHub", "EventHub", 21, 6, ScopeGlobal},
	{"Microsoft.AzureActiveDirectory", "AzureActiveDirectory", 22, 7, ScopeGlobal},
	{"Microsoft.Web", "AppService", 23, 8, ScopeGlobal},
	{"Microsoft.CognitiveServices", "CognitiveServicesManagement", 24, 9, ScopeGlobal},
	{"Microsoft.ContainerRegistry", "AzureContainerRegistry", 25, 10, ScopeGlobal},
}

// ServiceByEndpoint finds a service by the name that a subnet enables; case does matter, as in ARM's answers.
func ServiceByEndpoint(endpoint string) (Service, bool) {
	for _, service := range Services {
		if service.Endpoint == endpoint {
			return service, true
		}
	}
	return Service{}, false
}

// FirstOwnBit is the first bit that endpoints of the operator's own get, and MaxOwnEndpoints how many there can be.
const (
	FirstOwnBit     = 16
	MaxOwnEndpoints = 64 - FirstOwnBit
)

// IsOwn tells whether an endpoint is one of the operator's own: its identity and its bit are allotted, and its prefixes
// stand in its instances.
func (s Service) IsOwn() bool { return s.Bit >= FirstOwnBit }

// OwnEndpointName tells whether a text can be the name of an endpoint of the operator's own: "Contoso.Redis".
func OwnEndpointName(name string) bool {
	return strings.Contains(name, ".") && len(name) <= 80 && !strings.HasPrefix(strings.ToLower(name), "microsoft.") &&
		strings.Trim(strings.ToLower(name), "abcdefghijklmnopqrstuvwxyz0123456789-.") == ""
}

// regionPairs are Azure's published pairs, by short name; only one direction stands here.
var regionPairs = map[Location]Location{
	"westeurope": "northeurope", "germanywestcentral": "germanynorth", "francecentral": "francesouth",
	"uksouth": "ukwest", "norwayeast": "norwaywest", "switzerlandnorth": "switzerlandwest",
	"swedencentral": "swedensouth", "eastus": "westus", "eastus2": "centralus", "northcentralus": "southcentralus",
	"westus2": "westcentralus", "canadacentral": "canadaeast", "eastasia": "southeastasia",
	"australiaeast": "australiasoutheast", "australiacentral": "australiacentral2", "japaneast": "japanwest",
	"koreacentral": "koreasouth", "centralindia": "southindia", "southafricanorth": "southafricawest",
	"uaenorth": "uaecentral",
}

// RegionPair is the region that a region's storage endpoints cover too (SE-9), or "" where there is none.
func RegionPair(region Location) Location {
	if pair, ok := regionPairs[region]; ok {
		return pair
	}
	for one, other := range regionPairs {
		if other == region {
			return one
		}
	}
	return ""
}

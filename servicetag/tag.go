// Package servicetag reads, keeps and asks a catalogue of service tags: Microsoft's weekly file of which prefixes belong
// to which service in which region. A small catalogue is built in. The tags of security rules that stand for no fixed
// prefixes (VirtualNetwork, Internet, AzureLoadBalancer, AzurePlatformDNS ...) are not in a catalogue.
package servicetag

import (
	"net/netip"
	"slices"
	"strings"

	"postern/model"
)

// Tag is one service tag. The slices are shared with the catalogue: readers must not write to them.
type Tag struct {
	Name            string         // "Storage", "Storage.WestEurope"
	SystemService   string         // "AzureStorage"; "" for none
	Platform        string         // "Azure"
	Region          string         // as the file spells it: "westeurope", "germanywc"; "" for a top-level tag
	RegionID        int            // the file's number of the region; 0 for a top-level tag
	Location        model.Location // Region as resources spell it: "germanywestcentral"; "" for a top-level tag
	ChangeNumber    int            // grows when the tag changes
	NetworkFeatures []string       // where the tag may be used: API, NSG, UDR, FW, VSE; nil where the file has null
	Prefixes        []netip.Prefix // IPv4, then IPv6, each sorted; masked
}

// Service is the name without its region: "Storage" of "Storage.WestEurope".
func (t Tag) Service() string {
	if t.Location == "" {
		return t.Name
	}
	service, _, _ := strings.Cut(t.Name, ".")
	return service
}

// HasEndpoints tells whether subnets can enable endpoints of the tag's service (SE-15).
func (t Tag) HasEndpoints() bool { return slices.Contains(t.NetworkFeatures, "VSE") }

// oddRegions are the regions that the file spells otherwise than resources do.
var oddRegions = map[string]model.Location{
	"brazilne": "brazilnortheast", "brazilse": "brazilsoutheast", "centralfrance": "francecentral",
	"chilec": "chilecentral", "germanyn": "germanynorth", "germanywc": "germanywestcentral",
	"norwaye": "norwayeast", "norwayw": "norwaywest", "southfrance": "francesouth",
	"swedenc": "swedencentral", "swedens": "swedensouth",
	"switzerlandn": "switzerlandnorth", "switzerlandw": "switzerlandwest",
	"usstagec": "southcentralusstg", "usstagee": "eastusstg",
}

// LocationOf turns a region as the tag file spells it into the short name that resources have. A name that is not odd
// is only put in lower case.
func LocationOf(region string) model.Location {
	region = strings.ToLower(region)
	if location, odd := oddRegions[region]; odd {
		return location
	}
	return model.Location(region)
}

// locationOf is a tag's region. The name's suffix says it better than the region field: "Storage.EastUS2Stage" has the
// region "eastus2", as "Storage.EastUS2" has. A tag without a region has none, whatever its suffix is
// ("AzureFrontDoor.Backend").
func locationOf(name, region string) model.Location {
	if region == "" {
		return ""
	}
	if _, suffix, found := strings.Cut(name, "."); found {
		return LocationOf(suffix)
	}
	return LocationOf(region)
}

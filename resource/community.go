package resource

import (
	"strconv"

	"postern/model"
)

// communityAS is the autonomous system that Azure's BGP communities begin with.
const communityAS = "12076:"

// regionalCommunities are the BGP communities that Azure tags a region's virtual networks with on private peerings of
// ExpressRoute, less communityAS: from its published table. They are answered; nothing here announces them.
var regionalCommunities = map[model.Location]int{
	"westeurope": 50002, "northeurope": 50003, "eastus": 50004, "eastus2": 50005, "westus": 50006, "northcentralus": 50007,
	"southcentralus": 50008, "centralus": 50009, "eastasia": 50010, "southeastasia": 50011, "japaneast": 50012, "japanwest": 50013,
	"brazilsouth": 50014, "australiaeast": 50015, "australiasoutheast": 50016, "centralindia": 50017, "westindia": 50018,
	"southindia": 50019, "canadacentral": 50020, "canadaeast": 50021, "uksouth": 50024, "ukwest": 50025, "westus2": 50026,
	"westcentralus": 50027, "koreasouth": 50028, "koreacentral": 50029, "francecentral": 50030, "francesouth": 50031,
	"australiacentral": 50032, "australiacentral2": 50033, "southafricanorth": 50034, "southafricawest": 50035, "uaenorth": 50036,
	"uaecentral": 50037, "switzerlandnorth": 50038, "switzerlandwest": 50039, "germanynorth": 50040, "germanywestcentral": 50041,
	"norwayeast": 50042, "norwaywest": 50043, "westus3": 50044, "newzealandnorth": 50059,
}

// answerCommunities completes a VNet's bgpCommunities, if its writer has set any, by that of its region.
func answerCommunities(communities map[string]any, region model.Location) {
	if number, ok := regionalCommunities[region]; ok && communities != nil {
		communities["regionalCommunity"] = communityAS + strconv.Itoa(number)
	}
}

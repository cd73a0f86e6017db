package authorization

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"postern/service/all"
)

// joinViaServiceEndpoint is the right to name a subnet in the network rules of a service (FW-14).
const joinViaServiceEndpoint = "Microsoft.Network/virtualNetworks/subnets/joinViaServiceEndpoint/action"

// Link is what a body refers to, and the right that the reference takes on it.
type Link struct{ Action, Scope string }

// link is a place in a type's body. The path's members are joined by dots; [] goes through a list, {} takes the names of
// an object's members.
type link struct{ path, action string }

const (
	joinSubnet    = "Microsoft.Network/virtualNetworks/subnets/join/action"
	joinGroup     = "Microsoft.Network/networkSecurityGroups/join/action"
	joinTable     = "Microsoft.Network/routeTables/join/action"
	joinNat       = "Microsoft.Network/natGateways/join/action"
	joinPolicy    = "Microsoft.Network/serviceEndpointPolicies/join/action"
	joinAddress   = "Microsoft.Network/publicIPAddresses/join/action"
	joinPrefix    = "Microsoft.Network/publicIPPrefixes/join/action"
	joinInterface = "Microsoft.Network/networkInterfaces/join/action"
	joinASGByNIC  = "Microsoft.Network/applicationSecurityGroups/joinIpConfiguration/action"
	joinASGByRule = "Microsoft.Network/applicationSecurityGroups/joinNetworkSecurityRule/action"
	peerNetwork   = "Microsoft.Network/virtualNetworks/peer/action"
	joinNetwork   = "Microsoft.Network/virtualNetworks/join/action"
)

// actAs is what every type with an identity has: the identities that are resources of their own.
var actAs = link{"identity.userAssignedIdentities{}", "Microsoft.ManagedIdentity/userAssignedIdentities/assign/action"}

// subnetLinks are those of a subnet's properties.
var subnetLinks = []link{{"networkSecurityGroup.id", joinGroup}, {"routeTable.id", joinTable}, {"natGateway.id", joinNat}, {"serviceEndpointPolicies[].id", joinPolicy}}

var ruleLinks = []link{{"sourceApplicationSecurityGroups[].id", joinASGByRule}, {"destinationApplicationSecurityGroups[].id", joinASGByRule}}

// links are the references that take a right, by type in lower case: Azure's linked access checks, as far as its documents
// tell of them. Types that come with other services are here already; those of service/ are known by themselves, see Links.
var links = map[string][]link{
	"microsoft.network/virtualnetworks": append(within("properties.subnets[].properties.", subnetLinks),
		link{"properties.virtualNetworkPeerings[].properties.remoteVirtualNetwork.id", peerNetwork}),
	"microsoft.network/virtualnetworks/subnets":                within("properties.", subnetLinks),
	"microsoft.network/virtualnetworks/virtualnetworkpeerings": {{"properties.remoteVirtualNetwork.id", peerNetwork}},
	"microsoft.network/networksecuritygroups":                  within("properties.securityRules[].properties.", ruleLinks),
	"microsoft.network/networksecuritygroups/securityrules":    within("properties.", ruleLinks),
	"microsoft.network/natgateways":                            {{"properties.publicIpAddresses[].id", joinAddress}, {"properties.publicIpPrefixes[].id", joinPrefix}},
	"microsoft.network/publicipaddresses":                      {{"properties.natGateway.id", joinNat}, {"properties.publicIPPrefix.id", joinPrefix}},
	"microsoft.network/privateendpoints":                       {{"properties.subnet.id", joinSubnet}},
	"microsoft.network/privatelinkservices":                    {{"properties.ipConfigurations[].properties.subnet.id", joinSubnet}},
	"microsoft.network/privatednszones/virtualnetworklinks":    {{"properties.virtualNetwork.id", joinNetwork}},
	"microsoft.network/networkinterfaces": {{"properties.networkSecurityGroup.id", joinGroup},
		{"properties.ipConfigurations[].properties.subnet.id", joinSubnet},
		{"properties.ipConfigurations[].properties.publicIPAddress.id", joinAddress},
		{"properties.ipConfigurations[].properties.applicationSecurityGroups[].id", joinASGByNIC}},
	"microsoft.compute/virtualmachines": {{"properties.networkProfile.networkInterfaces[].id", joinInterface}},
	"microsoft.web/sites/config":        {{"properties.ipSecurityRestrictions[].vnetSubnetResourceId", joinViaServiceEndpoint}},
}

func within(prefix string, list []link) []link {
	list = slices.Clone(list)
	for i := range list {
		list[i].path = prefix + list[i].path
	}
	return list
}

// Links are what a body of a type refers to and needs rights on, each once, in the table's order. Members are found whatever
// their case, all of those that differ by case alone, so that no spelling gets past the check. What is not JSON has none.
//
// An instance of a service, or a child of one, refers to every subnet whose id stands anywhere in its properties: each
// service has a form of its own for rules, and some read several (FW-14).
func Links(typ string, body []byte) []Link {
	places, ofService := append(slices.Clone(links[strings.ToLower(typ)]), actAs), isService(typ)
	var value any
	if json.Unmarshal(body, &value) != nil {
		return nil // it is refused by whoever reads it
	}
	var found []Link
	add := func(action, id string) {
		one := Link{action, strings.TrimRight(id, "/")}
		if one.Scope != "" && !slices.ContainsFunc(found, func(l Link) bool { return l.Action == one.Action && strings.EqualFold(l.Scope, one.Scope) }) {
			found = append(found, one)
		}
	}
	for _, place := range places {
		collect(value, strings.Split(place.path, "."), func(id string) { add(place.action, id) })
	}
	if object, ok := value.(map[string]any); ok && ofService {
		for _, member := range slices.Sorted(maps.Keys(object)) {
			if strings.EqualFold(member, "properties") {
				subnets(object[member], func(id string) { add(joinViaServiceEndpoint, id) })
			}
		}
	}
	return found
}

// isService tells whether a type is one of service/, or a child of one.
func isService(typ string) bool {
	if _, own := all.Type(typ); own != nil {
		return true
	}
	parent := typ[:max(strings.LastIndexByte(typ, '/'), 0)]
	_, own := all.Type(parent)
	return own != nil
}

// subnets hands over every text in a value that is the id of a subnet.
func subnets(value any, found func(string)) {
	switch value := value.(type) {
	case string:
		segments := strings.Split(strings.ToLower(strings.Trim(value, "/")), "/")
		if len(segments) == 10 && slices.Equal([]string{segments[4], segments[5], segments[6], segments[8]}, []string{"providers", "microsoft.network", "virtualnetworks", "subnets"}) {
			found(value)
		}
	case []any:
		for _, element := range value {
			subnets(element, found)
		}
	case map[string]any:
		for _, member := range slices.Sorted(maps.Keys(value)) {
			subnets(value[member], found)
		}
	}
}

// collect hands over every text at a path.
func collect(value any, path []string, found func(string)) {
	if len(path) == 0 {
		if text, ok := value.(string); ok {
			found(text)
		}
		return
	}
	object, ok := value.(map[string]any)
	if !ok {
		return
	}
	name, list := strings.CutSuffix(path[0], "[]")
	name, names := strings.CutSuffix(name, "{}")
	for _, member := range slices.Sorted(maps.Keys(object)) {
		if !strings.EqualFold(member, name) {
			continue
		}
		if names {
			inner, _ := object[member].(map[string]any)
			for _, id := range slices.Sorted(maps.Keys(inner)) {
				found(id)
			}
			continue
		}
		if !list {
			collect(object[member], path[1:], found)
			continue
		}
		elements, _ := object[member].([]any)
		for _, element := range elements {
			collect(element, path[1:], found)
		}
	}
}

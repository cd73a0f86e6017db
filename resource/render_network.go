package resource

import (
	"net/netip"

	"github.com/google/uuid"

	"postern/model"
)

func (a *answer) virtualNetwork(properties map[string]any, vnet *model.VirtualNetwork) {
	fill(properties, "enableDdosProtection", false)
	answerCommunities(objectAt(properties, "bgpCommunities"), vnet.Location)
	if gateway := a.cloud.links().natGateway[vnet.ID.Key()]; gateway != "" {
		properties["defaultPublicNatGateway"] = map[string]any{"id": gateway}
	}
	fill(objectIn(properties, "dhcpOptions"), "dnsServers", []any{})
}

func (a *answer) subnet(properties map[string]any, vnet *model.VirtualNetwork, subnet *model.Subnet) {
	fill(properties, "delegations", []any{})
	fill(properties, "privateEndpointNetworkPolicies", "Disabled")
	fill(properties, "privateLinkServiceNetworkPolicies", "Enabled")
	for _, element := range listIn(properties, "delegations") {
		delegation := element.(map[string]any)
		name, _ := delegation["name"].(string)
		delegation["id"], delegation["etag"] = string(subnet.ID)+"/delegations/"+name, a.etag
		delegation["type"] = TypeVirtualNetwork + "/subnets/delegations"
		inner := objectIn(delegation, "properties")
		inner["provisioningState"] = a.state
		fill(inner, "actions", []any{})
	}
	for _, element := range listIn(properties, "serviceEndpoints") {
		a.serviceEndpoint(element.(map[string]any), vnet.Location)
	}
	a.references(properties, "ipConfigurations", linksOf(a.cloud.entries, TypeNetworkInterface).configurations[subnet.ID.Key()])
}

// serviceEndpoint answers an endpoint's state and regions (SE-11).
func (a *answer) serviceEndpoint(endpoint map[string]any, region model.Location) {
	name, _ := endpoint["service"].(string)
	service, _ := endpointNamed(name)
	locations := []string{"*"}
	if service.Scope != model.ScopeGlobal {
		locations = []string{string(region)}
	}
	if pair := model.RegionPair(region); service.Scope == model.ScopeRegionPair && pair != "" {
		locations = append(locations, string(pair))
	}
	endpoint["service"], endpoint["provisioningState"], endpoint["locations"] = service.Endpoint, a.state, locations
}

// parted tells whether the remote VNet had a half of its own, and the answer's VNet has not been written since that went.
func (a *answer) parted(remote, vnet *model.VirtualNetwork) bool {
	revision, ok := a.cloud.entries.find(remote.ID.Key()).record.Allotted.Parted[vnet.Number]
	return ok && a.entry.record.Revision <= revision
}

// peering answers a half's state (HYB-3): Connected when the other half exists, Initiated while it does not yet, Disconnected
// when it has gone, or the other VNet.
func (a *answer) peering(properties map[string]any, vnet *model.VirtualNetwork, peering *model.Peering) {
	fill(properties, "allowVirtualNetworkAccess", true)
	for _, name := range []string{"allowForwardedTraffic", "allowGatewayTransit", "useRemoteGateways", "doNotVerifyRemoteGateways"} {
		fill(properties, name, false)
	}
	fill(properties, "peerCompleteVnets", true)
	if guid, err := uuid.Parse(a.entry.record.Allotted.GUID); err == nil {
		properties["resourceGuid"] = uuid.NewSHA1(guid, []byte(peering.ID.Key())).String()
	}
	remote := a.cloud.vnet(peering.RemoteVirtualNetwork)
	switch {
	case remote == nil:
		properties["peeringState"] = "Disconnected"
	case peered(remote, vnet):
		properties["peeringState"] = "Connected"
	case a.parted(remote, vnet):
		properties["peeringState"] = "Disconnected"
	default:
		properties["peeringState"] = "Initiated"
	}
	if remote == nil {
		return
	}
	properties["peeringSyncLevel"] = "FullyInSync"
	if properties["peeringState"] != "Connected" {
		properties["peeringSyncLevel"] = "RemoteNotInSync"
	}
	for _, name := range []string{"remoteAddressSpace", "remoteVirtualNetworkAddressSpace"} {
		properties[name] = map[string]any{"addressPrefixes": texts(remote.AddressSpace)}
	}
	delete(properties, "remoteBgpCommunities")
	entry := a.cloud.entries.find(remote.ID.Key())
	if body, err := entry.body.read(entry.record); err == nil {
		for to, from := range map[string]string{"remoteBgpCommunities": "bgpCommunities", "remoteVirtualNetworkEncryption": "encryption"} {
			if value := objectAt(objectAt(body, "properties"), from); value != nil {
				properties[to] = cloned(value)
				if from == "bgpCommunities" {
					answerCommunities(objectAt(properties, to), remote.Location)
				}
			}
		}
	}
}

func texts(prefixes []netip.Prefix) []string {
	list := make([]string, 0, len(prefixes))
	for _, prefix := range prefixes {
		list = append(list, prefix.String())
	}
	return list
}

func (a *answer) routeTable(properties map[string]any, table *model.RouteTable) {
	fill(properties, "disableBgpRoutePropagation", false)
	a.references(properties, "subnets", a.cloud.links().subnets[table.ID.Key()])
}

func (a *answer) natGateway(object, properties map[string]any, gateway *model.NatGateway) {
	fill(object, "sku", map[string]any{"name": "Standard"})
	fill(properties, "idleTimeoutInMinutes", minNATTimeout)
	a.references(properties, "subnets", a.cloud.links().subnets[gateway.ID.Key()])
}

func (a *answer) publicIPAddress(object, properties map[string]any, public *model.PublicIPAddress) {
	sku := objectIn(object, "sku")
	fill(sku, "name", "Basic")
	fill(sku, "tier", "Regional")
	fill(properties, "publicIPAllocationMethod", "Dynamic")
	fill(properties, "publicIPAddressVersion", "IPv4")
	fill(properties, "idleTimeoutInMinutes", 4)
	fill(properties, "ipTags", []any{})
	fill(properties, "ddosSettings", map[string]any{"protectionMode": "VirtualNetworkInherited"})
	properties["ipAddress"] = public.IPv4.String()
	if dns := objectAt(properties, "dnsSettings"); dns != nil {
		if label, ok := dns["domainNameLabel"].(string); ok {
			dns["fqdn"] = label + "." + string(public.Location) + ".cloudapp.azure.com"
		}
	}
	if users := a.cloud.links().configurations[public.ID.Key()]; len(users) > 0 {
		properties["ipConfiguration"] = map[string]any{"id": users[0]}
	}
	if gateway := a.cloud.links().natGateway[public.ID.Key()]; gateway != "" {
		properties["natGateway"] = map[string]any{"id": gateway}
	}
}

package arm

import (
	"cmp"
	"encoding/json"
	"net/http"
	"strings"

	"postern/resource"
)

type usage struct {
	ID           string    `json:"id"`
	CurrentValue int       `json:"currentValue"`
	Limit        int       `json:"limit"`
	Unit         string    `json:"unit"`
	Name         usageName `json:"name"`
}

type usageName struct {
	Value     string `json:"value"`
	Localized string `json:"localizedValue"`
}

// gatewaySubnet is the name of the subnet whose addresses are the gateway's alone: Azure does not count them.
const gatewaySubnet = "GatewaySubnet"

// listSubnetUsages answers how many addresses each subnet of a VNet has, and how many of them are taken.
func listSubnetUsages(r *request) (int, any, error) {
	vnet, snapshot, err := r.virtualNetwork()
	if err != nil {
		return 0, nil, err
	}
	value := []usage{}
	for i := range vnet.Subnets {
		subnet := &vnet.Subnets[i]
		one := usage{ID: string(subnet.ID), CurrentValue: len(taken(snapshot, subnet)), Unit: "Count", Name: usageName{"SubnetSpace", "Subnet size and usage"}}
		for _, prefix := range subnet.Prefixes {
			one.Limit += 1<<(32-prefix.Bits()) - 5 // the first four and the last are Azure's
		}
		if strings.EqualFold(subnet.ID.Name(), gatewaySubnet) {
			one.CurrentValue, one.Limit = -1, -1
		}
		value = append(value, one)
	}
	return http.StatusOK, list{Value: value}, nil
}

// usageLimits are the names that Azure counts resources by, and its published limits for one subscription and region. They
// are told and not enforced. Those without a type count what is not here, or what is bounded by its parent and not counted
// over the region: their count is 0, as it is in Azure.
var usageLimits = []struct {
	typ, name, text string
	limit           int
}{
	{resource.TypeVirtualNetwork, "VirtualNetworks", "Virtual Networks", 1000},
	{"", staticAddresses, "Static Public IP Addresses", 1000},
	{resource.TypeNetworkSecurityGroup, "NetworkSecurityGroups", "Network Security Groups", 5000},
	{resource.TypePublicIPAddress, "PublicIPAddresses", "Public IP Addresses", 1000},
	{resource.TypePublicIPPrefix, "PublicIpPrefixes", "Public Ip Prefixes", 2147483647},
	{resource.TypeNatGateway, "NatGateways", "Nat Gateways", 500},
	{resource.TypeNetworkInterface, "NetworkInterfaces", "Network Interfaces", 65536},
	{"", "LoadBalancers", "Load Balancers", 1000},
	{"", "ApplicationGateways", "Application Gateways", 1000},
	{resource.TypeRouteTable, "RouteTables", "Route Tables", 200},
	{"", "RouteFilters", "Route Filters", 1000},
	{"", "NetworkWatchers", "Network Watchers", 1},
	{"", "PacketCaptures", "Packet Captures", 10000},
	{resource.TypeApplicationSecurityGroup, "ApplicationSecurityGroups", "Application Security Groups.", 3000},
	{"", "DdosProtectionPlans", "DDoS Protection Plans.", 1},
	{resource.TypeServiceEndpointPolicy, "ServiceEndpointPolicies", "Service Endpoint Policies", 500},
	{"", "NetworkIntentPolicies", "Network Intent Policies", 200},
	{"", "DnsServersPerVirtualNetwork", "DNS servers per Virtual Network", 20},
	{"", "SubnetsPerVirtualNetwork", "Subnets per Virtual Network", 3000},
	{"", "IPConfigurationsPerVirtualNetwork", "IP Configurations per Virtual Network", 65536},
	{"", "PeeringsPerVirtualNetwork", "Peerings per Virtual Network", 500},
	{"", "SecurityRulesPerNetworkSecurityGroup", "Security rules per Network Security Group", 1000},
	{"", "SecurityRulesPerNetworkIntentPolicy", "Security rules per Network Intent Policy", 100},
	{"", "RoutesPerNetworkIntentPolicy", "Routes per Network Intent Policy", 100},
	{"", "SecurityRuleAddressesOrPortsPerNetworkSecurityGroup", "Security rules addresses or ports per Network Security Group", 4000},
	{"", "InboundRulesPerLoadBalancer", "Inbound Rules per Load Balancer", 1500},
	{"", "FrontendIPConfigurationPerLoadBalancer", "Frontend IP Configurations per Load Balancer", 600},
	{"", "OutboundRulesPerLoadBalancer", "Outbound Rules per Load Balancer", 600},
	{"", "RoutesPerRouteTable", "Routes per Route Table", 400},
	{"", "SecondaryIPConfigurationsPerNetworkInterface", "Secondary IP Configurations per Network Interface", 256},
	{"", "InboundRulesPerNetworkInterface", "Inbound rules per Network Interface", 500},
	{"", "RouteFilterRulesPerRouteFilter", "Route filter rules per Route Filter", 1},
	{"", "RouteFiltersPerExpressRouteBgpPeering", "Route filters per Express route BGP Peering", 1},
}

// staticAddresses is the count of those public IPs whose address is allotted for good.
const staticAddresses = "StaticPublicIPAddresses"

// listNetworkUsages counts the resources of a subscription in one region.
func listNetworkUsages(r *request) (int, any, error) {
	cloud, err := r.door.Cache.Current(r.Context())
	if err != nil {
		return 0, nil, err
	}
	counts := make(map[string]int) // by type, and the static public IPs
	inRegion := filter{{"location", true, r.at.names[0]}}
	for _, record := range cloud.Records("") {
		id, err := resource.ParseID(record.ID)
		if err != nil || !strings.EqualFold(id.Subscription, r.at.subscription) || !inRegion.matches(id, record.Body) {
			continue
		}
		counts[record.Type]++
		if record.Type == resource.TypePublicIPAddress && isStatic(record.Body) {
			counts[staticAddresses]++
		}
	}
	value := []usage{}
	for _, one := range usageLimits {
		value = append(value, usage{ID: r.at.scope() + "/usages/" + one.name, CurrentValue: counts[cmp.Or(one.typ, one.name)], Limit: one.limit,
			Unit: "Count", Name: usageName{one.name, one.text}})
	}
	return http.StatusOK, list{Value: value}, nil
}

func isStatic(body json.RawMessage) bool {
	var public struct {
		Properties struct {
			Method string `json:"publicIPAllocationMethod"`
		} `json:"properties"`
	}
	return json.Unmarshal(body, &public) == nil && strings.EqualFold(public.Properties.Method, "Static")
}

package resource

import "postern/model"

// defaultRules are the three rules that every security group has each way (NSG-1), as ARM answers them.
var defaultRules = []struct {
	name, description, source, destination, access, direction string
	priority                                                  int
}{
	{"AllowVnetInBound", "Allow inbound traffic from all VMs in VNET", "VirtualNetwork", "VirtualNetwork", "Allow", "Inbound", 65000},
	{"AllowAzureLoadBalancerInBound", "Allow inbound traffic from azure load balancer", "AzureLoadBalancer", "*", "Allow", "Inbound", 65001},
	{"DenyAllInBound", "Deny all inbound traffic", "*", "*", "Deny", "Inbound", 65500},
	{"AllowVnetOutBound", "Allow outbound traffic from all VMs to all VMs in VNET", "VirtualNetwork", "VirtualNetwork", "Allow", "Outbound", 65000},
	{"AllowInternetOutBound", "Allow outbound traffic from all VMs to Internet", "*", "Internet", "Allow", "Outbound", 65001},
	{"DenyAllOutBound", "Deny all outbound traffic", "*", "*", "Deny", "Outbound", 65500},
}

func (a *answer) securityGroup(properties map[string]any, group *model.NetworkSecurityGroup) {
	list := make([]any, 0, len(defaultRules))
	for _, rule := range defaultRules {
		inner := map[string]any{"provisioningState": a.state, "description": rule.description, "protocol": "*", "sourcePortRange": "*",
			"destinationPortRange": "*", "sourceAddressPrefix": rule.source, "destinationAddressPrefix": rule.destination,
			"access": rule.access, "priority": rule.priority, "direction": rule.direction}
		securityRule(inner)
		list = append(list, map[string]any{"name": rule.name, "id": string(childID(string(group.ID), "defaultSecurityRules", rule.name)),
			"etag": a.etag, "type": TypeNetworkSecurityGroup + "/defaultSecurityRules", "properties": inner})
	}
	properties["defaultSecurityRules"] = list
	fill(properties, "flushConnection", false)
	a.references(properties, "subnets", a.cloud.links().subnets[group.ID.Key()])
	a.references(properties, "networkInterfaces", a.cloud.links().interfaces[group.ID.Key()])
}

// securityRule answers the lists that a rule leaves empty.
func securityRule(properties map[string]any) {
	for _, name := range []string{"sourcePortRanges", "destinationPortRanges", "sourceAddressPrefixes", "destinationAddressPrefixes"} {
		fill(properties, name, []any{})
	}
}

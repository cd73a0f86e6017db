package cloud

import (
	"fmt"
	"strings"
)

// nodes are two regions, each with hosts, a gateway and an edge.
const nodes = `
- {type: nodes, name: host-we1, location: westeurope, properties: {role: host, locator: "fd00:1:1:100::/56"}}
- {type: nodes, name: host-we2, location: westeurope, properties: {role: host, locator: "fd00:1:1:200::/56"}}
- {type: nodes, name: gateway-we, location: westeurope, properties: {role: gateway, locator: "fd00:1:1:300::/56",
    serviceLocator: "fd00:1:a:100::/56", platformLocator: "fd00:1:b:100::/56"}}
- {type: nodes, name: edge-we, location: westeurope, properties: {role: edge, locator: "fd00:1:1:400::/56",
    outboundAddress: 203.0.113.250, platformPool: 100.64.0.0/16}}
- {type: nodes, name: host-gwc, location: germanywestcentral, properties: {role: host, locator: "fd00:1:2:100::/56"}}
- {type: nodes, name: gateway-gwc, location: germanywestcentral, properties: {role: gateway, locator: "fd00:1:2:300::/56",
    serviceLocator: "fd00:1:a:200::/56", platformLocator: "fd00:1:b:200::/56"}}
- {type: nodes, name: edge-gwc, location: germanywestcentral, properties: {role: edge, locator: "fd00:1:2:400::/56",
    outboundAddress: 203.0.113.251, platformPool: 100.65.0.0/16}}
`

// vnet is a VNet of westeurope; what follows goes into its properties.
func vnet(name, space string, properties ...string) string {
	return fmt.Sprintf("{type: virtualNetworks, name: %s, location: westeurope, properties: {addressSpace: {addressPrefixes: [%s]}%s}}",
		name, space, more(properties))
}

// subnet is named vnet/subnet.
func subnet(name, prefix string, properties ...string) string {
	return fmt.Sprintf("{type: virtualNetworks/subnets, name: %s, properties: {addressPrefix: %s%s}}", name, prefix, more(properties))
}

func more(properties []string) string {
	var text strings.Builder
	for _, property := range properties {
		text.WriteString(", " + property)
	}
	return text.String()
}

// Properties of subnets.
const (
	withStorage     = "serviceEndpoints: [{service: Microsoft.Storage}]"
	withStorageAll  = "serviceEndpoints: [{service: Microsoft.Storage.Global}]"
	privateSubnet   = "defaultOutboundAccess: false"
	withGroup       = "networkSecurityGroup: {id: networkSecurityGroups/nsg}"
	withRouteTable  = "routeTable: {id: routeTables/rt}"
	withPolicy      = "serviceEndpointPolicies: [{id: serviceEndpointPolicies/policy}]"
	withForwarding  = "enableIPForwarding: true"
	attachedAddress = "publicIPAddress: {id: publicIPAddresses/%s}"
)

// vm is a NIC with a static address in a subnet (vnet/subnet), and a VM with an identity. public is the name of its
// public address, "" for none.
func vm(name, node, subnet, address, public string, properties ...string) string {
	configuration := fmt.Sprintf("privateIPAllocationMethod: Static, privateIPAddress: %s, subnet: {id: virtualNetworks/%s}",
		address, strings.Replace(subnet, "/", "/subnets/", 1))
	if public != "" {
		configuration += ", " + fmt.Sprintf(attachedAddress, public)
	}
	return fmt.Sprintf(`
- {type: networkInterfaces, name: nic-%[1]s, location: westeurope, tags: {postern.node: %[2]s}, properties: {ipConfigurations: [
    {name: main, properties: {%[3]s}}]%[4]s}}
- {type: virtualMachines, name: vm-%[1]s, location: westeurope, identity: {type: SystemAssigned},
    properties: {networkProfile: {networkInterfaces: [{id: networkInterfaces/nic-%[1]s}]}}}`, name, node, configuration, more(properties))
}

func publicAddress(name, address string) string {
	return fmt.Sprintf("{type: publicIPAddresses, name: %s, location: westeurope, properties: {publicIPAllocationMethod: Static, ipAddress: %s}}", name, address)
}

// account is a storage account; acls are what stands in its networkAcls, "" for none.
func account(name, location, acls string) string {
	if acls != "" {
		acls = "networkAcls: {" + acls + "}"
	}
	return fmt.Sprintf("{type: storageAccounts, name: %s, location: %s, properties: {%s}}", name, location, acls)
}

// group is the security group nsg; a rule is "priority direction access protocol source destination ports".
func group(rules ...string) string {
	var text strings.Builder
	for _, rule := range rules {
		f := strings.Fields(rule)
		fmt.Fprintf(&text, `
    - {name: rule-%[2]s-%[1]s, properties: {priority: %[1]s, direction: %[2]s, access: %[3]s, protocol: "%[4]s",
        sourceAddressPrefix: "%[5]s", sourcePortRange: "*", destinationAddressPrefix: "%[6]s", destinationPortRange: "%[7]s"}}`,
			f[0], f[1], f[2], f[3], f[4], f[5], f[6])
	}
	if text.Len() == 0 {
		text.WriteString(" []")
	}
	return "type: networkSecurityGroups\nname: nsg\nlocation: westeurope\nproperties:\n  securityRules:" + text.String()
}

// routeTable is rt; a route is "prefix type" or "prefix VirtualAppliance address".
func routeTable(routes ...string) string {
	var text strings.Builder
	for i, route := range routes {
		f := append(strings.Fields(route), "")
		hop := ""
		if f[2] != "" {
			hop = ", nextHopIpAddress: " + f[2]
		}
		fmt.Fprintf(&text, "\n    - {name: r%d, properties: {addressPrefix: %s, nextHopType: %s%s}}", i, f[0], f[1], hop)
	}
	if text.Len() == 0 {
		text.WriteString(" []")
	}
	return "type: routeTables\nname: rt\nlocation: westeurope\nproperties:\n  routes:" + text.String()
}

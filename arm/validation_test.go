package arm_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// validationWorld is what the refused requests below meet: path and body in turn, below one group's providers.
var validationWorld = [][2]string{
	{"Microsoft.Network/routeTables/rt", `{"location":"westeurope","properties":{"routes":[{"name":"all","properties":{"addressPrefix":"0.0.0.0/0","nextHopType":"None"}}]}}`},
	{"Microsoft.Network/routeTables/north", `{"location":"northeurope"}`},
	{"Microsoft.Network/networkSecurityGroups/nsg", `{"location":"westeurope","properties":{"securityRules":[{"name":"one","properties":{"priority":100,"direction":"Inbound","access":"Allow","protocol":"*","sourceAddressPrefix":"*","sourcePortRange":"*","destinationAddressPrefix":"*","destinationPortRange":"*"}}]}}`},
	{"Microsoft.Network/serviceEndpointPolicies/policy", `{"location":"westeurope","properties":{"serviceEndpointPolicyDefinitions":[{"name":"d","properties":{"service":"Microsoft.Storage","serviceResources":["/subscriptions/a"]}}]}}`},
	{"Microsoft.Network/publicIPAddresses/pip", `{"location":"westeurope"}`},
	{"Microsoft.Network/virtualNetworks/vnet", `{"location":"westeurope","properties":{"addressSpace":{"addressPrefixes":["10.1.0.0/16"]},"subnets":[
		{"name":"app","properties":{"addressPrefix":"10.1.0.0/24","serviceEndpoints":[{"service":"Microsoft.Storage"}],"routeTable":{"id":"@/Microsoft.Network/routeTables/rt"}}},
		{"name":"plain","properties":{"addressPrefix":"10.1.1.0/29"}}]}}`},
	{"Microsoft.Network/virtualNetworks/hub", `{"location":"westeurope","properties":{"addressSpace":{"addressPrefixes":["10.2.0.0/16"]}}}`},
	{"Microsoft.Network/virtualNetworks/spoke", `{"location":"westeurope","properties":{"addressSpace":{"addressPrefixes":["10.1.128.0/17"]}}}`},
	{"Microsoft.Network/virtualNetworks/hub/virtualNetworkPeerings/spoke", `{"properties":{"remoteVirtualNetwork":{"id":"@/Microsoft.Network/virtualNetworks/spoke"}}}`},
	{"Microsoft.Network/networkInterfaces/nic", `{"location":"westeurope","properties":{"ipConfigurations":[{"name":"c","properties":{"subnet":{"id":"@/Microsoft.Network/virtualNetworks/vnet/subnets/app"},"publicIPAddress":{"id":"@/Microsoft.Network/publicIPAddresses/pip"}}}]}}`},
}

// TestValidation walks what Azure refuses, over HTTPS: each with the status, Azure's code and the field at fault.
func TestValidation(t *testing.T) {
	f := start(t)
	token := f.token(t)
	if answer := f.send(t, "PUT", group+version, token, `{"location":"westeurope"}`); answer.status >= 300 {
		t.Fatal(answer.body)
	}
	full := func(text string) string { return strings.ReplaceAll(text, "@/", group+"/providers/") }
	for _, one := range validationWorld {
		if answer := f.send(t, "PUT", group+"/providers/"+one[0]+version, token, full(one[1])); answer.status >= 300 {
			t.Fatalf("%s: %s", one[0], answer.body)
		}
	}
	const (
		network  = "Microsoft.Network/"
		vnets    = network + "virtualNetworks/"
		subnet   = vnets + "vnet/subnets/new"
		route    = network + "routeTables/rt/routes/new"
		rule     = network + "networkSecurityGroups/nsg/securityRules/new"
		nic      = network + "networkInterfaces/new"
		account  = "Microsoft.Storage/storageAccounts/stvalidation"
		space    = `{"location":"westeurope","properties":{"addressSpace":{"addressPrefixes":[%s]}}}`
		inside   = `{"properties":{%s}}`
		rules    = `{"properties":{"direction":"Inbound","access":"Allow","protocol":"*","sourcePortRange":"*","destinationAddressPrefix":"*",%s}}`
		static   = `{"location":"westeurope","properties":{"ipConfigurations":[{"name":"c","properties":{"subnet":{"id":"@/Microsoft.Network/virtualNetworks/vnet/subnets/app"}%s}}]}}`
		acls     = `{"location":"westeurope","sku":{"name":"Standard_LRS"},"kind":"StorageV2","properties":{"networkAcls":{%s}}}`
		address  = "properties.ipConfigurations[0].properties.privateIPAddress"
		spacesAt = "properties.addressSpace.addressPrefixes"
	)
	for _, c := range []struct {
		name, path, format, value string
		status                    int
		code, target              string
	}{
		{"prefixes of one VNet overlap", vnets + "new", space, `"10.0.0.0/8","10.9.0.0/16"`, 400, "NetcfgInvalidVirtualNetworkSite", spacesAt + "[1]"},
		{"a prefix with host bits", vnets + "new", space, `"10.0.0.1/16"`, 400, "InvalidCIDRNotation", spacesAt + "[0]"},
		{"a prefix that is none", vnets + "new", space, `"ten"`, 400, "InvalidAddressPrefixFormat", spacesAt + "[0]"},
		{"overlapping subnets", subnet, inside, `"addressPrefix":"10.1.0.128/25"`, 400, "NetcfgSubnetRangesOverlap", "properties.addressPrefix"},
		{"a subnet outside the space", subnet, inside, `"addressPrefix":"10.3.0.0/24"`, 400, "NetcfgInvalidSubnet", "properties.addressPrefix"},
		{"a subnet that is too small", subnet, inside, `"addressPrefix":"10.1.2.0/30"`, 400, "NetcfgInvalidSubnet", "properties.addressPrefix"},
		{"a subnet of no VNet", vnets + "gone/subnets/s", inside, `"addressPrefix":"10.1.2.0/24"`, 404, "ParentResourceNotFound", ""},
		{"a route table that is not there", subnet, inside, `"addressPrefix":"10.1.2.0/24","routeTable":{"id":"@/Microsoft.Network/routeTables/gone"}`, 400, "InvalidResourceReference", "properties.routeTable.id"},
		{"a route table of another region", subnet, inside, `"addressPrefix":"10.1.2.0/24","routeTable":{"id":"@/Microsoft.Network/routeTables/north"}`, 400, "InvalidResourceReference", "properties.routeTable.id"},
		{"a type that is not there", subnet, inside, `"addressPrefix":"10.1.2.0/24","ipAllocations":[{"id":"@/Microsoft.Network/IpAllocations/x"}]`, 400, "InvalidResourceReference", "properties.ipAllocations[0].id"},
		{"SE-1 a service that is not there", subnet, inside, `"addressPrefix":"10.1.2.0/24","serviceEndpoints":[{"service":"Microsoft.Nothing"}]`, 400, "InvalidServiceEndpoint", "properties.serviceEndpoints[0].service"},
		{"SE-9 both forms of Storage", subnet, inside, `"addressPrefix":"10.1.2.0/24","serviceEndpoints":[{"service":"Microsoft.Storage"},{"service":"Microsoft.Storage.Global"}]`, 400, "InvalidServiceEndpoint", "properties.serviceEndpoints[1].service"},
		{"SEP-1 a policy without its endpoint", subnet, inside, `"addressPrefix":"10.1.2.0/24","serviceEndpointPolicies":[{"id":"@/Microsoft.Network/serviceEndpointPolicies/policy"}]`, 400, "ServiceEndpointPolicyEndpointMissing", "properties.serviceEndpointPolicies[0]"},
		{"HYB-3 peered address spaces overlap", vnets + "vnet/virtualNetworkPeerings/p", inside, `"remoteVirtualNetwork":{"id":"@/Microsoft.Network/virtualNetworks/spoke"}`, 400, "VnetAddressSpacesOverlap", "properties.virtualNetworkPeerings"},
		{"HYB-3 the peer has another peer with that space", vnets + "vnet/virtualNetworkPeerings/p", inside, `"remoteVirtualNetwork":{"id":"@/Microsoft.Network/virtualNetworks/hub"}`, 400, "VnetAddressSpaceOverlapsWithAlreadyPeeredVnet", "properties.virtualNetworkPeerings"},
		{"HYB-3 a peer that is not there", vnets + "vnet/virtualNetworkPeerings/p", inside, `"remoteVirtualNetwork":{"id":"@/Microsoft.Network/virtualNetworks/gone"}`, 400, "InvalidResourceReference", "properties.remoteVirtualNetwork.id"},

		{"ROUTE-10 a next hop that cannot be set", route, inside, `"addressPrefix":"10.9.0.0/16","nextHopType":"VNetPeering"`, 400, "InvalidRequestFormat", "properties.nextHopType"},
		{"ROUTE-10 an appliance without address", route, inside, `"addressPrefix":"10.9.0.0/16","nextHopType":"VirtualAppliance"`, 400, "MissingNextHopIpAddress", "properties.nextHopIpAddress"},
		{"ROUTE-10 an address without appliance", route, inside, `"addressPrefix":"10.9.0.0/16","nextHopType":"None","nextHopIpAddress":"10.0.0.4"`, 400, "InvalidNextHopIpAddress", "properties.nextHopIpAddress"},
		{"ROUTE-11 a tag that is not there", route, inside, `"addressPrefix":"Storag","nextHopType":"None"`, 400, "InvalidAddressPrefixFormat", "properties.addressPrefix"},
		{"one prefix twice in a table", route, inside, `"addressPrefix":"0.0.0.0/0","nextHopType":"Internet"`, 400, "RouteConflict", "properties.addressPrefix"},

		{"NSG-1 a priority twice", rule, rules, `"priority":100,"sourceAddressPrefix":"*","destinationPortRange":"*"`, 400, "SecurityRuleConflict", "properties.priority"},
		{"NSG-1 a priority below", rule, rules, `"priority":99,"sourceAddressPrefix":"*","destinationPortRange":"*"`, 400, "SecurityRuleInvalidPriority", "properties.priority"},
		{"NSG-1 a priority above", rule, rules, `"priority":4097,"sourceAddressPrefix":"*","destinationPortRange":"*"`, 400, "SecurityRuleInvalidPriority", "properties.priority"},
		{"NSG-4 a tag that is not there", rule, rules, `"priority":200,"sourceAddressPrefix":"Storag","destinationPortRange":"*"`, 400, "SecurityRuleInvalidAddressPrefix", "properties.sourceAddressPrefix"},
		{"NSG-4 two tags on one side", rule, rules, `"priority":200,"sourceAddressPrefixes":["Internet","Storage"],"destinationPortRange":"*"`, 400, "SecurityRuleParameterContainsUnsupportedValue", "properties.sourceAddressPrefixes"},
		{"ports in the wrong order", rule, rules, `"priority":200,"sourceAddressPrefix":"*","destinationPortRange":"90-80"`, 400, "SecurityRuleInvalidPortRange", "properties.destinationPortRange"},

		{"an address that is taken", nic, static, `,"privateIPAllocationMethod":"Static","privateIPAddress":"10.1.0.4"`, 400, "PrivateIPAddressIsAllocated", address},
		{"the first of the reserved addresses", nic, static, `,"privateIPAllocationMethod":"Static","privateIPAddress":"10.1.0.0"`, 400, "PrivateIPAddressInReservedRange", address},
		{"the fourth of the reserved addresses", nic, static, `,"privateIPAllocationMethod":"Static","privateIPAddress":"10.1.0.3"`, 400, "PrivateIPAddressInReservedRange", address},
		{"the last address", nic, static, `,"privateIPAllocationMethod":"Static","privateIPAddress":"10.1.0.255"`, 400, "PrivateIPAddressInReservedRange", address},
		{"an address outside the subnet", nic, static, `,"privateIPAllocationMethod":"Static","privateIPAddress":"10.1.1.4"`, 400, "PrivateIPAddressNotInSubnet", address},
		{"an address that is none", nic, static, `,"privateIPAllocationMethod":"Static","privateIPAddress":"10.1.0"`, 400, "InvalidIPAddressFormat", address},
		{"a public IP that is taken", nic, static, `,"publicIPAddress":{"id":"@/Microsoft.Network/publicIPAddresses/pip"}`, 400, "PublicIPAddressInUse", "properties.ipConfigurations[0].properties.publicIPAddress.id"},

		{"FW-4 a private address", account, acls, `"ipRules":[{"value":"10.0.0.1"}]`, 400, "InvalidValuesForRequestParameters", "properties.networkAcls.ipRules[0].value"},
		{"FW-4 a /31", account, acls, `"ipRules":[{"value":"198.51.100.0/31"}]`, 400, "InvalidValuesForRequestParameters", "properties.networkAcls.ipRules[0].value"},
		{"FW-6 a subnet without the endpoint", account, acls, `"virtualNetworkRules":[{"id":"@/Microsoft.Network/virtualNetworks/vnet/subnets/plain"}]`, 400, "NetworkAclsValidationFailure", "properties.networkAcls.virtualNetworkRules[0].id"},

		{"another region", network + "routeTables/rt", `{"location":"northeurope"%s}`, ``, 409, "InvalidResourceLocation", "location"},
		{"no region", network + "routeTables/new", `{"properties":{}%s}`, ``, 400, "LocationRequired", "location"},
		{"a field that is not there", subnet, inside, `"addressPrefix":"10.1.2.0/24","adressPrefixes":[]`, 400, "InvalidRequestFormat", "properties.adressPrefixes"},
	} {
		body := full(fmt.Sprintf(c.format, c.value))
		answer := f.send(t, "PUT", group+"/providers/"+c.path+version, token, body)
		var told struct {
			Error struct{ Code, Target string }
		}
		if err := json.Unmarshal([]byte(answer.body), &told); err != nil || answer.status != c.status || told.Error.Code != c.code || c.target != "" && told.Error.Target != c.target {
			t.Errorf("%s: %d %s at %s, want %d %s at %s", c.name, answer.status, told.Error.Code, told.Error.Target, c.status, c.code, c.target)
		}
		if answer := f.send(t, "GET", group+"/providers/"+c.path+version, token, ""); strings.HasSuffix(c.path, "/new") && answer.status != 404 {
			t.Errorf("%s: what was refused is there: %s", c.name, answer.body)
		}
	}
	for _, c := range []struct{ path, code string }{
		{vnets + "vnet", "InUseSubnetCannotBeDeleted"}, {vnets + "vnet/subnets/app", "InUseSubnetCannotBeDeleted"}, {network + "routeTables/rt", "InUseRouteTableCannotBeDeleted"},
		{network + "publicIPAddresses/pip", "PublicIPAddressCannotBeDeleted"},
	} {
		if answer := f.send(t, "DELETE", group+"/providers/"+c.path+version, token, ""); answer.status != 400 || !strings.Contains(answer.body, `"`+c.code+`"`) {
			t.Errorf("ARM-1 delete %s: %d %.200s, want %s", c.path, answer.status, answer.body, c.code)
		}
	}
}

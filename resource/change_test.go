package resource

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"postern/model"
)

func testOptions() Options {
	return Options{Random: rand.NewChaCha8([32]byte{7}), FrontAddresses: func(_ string, region model.Location) []netip.Prefix {
		if region == "nowhere" {
			return nil
		}
		return []netip.Prefix{netip.MustParsePrefix("2603::/16"), netip.MustParsePrefix("20.60.26.0/28")}
	}}
}

// mustID is the id of a short form in the default group.
func mustID(t testing.TB, short string) ID {
	t.Helper()
	full, _ := Expand(short)
	id, err := ParseID(full)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// expanded makes a body out of YAML-free JSON whose ids may be short.
func expanded(t testing.TB, body string) json.RawMessage {
	t.Helper()
	var object map[string]any
	if err := json.Unmarshal([]byte(body), &object); err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	if err := expandAll(object, ""); err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(object)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// change makes writes to a cloud: lines of "put SHORT-ID BODY" or "delete SHORT-ID".
func change(t testing.TB, cloud *Cloud, lines ...string) (*Outcome, error) {
	t.Helper()
	c := NewChange(cloud, testOptions())
	for _, line := range lines {
		verb, rest, _ := strings.Cut(line, " ")
		short, body, _ := strings.Cut(rest, " ")
		var err error
		if verb == "put" {
			_, err = c.Put(mustID(t, short), expanded(t, body))
		} else {
			_, err = c.Delete(mustID(t, short))
		}
		if err != nil {
			return nil, err
		}
	}
	return c.Finish()
}

// sample is the cloud of testdata/cloud.yaml.
func sample(t testing.TB) *Cloud {
	t.Helper()
	items, err := LoadFile("testdata/cloud.yaml")
	if err != nil {
		t.Fatal(err)
	}
	empty, err := NewCloud(nil, FirstCounters, 0)
	if err != nil {
		t.Fatal(err)
	}
	c := NewChange(empty, testOptions())
	for _, item := range items {
		if _, err := c.Put(item.ID, item.Body); err != nil {
			t.Fatal(err)
		}
	}
	outcome, err := c.Finish()
	if err != nil {
		t.Fatal(err)
	}
	return outcome.After.At(1, outcome.Puts)
}

func TestSampleBecomesNouns(t *testing.T) {
	s := sample(t).Snapshot()
	id := func(short string) model.ResourceID { return mustID(t, short).Model() }
	wantVNet := model.VirtualNetwork{ID: id("virtualNetworks/vnet"), Number: 1, Location: "westeurope",
		AddressSpace: []netip.Prefix{netip.MustParsePrefix("10.13.0.0/16")},
		Subnets: []model.Subnet{
			{ID: id("virtualNetworks/vnet/subnets/snet-app"), Identity: 4096, Prefixes: []netip.Prefix{netip.MustParsePrefix("10.13.76.0/24")},
				NetworkSecurityGroup: id("networkSecurityGroups/nsg"), ServiceEndpoints: []string{"Microsoft.Storage"},
				ServiceEndpointPolicies: []model.ResourceID{id("serviceEndpointPolicies/own-account")}, DefaultOutboundAccess: true},
			{ID: id("virtualNetworks/vnet/subnets/snet-other"), Identity: 4097, Prefixes: []netip.Prefix{netip.MustParsePrefix("10.13.77.0/24")},
				RouteTable: id("routeTables/rt")},
		}}
	wantNICs := []*model.NetworkInterface{
		{ID: id("networkInterfaces/nic-app"), Number: 1, Location: "westeurope", Subnet: wantVNet.Subnets[0].ID, IPv4: netip.MustParseAddr("10.13.76.36"),
			PublicIPAddress: id("publicIPAddresses/pip-app"), ASGs: []model.ResourceID{id("applicationSecurityGroups/asg-app")},
			MAC: model.MAC{2, 0x50, 0, 0, 0, 1}, Node: "host-b"},
		{ID: id("networkInterfaces/nic-other"), Number: 2, Location: "westeurope", Subnet: wantVNet.Subnets[1].ID, IPv4: netip.MustParseAddr("10.13.77.4"),
			MAC: model.MAC{2, 0x50, 0, 0, 0, 2}, Node: "host-a"},
	}
	wantRules := []model.SecurityRule{{Name: "ssh", Priority: 100, Inbound: true, Allow: true, Protocol: model.ProtocolTCP,
		Source: model.SecurityPeers{Tag: "Internet"}, Destination: model.SecurityPeers{ASGs: wantNICs[0].ASGs}, SourcePorts: []model.PortRange{model.AllPorts},
		DestinationPorts: []model.PortRange{{First: 22, Last: 22}, {First: 8000, Last: 8100}}}}
	wantRoutes := []model.UserRoute{
		{Name: "to-appliance", Prefix: netip.MustParsePrefix("0.0.0.0/0"), NextHopType: model.NextHopVirtualAppliance, NextHopIPAddress: netip.MustParseAddr("10.10.10.10")},
		{Name: "tag", ServiceTag: "Storage.WestEurope", NextHopType: model.NextHopInternet}}
	options := cmp.Options{cmp.Comparer(func(a, b netip.Addr) bool { return a == b }), cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }), cmpopts.EquateEmpty()}
	for name, pair := range map[string][2]any{
		"virtual networks": {s.VirtualNetworks, []*model.VirtualNetwork{&wantVNet}}, "network interfaces": {s.NetworkInterfaces, wantNICs},
		"security rules": {s.NetworkSecurityGroups[0].Rules, wantRules}, "routes": {s.RouteTables[0].Routes, wantRoutes},
	} {
		if diff := cmp.Diff(pair[1], pair[0], options); diff != "" {
			t.Errorf("%s (-want +have):\n%s", name, diff)
		}
	}
	account := s.Instances[0]
	if !netip.MustParsePrefix("20.60.26.0/28").Contains(account.Address) || len(account.Keys[0]) != 88 || account.Keys[0] == account.Keys[1] {
		t.Errorf("account: address %s, keys %q", account.Address, account.Keys)
	}
	if acls := account.Rules; acls.DefaultAllow || len(acls.IPRules) != 2 || acls.VirtualNetworkRules[0].Identity != 4096 || account.Backends[0].Address != "127.0.0.1:10002" {
		t.Errorf("account: %+v", account)
	}
	if vm := s.VirtualMachines[0]; len(vm.PrincipalID) != 36 {
		t.Errorf("VM: %+v", vm)
	}
	if len(s.Nodes) != 4 || s.Nodes[0].Name != "edge-we" || s.Nodes[0].PlatformPool.String() != "100.64.0.0/16" {
		t.Errorf("nodes: %+v", s.Nodes)
	}
}

// TestRefusals has one line for each mistake: what is written to the sample, and the code and field of the refusal.
func TestRefusals(t *testing.T) {
	const (
		vnet   = `put virtualNetworks/v2 {"location":"westeurope","properties":{"addressSpace":{"addressPrefixes":[%s]},"subnets":[%s]}}`
		subnet = `put virtualNetworks/vnet/subnets/new {"properties":{%s}}`
		route  = `put routeTables/rt/routes/new {"properties":{%s}}`
		rule   = `put networkSecurityGroups/nsg/securityRules/new {"properties":{"direction":"Inbound","access":"Allow","protocol":"*","sourceAddressPrefix":"*","sourcePortRange":"*","destinationAddressPrefix":"*","destinationPortRange":"*",%s}}`
		acls   = `put Microsoft.Storage/storageAccounts/stvnetstorageendpoints {"location":"westeurope","properties":{"networkAcls":{%s}}}`
		nic    = `put networkInterfaces/nic-new {"location":"westeurope","properties":{"ipConfigurations":[{"name":"c","properties":{%s}}]}}`
		inApp  = `"subnet":{"id":"virtualNetworks/vnet/subnets/snet-app"}`
		node   = `put nodes/new {"location":"westeurope","properties":{%s}}`
	)
	for _, c := range []struct{ name, format, args, code, target string }{
		{"unknown field", subnet, `"addressPrefix":"10.13.1.0/24","adressPrefixes":[]`, "InvalidRequestFormat", "properties.adressPrefixes"},
		{"wrong kind", subnet, `"addressPrefix":7`, "InvalidRequestFormat", "properties.addressPrefix"},
		{"wrong kind in a list", subnet, `"addressPrefix":"10.13.1.0/24","serviceEndpoints":["Microsoft.Storage"]`, "InvalidRequestFormat", "properties.serviceEndpoints[0]"},
		{"the same field in two cases", subnet, `"addressPrefix":"10.13.1.0/24","AddressPrefix":"10.13.2.0/24"`, "InvalidRequestFormat", "properties.addressPrefix"},
		{"no location", `put routeTables/x {"properties":{%s}}`, ``, "LocationRequired", "location"},
		{"another location", `put routeTables/rt {"location":"northeurope"%s}`, ``, "InvalidResourceLocation", "location"},

		{"host bits", vnet, `"10.0.0.1/16" / `, "InvalidCIDRNotation", "properties.addressSpace.addressPrefixes[0]"},
		{"IPv6", vnet, `"fd00::/48" / `, "InvalidAddressPrefixFormat", "properties.addressSpace.addressPrefixes[0]"},
		{"no address space", vnet, ` / `, "MissingAddressSpace", "properties.addressSpace.addressPrefixes"},
		{"overlapping address space", vnet, `"10.0.0.0/8","10.1.0.0/16" / `, "NetcfgInvalidVirtualNetworkSite", "properties.addressSpace.addressPrefixes[1]"},
		{"overlapping subnets", subnet, `"addressPrefix":"10.13.76.128/25"`, "NetcfgSubnetRangesOverlap", "properties.addressPrefix"},
		{"subnet outside", subnet, `"addressPrefix":"10.14.0.0/24"`, "NetcfgInvalidSubnet", "properties.addressPrefix"},
		{"subnet larger than the space", subnet, `"addressPrefix":"10.12.0.0/15"`, "NetcfgInvalidSubnet", "properties.addressPrefix"},
		{"subnet too small", subnet, `"addressPrefix":"10.13.1.0/30"`, "NetcfgInvalidSubnet", "properties.addressPrefix"},
		{"subnet without prefix", subnet, ``, "NetcfgInvalidSubnet", "properties.addressPrefix"},
		{"subnet name twice", vnet, `"10.1.0.0/16" / {"name":"a","properties":{"addressPrefix":"10.1.0.0/24"}},{"name":"A","properties":{"addressPrefix":"10.1.1.0/24"}}`, "DuplicateResourceName", "properties.subnets[1].name"},
		{"no such route table", subnet, `"addressPrefix":"10.13.1.0/24","routeTable":{"id":"routeTables/gone"}`, "InvalidResourceReference", "properties.routeTable.id"},
		{"a reference of another type", subnet, `"addressPrefix":"10.13.1.0/24","routeTable":{"id":"networkSecurityGroups/nsg"}`, "InvalidResourceReference", "properties.routeTable.id"},
		{"a reference that is no id", subnet, `"addressPrefix":"10.13.1.0/24","routeTable":{"id":"/rt"}`, "LinkedInvalidPropertyId", "properties.routeTable.id"},
		{"subnet in use outside its new prefix", `put virtualNetworks/vnet/subnets/snet-other {"properties":{%s}}`, `"addressPrefix":"10.13.78.0/24"`, "InUsePrefixCannotBeDeleted", "properties.addressPrefix"},
		{"no parent", `put virtualNetworks/gone/subnets/s {"properties":{"addressPrefix":"10.13.1.0/24"}}%s`, ``, "ParentResourceNotFound", ""},

		{"SE-9 both forms of Storage", subnet, `"addressPrefix":"10.13.1.0/24","serviceEndpoints":[{"service":"Microsoft.Storage"},{"service":"Microsoft.Storage.Global"}]`, "InvalidServiceEndpoint", "properties.serviceEndpoints[1].service"},
		{"SE-1 unknown service", subnet, `"addressPrefix":"10.13.1.0/24","serviceEndpoints":[{"service":"Microsoft.Storag"}]`, "InvalidServiceEndpoint", "properties.serviceEndpoints[0].service"},
		{"SEP-1 policy without endpoint", subnet, `"addressPrefix":"10.13.1.0/24","serviceEndpointPolicies":[{"id":"serviceEndpointPolicies/own-account"}]`, "ServiceEndpointPolicyEndpointMissing", "properties.serviceEndpointPolicies[0]"},
		{"SEP-1 policy with another endpoint", subnet, `"addressPrefix":"10.13.1.0/24","serviceEndpoints":[{"service":"Microsoft.Sql"}],"serviceEndpointPolicies":[{"id":"serviceEndpointPolicies/own-account"}]`, "ServiceEndpointPolicyEndpointMissing", "properties.serviceEndpointPolicies[0]"},
		{"SEP-1 a policy in use for one more service", `put serviceEndpointPolicies/own-account/serviceEndpointPolicyDefinitions/sql {"properties":{"service":"Microsoft.Sql","serviceResources":["/subscriptions/a"]}}%s`, ``, "ServiceEndpointPolicyEndpointMissing", "properties.serviceEndpointPolicyDefinitions"},
		{"SEP-3 not a scope", `put serviceEndpointPolicies/p {"location":"westeurope","properties":{"serviceEndpointPolicyDefinitions":[{"name":"d","properties":{"service":"Microsoft.Storage","serviceResources":[%s]}}]}}`, `"/providers/x"`, "ServiceEndpointPolicyDefinitionResourcesInvalid", "properties.serviceEndpointPolicyDefinitions[0].properties.serviceResources[0]"},
		{"SEP-5 an alias with a service", `put serviceEndpointPolicies/p {"location":"westeurope","properties":{"serviceEndpointPolicyDefinitions":[{"name":"d","properties":{"service":"Microsoft.Storage","serviceResources":[%s]}}]}}`, `"/services/Azure"`, "ServiceEndpointPolicyDefinitionResourcesInvalid", "properties.serviceEndpointPolicyDefinitions[0].properties.serviceResources[0]"},

		{"ROUTE-10 VNetPeering cannot be set", route, `"addressPrefix":"10.9.0.0/16","nextHopType":"VNetPeering"`, "InvalidRequestFormat", "properties.nextHopType"},
		{"ROUTE-10 VirtualNetworkServiceEndpoint cannot be set", route, `"addressPrefix":"10.9.0.0/16","nextHopType":"VirtualNetworkServiceEndpoint"`, "InvalidRequestFormat", "properties.nextHopType"},
		{"ROUTE-10 appliance without address", route, `"addressPrefix":"10.9.0.0/16","nextHopType":"VirtualAppliance"`, "MissingNextHopIpAddress", "properties.nextHopIpAddress"},
		{"ROUTE-10 address without appliance", route, `"addressPrefix":"10.9.0.0/16","nextHopType":"None","nextHopIpAddress":"10.0.0.1"`, "InvalidNextHopIpAddress", "properties.nextHopIpAddress"},
		{"one prefix twice", route, `"addressPrefix":"0.0.0.0/0","nextHopType":"None"`, "RouteConflict", "properties.addressPrefix"},

		{"NSG-1 priority too low", rule, `"priority":99`, "SecurityRuleInvalidPriority", "properties.priority"},
		{"NSG-1 priority too high", rule, `"priority":4097`, "SecurityRuleInvalidPriority", "properties.priority"},
		{"NSG-1 priority taken", rule, `"priority":100`, "SecurityRuleConflict", "properties.priority"},
		{"NSG-4 two tags a side", `put networkSecurityGroups/nsg/securityRules/new {"properties":{"priority":200,"direction":"Inbound","access":"Allow","protocol":"*","sourceAddressPrefixes":[%s],"sourcePortRange":"*","destinationAddressPrefix":"*","destinationPortRange":"*"}}`, `"Internet","Storage"`, "SecurityRuleParameterContainsUnsupportedValue", "properties.sourceAddressPrefixes"},
		{"port out of range", `put networkSecurityGroups/nsg/securityRules/new {"properties":{"priority":200,"direction":"Inbound","access":"Allow","protocol":"*","sourceAddressPrefix":"*","sourcePortRange":"*","destinationAddressPrefix":"*","destinationPortRange":"%s"}}`, `90-80`, "SecurityRuleInvalidPortRange", "properties.destinationPortRange"},

		{"NIC address taken", nic, inApp + `,"privateIPAllocationMethod":"Static","privateIPAddress":"10.13.76.36"`, "PrivateIPAddressIsAllocated", "properties.ipConfigurations[0].properties.privateIPAddress"},
		{"NIC address taken by one that sorts behind", `put networkInterfaces/a {"location":"westeurope","properties":{"ipConfigurations":[{"name":"c","properties":{%s}}]}}`, inApp + `,"privateIPAllocationMethod":"Static","privateIPAddress":"10.13.76.36"`, "PrivateIPAddressIsAllocated", "properties.ipConfigurations[0].properties.privateIPAddress"},
		{"NIC address reserved", nic, inApp + `,"privateIPAllocationMethod":"Static","privateIPAddress":"10.13.76.3"`, "PrivateIPAddressInReservedRange", "properties.ipConfigurations[0].properties.privateIPAddress"},
		{"NIC broadcast address", nic, inApp + `,"privateIPAllocationMethod":"Static","privateIPAddress":"10.13.76.255"`, "PrivateIPAddressInReservedRange", "properties.ipConfigurations[0].properties.privateIPAddress"},
		{"NIC address outside", nic, inApp + `,"privateIPAllocationMethod":"Static","privateIPAddress":"10.13.77.36"`, "PrivateIPAddressNotInSubnet", "properties.ipConfigurations[0].properties.privateIPAddress"},
		{"NIC static without address", nic, inApp + `,"privateIPAllocationMethod":"Static"`, "InvalidIPAddressFormat", "properties.ipConfigurations[0].properties.privateIPAddress"},
		{"NIC without subnet", nic, ``, "SubnetIsRequired", "properties.ipConfigurations[0].properties.subnet"},
		{"NIC in no subnet", nic, `"subnet":{"id":"virtualNetworks/vnet/subnets/gone"}`, "InvalidResourceReference", "properties.ipConfigurations[0].properties.subnet.id"},
		{"public IP taken", nic, inApp + `,"publicIPAddress":{"id":"publicIPAddresses/pip-app"}`, "PublicIPAddressInUse", "properties.ipConfigurations[0].properties.publicIPAddress.id"},
		{"NIC on no host", `put networkInterfaces/nic-new {"location":"westeurope","tags":{"postern.node":"%s"},"properties":{"ipConfigurations":[{"name":"c","properties":{` + inApp + `}}]}}`, `gateway-we`, "InvalidResourceReference", "tags.postern.node"},
		{"NIC of two VMs", `put Microsoft.Compute/virtualMachines/vm2 {"location":"westeurope","properties":{"networkProfile":{"networkInterfaces":[{"id":"networkInterfaces/%s"}]}}}`, `nic-app`, "NicInUse", "properties.networkProfile.networkInterfaces[0].id"},
		{"public address taken", `put publicIPAddresses/p2 {"location":"westeurope","properties":{"ipAddress":"%s"}}`, `203.0.113.7`, "PublicIPAddressInUse", "properties.ipAddress"},

		{"FW-4 private address", acls, `"ipRules":[{"value":"10.1.2.3"}]`, "InvalidValuesForRequestParameters", "properties.networkAcls.ipRules[0].value"},
		{"FW-4 private range", acls, `"ipRules":[{"value":"192.168.0.0/16"}]`, "InvalidValuesForRequestParameters", "properties.networkAcls.ipRules[0].value"},
		{"FW-4 range that contains a private one", acls, `"ipRules":[{"value":"172.0.0.0/8"}]`, "InvalidValuesForRequestParameters", "properties.networkAcls.ipRules[0].value"},
		{"FW-4 /31", acls, `"ipRules":[{"value":"198.51.100.0/31"}]`, "InvalidValuesForRequestParameters", "properties.networkAcls.ipRules[0].value"},
		{"FW-4 /32", acls, `"ipRules":[{"value":"198.51.100.0/32"}]`, "InvalidValuesForRequestParameters", "properties.networkAcls.ipRules[0].value"},
		{"FW-4 IPv6", acls, `"ipRules":[{"value":"2001:db8::1"}]`, "InvalidValuesForRequestParameters", "properties.networkAcls.ipRules[0].value"},
		{"FW-6 subnet without endpoint", acls, `"virtualNetworkRules":[{"id":"virtualNetworks/vnet/subnets/snet-other"}]`, "NetworkAclsValidationFailure", "properties.networkAcls.virtualNetworkRules[0].id"},
		{"FW-6 no such subnet", acls, `"virtualNetworkRules":[{"id":"virtualNetworks/vnet/subnets/gone"}]`, "InvalidResourceReference", "properties.networkAcls.virtualNetworkRules[0].id"},
		{"FW-9 unknown bypass", acls, `"bypass":"AzureServices, Everything"`, "InvalidRequestFormat", "properties.networkAcls.bypass"},
		{"account name", `put Microsoft.Storage/storageAccounts/%s {"location":"westeurope"}`, `Upper-Case`, "AccountNameInvalid", "name"},
		{"account name taken in another group", `put /subscriptions/s/resourceGroups/g/providers/Microsoft.Storage/storageAccounts/%s {"location":"westeurope"}`, `stvnetstorageendpoints`, "StorageAccountAlreadyTaken", "name"},
		{"no prefixes in the region", `put Microsoft.Storage/storageAccounts/abc {"location":"%s"}`, `nowhere`, "LocationNotAvailableForResourceType", "location"},

		{"ARM-1 subnet in use", `delete virtualNetworks/vnet/subnets/snet-app%s`, ``, "InUseSubnetCannotBeDeleted", "virtualNetworks/vnet/subnets/snet-app"},
		{"ARM-1 VNet in use", `delete virtualNetworks/vnet%s`, ``, "InUseSubnetCannotBeDeleted", "virtualNetworks/vnet/subnets/snet-app"},
		{"ARM-2 VNet without its subnets", `put virtualNetworks/vnet {"location":"westeurope","properties":{"addressSpace":{"addressPrefixes":["10.13.0.0/16"]}%s}}`, ``, "InUseSubnetCannotBeDeleted", "virtualNetworks/vnet/subnets/snet-app"},
		{"ARM-1 route table in use", `delete routeTables/rt%s`, ``, "InUseRouteTableCannotBeDeleted", "routeTables/rt"},
		{"ARM-1 NSG in use", `delete networkSecurityGroups/nsg%s`, ``, "InUseNetworkSecurityGroupCannotBeDeleted", "networkSecurityGroups/nsg"},
		{"ARM-1 ASG in use", `delete applicationSecurityGroups/asg-app%s`, ``, "InUseApplicationSecurityGroupCannotBeDeleted", "applicationSecurityGroups/asg-app"},
		{"ARM-1 policy in use", `delete serviceEndpointPolicies/own-account%s`, ``, "InUseServiceEndpointPolicyCannotBeDeleted", "serviceEndpointPolicies/own-account"},
		{"ARM-1 public IP in use", `delete publicIPAddresses/pip-app%s`, ``, "PublicIPAddressCannotBeDeleted", "publicIPAddresses/pip-app"},
		{"ARM-1 NIC in use", `delete networkInterfaces/nic-app%s`, ``, "NicInUse", "networkInterfaces/nic-app"},
		{"host in use", `delete nodes/host-b%s`, ``, "InUseNodeCannotBeDeleted", "nodes/host-b"},
		{"host in use becomes a gateway", `put nodes/host-b {"location":"westeurope","properties":{"role":"gateway","locator":"fd00:1:1:200::/56","serviceLocator":"fd00:1:a:100::/56","platformLocator":"fd00:1:b:100::/56"%s}}`, ``, "InUseNodeCannotBeChanged", "properties.role"},

		{"node role", node, `"role":"switch","locator":"fd00:1:1:500::/56"`, "InvalidRequestFormat", "properties.role"},
		{"node locator length", node, `"role":"host","locator":"fd00:1:1:500::/64"`, "InvalidRequestFormat", "properties.locator"},
		{"node locator host bits", node, `"role":"host","locator":"fd00:1:1:501::/56"`, "InvalidRequestFormat", "properties.locator"},
		{"node locator taken", node, `"role":"host","locator":"fd00:1:1:200::/56"`, "LocatorTaken", "properties.locator"},
		{"node locator is an anycast one", node, `"role":"host","locator":"fd00:1:a:100::/56"`, "LocatorTaken", "properties.locator"},
		{"host with a service locator", node, `"role":"host","locator":"fd00:1:1:500::/56","serviceLocator":"fd00:1:a:200::/56"`, "InvalidRequestFormat", "properties.serviceLocator"},
		{"edge without pool", node, `"role":"edge","locator":"fd00:1:1:500::/56","outboundAddress":"203.0.113.9"`, "InvalidRequestFormat", "properties.platformPool"},
		{"edge pool taken", node, `"role":"edge","locator":"fd00:1:1:500::/56","outboundAddress":"203.0.113.9","platformPool":"100.64.128.0/17"`, "PlatformPoolTaken", "properties.platformPool"},
		{"peering with overlap", `put virtualNetworks/v2 {"location":"westeurope","properties":{"addressSpace":{"addressPrefixes":["10.13.128.0/17"]},"virtualNetworkPeerings":[{"name":"p","properties":{"remoteVirtualNetwork":{"id":"virtualNetworks/%s"}}}]}}`, `vnet`, "VnetAddressSpacesOverlap", "properties.virtualNetworkPeerings"},
		{"peering with nobody", `put virtualNetworks/vnet/virtualNetworkPeerings/p {"properties":{"remoteVirtualNetwork":{"id":"virtualNetworks/%s"}}}`, `gone`, "InvalidResourceReference", "properties.remoteVirtualNetwork.id"},
		{"settings of another name", `put settings/mine {"properties":{"documentedRoutes":true}}%s`, ``, "InvalidRequestFormat", "name"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var args []any
			for part := range strings.SplitSeq(c.args, " / ") {
				args = append(args, part)
			}
			_, err := change(t, sample(t), fmt.Sprintf(c.format, args...))
			var refusal *Error
			if !errors.As(err, &refusal) {
				t.Fatalf("got %v, want a refusal with %s", err, c.code)
			}
			target := c.target
			if strings.HasPrefix(c.format, "delete") || c.code == "InUseSubnetCannotBeDeleted" || c.code == "InUseNodeCannotBeDeleted" {
				target = mustID(t, c.target).String()
			}
			if refusal.Code != c.code || refusal.Target != target {
				t.Errorf("got %v (target %q)\nwant %s at %q", refusal, refusal.Target, c.code, target)
			}
			if refusal.Status < 400 || refusal.Resource == "" || refusal.Message == "" {
				t.Errorf("not a whole refusal: %+v", refusal)
			}
		})
	}
}

func TestAccepted(t *testing.T) {
	for _, c := range []struct{ name, line string }{
		{"FW-4 a public range of /30", `put Microsoft.Storage/storageAccounts/stvnetstorageendpoints {"location":"westeurope","properties":{"networkAcls":{"ipRules":[{"value":"198.51.100.0/30"},{"value":"198.51.100.9"}]}}}`},
		{"ROUTE-10 every hop that can be set", `put routeTables/r2 {"location":"westeurope","properties":{"routes":[{"name":"a","properties":{"addressPrefix":"10.0.0.0/8","nextHopType":"VirtualNetworkGateway"}},{"name":"b","properties":{"addressPrefix":"11.0.0.0/8","nextHopType":"vnetlocal"}},{"name":"c","properties":{"addressPrefix":"12.0.0.0/8","nextHopType":"Internet"}},{"name":"d","properties":{"addressPrefix":"13.0.0.0/8","nextHopType":"None"}}]}}`},
		{"NSG-1 one priority each way", `put networkSecurityGroups/nsg/securityRules/out {"properties":{"priority":100,"direction":"Outbound","access":"Deny","protocol":"Udp","sourceAddressPrefix":"*","sourcePortRange":"*","destinationAddressPrefix":"Storage.WestEurope","destinationPortRange":"53"}}`},
		{"SEP-5 an alias with service Global", `put serviceEndpointPolicies/p {"location":"westeurope","properties":{"serviceEndpointPolicyDefinitions":[{"name":"d","properties":{"service":"Global","serviceResources":["/services/Azure","/services/azure/managedInstance"]}}]}}`},
		{"SEP-3 all three scopes", `put serviceEndpointPolicies/p {"location":"westeurope","properties":{"serviceEndpointPolicyDefinitions":[{"name":"d","properties":{"service":"Microsoft.Storage","serviceResources":["/subscriptions/s","/subscriptions/s/resourceGroups/g","Microsoft.Storage/storageAccounts/x"]}}]}}`},
		{"a dynamic public IP", `put publicIPAddresses/p2 {"location":"westeurope","sku":{"name":"Standard"},"properties":{"publicIPAllocationMethod":"Static"}}`},
		{"a second gateway of the region shares the anycast locators", `put nodes/gateway-2 {"location":"westeurope","properties":{"role":"gateway","locator":"fd00:1:1:500::/56","serviceLocator":"fd00:1:a:100::/56","platformLocator":"fd00:1:b:100::/56"}}`},
		{"the settings", `put settings/default {"properties":{"fabricMTU":9000,"documentedRoutes":true}}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := change(t, sample(t), c.line); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestClaims covers two resources of one batch that want what only one can have.
func TestClaims(t *testing.T) {
	const nic = `put networkInterfaces/%s {"location":"westeurope","properties":{"ipConfigurations":[{"name":"c","properties":{"subnet":{"id":"virtualNetworks/vnet/subnets/snet-app"},"privateIPAllocationMethod":"Static","privateIPAddress":"10.13.76.40"}}]}}`
	_, err := change(t, sample(t), fmt.Sprintf(nic, "x"), fmt.Sprintf(nic, "y"))
	var refusal *Error
	if !errors.As(err, &refusal) || refusal.Code != "PrivateIPAddressIsAllocated" {
		t.Errorf("two NICs with one address: %v", err)
	}
}

// must makes a change that is expected to hold.
func must(t testing.TB, cloud *Cloud, lines ...string) *Cloud {
	t.Helper()
	outcome, err := change(t, cloud, lines...)
	if err != nil {
		t.Fatal(err)
	}
	return outcome.After.At(cloud.Revision+1, outcome.Puts)
}

// everything that is read back can be written back, and then nothing changes.
func TestReadAndWriteBack(t *testing.T) {
	cloud := rich(t)
	c := NewChange(cloud, testOptions())
	for _, record := range cloud.Records("") {
		id := mustID(t, record.ID)
		answer, err := cloud.Render(id, "Succeeded")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Put(id, answer); err != nil {
			t.Fatal(err)
		}
	}
	outcome, err := c.Finish()
	if err != nil {
		t.Fatal(err)
	}
	if outcome.Counters != cloud.Counters {
		t.Errorf("numbers were allotted again: %+v, before %+v", outcome.Counters, cloud.Counters)
	}
	options := cmp.Options{cmp.Comparer(func(a, b netip.Addr) bool { return a == b }), cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })}
	if diff := cmp.Diff(cloud.Snapshot(), outcome.After.Snapshot(), options); diff != "" {
		t.Errorf("the cloud changed (-before +after):\n%s", diff)
	}
	for _, record := range outcome.After.Records("") {
		if err := Check(outcome.After, record); err != nil {
			t.Errorf("check: %v", err)
		}
	}
}

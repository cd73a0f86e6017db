package resource

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"postern/model"
)

// refused compares an error with the code and the field that it must have.
func refused(t *testing.T, err error, code, target string) {
	t.Helper()
	var refusal *Error
	if !errors.As(err, &refusal) || refusal.Code != code || refusal.Target != target {
		t.Errorf("got %v\nwant %s at %q", err, code, target)
	}
}

// TestFields covers what a body may be made of.
func TestFields(t *testing.T) {
	for _, c := range []struct{ name, line, code, target string }{
		{"a field that no model has", `put virtualNetworks/v {"location":"westeurope","properties":{"addressSpace":{"addressPrefixes":["10.0.0.0/16"]},"subnets":[{"name":"a","properties":{"adressPrefix":"10.0.0.0/24"}}]}}`,
			"InvalidRequestFormat", "properties.subnets[0].properties.adressPrefix"},
		{"a field at the top", `put routeTables/x {"location":"westeurope","sku":{}}`, "InvalidRequestFormat", "sku"},
		{"a field inside a reference", `put networkInterfaces/x {"location":"westeurope","properties":{"networkSecurityGroup":{"ids":"a"}}}`, "InvalidRequestFormat", "properties.networkSecurityGroup.ids"},
		{"a word that an enumeration does not have", `put virtualNetworks/vnet/subnets/x {"properties":{"addressPrefix":"10.13.1.0/24","privateEndpointNetworkPolicies":"Perhaps"}}`,
			"InvalidRequestFormat", "properties.privateEndpointNetworkPolicies"},
		{"a tag that is no string", `put routeTables/x {"location":"westeurope","tags":{"a":1}}`, "InvalidRequestFormat", "tags.a"},
		{"half a number", `put publicIPAddresses/x {"location":"westeurope","properties":{"idleTimeoutInMinutes":4.5}}`, "InvalidRequestFormat", "properties.idleTimeoutInMinutes"},
		{"a timeout out of bounds", `put publicIPAddresses/x {"location":"westeurope","properties":{"idleTimeoutInMinutes":31}}`, "InvalidIdleTimeout", "properties.idleTimeoutInMinutes"},
		{"OUT-1 a NAT gateway with 17 addresses", `put natGateways/x {"location":"westeurope","properties":{"publicIpAddresses":[` +
			strings.TrimSuffix(strings.Repeat(`{"id":"publicIPAddresses/pip-nat"},`, 17), ",") + `]}}`, "NatGatewayPublicIPCountLimitReached", "properties.publicIpAddresses"},
		{"a NAT gateway's timeout out of bounds", `put natGateways/x {"location":"westeurope","properties":{"idleTimeoutInMinutes":3}}`, "InvalidIdleTimeout", "properties.idleTimeoutInMinutes"},
		{"a resource of a type that cannot be", `put virtualNetworks/v {"location":"westeurope","properties":{"addressSpace":{"addressPrefixes":["10.0.0.0/16"]},"ddosProtectionPlan":{"id":"/subscriptions/s/resourceGroups/g/providers/Microsoft.Network/ddosProtectionPlans/p"}}}`,
			"InvalidResourceReference", "properties.ddosProtectionPlan.id"},
		{"HYB-3 remote gateways without a gateway", `put virtualNetworks/vnet/virtualNetworkPeerings/p {"properties":{"remoteVirtualNetwork":{"id":"virtualNetworks/other"},"useRemoteGateways":true}}`,
			"RemoteVnetHasNoGateways", "properties.useRemoteGateways"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := change(t, sample(t), c.line)
			refused(t, err, c.code, c.target)
		})
	}
}

// TestHostileBodies covers bodies that two readers could read in two ways, or not at all.
func TestHostileBodies(t *testing.T) {
	id := mustID(t, "routeTables/rt")
	for _, c := range []struct{ name, body, code, target string }{
		{"a member twice", `{"location":"westeurope","tags":{"a":"1","a":"2"}}`, "InvalidRequestFormat", "tags.a"},
		{"a member twice in different case", `{"location":"westeurope","Location":"northeurope"}`, "InvalidRequestFormat", "Location"},
		{"cut off", `{"location":"westeurope"`, "InvalidRequestContent", ""},
		{"a list", `[]`, "InvalidRequestContent", ""},
		{"null", `null`, "InvalidRequestContent", ""},
		{"two values", `{} {}`, "InvalidRequestContent", ""},
		{"nested deeply", strings.Repeat(`{"a":`, 100) + "1" + strings.Repeat("}", 100), "InvalidRequestContent", strings.TrimSuffix(strings.Repeat("a.", 65), ".")},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := NewChange(sample(t), testOptions()).Put(id, json.RawMessage(c.body))
			refused(t, err, c.code, c.target)
		})
	}
}

func FuzzReadObject(f *testing.F) {
	for _, seed := range []string{`{}`, `{"a":[1,{"b":null}],"c":"\u00e9"}`, `{"a":1,"A":2}`, `[`, `{"a":1e400}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		object, err := readObject(data)
		if err != nil {
			return
		}
		again, err := json.Marshal(object)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := readObject(again); err != nil {
			t.Errorf("what was read from %q is written as %s, which cannot be read: %v", data, again, err)
		}
	})
}

// TestRegions covers references to what lies in another region.
func TestRegions(t *testing.T) {
	cloud := must(t, sample(t),
		`put nodes/host-n {"location":"northeurope","properties":{"role":"host","locator":"fd00:1:1:900::/56"}}`,
		`put routeTables/rt-n {"location":"northeurope"}`, `put networkSecurityGroups/nsg-n {"location":"northeurope"}`,
		`put natGateways/nat-n {"location":"northeurope"}`, `put publicIPAddresses/pip-n {"location":"northeurope"}`,
		`put applicationSecurityGroups/asg-n {"location":"northeurope"}`, `put serviceEndpointPolicies/p-n {"location":"northeurope"}`,
		`put virtualNetworks/vnet-n {"location":"northeurope","properties":{"addressSpace":{"addressPrefixes":["10.77.0.0/16"]},"subnets":[{"name":"a","properties":{"addressPrefix":"10.77.0.0/24"}}]}}`,
		`put networkInterfaces/nic-n {"location":"northeurope","properties":{"ipConfigurations":[{"name":"c","properties":{"subnet":{"id":"virtualNetworks/vnet-n/subnets/a"}}}]}}`)
	const (
		subnet = `put virtualNetworks/vnet/subnets/x {"properties":{"addressPrefix":"10.13.1.0/24",%s}}`
		nic    = `put networkInterfaces/x {"location":"westeurope","properties":{%s"ipConfigurations":[{"name":"c","properties":{"subnet":{"id":"virtualNetworks/vnet/subnets/snet-app"}%s}}]}}`
		inNIC  = "properties.ipConfigurations[0].properties."
	)
	for _, c := range []struct{ name, line, target string }{
		{"a subnet's route table", fmt.Sprintf(subnet, `"routeTable":{"id":"routeTables/rt-n"}`), "properties.routeTable.id"},
		{"a subnet's NSG", fmt.Sprintf(subnet, `"networkSecurityGroup":{"id":"networkSecurityGroups/nsg-n"}`), "properties.networkSecurityGroup.id"},
		{"a subnet's NAT gateway", fmt.Sprintf(subnet, `"natGateway":{"id":"natGateways/nat-n"}`), "properties.natGateway.id"},
		{"SEP-4 a subnet's policy", fmt.Sprintf(subnet, `"serviceEndpoints":[{"service":"Microsoft.Storage"}],"serviceEndpointPolicies":[{"id":"serviceEndpointPolicies/p-n"}]`), "properties.serviceEndpointPolicies"},
		{"a NIC's NSG", fmt.Sprintf(nic, `"networkSecurityGroup":{"id":"networkSecurityGroups/nsg-n"},`, ""), "properties.networkSecurityGroup.id"},
		{"a NIC's public IP", fmt.Sprintf(nic, "", `,"publicIPAddress":{"id":"publicIPAddresses/pip-n"}`), inNIC + "publicIPAddress.id"},
		{"a NIC's ASG", fmt.Sprintf(nic, "", `,"applicationSecurityGroups":[{"id":"applicationSecurityGroups/asg-n"}]`), inNIC + "applicationSecurityGroups"},
		{"a NIC's subnet", `put networkInterfaces/x {"location":"northeurope","properties":{"ipConfigurations":[{"name":"c","properties":{"subnet":{"id":"virtualNetworks/vnet/subnets/snet-app"}}}]}}`, inNIC + "subnet.id"},
		{"a NAT gateway's public IP", `put natGateways/x {"location":"westeurope","properties":{"publicIpAddresses":[{"id":"publicIPAddresses/pip-n"}]}}`, "properties.publicIpAddresses"},
		{"a VM's NIC", `put Microsoft.Compute/virtualMachines/x {"location":"westeurope","properties":{"networkProfile":{"networkInterfaces":[{"id":"networkInterfaces/nic-n"}]}}}`, "properties.networkProfile.networkInterfaces"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := change(t, cloud, c.line)
			refused(t, err, "InvalidResourceReference", c.target)
		})
	}
	t.Run("ROUTE-7 peerings reach across regions", func(t *testing.T) {
		must(t, cloud, `put virtualNetworks/vnet/virtualNetworkPeerings/n {"properties":{"remoteVirtualNetwork":{"id":"virtualNetworks/vnet-n"}}}`)
	})
}

// TestUses covers what a NAT gateway and its public addresses are bound to.
func TestUses(t *testing.T) {
	cloud := must(t, rich(t),
		`put publicIPAddresses/pip-basic {"location":"westeurope","properties":{"publicIPAllocationMethod":"Static"}}`,
		`put publicIPAddresses/pip-dynamic {"location":"westeurope","sku":{"name":"Standard"}}`)
	for _, c := range []struct{ name, line, code, target string }{
		{"OUT-1 a NAT gateway in use", `delete natGateways/nat`, "InUseNatGatewayCannotBeDeleted", mustID(t, "natGateways/nat").String()},
		{"a public IP of a NAT gateway", `delete publicIPAddresses/pip-nat`, "PublicIPAddressCannotBeDeleted", mustID(t, "publicIPAddresses/pip-nat").String()},
		{"a NAT gateway with a NIC's address", `put natGateways/x {"location":"westeurope","properties":{"publicIpAddresses":[{"id":"publicIPAddresses/pip-app"}]}}`, "PublicIPAddressInUse", "properties.publicIpAddresses[0].id"},
		{"a NAT gateway with another's address", `put natGateways/x {"location":"westeurope","properties":{"publicIpAddresses":[{"id":"publicIPAddresses/pip-nat"}]}}`, "PublicIPAddressInUse", "properties.publicIpAddresses[0].id"},
		{"a NAT gateway with an address twice", `put natGateways/nat {"location":"westeurope","properties":{"publicIpAddresses":[{"id":"publicIPAddresses/pip-nat"},{"id":"publicIPAddresses/PIP-NAT"}]}}`, "PublicIPAddressInUse", "properties.publicIpAddresses[1].id"},
		{"OUT-1 a NAT gateway with an address of the SKU Basic", `put natGateways/x {"location":"westeurope","properties":{"publicIpAddresses":[{"id":"publicIPAddresses/pip-basic"}]}}`, "NatGatewayPublicIPMustBeStandard", "properties.publicIpAddresses[0].id"},
		{"OUT-1 a NAT gateway with a dynamic address", `put natGateways/x {"location":"westeurope","properties":{"publicIpAddresses":[{"id":"publicIPAddresses/pip-dynamic"}]}}`, "NatGatewayPublicIPMustBeStandard", "properties.publicIpAddresses[0].id"},
		{"a NIC with a NAT gateway's address", `put networkInterfaces/x {"location":"westeurope","properties":{"ipConfigurations":[{"name":"c","properties":{"subnet":{"id":"virtualNetworks/vnet/subnets/snet-app"},"publicIPAddress":{"id":"publicIPAddresses/pip-nat"}}}]}}`,
			"PublicIPAddressInUse", "properties.ipConfigurations[0].properties.publicIPAddress.id"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := change(t, cloud, c.line)
			refused(t, err, c.code, c.target)
		})
	}
}

func TestGroupsRegion(t *testing.T) {
	options := testOptions()
	options.Regions = func() []model.Location { return []model.Location{"italynorth"} }
	put := func(cloud *Cloud, name, location string) (*Outcome, error) {
		id, err := GroupID(DefaultSubscription, name)
		if err != nil {
			t.Fatal(err)
		}
		c := NewChange(cloud, options)
		if _, err := c.Put(id, json.RawMessage(`{"location":"`+location+`","tags":{"a":"`+name+`"}}`)); err != nil {
			return nil, err
		}
		return c.Finish()
	}
	cloud := sample(t)
	for _, location := range []string{"italynorth", "Italy North", "westeurope", "eastus"} { // a tag's, a node's, one of a pair
		if _, err := put(cloud, "lab", location); err != nil {
			t.Errorf("%s: %v", location, err)
		}
	}
	_, err := put(cloud, "lab", "nowhere")
	refused(t, err, "LocationNotAvailableForResourceGroup", "location")
	if err == nil || !strings.HasSuffix(err.(*Error).Message, "List of available regions is 'italynorth,westeurope'.") {
		t.Errorf("%v", err)
	}
	// One that is there may be written anew, whatever has become of its region.
	made, err := put(cloud, "lab", "italynorth")
	if err != nil {
		t.Fatal(err)
	}
	options.Regions = func() []model.Location { return nil }
	if _, err := put(made.After.At(2, made.Puts), "lab", "italynorth"); err != nil {
		t.Error(err)
	}
}

// TestResourcesRegion covers that a resource of any type is in a region that is one.
func TestResourcesRegion(t *testing.T) {
	options := testOptions()
	options.Regions = func() []model.Location { return []model.Location{"italynorth"} }
	for typ, properties := range map[string]string{"virtualNetworks": `{"addressSpace":{"addressPrefixes":["10.0.0.0/16"]}}`, "routeTables": `{}`, "networkSecurityGroups": `{}`,
		"applicationSecurityGroups": `{}`, "publicIPAddresses": `{}`, "publicIPPrefixes": `{"prefixLength":31}`, "natGateways": `{}`, "serviceEndpointPolicies": `{}`, "networkWatchers": `{}`} {
		for location, code := range map[string]string{"italynorth": "", "West Europe": "", "northeurope": "", "nowhere": "LocationNotAvailableForResourceType", "eastus9": "LocationNotAvailableForResourceType"} {
			c := NewChange(sample(t), options)
			if _, err := c.Put(mustID(t, typ+"/one"), json.RawMessage(`{"location":"`+location+`","properties":`+properties+`}`)); err != nil {
				t.Fatal(err)
			}
			if _, err := c.Finish(); code != "" {
				refused(t, err, code, "location")
			} else if err != nil {
				t.Errorf("%s in %s: %v", typ, location, err)
			}
		}
	}
}

func TestKnownTags(t *testing.T) {
	const rule = `{"properties":{"priority":300,"direction":"Inbound","access":"Allow","protocol":"*","sourceAddressPrefix":"*","sourcePortRange":"*","destinationAddressPrefix":"%s","destinationPortRange":"*"}}`
	put := func(short, body string) error {
		options := testOptions()
		options.KnownTag = func(name string) bool { return strings.EqualFold(name, "Storage.WestEurope") }
		c := NewChange(sample(t), options)
		if _, err := c.Put(mustID(t, short), json.RawMessage(body)); err != nil {
			return err
		}
		_, err := c.Finish()
		return err
	}
	for _, tag := range []string{"storage.westeurope", "VirtualNetwork", "Internet", "AzureLoadBalancer"} {
		if err := put("networkSecurityGroups/nsg/securityRules/x", fmt.Sprintf(rule, tag)); err != nil {
			t.Errorf("NSG-4 %s: %v", tag, err)
		}
	}
	t.Run("NSG-4 a rule with a tag that there is not", func(t *testing.T) {
		refused(t, put("networkSecurityGroups/nsg/securityRules/x", fmt.Sprintf(rule, "Storag")), "SecurityRuleInvalidAddressPrefix", "properties.destinationAddressPrefix")
	})
	t.Run("ROUTE-11 a route with a tag that there is not", func(t *testing.T) {
		refused(t, put("routeTables/rt/routes/x", `{"properties":{"addressPrefix":"Storag","nextHopType":"None"}}`), "InvalidAddressPrefixFormat", "properties.addressPrefix")
	})
}

func TestLimits(t *testing.T) {
	t.Run("ROUTE-11 26 tags in a table", func(t *testing.T) {
		var routes []string
		for i := range maxTagRoutes + 1 {
			routes = append(routes, fmt.Sprintf(`{"name":"r%d","properties":{"addressPrefix":"Tag%c","nextHopType":"None"}}`, i, 'A'+i))
		}
		const table = `put routeTables/many {"location":"westeurope","properties":{"routes":[%s]}}`
		must(t, sample(t), fmt.Sprintf(table, strings.Join(routes[:maxTagRoutes], ",")))
		_, err := change(t, sample(t), fmt.Sprintf(table, strings.Join(routes, ",")))
		refused(t, err, "RouteTableServiceTagLimitExceeded", "properties.routes[25].properties.addressPrefix")
	})
	t.Run("FW-11 401 rules of an account", func(t *testing.T) {
		var rules []string
		for i := range 400 + 1 {
			rules = append(rules, fmt.Sprintf(`{"value":"198.51.%d.%d"}`, 100+i/200, i%200+1))
		}
		_, err := change(t, sample(t), fmt.Sprintf(`put storageAccounts/many {"location":"westeurope","properties":{"networkAcls":{"ipRules":[%s]}}}`, strings.Join(rules, ",")))
		refused(t, err, "NetworkAclsLimitExceeded", "properties.networkAcls")
	})
	t.Run("SEP-7 policies", func(t *testing.T) {
		cloud, lines := sample(t), []string(nil)
		for i := range maxPolicies - 1 { // the sample has one
			lines = append(lines, fmt.Sprintf(`put serviceEndpointPolicies/p%d {"location":"westeurope"}`, i))
		}
		cloud = must(t, cloud, lines...)
		_, err := change(t, cloud, `put serviceEndpointPolicies/more {"location":"westeurope"}`)
		refused(t, err, "ServiceEndpointPolicyCountLimitReached", "")
		must(t, cloud, `put serviceEndpointPolicies/p7 {"location":"westeurope","tags":{"a":"b"}}`)
		must(t, cloud, `put /subscriptions/other/resourceGroups/g/providers/Microsoft.Network/serviceEndpointPolicies/more {"location":"westeurope"}`)

		var many []string
		for i := range maxSubnetPolicies + 1 {
			many = append(many, fmt.Sprintf(`{"id":"serviceEndpointPolicies/p%d"}`, i))
		}
		_, err = change(t, cloud, fmt.Sprintf(`put virtualNetworks/vnet/subnets/x {"properties":{"addressPrefix":"10.13.1.0/24","serviceEndpoints":[{"service":"Microsoft.Storage"}],"serviceEndpointPolicies":[%s]}}`, strings.Join(many, ",")))
		refused(t, err, "ServiceEndpointPolicyLimitExceeded", "properties.serviceEndpointPolicies")
	})
	t.Run("SEP-7 resources of a definition", func(t *testing.T) {
		resources := strings.TrimSuffix(strings.Repeat(`"/subscriptions/s",`, maxPolicyResources+1), ",")
		_, err := change(t, sample(t), fmt.Sprintf(`put serviceEndpointPolicies/x {"location":"westeurope","properties":{"serviceEndpointPolicyDefinitions":[{"name":"d","properties":{"service":"Microsoft.Storage","serviceResources":[%s]}}]}}`, resources))
		refused(t, err, "ServiceEndpointPolicyDefinitionResourcesInvalid", "properties.serviceEndpointPolicyDefinitions[0].properties.serviceResources")
	})
}

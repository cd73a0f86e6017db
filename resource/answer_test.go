package resource

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/compute/armcompute/v7"
	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/network/armnetwork/v11"
	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/storage/armstorage"
	"github.com/google/go-cmp/cmp"
)

// sdkModels makes, for each type, a value of the SDK that an answer about it is read into.
var sdkModels = map[string]func() any{
	TypeApplicationSecurityGroup:                func() any { return new(armnetwork.ApplicationSecurityGroup) },
	TypeNetworkInterface:                        func() any { return new(armnetwork.Interface) },
	TypeNatGateway:                              func() any { return new(armnetwork.NatGateway) },
	TypePublicIPPrefix:                          func() any { return new(armnetwork.PublicIPPrefix) },
	TypePublicIPAddress:                         func() any { return new(armnetwork.PublicIPAddress) },
	TypeNetworkWatcher:                          func() any { return new(armnetwork.Watcher) },
	TypeRouteTable:                              func() any { return new(armnetwork.RouteTable) },
	TypeRouteTable + "/routes":                  func() any { return new(armnetwork.Route) },
	TypeNetworkSecurityGroup:                    func() any { return new(armnetwork.SecurityGroup) },
	TypeNetworkSecurityGroup + "/securityRules": func() any { return new(armnetwork.SecurityRule) },
	TypeServiceEndpointPolicy:                   func() any { return new(armnetwork.ServiceEndpointPolicy) },
	TypeServiceEndpointPolicy + "/serviceEndpointPolicyDefinitions": func() any { return new(armnetwork.ServiceEndpointPolicyDefinition) },
	TypeVirtualNetwork:                             func() any { return new(armnetwork.VirtualNetwork) },
	TypeVirtualNetwork + "/subnets":                func() any { return new(armnetwork.Subnet) },
	TypeVirtualNetwork + "/virtualNetworkPeerings": func() any { return new(armnetwork.VirtualNetworkPeering) },
	TypeStorageAccount:                             func() any { return new(armstorage.Account) },
	TypeVirtualMachine:                             func() any { return new(armcompute.VirtualMachine) },
}

// asSDK reads an answer into the SDK's model and writes it again: what the model does not know is lost on the way.
func asSDK(t testing.TB, typ string, answer []byte) map[string]any {
	t.Helper()
	model := sdkModels[typ]()
	if err := json.Unmarshal(answer, model); err != nil {
		t.Fatalf("%s: the SDK cannot read the answer: %v\n%s", typ, err, answer)
	}
	again, err := json.Marshal(model)
	if err != nil {
		t.Fatal(err)
	}
	object, err := readObject(again)
	if err != nil {
		t.Fatal(err)
	}
	return object
}

func testAnswer(t *testing.T, cloud *Cloud, id ID) {
	t.Helper()
	for _, state := range []string{"Succeeded", "Updating"} {
		answer, err := cloud.Render(id, state)
		if err != nil {
			t.Fatal(err)
		}
		object, err := readObject(answer)
		if err != nil {
			t.Fatal(err)
		}
		forget(object, "properties", "posternFrontAddress")
		if diff := cmp.Diff(object, asSDK(t, id.Type(), answer)); diff != "" {
			t.Errorf("%s: the SDK's model does not have all of the answer (-answer +SDK):\n%s", id.Type(), diff)
		}
	}
}

// rich has something in every type that no other test file writes.
func rich(t testing.TB) *Cloud {
	t.Helper()
	return must(t, sample(t),
		`put publicIPAddresses/pip-nat {"location":"West Europe","sku":{"name":"standard"},"zones":["1"],"properties":{"publicIPAllocationMethod":"static","idleTimeoutInMinutes":10,"dnsSettings":{"domainNameLabel":"out"}}}`,
		`put networkWatchers/watcher {"location":"westeurope","properties":{}}`,
		`put publicIPPrefixes/block {"location":"westeurope","sku":{"name":"standard"},"zones":["1"],"properties":{"prefixLength":30}}`,
		`put natGateways/nat {"location":"westeurope","sku":{"name":"Standard"},"properties":{"idleTimeoutInMinutes":10,"publicIpPrefixes":[{"id":"publicIPPrefixes/block"}],"publicIpAddresses":[{"id":"publicIPAddresses/pip-nat"}]}}`,
		`put virtualNetworks/hub {"location":"westeurope","tags":{"a":"b"},"properties":{"addressSpace":{"addressPrefixes":["10.20.0.0/16"]},"dhcpOptions":{"dnsServers":["10.20.0.4"]},"flowTimeoutInMinutes":10,"encryption":{"enabled":false},
			"subnets":[{"name":"a","properties":{"addressPrefixes":["10.20.1.0/24"],"natGateway":{"id":"natGateways/nat"},"networkSecurityGroup":{"id":"networkSecurityGroups/nsg","location":"westeurope"},"privateEndpointNetworkPolicies":"enabled","defaultOutboundAccess":false,
				"serviceEndpoints":[{"service":"microsoft.storage.global","locations":["*"]},{"service":"Microsoft.Sql"}],"delegations":[{"name":"d","properties":{"serviceName":"Microsoft.Sql/managedInstances"}}]}}],
			"virtualNetworkPeerings":[{"name":"to-vnet","properties":{"remoteVirtualNetwork":{"id":"virtualNetworks/vnet"},"allowForwardedTraffic":true}}]}}`,
		`put networkInterfaces/nic-hub {"location":"westeurope","properties":{"enableAcceleratedNetworking":true,"dnsSettings":{"dnsServers":["10.20.0.9"]},"networkSecurityGroup":{"id":"networkSecurityGroups/nsg"},"ipConfigurations":[{"name":"c","properties":{"subnet":{"id":"virtualNetworks/hub/subnets/a"}}}]}}`,
		`put Microsoft.Compute/virtualMachines/vm-hub {"location":"westeurope","zones":["1"],"identity":{"type":"SystemAssigned"},"properties":{"hardwareProfile":{"vmSize":"Standard_B2ts_v2"},"osProfile":{"computerName":"hub","adminUsername":"u","adminPassword":"secret-word","customData":"c2VjcmV0","linuxConfiguration":{"disablePasswordAuthentication":false}},
			"storageProfile":{"imageReference":{"publisher":"Canonical","offer":"o","sku":"s","version":"latest"},"osDisk":{"createOption":"fromImage","diskSizeGB":30}},"networkProfile":{"networkInterfaces":[{"id":"networkInterfaces/nic-hub","properties":{"primary":true,"deleteOption":"Delete"}}]}}}`,
		`put storageAccounts/rich {"location":"westeurope","kind":"StorageV2","sku":{"name":"standard_lrs"},"properties":{"accessTier":"Cool","minimumTlsVersion":"TLS1_2","allowCrossTenantReplication":false,"encryption":{"services":{"blob":{"enabled":true},"queue":{"keyType":"Service"}},"keySource":"Microsoft.Storage"},
			"networkAcls":{"bypass":"Logging, Metrics","defaultAction":"Deny","virtualNetworkRules":[{"id":"virtualNetworks/hub/subnets/a"}],"ipRules":[{"value":"198.51.100.9"}],"resourceAccessRules":[]}}}`)
}

// TestAnswersAreTheSDKs covers that nothing is answered that Azure's own models do not know.
func TestAnswersAreTheSDKs(t *testing.T) {
	cloud, seen := rich(t), make(map[string]bool)
	for _, record := range cloud.Records("") {
		id := mustID(t, record.ID)
		if sdkModels[id.Type()] == nil {
			continue
		}
		seen[id.Type()] = true
		testAnswer(t, cloud, id)
		spec, _, _ := lookupName(record.Type)
		for _, child := range spec.children {
			for _, element := range listIn(objectAt(rendered(t, cloud, record.ID), "properties"), child.property) {
				childID := mustID(t, at(t, element, "id").(string))
				seen[childID.Type()] = true
				testAnswer(t, cloud, childID)
				answer, err := cloud.Render(childID, "Succeeded")
				if err != nil {
					t.Fatal(err)
				}
				if apart, _ := readObject(answer); cmp.Diff(element, any(apart)) != "" {
					t.Errorf("%s is answered differently apart (-inside +apart):\n%s", childID, cmp.Diff(element, any(apart)))
				}
			}
		}
	}
	for typ := range models {
		if !seen[typ] {
			t.Errorf("no %s is in the test's cloud", typ)
		}
	}
}

func TestAnswerDefaults(t *testing.T) {
	cloud := rich(t)
	full := func(short string) string { return mustID(t, short).String() }
	for _, c := range []struct {
		name, id string
		path     []any
		want     any
	}{
		{"enableDdosProtection", "virtualNetworks/hub", []any{"properties", "enableDdosProtection"}, false},
		{"tags", "virtualNetworks/hub", []any{"tags", "a"}, "b"},
		{"a field that nothing here uses", "virtualNetworks/hub", []any{"properties", "flowTimeoutInMinutes"}, json.Number("10")},
		{"the location's short form", "publicIPAddresses/pip-nat", []any{"location"}, "westeurope"},
		{"private endpoint policies as written, in ARM's spelling", "virtualNetworks/hub/subnets/a", []any{"properties", "privateEndpointNetworkPolicies"}, "Enabled"},
		{"private endpoint policies", "virtualNetworks/vnet/subnets/snet-app", []any{"properties", "privateEndpointNetworkPolicies"}, "Disabled"},
		{"private link service policies", "virtualNetworks/vnet/subnets/snet-app", []any{"properties", "privateLinkServiceNetworkPolicies"}, "Enabled"},
		{"a child's type", "virtualNetworks/vnet", []any{"properties", "subnets", 0, "type"}, "Microsoft.Network/virtualNetworks/subnets"},
		{"SE-11 an endpoint's state", "virtualNetworks/vnet/subnets/snet-app", []any{"properties", "serviceEndpoints", 0, "provisioningState"}, "Succeeded"},
		{"SE-11 an endpoint's regions", "virtualNetworks/vnet/subnets/snet-app", []any{"properties", "serviceEndpoints", 0, "locations", 1}, "northeurope"},
		{"SE-11 an endpoint in all regions", "virtualNetworks/hub/subnets/a", []any{"properties", "serviceEndpoints", 0, "locations", 0}, "*"},
		{"an endpoint's spelling", "virtualNetworks/hub/subnets/a", []any{"properties", "serviceEndpoints", 0, "service"}, "Microsoft.Storage.Global"},
		{"a reference is its id alone", "virtualNetworks/hub/subnets/a", []any{"properties", "networkSecurityGroup", "location"}, nil},
		{"a subnet's addresses", "virtualNetworks/hub/subnets/a", []any{"properties", "ipConfigurations", 0, "id"}, full("networkInterfaces/nic-hub") + "/ipConfigurations/c"},
		{"an NSG's subnets", "networkSecurityGroups/nsg", []any{"properties", "subnets", 0, "id"}, full("virtualNetworks/hub/subnets/a")},
		{"an NSG's NICs", "networkSecurityGroups/nsg", []any{"properties", "networkInterfaces", 0, "id"}, full("networkInterfaces/nic-hub")},
		{"NSG-1 a default rule", "networkSecurityGroups/nsg", []any{"properties", "defaultSecurityRules", 5, "name"}, "DenyAllOutBound"},
		{"NSG-1 a default rule's priority", "networkSecurityGroups/nsg", []any{"properties", "defaultSecurityRules", 1, "properties", "priority"}, json.Number("65001")},
		{"a route table's subnets", "routeTables/rt", []any{"properties", "subnets", 0, "id"}, full("virtualNetworks/vnet/subnets/snet-other")},
		{"a policy's subnets", "serviceEndpointPolicies/own-account", []any{"properties", "subnets", 0, "id"}, full("virtualNetworks/vnet/subnets/snet-app")},
		{"a NAT gateway's subnets", "natGateways/nat", []any{"properties", "subnets", 0, "id"}, full("virtualNetworks/hub/subnets/a")},
		{"a public IP's NAT gateway", "publicIPAddresses/pip-nat", []any{"properties", "natGateway", "id"}, full("natGateways/nat")},
		{"a public IP's NIC", "publicIPAddresses/pip-app", []any{"properties", "ipConfiguration", "id"}, full("networkInterfaces/nic-app") + "/ipConfigurations/ipconfig1"},
		{"a NIC's VM", "networkInterfaces/nic-hub", []any{"properties", "virtualMachine", "id"}, full("Microsoft.Compute/virtualMachines/vm-hub")},
		{"a NIC is primary", "networkInterfaces/nic-hub", []any{"properties", "primary"}, true},
		{"a NIC's method", "networkInterfaces/nic-hub", []any{"properties", "ipConfigurations", 0, "properties", "privateIPAllocationMethod"}, "Dynamic"},
		{"a peering without its other half", "virtualNetworks/hub/virtualNetworkPeerings/to-vnet", []any{"properties", "peeringState"}, "Initiated"},
		{"a peering's remote space", "virtualNetworks/hub/virtualNetworkPeerings/to-vnet", []any{"properties", "remoteAddressSpace", "addressPrefixes", 0}, "10.13.0.0/16"},
		{"a VM's password is not kept", "Microsoft.Compute/virtualMachines/vm-hub", []any{"properties", "osProfile", "adminPassword"}, nil},
		{"a VM's user is", "Microsoft.Compute/virtualMachines/vm-hub", []any{"properties", "osProfile", "adminUsername"}, "u"},
		{"an account's endpoint", "storageAccounts/rich", []any{"properties", "primaryEndpoints", "blob"}, "https://rich.blob." + cloud.Snapshot().Settings.StorageSuffix + "/"},
		{"an account's tier", "storageAccounts/rich", []any{"sku", "tier"}, "Standard"},
		{"FW-9 an account's bypass", "storageAccounts/rich", []any{"properties", "networkAcls", "bypass"}, "Logging, Metrics"},
		{"an account's key type", "storageAccounts/rich", []any{"properties", "encryption", "services", "queue", "keyType"}, "Service"},
		{"an account has no etag", "storageAccounts/rich", []any{"etag"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			if have := at(t, rendered(t, cloud, c.id), c.path...); have != c.want {
				t.Errorf("%s %v is %v, want %v", c.id, c.path, have, c.want)
			}
		})
	}
}

// TestReadOnlyIsIgnored covers clients that write back what they read, with other values for what only the service sets.
func TestReadOnlyIsIgnored(t *testing.T) {
	cloud := must(t, sample(t), `put routeTables/rt {"location":"westeurope","etag":"W/\"9\"","properties":{"provisioningState":"Failed","resourceGuid":"x","subnets":[{"id":"/nonsense","properties":{"any":"thing"}}],"routes":[{"name":"r","etag":"e","type":"t","properties":{"addressPrefix":"1.0.0.0/8","nextHopType":"internet","hasBgpOverride":true,"provisioningState":7}}]}}`)
	table := rendered(t, cloud, "routeTables/rt")
	if at(t, table, "properties", "provisioningState") != "Succeeded" || at(t, table, "properties", "resourceGuid") == "x" ||
		at(t, table, "properties", "routes", 0, "properties", "nextHopType") != "Internet" || at(t, table, "properties", "routes", 0, "properties", "hasBgpOverride") != false {
		t.Errorf("answer: %v", table)
	}
}

func TestResourceGUID(t *testing.T) {
	cloud := sample(t)
	guid := at(t, rendered(t, cloud, "routeTables/rt"), "properties", "resourceGuid")
	after := must(t, cloud, `put routeTables/rt {"location":"westeurope"}`)
	if now := at(t, rendered(t, after, "routeTables/rt"), "properties", "resourceGuid"); now != guid || len(guid.(string)) != 36 {
		t.Errorf("the GUID was %v and is %v after a write", guid, now)
	}
	const fresh = `put routeTables/fresh {"location":"westeurope"}`
	first := must(t, after, fresh)
	second := must(t, must(t, first, "delete routeTables/fresh"), fresh)
	if a, b := at(t, rendered(t, first, "routeTables/fresh"), "properties", "resourceGuid"), at(t, rendered(t, second, "routeTables/fresh"), "properties", "resourceGuid"); a == b {
		t.Errorf("a table made anew under its name has its predecessor's GUID %v", a)
	}
}

func TestPowerState(t *testing.T) {
	cloud := sample(t)
	id := mustID(t, "Microsoft.Compute/virtualMachines/vm-app")
	view := func(cloud *Cloud) string {
		answer, err := cloud.InstanceView(id, "Succeeded")
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(answer, new(armcompute.VirtualMachineInstanceView)); err != nil {
			t.Fatal(err)
		}
		return string(answer)
	}
	for _, state := range []string{PowerRunning, PowerDeallocated, PowerStopped, PowerRunning} {
		change := NewChange(cloud, testOptions())
		if err := change.SetPower(id, state); err != nil {
			t.Fatal(err)
		}
		outcome, err := change.Finish()
		if err != nil {
			t.Fatal(err)
		}
		cloud = outcome.After
		if !strings.Contains(view(cloud), `"PowerState/`+state+`"`) {
			t.Errorf("%s: %s", state, view(cloud))
		}
	}
	if err := NewChange(cloud, testOptions()).SetPower(mustID(t, "virtualNetworks/vnet"), PowerStopped); err == nil {
		t.Error("a VNet was stopped")
	}
}

// TestManyAnswers covers that a child is answered without the cost of its siblings.
func TestManyAnswers(t *testing.T) {
	const subnets = 2000
	var list []string
	for i := range subnets {
		list = append(list, `{"name":"s`+jsonInt(i)+`","properties":{"addressPrefix":"10.`+jsonInt(128+i/256)+`.`+jsonInt(i%256)+`.0/29"}}`)
	}
	cloud := must(t, sample(t), `put virtualNetworks/many {"location":"westeurope","properties":{"addressSpace":{"addressPrefixes":["10.128.0.0/9"]},"subnets":[`+strings.Join(list, ",")+`]}}`)
	id := mustID(t, "virtualNetworks/many/subnets/s0")
	if _, err := cloud.Render(id, "Succeeded"); err != nil {
		t.Fatal(err)
	}
	allocations := testing.AllocsPerRun(20, func() {
		if _, err := cloud.Render(id, "Succeeded"); err != nil {
			t.Fatal(err)
		}
	})
	if allocations > subnets/4 {
		t.Errorf("one of %d subnets takes %v allocations to answer", subnets, allocations)
	}
}

func jsonInt(i int) string { data, _ := json.Marshal(i); return string(data) }

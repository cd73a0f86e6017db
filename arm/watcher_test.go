package arm_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	azarm "github.com/Azure/azure-sdk-for-go/sdk/azcore/arm"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/compute/armcompute/v7"
	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/network/armnetwork/v11"

	"postern/api"
	"postern/authorization"
	"postern/resource"
)

// watched is a network with two machines, rules and routes to ask about.
const watched = `
type: Microsoft.Network/networkWatchers
name: watcher
location: westeurope
---
type: networkSecurityGroups
name: nsg
location: westeurope
properties:
  securityRules:
    - {name: ssh, properties: {priority: 100, direction: Inbound, access: Allow, protocol: Tcp, sourceAddressPrefix: Internet, sourcePortRange: "*",
        destinationAddressPrefix: "*", destinationPortRange: "22"}}
    - {name: no-smtp, properties: {priority: 200, direction: Outbound, access: Deny, protocol: "*", sourceAddressPrefix: "*", sourcePortRange: "*",
        destinationAddressPrefix: "*", destinationPortRanges: ["25", "587-588"]}}
---
type: routeTables
name: rt
location: westeurope
properties:
  routes:
    - {name: part, properties: {addressPrefix: 198.51.100.0/24, nextHopType: VirtualAppliance, nextHopIpAddress: 10.1.0.9}}
    - {name: hole, properties: {addressPrefix: 192.0.2.0/24, nextHopType: None}}
---
type: virtualNetworks
name: vnet
location: westeurope
properties:
  addressSpace: {addressPrefixes: [10.1.0.0/16]}
  subnets:
    - {name: app, properties: {addressPrefix: 10.1.0.0/24, routeTable: {id: routeTables/rt}, networkSecurityGroup: {id: networkSecurityGroups/nsg},
        serviceEndpoints: [{service: Microsoft.Storage}]}}
    - {name: data, properties: {addressPrefix: 10.1.1.0/24}}
---
- {type: networkInterfaces, name: nic-app, location: westeurope, properties: {ipConfigurations: [{name: one, properties: {subnet: {id: virtualNetworks/vnet/subnets/app}}}]}}
- {type: networkInterfaces, name: nic-data, location: westeurope, properties: {ipConfigurations: [{name: one, properties: {subnet: {id: virtualNetworks/vnet/subnets/data}}}]}}
- {type: virtualMachines, name: vm-app, location: westeurope, properties: {networkProfile: {networkInterfaces: [{id: networkInterfaces/nic-app}]}}}
- {type: virtualMachines, name: vm-data, location: westeurope, properties: {networkProfile: {networkInterfaces: [{id: networkInterfaces/nic-data}]}}}
`

// startWatched is a cloud with the network watched in the group demo.
func startWatched(t *testing.T) *clients {
	t.Helper()
	c := startSDK(t)
	items, err := resource.Load("watched.yaml", []byte(watched))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.plane.API.Apply(c.ctx, api.Batch{Resources: items}); err != nil {
		t.Fatal(err)
	}
	return c
}

func (c *clients) machineID(name string) *string {
	return to.Ptr("/subscriptions/" + c.door.Subscription + "/resourceGroups/demo/providers/Microsoft.Compute/virtualMachines/" + name)
}

func TestSDKNextHop(t *testing.T) {
	c := startWatched(t)
	watchers := c.network.NewWatchersClient()
	table := "/subscriptions/" + c.door.Subscription + "/resourceGroups/demo/providers/Microsoft.Network/routeTables/rt"
	for _, want := range []struct{ name, destination, hop, address, table string }{
		{"ROUTE-4 the VNet", "10.1.1.4", "VnetLocal", "", "System Route"},
		{"ROUTE-4 the Internet", "203.0.113.9", "Internet", "", "System Route"},
		{"ROUTE-4 a private address of nobody", "192.168.1.1", "None", "", "System Route"},
		{"ROUTE-2 ROUTE-14 a user's route to an appliance", "198.51.100.7", "VirtualAppliance", "10.1.0.9", table},
		{"ROUTE-2 a user's route to nowhere", "192.0.2.1", "None", "", table},
		{"ROUTE-9 a service endpoint", c.storageAddress(t), "VirtualNetworkServiceEndpoint", "", "System Route"},
		{"NSG-5 the platform", "168.63.129.16", "Internet", "", "System Route"},
	} {
		t.Run(want.name, func(t *testing.T) {
			got := done[armnetwork.WatchersClientGetNextHopResponse](t, c)(watchers.BeginGetNextHop(c.ctx, "demo", "watcher", armnetwork.NextHopParameters{
				TargetResourceID: c.machineID("vm-app"), SourceIPAddress: to.Ptr("10.1.0.4"), DestinationIPAddress: &want.destination}, nil))
			address := ""
			if got.NextHopIPAddress != nil {
				address = *got.NextHopIPAddress
			}
			if string(*got.NextHopType) != want.hop || address != want.address || !strings.EqualFold(*got.RouteTableID, want.table) {
				t.Errorf("%s %q %s", *got.NextHopType, address, *got.RouteTableID)
			}
		})
	}
	_, err := watchers.BeginGetNextHop(c.ctx, "demo", "watcher", armnetwork.NextHopParameters{
		TargetResourceID: c.machineID("vm-app"), SourceIPAddress: to.Ptr("10.1.0.77"), DestinationIPAddress: to.Ptr("10.1.1.4")}, nil)
	refused(t, err, http.StatusBadRequest, "InvalidRequestContent") // SE-13 nothing leaves a NIC under another address
	_, err = watchers.BeginGetNextHop(c.ctx, "demo", "nobody", armnetwork.NextHopParameters{
		TargetResourceID: c.machineID("vm-app"), SourceIPAddress: to.Ptr("10.1.0.4"), DestinationIPAddress: to.Ptr("10.1.1.4")}, nil)
	refused(t, err, http.StatusNotFound, "ResourceNotFound")
}

// Who may ask a watcher learns of those resources alone that it may read.
func TestWatcherTellsWhatMayBeRead(t *testing.T) {
	c := startWatched(t)
	watcher := group + "/providers/Microsoft.Network/networkWatchers/watcher"
	asker, token := c.principal(t, "asker", "Network Contributor", watcher)
	vm, other := *c.machineID("vm-app"), *c.machineID("vm-data")
	ask := func(what, action, body string, status int, code string) string {
		t.Helper()
		return c.want(t, what, "POST", watcher+"/"+action+version, token, body, status, code)
	}
	flow := `{"targetResourceId":"` + vm + `","direction":"Outbound","protocol":"TCP","localIPAddress":"10.1.0.4","localPort":"50000","remoteIPAddress":"10.1.1.4","remotePort":"443"}`
	hop := `{"targetResourceId":"` + vm + `","sourceIPAddress":"10.1.0.4","destinationIPAddress":"10.1.1.4"%s}`
	connect := `{"source":{"resourceId":"` + vm + `"},"destination":{"resourceId":"` + other + `","port":443}}`
	for action, body := range map[string]string{"nextHop": fmt.Sprintf(hop, ""), "ipFlowVerify": flow, "securityGroupView": `{"targetResourceId":"` + vm + `"}`, "connectivityCheck": connect} {
		ask("GOV-1 a VM that the caller may not read", action, body, http.StatusForbidden, "AuthorizationFailed")
	}
	c.assign(t, asker.ObjectID, authorization.Reader, vm)
	ask("GOV-1 a VM that it may read", "nextHop", fmt.Sprintf(hop, ""), http.StatusOK, "")
	ask("GOV-1 a NIC that it may not", "nextHop", fmt.Sprintf(hop, `,"targetNicResourceId":"`+nics+`/nic-app"`), http.StatusForbidden, "AuthorizationFailed")
	ask("GOV-1 a destination that it may not", "connectivityCheck", connect, http.StatusForbidden, "AuthorizationFailed")
	topology := ask("GOV-1 the topology", "topology", `{"targetResourceGroupName":"demo"}`, http.StatusOK, "")
	if !strings.Contains(topology, `"name":"vm-app","id"`) || strings.Contains(topology, `"name":"vm-data","id"`) || strings.Contains(topology, `"name":"vnet","id"`) {
		t.Errorf("GOV-1 the topology has more than may be read: %s", topology)
	}
}

// storageAddress is an address that the endpoint of westeurope has.
func (c *clients) storageAddress(t *testing.T) string {
	t.Helper()
	catalogue := must[armnetwork.ServiceTagInformationClientListResponse](t)(c.network.NewServiceTagInformationClient().NewListPager("westeurope",
		&armnetwork.ServiceTagInformationClientListOptions{TagName: to.Ptr("Storage.WestEurope")}).NextPage(c.ctx))
	if len(catalogue.Value) != 1 {
		t.Fatalf("%d tags Storage.WestEurope", len(catalogue.Value))
	}
	prefix, _, _ := strings.Cut(*catalogue.Value[0].Properties.AddressPrefixes[0], "/")
	return prefix
}

func TestSDKVerifyIPFlow(t *testing.T) {
	c := startWatched(t)
	watchers := c.network.NewWatchersClient()
	for _, want := range []struct{ name, vm, direction, protocol, local, remote, access, rule string }{
		{"NSG-1 in by a user's rule", "vm-app", "Inbound", "TCP", "10.1.0.4:22", "203.0.113.9:*", "Allow", "securityRules/ssh"},
		{"NSG-1 NSG-4 the tag Internet has no VNet address", "vm-app", "Inbound", "TCP", "10.1.0.4:22", "10.1.1.4:5000", "Allow", "defaultSecurityRules/AllowVnetInBound"},
		{"NSG-1 in by none", "vm-app", "Inbound", "TCP", "10.1.0.4:80", "203.0.113.9:60000", "Deny", "defaultSecurityRules/DenyAllInBound"},
		{"NSG-1 the protocol counts", "vm-app", "Inbound", "UDP", "10.1.0.4:22", "203.0.113.9:60000", "Deny", "defaultSecurityRules/DenyAllInBound"},
		{"NSG-1 out denied by one range of many", "vm-app", "Outbound", "TCP", "10.1.0.4:*", "203.0.113.9:588", "Deny", "securityRules/no-smtp"},
		{"NSG-1 out to the Internet", "vm-app", "Outbound", "TCP", "10.1.0.4:60000", "203.0.113.9:443", "Allow", "defaultSecurityRules/AllowInternetOutBound"},
		{"NSG-3 routes do not count", "vm-app", "Outbound", "TCP", "10.1.0.4:60000", "192.0.2.1:443", "Allow", "defaultSecurityRules/AllowInternetOutBound"},
		{"NSG-3 no group at all", "vm-data", "Inbound", "TCP", "10.1.1.4:25", "203.0.113.9:*", "Allow", ""},
		{"NSG-5 the platform", "vm-app", "Outbound", "UDP", "10.1.0.4:*", "168.63.129.16:53", "Allow", ""},
	} {
		t.Run(want.name, func(t *testing.T) {
			local, localPort, _ := strings.Cut(want.local, ":")
			remote, remotePort, _ := strings.Cut(want.remote, ":")
			got := done[armnetwork.WatchersClientVerifyIPFlowResponse](t, c)(watchers.BeginVerifyIPFlow(c.ctx, "demo", "watcher", armnetwork.VerificationIPFlowParameters{
				TargetResourceID: c.machineID(want.vm), Direction: to.Ptr(armnetwork.Direction(want.direction)), Protocol: to.Ptr(armnetwork.IPFlowProtocol(want.protocol)),
				LocalIPAddress: &local, LocalPort: &localPort, RemoteIPAddress: &remote, RemotePort: &remotePort}, nil))
			if string(*got.Access) != want.access || *got.RuleName != want.rule {
				t.Errorf("%s by %q", *got.Access, *got.RuleName)
			}
		})
	}
	t.Run("a VM that is powered off", func(t *testing.T) {
		machines := c.machines(t)
		done[armcompute.VirtualMachinesClientPowerOffResponse](t, c)(machines.BeginPowerOff(c.ctx, "demo", "vm-app", nil))
		_, err := watchers.BeginVerifyIPFlow(c.ctx, "demo", "watcher", armnetwork.VerificationIPFlowParameters{TargetResourceID: c.machineID("vm-app"),
			Direction: to.Ptr(armnetwork.DirectionInbound), Protocol: to.Ptr(armnetwork.IPFlowProtocolTCP),
			LocalIPAddress: to.Ptr("10.1.0.4"), LocalPort: to.Ptr("22"), RemoteIPAddress: to.Ptr("203.0.113.9"), RemotePort: to.Ptr("*")}, nil)
		refused(t, err, http.StatusConflict, "OperationNotAllowed")
		// ROUTE-16 its routes and rules can be asked for all the same.
		nics := c.network.NewInterfacesClient()
		if routes := done[armnetwork.InterfacesClientGetEffectiveRouteTableResponse](t, c)(nics.BeginGetEffectiveRouteTable(c.ctx, "demo", "nic-app", nil)); len(routes.Value) == 0 {
			t.Error("no routes")
		}
		done[armcompute.VirtualMachinesClientStartResponse](t, c)(machines.BeginStart(c.ctx, "demo", "vm-app", nil))
	})
}

// machines is the SDK's client for VMs.
func (c *clients) machines(t *testing.T) *armcompute.VirtualMachinesClient {
	t.Helper()
	return must[*armcompute.VirtualMachinesClient](t)(armcompute.NewVirtualMachinesClient(c.door.Subscription, c.credential(t, c.door.Tenant, c.door.Secret),
		&azarm.ClientOptions{ClientOptions: c.options()}))
}

func TestSDKEffectiveGroups(t *testing.T) {
	c := startWatched(t)
	got := done[armnetwork.InterfacesClientListEffectiveNetworkSecurityGroupsResponse](t, c)(
		c.network.NewInterfacesClient().BeginListEffectiveNetworkSecurityGroups(c.ctx, "demo", "nic-app", nil))
	if len(got.Value) != 1 || !strings.HasSuffix(*got.Value[0].Association.Subnet.ID, "/subnets/app") || got.Value[0].Association.NetworkInterface != nil ||
		!strings.HasSuffix(*got.Value[0].NetworkSecurityGroup.ID, "/networkSecurityGroups/nsg") {
		t.Fatalf("groups %+v", got.Value)
	}
	var names []string
	for _, rule := range got.Value[0].EffectiveSecurityRules {
		names = append(names, *rule.Name)
		switch *rule.Name {
		case "securityRules/ssh": // NSG-4 the tag and what it stands for
			if *rule.SourceAddressPrefix != "Internet" || len(rule.ExpandedSourceAddressPrefix) < 8 || *rule.DestinationPortRange != "22-22" ||
				*rule.SourcePortRange != "0-65535" || *rule.Protocol != armnetwork.EffectiveSecurityRuleProtocolTCP {
				t.Errorf("ssh: %+v", rule)
			}
		case "securityRules/no-smtp":
			if len(rule.DestinationPortRanges) != 2 || *rule.DestinationPortRanges[1] != "587-588" || *rule.SourceAddressPrefix != "0.0.0.0/0" ||
				*rule.Protocol != armnetwork.EffectiveSecurityRuleProtocolAll || len(rule.ExpandedSourceAddressPrefix) != 0 {
				t.Errorf("no-smtp: %+v", rule)
			}
		case "defaultSecurityRules/AllowVnetInBound":
			if len(rule.ExpandedSourceAddressPrefix) != 1 || *rule.ExpandedSourceAddressPrefix[0] != "10.1.0.0/16" || *rule.Priority != 65000 {
				t.Errorf("AllowVnetInBound: %+v", rule)
			}
		}
	}
	want := []string{"securityRules/ssh", "defaultSecurityRules/AllowVnetInBound", "defaultSecurityRules/AllowAzureLoadBalancerInBound", "defaultSecurityRules/DenyAllInBound",
		"securityRules/no-smtp", "defaultSecurityRules/AllowVnetOutBound", "defaultSecurityRules/AllowInternetOutBound", "defaultSecurityRules/DenyAllOutBound"}
	if !slices.Equal(names, want) {
		t.Errorf("NSG-1 rules in the order of their judging: %v", names)
	}
	if tags := got.Value[0].TagMap["VirtualNetwork"]; len(tags) != 1 || *tags[0] != "10.1.0.0/16" {
		t.Errorf("tagMap %v", got.Value[0].TagMap)
	}
	view := done[armnetwork.WatchersClientGetVMSecurityRulesResponse](t, c)(c.network.NewWatchersClient().BeginGetVMSecurityRules(c.ctx, "demo", "watcher",
		armnetwork.SecurityGroupViewParameters{TargetResourceID: c.machineID("vm-app")}, nil))
	rules := view.NetworkInterfaces[0].SecurityRuleAssociations
	if len(rules.EffectiveSecurityRules) != len(want) || len(rules.SubnetAssociation.SecurityRules) != 2 || rules.NetworkInterfaceAssociation != nil {
		t.Errorf("view %+v", rules)
	}
}

func TestSDKTopology(t *testing.T) {
	c := startWatched(t)
	ask := func(question armnetwork.TopologyParameters) map[string][]string {
		got := must[armnetwork.WatchersClientGetTopologyResponse](t)(c.network.NewWatchersClient().GetTopology(c.ctx, "demo", "watcher", question, nil))
		all := map[string][]string{}
		for _, element := range got.Resources {
			all[*element.Name] = []string{}
			for _, other := range element.Associations {
				all[*element.Name] = append(all[*element.Name], string(*other.AssociationType)+" "+*other.Name)
			}
		}
		return all
	}
	group := ask(armnetwork.TopologyParameters{TargetResourceGroupName: to.Ptr("demo")})
	for name, want := range map[string][]string{"vnet": {"Contains app", "Contains data"}, "app": {"Associated nsg", "Associated rt"}, "nic-app": {"Associated app"},
		"vm-app": {"Contains nic-app"}, "nsg": {"Contains ssh", "Contains no-smtp"}, "rt": {"Contains part", "Contains hole"}} {
		if !slices.Equal(group[name], want) {
			t.Errorf("%s: %v, want %v", name, group[name], want)
		}
	}
	subnet := ask(armnetwork.TopologyParameters{TargetSubnet: &armnetwork.SubResource{ID: to.Ptr("/subscriptions/" + c.door.Subscription +
		"/resourceGroups/demo/providers/Microsoft.Network/virtualNetworks/vnet/subnets/app")}})
	for name, there := range map[string]bool{"app": true, "nic-app": true, "vm-app": true, "nsg": true, "rt": true, "data": false, "nic-data": false, "vm-data": false, "vnet": false} {
		if _, have := subnet[name]; have != there {
			t.Errorf("%s in the subnet's topology: %v", name, have)
		}
	}
}

func TestSDKCatalogues(t *testing.T) {
	c := startSDK(t)
	aliases := must[armnetwork.AvailableServiceAliasesClientListResponse](t)(c.network.NewAvailableServiceAliasesClient().NewListPager("westeurope", nil).NextPage(c.ctx))
	c.group(t, "rg")
	again := must[armnetwork.AvailableServiceAliasesClientListByResourceGroupResponse](t)(
		c.network.NewAvailableServiceAliasesClient().NewListByResourceGroupPager("rg", "westeurope", nil).NextPage(c.ctx))
	if len(aliases.Value) < 2 || len(again.Value) != len(aliases.Value) {
		t.Fatalf("%d aliases, %d by group", len(aliases.Value), len(again.Value))
	}
	var names []*string
	for _, alias := range aliases.Value {
		names = append(names, alias.ResourceName)
	}
	// SEP-5 a policy takes what is listed, and nothing that has not the form of an alias.
	policies := c.network.NewServiceEndpointPoliciesClient()
	define := func(resources []*string) armnetwork.ServiceEndpointPolicy {
		return armnetwork.ServiceEndpointPolicy{Location: to.Ptr("westeurope"), Properties: &armnetwork.ServiceEndpointPolicyPropertiesFormat{
			ServiceEndpointPolicyDefinitions: []*armnetwork.ServiceEndpointPolicyDefinition{{Name: to.Ptr("aliases"),
				Properties: &armnetwork.ServiceEndpointPolicyDefinitionPropertiesFormat{Service: to.Ptr("Global"), ServiceResources: resources}}}}}
	}
	done[armnetwork.ServiceEndpointPoliciesClientCreateOrUpdateResponse](t, c)(policies.BeginCreateOrUpdate(c.ctx, "rg", "all", define(names), nil))
	_, err := policies.BeginCreateOrUpdate(c.ctx, "rg", "other", define([]*string{to.Ptr("/services/Azure/Batch/one")}), nil)
	refused(t, err, http.StatusBadRequest, "ServiceEndpointPolicyDefinitionResourcesInvalid")

	tags, pages := 0, 0
	pager := c.network.NewServiceTagInformationClient().NewListPager("westeurope", &armnetwork.ServiceTagInformationClientListOptions{NoAddressPrefixes: to.Ptr(true)})
	for pager.More() {
		page := must[armnetwork.ServiceTagInformationClientListResponse](t)(pager.NextPage(c.ctx))
		pages++
		for _, tag := range page.Value {
			tags++
			if len(tag.Properties.AddressPrefixes) != 0 {
				t.Errorf("%s has prefixes", *tag.Name)
			}
		}
	}
	named := must[armnetwork.ServiceTagInformationClientListResponse](t)(c.network.NewServiceTagInformationClient().NewListPager("westeurope",
		&armnetwork.ServiceTagInformationClientListOptions{TagName: to.Ptr("Storage")}).NextPage(c.ctx))
	if tags < 10 || len(named.Value) < 2 || len(named.Value) >= tags || len(named.Value[0].Properties.AddressPrefixes) == 0 {
		t.Errorf("%d tags, %d of Storage", tags, len(named.Value))
	}
}

// TestSDKConfigurationDiagnostic asks rule by rule how a NIC's groups judge.
func TestSDKConfigurationDiagnostic(t *testing.T) {
	c := startWatched(t)
	id := func(short string) *string {
		full, _ := resource.Expand(short)
		return to.Ptr(full)
	}
	ask := func(target *string, verbosity armnetwork.VerbosityLevel, profile armnetwork.ConfigurationDiagnosticProfile) *armnetwork.SecurityGroupResult {
		t.Helper()
		answer := done[armnetwork.WatchersClientGetNetworkConfigurationDiagnosticResponse](t, c)(c.network.NewWatchersClient().BeginGetNetworkConfigurationDiagnostic(c.ctx, "demo", "watcher",
			armnetwork.ConfigurationDiagnosticParameters{TargetResourceID: target, VerbosityLevel: to.Ptr(verbosity), Profiles: []*armnetwork.ConfigurationDiagnosticProfile{&profile}}, nil))
		return answer.Results[0].NetworkSecurityGroupResult
	}
	profile := func(direction armnetwork.Direction, protocol, source, destination, port string) armnetwork.ConfigurationDiagnosticProfile {
		return armnetwork.ConfigurationDiagnosticProfile{Direction: to.Ptr(direction), Protocol: to.Ptr(protocol), Source: to.Ptr(source), Destination: to.Ptr(destination), DestinationPort: to.Ptr(port)}
	}
	machine := id("virtualMachines/vm-app")
	for _, want := range []struct {
		name    string
		profile armnetwork.ConfigurationDiagnosticProfile
		access  armnetwork.SecurityRuleAccess
		rule    string
	}{
		{"NSG-1 a rule of one's own", profile(armnetwork.DirectionInbound, "TCP", "203.0.113.9", "10.1.0.4", "22"), armnetwork.SecurityRuleAccessAllow, "UserRule_ssh"},
		{"another protocol", profile(armnetwork.DirectionInbound, "UDP", "203.0.113.9", "10.1.0.4", "22"), armnetwork.SecurityRuleAccessDeny, "DefaultRule_DenyAllInBound"},
		{"any protocol is more than the rule's", profile(armnetwork.DirectionInbound, "*", "203.0.113.9", "10.1.0.4", "22"), armnetwork.SecurityRuleAccessDeny, "DefaultRule_DenyAllInBound"},
		{"NSG-4 the VNet", profile(armnetwork.DirectionInbound, "TCP", "10.1.1.0/24", "10.1.0.4", "80"), armnetwork.SecurityRuleAccessAllow, "DefaultRule_AllowVnetInBound"},
		{"more than the VNet", profile(armnetwork.DirectionInbound, "TCP", "10.0.0.0/8", "10.1.0.4", "80"), armnetwork.SecurityRuleAccessDeny, "DefaultRule_DenyAllInBound"},
		{"a port of a range", profile(armnetwork.DirectionOutbound, "TCP", "10.1.0.4", "203.0.113.9", "588"), armnetwork.SecurityRuleAccessDeny, "UserRule_no-smtp"},
		{"out to the Internet", profile(armnetwork.DirectionOutbound, "TCP", "10.1.0.4", "203.0.113.9", "443"), armnetwork.SecurityRuleAccessAllow, "DefaultRule_AllowInternetOutBound"},
	} {
		t.Run(want.name, func(t *testing.T) {
			got := ask(machine, armnetwork.VerbosityLevelNormal, want.profile)
			if len(got.EvaluatedNetworkSecurityGroups) != 1 {
				t.Fatalf("%d groups", len(got.EvaluatedNetworkSecurityGroups))
			}
			group := got.EvaluatedNetworkSecurityGroups[0]
			last := group.RulesEvaluationResult[len(group.RulesEvaluationResult)-1]
			if *got.SecurityRuleAccessResult != want.access || *group.MatchedRule.RuleName != want.rule || *last.Name != want.rule || *group.AppliedTo != *id("virtualNetworks/vnet/subnets/app") {
				t.Errorf("%s by %s, last asked %s, applied to %s", *got.SecurityRuleAccessResult, *group.MatchedRule.RuleName, *last.Name, *group.AppliedTo)
			}
		})
	}
	ssh := profile(armnetwork.DirectionInbound, "TCP", "203.0.113.9", "10.1.0.4", "22")
	if rules := ask(id("networkInterfaces/nic-app"), armnetwork.VerbosityLevelFull, ssh).EvaluatedNetworkSecurityGroups[0].RulesEvaluationResult; len(rules) != 4 {
		t.Errorf("%d rules with verbosity Full", len(rules))
	}
	if rules := ask(machine, armnetwork.VerbosityLevelMinimum, ssh).EvaluatedNetworkSecurityGroups[0].RulesEvaluationResult; len(rules) != 0 {
		t.Errorf("%d rules with verbosity Minimum", len(rules))
	}
	if got := ask(id("virtualMachines/vm-data"), armnetwork.VerbosityLevelNormal, ssh); *got.SecurityRuleAccessResult != armnetwork.SecurityRuleAccessAllow || len(got.EvaluatedNetworkSecurityGroups) != 0 {
		t.Errorf("without a group: %s", *got.SecurityRuleAccessResult)
	}
	for field, bad := range map[string]armnetwork.ConfigurationDiagnosticProfile{
		"direction": profile("Sideways", "TCP", "*", "*", "*"), "protocol": profile(armnetwork.DirectionInbound, "SCTP", "*", "*", "*"),
		"source": profile(armnetwork.DirectionInbound, "TCP", "Nonsense", "*", "*"), "destinationPort": profile(armnetwork.DirectionInbound, "TCP", "*", "*", "65536"),
	} {
		_, err := c.network.NewWatchersClient().BeginGetNetworkConfigurationDiagnostic(c.ctx, "demo", "watcher",
			armnetwork.ConfigurationDiagnosticParameters{TargetResourceID: machine, Profiles: []*armnetwork.ConfigurationDiagnosticProfile{&bad}}, nil)
		refused(t, err, http.StatusBadRequest, "InvalidRequestContent")
		if err != nil && !strings.Contains(err.Error(), field) {
			t.Errorf("%s: %v", field, err)
		}
	}
}

package authorization

import (
	"fmt"
	"strings"
	"testing"
)

func TestLinks(t *testing.T) {
	subnet := vnet + "/subnets/app"
	for _, r := range []struct{ name, typ, body, want string }{
		{"FW-14 an account's rule", "Microsoft.Storage/storageAccounts", `{"properties":{"networkAcls":{"virtualNetworkRules":[{"id":"` + subnet + `/","action":"Allow"}]}}}`,
			joinViaServiceEndpoint + " " + subnet},
		{"FW-14 whatever the case of the members", "microsoft.storage/storageaccounts",
			`{"PROPERTIES":{"networkacls":{"VirtualNetworkRules":[{"ID":"` + subnet + `"}]}}, "properties":{"networkAcls":{"virtualNetworkRules":[{"id":"` + vnet + `/subnets/other"}]}}}`,
			joinViaServiceEndpoint + " " + subnet + "; " + joinViaServiceEndpoint + " " + vnet + "/subnets/other"},
		{"FW-14 each once", "Microsoft.Storage/storageAccounts", `{"properties":{"networkAcls":{"virtualNetworkRules":[{"id":"` + subnet + `"},{"id":"` + strings.ToUpper(subnet) + `/"},{"id":""},{"id":7},5]}}}`,
			joinViaServiceEndpoint + " " + subnet},
		{"FW-14 in the other place that the service reads", "Microsoft.KeyVault/vaults", `{"properties":{"networkAcls":{"virtualNetworkRules":[{"subnet":{"id":"` + subnet + `"}}]}}}`,
			joinViaServiceEndpoint + " " + subnet},
		{"FW-14 a child in its parent's body", "Microsoft.Sql/servers", `{"properties":{"virtualNetworkRules":[{"name":"r","properties":{"virtualNetworkSubnetId":"` + subnet + `"}}]}}`,
			joinViaServiceEndpoint + " " + subnet},
		{"FW-14 a rule set by the id that stands alone", "Microsoft.EventHub/namespaces/networkRuleSets", `{"properties":{"virtualNetworkRules":[{"id":"` + subnet + `"}]}}`,
			joinViaServiceEndpoint + " " + subnet},
		{"a tag is no rule", "Microsoft.KeyVault/vaults", `{"tags":{"a":"` + subnet + `"}}`, ""},
		{"a NIC", "Microsoft.Network/networkInterfaces", `{"properties":{"networkSecurityGroup":{"id":"/nsg"},"ipConfigurations":[{"properties":{"subnet":{"id":"/sn"},
			"publicIPAddress":{"id":"/pip"},"applicationSecurityGroups":[{"id":"/asg"}]}}]}}`,
			joinGroup + " /nsg; " + joinSubnet + " /sn; " + joinAddress + " /pip; " + joinASGByNIC + " /asg"},
		{"a subnet", "Microsoft.Network/virtualNetworks/subnets", `{"properties":{"routeTable":{"id":"/rt"},"natGateway":{"id":"/nat"},"serviceEndpointPolicies":[{"id":"/sep"}]}}`,
			joinTable + " /rt; " + joinNat + " /nat; " + joinPolicy + " /sep"},
		{"a subnet in its VNet", "Microsoft.Network/virtualNetworks", `{"properties":{"subnets":[{"properties":{"networkSecurityGroup":{"id":"/nsg"}}}]}}`, joinGroup + " /nsg"},
		{"a VM", "Microsoft.Compute/virtualMachines", `{"properties":{"networkProfile":{"networkInterfaces":[{"id":"/nic"}]}}}`, joinInterface + " /nic"},
		{"a peering", "Microsoft.Network/virtualNetworks/virtualNetworkPeerings", `{"properties":{"remoteVirtualNetwork":{"id":"/v"}}}`, peerNetwork + " /v"},
		{"nothing to join", "Microsoft.Network/routeTables", `{"properties":{"subnets":[{"id":"/x"}]}}`, ""},
		{"no JSON", "Microsoft.Storage/storageAccounts", `{`, ""},
	} {
		var got []string
		for _, link := range Links(r.typ, []byte(r.body)) {
			got = append(got, link.Action+" "+link.Scope)
		}
		if text := strings.Join(got, "; "); text != r.want {
			t.Errorf("%s: %s, want %s", r.name, text, r.want)
		}
	}
}

func FuzzLinks(f *testing.F) {
	f.Add("Microsoft.Network/networkInterfaces", []byte(`{"properties":{"ipConfigurations":[{"properties":{"subnet":{"id":"/sn"}}}]}}`))
	f.Fuzz(func(t *testing.T, typ string, body []byte) {
		for _, link := range Links(typ, body) {
			if link.Scope == "" || link.Action == "" {
				t.Error(fmt.Sprint(link))
			}
		}
	})
}

package resource

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"postern/model"
)

func ruleIdentity(cloud *Cloud) model.Identity {
	return cloud.Snapshot().Instances[0].Rules.VirtualNetworkRules[0].Identity
}

func accountBody(t *testing.T, cloud *Cloud) string {
	t.Helper()
	answer, err := cloud.Render(mustID(t, "storageAccounts/stvnetstorageendpoints"), "Succeeded")
	if err != nil {
		t.Fatal(err)
	}
	return string(answer)
}

// TestDeletedSource is the story of FW-7: a rule's subnet goes, comes back under its name, and is not let in until the
// rule is written anew.
func TestDeletedSource(t *testing.T) {
	cloud := sample(t)
	const account = `put storageAccounts/stvnetstorageendpoints {"location":"westeurope","properties":{"networkAcls":{"defaultAction":"Deny","virtualNetworkRules":[{"id":"virtualNetworks/vnet/subnets/snet-app"}]}}}`
	const subnet = `put virtualNetworks/vnet/subnets/snet-app {"properties":{"addressPrefix":"10.13.76.0/24","serviceEndpoints":[{"service":"Microsoft.Storage.Global"}]}}`
	if ruleIdentity(cloud) != 4096 || !strings.Contains(accountBody(t, cloud), `"state":"Succeeded"`) {
		t.Fatalf("before: identity %d, %s", ruleIdentity(cloud), accountBody(t, cloud))
	}
	cloud = must(t, cloud, "delete Microsoft.Compute/virtualMachines/vm-app", "delete networkInterfaces/nic-app", "delete virtualNetworks/vnet/subnets/snet-app")
	t.Run("FW-7 the rule of a deleted subnet is networkSourceDeleted", func(t *testing.T) {
		if ruleIdentity(cloud) != model.IdentityNone || !strings.Contains(accountBody(t, cloud), `"state":"networkSourceDeleted"`) {
			t.Errorf("identity %d, %s", ruleIdentity(cloud), accountBody(t, cloud))
		}
	})
	cloud = must(t, cloud, subnet)
	t.Run("FW-7 a new subnet of the same name gets no access", func(t *testing.T) {
		now, _ := cloud.subnet(mustID(t, "virtualNetworks/vnet/subnets/snet-app").Model())
		if now.Identity != 4098 || ruleIdentity(cloud) != model.IdentityNone {
			t.Errorf("the new subnet has identity %d, the rule lets in %d", now.Identity, ruleIdentity(cloud))
		}
	})
	t.Run("FW-7 writing back what was read does not let it in", func(t *testing.T) {
		after := must(t, cloud, "put storageAccounts/stvnetstorageendpoints "+accountBody(t, cloud))
		if ruleIdentity(after) != model.IdentityNone {
			t.Errorf("the rule lets in %d", ruleIdentity(after))
		}
	})
	t.Run("FW-7 writing the rule anew lets it in", func(t *testing.T) {
		if after := must(t, cloud, account); ruleIdentity(after) != 4098 {
			t.Errorf("the rule lets in %d", ruleIdentity(after))
		}
	})
	t.Run("SE-16 a VNet with endpoints can be deleted", func(t *testing.T) {
		after := must(t, cloud, "delete networkInterfaces/nic-other", "delete virtualNetworks/vnet")
		if len(after.Snapshot().VirtualNetworks) != 0 || ruleIdentity(after) != model.IdentityNone {
			t.Errorf("after: %+v", after.Snapshot())
		}
	})
}

// TestIdentityStays covers that a subnet keeps its identity through every write but its deletion.
func TestIdentityStays(t *testing.T) {
	cloud := sample(t)
	const whole = `put virtualNetworks/vnet {"location":"westeurope","properties":{"addressSpace":{"addressPrefixes":["10.13.0.0/16","10.14.0.0/16"]}}}`
	const app = `put virtualNetworks/vnet/subnets/SNET-APP {"properties":{"addressPrefix":"10.13.76.0/24","serviceEndpoints":[{"service":"Microsoft.Storage"}]}}`
	const other = `put virtualNetworks/vnet/subnets/snet-other {"properties":{"addressPrefix":"10.13.77.0/24"}}`
	after := must(t, cloud, whole, app, other)
	vnet := after.Snapshot().VirtualNetworks[0]
	if vnet.Number != 1 || vnet.Subnets[0].Identity != 4096 || vnet.Subnets[1].Identity != 4097 {
		t.Errorf("after the same subnets were written: %+v", vnet)
	}
	if counters := after.Counters; counters != cloud.Counters {
		t.Errorf("counters %+v, before %+v", counters, cloud.Counters)
	}
}

// TestNICLife covers what a NIC keeps and what it gets anew.
func TestNICLife(t *testing.T) {
	cloud := sample(t)
	const nic = `put networkInterfaces/%s {"location":"westeurope","properties":{"ipConfigurations":[{"name":"c","properties":{"subnet":{"id":"virtualNetworks/vnet/subnets/%s"}}}]}}`
	find := func(cloud *Cloud, name string) *model.NetworkInterface {
		for _, nic := range cloud.Snapshot().NetworkInterfaces {
			if nic.ID.Name() == name {
				return nic
			}
		}
		t.Fatalf("no NIC %s", name)
		panic("unreachable")
	}
	cloud = must(t, cloud, fmt.Sprintf(nic, "n3", "snet-app"), fmt.Sprintf(nic, "n4", "snet-app"))
	n3, n4 := find(cloud, "n3"), find(cloud, "n4")
	if n3.IPv4.String() != "10.13.76.4" || n4.IPv4.String() != "10.13.76.5" || n3.Number != 3 || n4.Number != 4 {
		t.Fatalf("new NICs: %+v, %+v", n3, n4)
	}
	if n3.Node == n4.Node {
		t.Errorf("both went to %s, though the other host has fewer", n3.Node)
	}
	again := must(t, cloud, fmt.Sprintf(nic, "n3", "snet-app"))
	if now := find(again, "n3"); now.Number != n3.Number || now.IPv4 != n3.IPv4 || now.MAC != n3.MAC || now.Node != n3.Node {
		t.Errorf("written again: %+v, before %+v", find(again, "n3"), n3)
	}
	moved := find(must(t, cloud, fmt.Sprintf(nic, "n3", "snet-other")), "n3")
	if moved.Number == n3.Number || moved.MAC == n3.MAC || !netip.MustParsePrefix("10.13.77.0/24").Contains(moved.IPv4) {
		t.Errorf("moved to another subnet: %+v, before %+v", moved, n3)
	}
	reborn := find(must(t, must(t, cloud, "delete networkInterfaces/n3"), fmt.Sprintf(nic, "n3", "snet-app")), "n3")
	if reborn.Number == n3.Number || reborn.IPv4 != n3.IPv4 {
		t.Errorf("deleted and made again: %+v, before %+v", reborn, n3)
	}
}

func TestSubnetIsFull(t *testing.T) {
	cloud := must(t, sample(t), `put virtualNetworks/vnet/subnets/small {"properties":{"addressPrefix":"10.13.1.0/29"}}`)
	const nic = `put networkInterfaces/n%d {"location":"westeurope","properties":{"ipConfigurations":[{"name":"c","properties":{"subnet":{"id":"virtualNetworks/vnet/subnets/small"}}}]}}`
	for i := range 3 {
		cloud = must(t, cloud, fmt.Sprintf(nic, i))
	}
	_, err := change(t, cloud, fmt.Sprintf(nic, 3))
	if refusal, ok := err.(*Error); !ok || refusal.Code != "SubnetIsFull" {
		t.Errorf("a fourth NIC in a /29: %v", err)
	}
}

// TestRender covers what ARM answers besides the body.
func TestRender(t *testing.T) {
	cloud := must(t, sample(t),
		`put virtualNetworks/hub {"location":"westeurope","properties":{"addressSpace":{"addressPrefixes":["10.20.0.0/16"]},"virtualNetworkPeerings":[{"name":"to-vnet","properties":{"remoteVirtualNetwork":{"id":"virtualNetworks/vnet"}}}]}}`)
	render := func(short, state string) map[string]any {
		answer, err := cloud.Render(mustID(t, short), state)
		if err != nil {
			t.Fatal(err)
		}
		var object map[string]any
		if err := json.Unmarshal(answer, &object); err != nil {
			t.Fatal(err)
		}
		return object
	}
	at := func(object any, path ...any) any {
		for _, step := range path {
			switch step := step.(type) {
			case string:
				object = object.(map[string]any)[step]
			case int:
				object = object.([]any)[step]
			}
		}
		return object
	}
	subnet := render("virtualNetworks/vnet/subnets/SNET-app", "Updating")
	for _, c := range []struct {
		name       string
		have, want any
	}{
		{"ARM-1 id", at(subnet, "id"), mustID(t, "virtualNetworks/vnet/subnets/snet-app").String()},
		{"ARM-1 type", at(subnet, "type"), "Microsoft.Network/virtualNetworks/subnets"},
		{"ARM-1 etag", at(subnet, "etag"), `W/"1"`},
		{"ARM-1 provisioningState", at(subnet, "properties", "provisioningState"), "Updating"},
		{"SE-11 provisioningState of an endpoint", at(subnet, "properties", "serviceEndpoints", 0, "provisioningState"), "Updating"},
		{"SE-11 locations of an endpoint", fmt.Sprint(at(subnet, "properties", "serviceEndpoints", 0, "locations")), "[westeurope northeurope]"},
		{"HYB-3 peering state", at(render("virtualNetworks/hub", "Succeeded"), "properties", "virtualNetworkPeerings", 0, "properties", "peeringState"), "Initiated"},
		{"NIC address", at(render("networkInterfaces/nic-other", "Succeeded"), "properties", "ipConfigurations", 0, "properties", "privateIPAddress"), "10.13.77.4"},
		{"ID-1 tenant", at(render("Microsoft.Compute/virtualMachines/vm-app", "Succeeded"), "identity", "tenantId"), model.DefaultSettings.Tenant},
	} {
		if c.have != c.want {
			t.Errorf("%s: have %v, want %v", c.name, c.have, c.want)
		}
	}
	if _, err := cloud.Render(mustID(t, "virtualNetworks/vnet/subnets/gone"), "Succeeded"); err == nil || err.(*Error).Status != 404 {
		t.Errorf("a subnet that is not there: %v", err)
	}
	if strings.Contains(accountBody(t, cloud), cloud.Snapshot().Instances[0].Keys[0]) {
		t.Error("an account's answer has its keys")
	}
}

func TestSettings(t *testing.T) {
	cloud := must(t, sample(t), `put settings/default {"properties":{"fabricMTU":9000,"documentedRoutes":true}}`)
	want := model.DefaultSettings
	want.FabricMTU, want.DocumentedRoutes = 9000, true
	if have := cloud.Snapshot().Settings; have != want {
		t.Errorf("have %+v, want %+v", have, want)
	}
}

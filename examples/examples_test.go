package examples

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"postern/model"
	"postern/resource"
)

// TestCloud checks that the sample is whole: it is judged as the server judges it.
func TestCloud(t *testing.T) {
	items, err := resource.Load(CloudName, Cloud)
	if err != nil {
		t.Fatal(err)
	}
	empty, err := resource.NewCloud(nil, resource.FirstCounters, 0)
	if err != nil {
		t.Fatal(err)
	}
	options := resource.Options{Random: rand.NewChaCha8([32]byte{}), FrontAddresses: func(_ string, region model.Location) []netip.Prefix {
		return []netip.Prefix{map[model.Location]netip.Prefix{
			"westeurope": netip.MustParsePrefix("20.60.0.0/24"), "germanywestcentral": netip.MustParsePrefix("20.60.1.0/24"),
		}[region]}
	}}
	change := resource.NewChange(empty, options)
	for _, item := range items {
		if _, err := change.Put(item.ID, item.Body); err != nil {
			t.Fatalf("%s: %v", item.From, err)
		}
	}
	outcome, err := change.Finish()
	if err != nil {
		t.Fatal(err)
	}
	snapshot := outcome.After.Snapshot()
	count := map[model.Location]map[model.Role]int{}
	for _, node := range snapshot.Nodes {
		if count[node.Location] == nil {
			count[node.Location] = map[model.Role]int{}
		}
		count[node.Location][node.Role]++
	}
	for _, region := range []model.Location{"westeurope", "germanywestcentral"} {
		if have := count[region]; have[model.RoleHost] != 2 || have[model.RoleGateway] != 1 || have[model.RoleEdge] != 1 {
			t.Errorf("region %s has %v; want two hosts, a gateway and an edge", region, have)
		}
	}
	app := slices.IndexFunc(snapshot.NetworkInterfaces, func(n *model.NetworkInterface) bool { return n.ID.Name() == "nic-app" })
	other := slices.IndexFunc(snapshot.NetworkInterfaces, func(n *model.NetworkInterface) bool { return n.ID.Name() == "nic-other" })
	if app < 0 || other < 0 || snapshot.NetworkInterfaces[app].Node == snapshot.NetworkInterfaces[other].Node {
		t.Error("nic-app and nic-other must be there, on different hosts")
	}
	if len(snapshot.Instances) != 3 {
		t.Errorf("%d storage accounts, want 3", len(snapshot.Instances))
	}
	for _, subnet := range snapshot.VirtualNetworks[0].Subnets {
		if len(subnet.ServiceEndpoints) > 0 || subnet.RouteTable != "" || len(subnet.ServiceEndpointPolicies) > 0 {
			t.Errorf("%s is restricted already: the story begins without", subnet.ID)
		}
	}
}

func TestNodes(t *testing.T) {
	nodes, err := Nodes()
	if err != nil || len(nodes) != 8 {
		t.Errorf("%d nodes, want 8: %v", len(nodes), err)
	}
}

package compile_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"postern/compile"
	"postern/gateway"
	"postern/model"
	"postern/pipeline"
	"postern/plan"
	"postern/resource"
	"postern/servicetag"
)

// TestEveryPlanIsAccepted writes random resources. Whatever the resources' own rules let in must compile, the same
// whatever the order it stands in, and every node must take its plan in the form in which it gets it.
func TestEveryPlanIsAccepted(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld()
		if err := w.apply(randomNodes + randomBase); err != nil {
			t.Fatal(err)
		}
		hosts, gateways, edges := map[string]*pipeline.Host{}, map[string]*gateway.Gateway{}, map[string]*pipeline.Edge{}
		log := gateway.NewAccessLog(io.Discard, 0)
		defer log.Close(t.Context())
		written := 0
		for range rapid.IntRange(5, 25).Draw(t, "writes") {
			document := drawDocument(t)
			var refusal *resource.Error
			if err := w.apply(document); errors.As(err, &refusal) {
				continue // the resources' rules say no: nothing is to be compiled
			} else if err != nil {
				t.Fatalf("%s\n%v", document, err)
			}
			if written++; written%8 == 0 {
				acceptAll(t, w, hosts, gateways, edges, log)
			}
		}
		acceptAll(t, w, hosts, gateways, edges, log)
		if rapid.Bool().Draw(t, "and then everything goes") {
			deleteAll(t, w)
			acceptAll(t, w, hosts, gateways, edges, log)
			if plans, err := w.compile(); err != nil || wantEmpty(plans) != nil {
				t.Fatal(err, wantEmpty(plans))
			}
		}
	})
}

// deleteAll removes everything but the nodes in one change.
func deleteAll(t *rapid.T, w *world) {
	err := w.change(func(change *resource.Change) error {
		for _, record := range w.cloud.Records("") {
			id, err := resource.ParseID(record.ID)
			if err != nil {
				return err
			}
			if id.Type() == resource.TypeNode {
				continue
			}
			if _, err := change.Delete(id); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func acceptAll(t *rapid.T, w *world, hosts map[string]*pipeline.Host, gateways map[string]*gateway.Gateway, edges map[string]*pipeline.Edge, log *gateway.AccessLog) {
	sameAnew(t, w.cloud)
	plans, err := w.compile()
	if err != nil {
		t.Fatalf("compile what was accepted: %v", err)
	}
	other, err := new(compile.Compiler).Compile(shuffled(w.cloud.Snapshot(), rapid.Int64().Draw(t, "order")), w.catalogue)
	if err != nil {
		t.Fatal(err)
	}
	for name, node := range plans {
		wire, err := json.Marshal(node)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := json.Marshal(other[name]); err != nil || !bytes.Equal(wire, again) {
			t.Fatalf("the plan of %s depends on the order of resources: %v\n%s\n%s", name, err, wire, again)
		}
		var read plan.Node
		if err := json.Unmarshal(wire, &read); err != nil {
			t.Fatal(err)
		}
		switch node.Role {
		case model.RoleHost:
			if hosts[name] == nil {
				hosts[name] = pipeline.NewHost(func() int64 { return 0 })
			}
			err = hosts[name].Apply(read)
		case model.RoleEdge:
			if edges[name] == nil {
				edges[name] = pipeline.NewEdge()
			}
			err = edges[name].Apply(read)
		case model.RoleGateway:
			if gateways[name] == nil {
				if gateways[name], err = gateway.New(gateway.Config{AccessLog: log}); err != nil {
					t.Fatal(err)
				}
			}
			err = gateways[name].Apply(read)
		}
		if err != nil {
			t.Fatalf("node %s refuses its plan: %v\n%s", name, err, wire)
		}
	}
}

// sameAnew compares a cloud that came to be by changes, which keep what they do not touch, with one that is decoded from the
// same records: nouns and answers must be the same.
func sameAnew(t *rapid.T, cloud *resource.Cloud) {
	var records []resource.Record
	for _, record := range cloud.Records("") {
		data, err := json.Marshal(record)
		if err != nil {
			t.Fatal(err)
		}
		read := resource.Record{Revision: record.Revision}
		if err := json.Unmarshal(data, &read); err != nil {
			t.Fatal(err)
		}
		records = append(records, read)
	}
	anew, err := resource.NewCloud(records, cloud.Counters, cloud.Revision)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(cloud.Snapshot(), anew.Snapshot()) {
		t.Fatalf("the changed cloud has other nouns:\n%+v\n%+v", cloud.Snapshot(), anew.Snapshot())
	}
	for _, record := range records {
		id, err := resource.ParseID(record.ID)
		if err != nil {
			t.Fatal(err)
		}
		have, err := cloud.Render(id, "Succeeded")
		if err != nil {
			t.Fatal(err)
		}
		if want, err := anew.Render(id, "Succeeded"); err != nil || !bytes.Equal(have, want) {
			t.Fatalf("the changed cloud answers otherwise: %v\n%s\n%s", err, have, want)
		}
	}
}

// shuffled is the same snapshot with its lists in another order; those whose order has a meaning stay.
func shuffled(snapshot *model.Snapshot, seed int64) *model.Snapshot {
	random := rand.New(rand.NewSource(seed))
	out := *snapshot
	out.Nodes = mix(random, out.Nodes)
	out.VirtualNetworks = mix(random, out.VirtualNetworks)
	for i := range out.VirtualNetworks {
		out.VirtualNetworks[i] = copied(out.VirtualNetworks[i])
		out.VirtualNetworks[i].Subnets = mix(random, out.VirtualNetworks[i].Subnets)
		out.VirtualNetworks[i].Peerings = mix(random, out.VirtualNetworks[i].Peerings)
		out.VirtualNetworks[i].AddressSpace = mix(random, out.VirtualNetworks[i].AddressSpace)
		for j := range out.VirtualNetworks[i].Subnets {
			subnet := &out.VirtualNetworks[i].Subnets[j]
			subnet.ServiceEndpoints = mix(random, subnet.ServiceEndpoints)
			subnet.ServiceEndpointPolicies = mix(random, subnet.ServiceEndpointPolicies)
		}
	}
	out.RouteTables = mix(random, out.RouteTables)
	out.NetworkSecurityGroups = mix(random, out.NetworkSecurityGroups)
	for i := range out.NetworkSecurityGroups {
		out.NetworkSecurityGroups[i] = copied(out.NetworkSecurityGroups[i])
		out.NetworkSecurityGroups[i].Rules = mix(random, out.NetworkSecurityGroups[i].Rules)
	}
	out.NetworkInterfaces = mix(random, out.NetworkInterfaces)
	out.PublicIPAddresses = mix(random, out.PublicIPAddresses)
	out.NatGateways = mix(random, out.NatGateways)
	out.VirtualMachines = mix(random, out.VirtualMachines)
	out.ServiceEndpointPolicies = mix(random, out.ServiceEndpointPolicies)
	out.Instances = mix(random, out.Instances)
	return &out
}

func copied[T any](from *T) *T {
	to := *from
	return &to
}

func mix[T any](random *rand.Rand, list []T) []T {
	list = slices.Clone(list)
	random.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return list
}

// randomNodes leave the second region without a gateway's platform but with an edge, and the third without anything.
const randomNodes = `
- {type: nodes, name: host-a, location: westeurope, properties: {role: host, locator: "fd00:1:1:100::/56"}}
- {type: nodes, name: host-b, location: westeurope, properties: {role: host, locator: "fd00:1:1:200::/56"}}
- {type: nodes, name: gateway-we, location: westeurope, properties: {role: gateway, locator: "fd00:1:1:300::/56", serviceLocator: "fd00:1:a:100::/56", platformLocator: "fd00:1:b:100::/56"}}
- {type: nodes, name: edge-we, location: westeurope, properties: {role: edge, locator: "fd00:1:1:400::/56", outboundAddress: 203.0.113.250, platformPool: 100.64.0.0/24}}
- {type: nodes, name: host-n, location: northeurope, properties: {role: host, locator: "fd00:1:2:100::/56"}}
`

// randomBase has something of every kind, so that most references hit.
const randomBase = `
- {type: applicationSecurityGroups, name: ga, location: westeurope}
- {type: applicationSecurityGroups, name: gb, location: westeurope}
- {type: networkSecurityGroups, name: sa, location: westeurope, properties: {securityRules: []}}
- {type: networkSecurityGroups, name: sb, location: westeurope, properties: {securityRules: []}}
- {type: routeTables, name: ta, location: westeurope, properties: {routes: []}}
- {type: routeTables, name: tb, location: westeurope, properties: {routes: []}}
- {type: serviceEndpointPolicies, name: pa, location: westeurope, properties: {serviceEndpointPolicyDefinitions: []}}
- {type: serviceEndpointPolicies, name: pb, location: westeurope, properties: {serviceEndpointPolicyDefinitions: []}}
- {type: publicIPAddresses, name: ia, location: westeurope, sku: {name: Standard}, properties: {publicIPAllocationMethod: Static}}
- {type: publicIPAddresses, name: ib, location: westeurope, sku: {name: Standard}, properties: {publicIPAllocationMethod: Static}}
- {type: natGateways, name: ga, location: westeurope, properties: {publicIpAddresses: [{id: publicIPAddresses/ia}]}}
- {type: natGateways, name: gb, location: westeurope, properties: {}}
- {type: virtualNetworks, name: va, location: westeurope, properties: {addressSpace: {addressPrefixes: [10.1.0.0/16]},
    subnets: [{name: sa, properties: {addressPrefix: 10.1.1.0/24}}, {name: sb, properties: {addressPrefix: 10.1.2.0/29}}]}}
- {type: virtualNetworks, name: vb, location: westeurope, properties: {addressSpace: {addressPrefixes: [10.2.0.0/16]},
    subnets: [{name: sa, properties: {addressPrefix: 10.2.0.0/28}}]}}
- {type: storageAccounts, name: acca, location: westeurope}
`

// drawDocument writes one resource out of few names, so that references often hit, and addresses often collide.
func drawDocument(t *rapid.T) string {
	one := func(label string, from ...string) string { return rapid.SampledFrom(from).Draw(t, label) }
	maybe := func(label, text string) string {
		if rapid.Bool().Draw(t, label) {
			return ", " + text
		}
		return ""
	}
	list := func(label, format string, from ...string) string {
		var parts []string
		for _, word := range rapid.SliceOfNDistinct(rapid.SampledFrom(from), 0, 3, rapid.ID).Draw(t, label) {
			parts = append(parts, fmt.Sprintf(format, word))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	}
	region := one("region", "westeurope", "westeurope", "westeurope", "westeurope", "westeurope", "westeurope", "northeurope")
	name := one("name", "a", "a", "b", "b", "c")
	switch one("type", "vnet", "subnet", "nic", "nic", "nic", "group", "table", "policy", "account", "public", "vm", "asg", "nat") {
	case "vnet":
		return fmt.Sprintf("{type: virtualNetworks, name: v%s, location: %s, properties: {addressSpace: {addressPrefixes: [%s]}, subnets: [{name: sa, properties: {addressPrefix: %s%s}}], virtualNetworkPeerings: %s}}",
			name, region, one("space", "10.1.0.0/16", "10.1.0.0/16, 192.168.0.0/16", "10.2.0.0/16", "10.0.0.0/8", "10.2.0.0/16, 20.60.0.0/16", "172.16.0.0/11, 10.1.0.0/16"),
			one("first", "10.1.1.0/24", "10.2.0.0/28"), drawSubnet(one, maybe, list),
			list("peers", "{name: p%[1]s, properties: {remoteVirtualNetwork: {id: virtualNetworks/v%[1]s}}}", "a", "b", "c"))
	case "subnet":
		return fmt.Sprintf("{type: virtualNetworks/subnets, name: v%s/s%s, properties: {addressPrefix: %s%s}}", name, one("subnet", "a", "b"),
			one("prefix", "10.1.1.0/24", "10.1.2.0/29", "10.2.0.0/28", "192.168.0.0/16"), drawSubnet(one, maybe, list))
	case "nic":
		return fmt.Sprintf("{type: networkInterfaces, name: n%s%d, location: %s, properties: {enableIPForwarding: %s, ipConfigurations: [{name: main, properties: {subnet: {id: virtualNetworks/v%s/subnets/s%s}%s, applicationSecurityGroups: %s}}]%s}}",
			name, rapid.IntRange(0, 9).Draw(t, "nic"), region, one("forwards", "true", "false"), one("vnet", "a", "a", "b"), one("subnet", "a", "a", "b"),
			maybe("public", "publicIPAddress: {id: publicIPAddresses/i"+name+"}"), list("asgs", "{id: applicationSecurityGroups/g%s}", "a", "b"),
			maybe("own group", "networkSecurityGroup: {id: networkSecurityGroups/s"+name+"}"))
	case "group":
		var rules []string
		for i := range rapid.IntRange(0, 5).Draw(t, "rules") {
			side := func(side string) string {
				return one(side, side+`AddressPrefix: "*"`, side+"AddressPrefix: VirtualNetwork", side+"AddressPrefix: Internet", side+"AddressPrefix: Storage.WestEurope",
					side+"AddressPrefix: AzurePlatformIMDS", side+"AddressPrefix: NoSuchTag", side+"AddressPrefixes: [10.1.0.0/16, 10.1.1.0/24, 0.0.0.0/0]", side+"ApplicationSecurityGroups: [{id: applicationSecurityGroups/ga}]")
			}
			rules = append(rules, fmt.Sprintf("{name: r%d, properties: {priority: %d, direction: %s, access: %s, protocol: %q, %s, sourcePortRange: %q, %s, destinationPortRanges: %s}}",
				i, 100+i, one("direction", "Inbound", "Outbound"), one("access", "Allow", "Deny"), one("protocol", "*", "Tcp", "Udp", "Icmp"),
				side("source"), one("source port", "*", "1-65535"), side("destination"), one("ports", `["22", 8000-8100]`, "[0-65535]", `["443"]`)))
		}
		return fmt.Sprintf("{type: networkSecurityGroups, name: s%s, location: %s, properties: {securityRules: [%s]}}", name, region, strings.Join(rules, ", "))
	case "table":
		return fmt.Sprintf("{type: routeTables, name: t%s, location: %s, properties: {routes: %s}}", name, region,
			list("routes", "{name: %s, nextHopType: "+
				one("hop", "None", "Internet", "VnetLocal", "VirtualNetworkGateway", "VirtualAppliance, nextHopIpAddress: 10.1.1.4")+"}}",
				"default, properties: {addressPrefix: 0.0.0.0/0", "own, properties: {addressPrefix: 10.1.0.0/16", "storage, properties: {addressPrefix: 20.150.0.0/17",
				"region, properties: {addressPrefix: Storage.WestEurope", "tag, properties: {addressPrefix: Storage", "unknown, properties: {addressPrefix: NoSuchTag"))
	case "policy":
		return fmt.Sprintf("{type: serviceEndpointPolicies, name: p%s, location: %s, properties: {serviceEndpointPolicyDefinitions: [{name: d, properties: %s}]}}", name, region,
			one("definition", "{service: Microsoft.Storage, serviceResources: [Microsoft.Storage/storageAccounts/acca]}",
				"{service: Microsoft.Storage, serviceResources: [/subscriptions/00000000-0000-4000-8000-000000000000]}", "{service: Global, serviceResources: [/services/Azure]}"))
	case "account":
		return fmt.Sprintf("{type: storageAccounts, name: acc%s, location: %s, properties: {networkAcls: {defaultAction: %s, virtualNetworkRules: %s, ipRules: %s}}}", name, region,
			one("default", "Allow", "Deny"), list("rules", "{id: virtualNetworks/v%s}", "a/subnets/sa", "a/subnets/sb", "b/subnets/sa"),
			list("ips", "{value: %s}", "198.51.100.7", "198.51.100.0/24"))
	case "public":
		return fmt.Sprintf("{type: publicIPAddresses, name: i%s, location: %s, sku: {name: Standard}, properties: {publicIPAllocationMethod: Static}}", name, region)
	case "nat":
		return fmt.Sprintf("{type: natGateways, name: g%s, location: %s, sku: {name: StandardV2}, properties: {publicIpAddresses: %s%s}}", name, region,
			list("addresses", "{id: publicIPAddresses/i%s}", "a", "b", "c"), maybe("whole VNet", "sourceVirtualNetwork: {id: virtualNetworks/v"+name+"}"))
	case "vm":
		return fmt.Sprintf("{type: virtualMachines, name: m%s, location: %s, identity: {type: %s}, properties: {networkProfile: {networkInterfaces: [{id: networkInterfaces/n%s%d}]}}}",
			name, region, one("identity", "SystemAssigned", "None"), name, rapid.IntRange(0, 9).Draw(t, "nic"))
	}
	return fmt.Sprintf("{type: applicationSecurityGroups, name: g%s, location: %s}", name, region)
}

func drawSubnet(one func(string, ...string) string, maybe func(string, string) string, list func(string, string, ...string) string) string {
	return maybe("group", "networkSecurityGroup: {id: networkSecurityGroups/s"+one("which group", "a", "b")+"}") +
		maybe("table", "routeTable: {id: routeTables/t"+one("which table", "a", "b")+"}") +
		maybe("endpoints", "serviceEndpoints: "+one("services", "[{service: Microsoft.Storage}]", "[{service: Microsoft.Storage.Global}, {service: Microsoft.Sql}]", "[{service: Microsoft.Storage}, {service: Microsoft.KeyVault}]")) +
		maybe("policies", "serviceEndpointPolicies: "+list("which policies", "{id: serviceEndpointPolicies/p%s}", "a", "b")) +
		maybe("NAT gateway", "natGateway: {id: natGateways/g"+one("which NAT gateway", "a", "b")+"}") +
		maybe("private", "defaultOutboundAccess: false")
}

// BenchmarkCompile compiles 10,000 NICs on 100 hosts in 100 subnets from nothing but the service tables.
func BenchmarkCompile(b *testing.B) {
	snapshot := largeSnapshot(10_000)
	compiler := new(compile.Compiler)
	if _, err := compiler.Compile(snapshot, servicetag.BuiltIn()); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		plans, err := compiler.Compile(snapshot, servicetag.BuiltIn())
		if err != nil {
			b.Fatal(err)
		}
		if len(plans) != len(snapshot.Nodes) {
			b.Fatalf("%d plans", len(plans))
		}
	}
}

func TestCompileMany(t *testing.T) {
	plans, err := new(compile.Compiler).Compile(largeSnapshot(2000), servicetag.BuiltIn())
	if err != nil {
		t.Fatal(err)
	}
	nics := 0
	for _, name := range slices.Sorted(maps.Keys(plans)) {
		if host := plans[name].Host; host != nil {
			nics += len(host.NICs)
			if len(host.Routes) > 100 || len(host.Sets) > 200 {
				t.Errorf("node %s has %d route tables and %d sets: content is not shared", name, len(host.Routes), len(host.Sets))
			}
		}
	}
	if nics != 2000 {
		t.Errorf("%d NICs in all plans, want 2000", nics)
	}
}

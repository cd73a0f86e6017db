package pipeline

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"reflect"
	"strings"
	"testing"

	"postern/model"
	"postern/plan"
)

func TestApplyRefuses(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(n *plan.Node)
		says   string
	}{
		{"no host", func(n *plan.Node) { n.Host = nil }, "not for a host"},
		{"no locator", func(n *plan.Node) { n.Locator = model.Locator{} }, "no locator"},
		{"small MTU", func(n *plan.Node) { n.FabricMTU = 1279 }, "fabric MTU 1279"},
		{"dangling routes", func(n *plan.Node) { n.Host.NICs[0].Routes = "gone" }, `routing table "gone"`},
		{"dangling rules", func(n *plan.Node) { n.Host.NICs[0].Incoming[1] = "gone" }, `rule list "gone"`},
		{"dangling rules out", func(n *plan.Node) { n.Host.NICs[0].Outgoing[0] = "gone" }, `rule list "gone"`},
		{"dangling set", func(n *plan.Node) { n.Host.Rules["in"][1].Source = "gone" }, `set "gone"`},
		{"dangling policy", func(n *plan.Node) { n.Host.NICs[0].Policy = "gone" }, `policy "gone"`},
		{"dangling services", func(n *plan.Node) { n.Host.NICs[0].Services = "gone" }, `service table "gone"`},
		{"target out of range", func(n *plan.Node) { n.Host.Services["westeurope"].Entries[0].Candidates[0].Target = 3 }, "out of range"},
		{"prefix with host bits", func(n *plan.Node) {
			n.Host.Routes["routes"][0].Prefix = netip.MustParsePrefix("10.1.0.1/16")
		}, "host bits"},
		{"IPv6 prefix", func(n *plan.Node) { n.Host.Sets["vnet"][0] = netip.MustParsePrefix("fd00::/8") }, "no IPv4 prefix"},
		{"route twice", func(n *plan.Node) { n.Host.Routes["routes"][1].Prefix = prefix("0.0.0.0/0") }, "twice"},
		{"next hop service endpoint", func(n *plan.Node) { n.Host.Routes["routes"][0].Hop.Type = model.NextHopServiceEndpoint }, "cannot stand"},
		{"appliance without address", func(n *plan.Node) { n.Host.Routes["routes"][4].Hop.Address = netip.Addr{} }, "VirtualAppliance"},
		{"beneath longer than itself", func(n *plan.Node) {
			n.Host.Routes["routes"][0].Beneath, n.Host.Routes["routes"][0].BeneathBits = &plan.Hop{}, 1
		}, "beneath"},
		{"ports the wrong way", func(n *plan.Node) { n.Host.Rules["in"][0].DestinationPorts.Last = 1 }, "end before"},
		{"NIC number twice", func(n *plan.Node) { n.Host.NICs[1].Number = 1 }, "another NIC"},
		{"NIC address twice", func(n *plan.Node) { n.Host.NICs[3].IPv4 = n.Host.NICs[2].IPv4 }, "another NIC"},
		{"NIC 0", func(n *plan.Node) { n.Host.NICs[0].Number = 0 }, "number is 0"},
		{"NIC without identity", func(n *plan.Node) { n.Host.NICs[0].Subnet = 0 }, "no identity"},
		{"NIC without address", func(n *plan.Node) { n.Host.NICs[0].IPv4 = netip.Addr{} }, "no IPv4 address"},
		{"directory twice", func(n *plan.Node) { n.Host.Directory[1].IPv4 = n.Host.Directory[0].IPv4 }, "twice"},
		{"content without reference", func(n *plan.Node) { n.Host.Sets[""] = nil }, "without a reference"},
		{"seven candidates", func(n *plan.Node) {
			n.Host.Services["westeurope"].Entries[0].Candidates = make([]plan.ServiceCandidate, 7)
		}, "more than 6"},
		{"policy of IPv6", func(n *plan.Node) { n.Host.Policies["own"][0] = netip.IPv6Loopback() }, "no IPv4 address"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			bad := hostPlan("a", locatorA)
			c.change(&bad)
			err := w.a.Apply(bad)
			if err == nil || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), "stays in force") {
				t.Fatalf("error %v; want one that says %q", err, c.says)
			}
			want(t, w.send(1, toNeighbour), model.ToFabric, model.ReasonVirtualNetwork)

			fresh := NewHost(func() int64 { return 0 })
			if fresh.Apply(bad) == nil {
				t.Fatal("a new host takes it")
			}
			want(t, fresh.FromVM(1, frameFrom(macOf(1), 0x0800, toNeighbour), w.out), model.Drop, model.ReasonUnsynced)
		})
	}
}

func TestEdgeApplyRefuses(t *testing.T) {
	for name, change := range map[string]func(n *plan.Node){
		"no edge":                func(n *plan.Node) { n.Edge = nil },
		"no locator":             func(n *plan.Node) { n.Locator = model.Locator{} },
		"no platform address":    func(n *plan.Node) { n.Edge.NICs[0].PlatformAddress = netip.Addr{} },
		"platform address twice": func(n *plan.Node) { n.Edge.NICs[0].PlatformAddress = n.Edge.NICs[1].PlatformAddress },
		"public IPv6":            func(n *plan.Node) { n.Edge.NICs[0].Public = netip.IPv6Loopback() },
		"NIC twice":              func(n *plan.Node) { n.Edge.NICs[1].IPv4 = n.Edge.NICs[0].IPv4 },
		"no identity":            func(n *plan.Node) { n.Edge.NICs[0].Subnet = 0 },
	} {
		t.Run(name, func(t *testing.T) {
			w, bad := newWorld(t), edgePlan()
			change(&bad)
			if err := w.edge.Apply(bad); err == nil {
				t.Fatal("taken")
			}
			want(t, w.edge.ToFabric(tcp(outsider, publicApp, 1, 80, syn), w.out), model.ToFabric, model.ReasonInternet)
		})
	}
}

func TestApplyKeepsFlowsAndCounters(t *testing.T) {
	w := newWorld(t)
	w.send(1, toStorage)
	w.send(1, tcp(vmApp, outsider, 1, 25, syn))
	w.send(2, toStorage)
	w.receive(tunnelled(nil)[:39])
	w.planA.Host.NICs = w.planA.Host.NICs[:1] // NIC 2 goes, and its counters with it
	w.apply(t)
	want(t, w.receive(fromStorage(6, tcpSegment(443, 40000, ack, nil, nil))), model.Deliver, model.ReasonDelivered)
	expected := []Counter{{NIC: 0, Reason: model.ReasonNotOurs, Packets: 1}, {NIC: 1, Reason: model.ReasonServiceEndpoint, Packets: 1}, {NIC: 1, Reason: model.ReasonDelivered, Packets: 1}, {NIC: 1, Reason: model.ReasonSecurityGroup, Packets: 1}}
	if got := w.a.Counters(); !reflect.DeepEqual(got, expected) {
		t.Fatalf("counters %v; want %v", got, expected)
	}
	w.edge.ToFabric(tcp("10.0.0.1", publicApp, 1, 80, syn), w.out)
	if got := w.edge.Counters(); !reflect.DeepEqual(got, []Counter{{NIC: 0, Reason: model.ReasonMartian, Packets: 1}}) {
		t.Fatalf("edge's counters %v", got)
	}
}

// TestApplyOwnsNothing changes a plan after it was applied.
func TestApplyOwnsNothing(t *testing.T) {
	w := newWorld(t)
	w.planA.Host.Services["westeurope"].Targets[0].Locator = model.Locator{}
	w.planA.Host.Policies["own"][0] = netip.MustParseAddr(rogueStorage)
	w.planA.Host.Routes["routes"][2].Hop.Type = model.NextHopNone
	want(t, w.send(5, tcp(vmPrivate, storage, 1, 443, syn)), model.ToFabric, model.ReasonServiceEndpoint)
	want(t, w.send(1, toNeighbour), model.ToFabric, model.ReasonVirtualNetwork)
}

// TestApplyFromJSON takes plans the way that they come to a node.
func TestApplyFromJSON(t *testing.T) {
	for _, node := range []plan.Node{hostPlan("a", locatorA), edgePlan()} {
		data, err := json.Marshal(node)
		if err != nil {
			t.Fatal(err)
		}
		var back plan.Node
		if err := json.Unmarshal(data, &back); err != nil {
			t.Fatal(err)
		}
		again, err := json.Marshal(back)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(again, data) {
			t.Fatalf("the plan came back as another one:\n%s\n%s", data, again)
		}
		if node.Host != nil {
			err = NewHost(func() int64 { return 0 }).Apply(back)
		} else {
			err = NewEdge().Apply(back)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

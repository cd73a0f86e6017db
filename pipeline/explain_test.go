package pipeline

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"postern/model"
	"postern/plan"
)

// TestExplainAgrees asks about every case of TestReasons that is a host's, and then sends the packet: the same answer,
// and nothing changed by asking.
func TestExplainAgrees(t *testing.T) {
	for _, source := range fuzzPackets() {
		w, asked := newWorld(t), newWorld(t)
		for _, world := range []*world{w, asked} {
			world.send(1, toStorage)
			world.send(1, toNeighbour)
		}
		counters, flows := asked.a.Counters(), asked.a.flows.size()
		for _, number := range []uint32{1, 2, 5, 6, 99} {
			steps, explained := asked.a.Explain(number, source)
			sent := w.a.FromVM(number, source, w.out)
			mustAgree(t, steps, explained, sent)
		}
		steps, explained := asked.a.ExplainFromFabric(source)
		mustAgree(t, steps, explained, w.a.FromFabric(source, w.out))
		if !slices.Equal(counters, asked.a.Counters()) || flows != asked.a.flows.size() || asked.a.fragments.firsts.size() != 0 {
			t.Fatal("asking changed something")
		}
	}
}

func mustAgree(t *testing.T, steps []Step, explained, sent Result) {
	t.Helper()
	if explained.Verdict != sent.Verdict || explained.NIC != sent.NIC || !bytes.Equal(explained.Data, sent.Data) {
		t.Fatalf("explained %v %x, sent %v %x", explained.Verdict, explained.Data, sent.Verdict, sent.Data)
	}
	last := steps[len(steps)-1]
	if last.Name != stepResult || last.Reason != sent.Verdict.Reason {
		t.Fatalf("last step %+v", last)
	}
	if sent.Verdict.Denied() && (len(steps) < 2 || steps[len(steps)-2].Reason != sent.Verdict.Reason) {
		t.Fatalf("no step says why: %+v", steps)
	}
}

func stepNamed(t *testing.T, steps []Step, name string) Step {
	t.Helper()
	at := slices.IndexFunc(steps, func(s Step) bool { return s.Name == name })
	if at < 0 {
		t.Fatalf("no step %q in %+v", name, steps)
	}
	return steps[at]
}

func explain(w *world, nic uint32, ip []byte) []Step {
	steps, _ := w.a.Explain(nic, frameFrom(macOf(nic), 0x0800, ip))
	return steps
}

func TestExplainRoute(t *testing.T) {
	t.Run("ROUTE-17 the winner, every loser, and the rule", func(t *testing.T) {
		w := newWorld(t)
		w.planA.Host.Routes["routes"] = append(w.planA.Host.Routes["routes"],
			plan.Route{Prefix: prefix("20.0.0.0/8"), Hop: hopTo(model.NextHopVirtualAppliance, model.SourceUser, 1, vmAppliance)})
		table := w.planA.Host.Services["westeurope"]
		table.Entries[0].Candidates = append(table.Entries[0].Candidates, plan.ServiceCandidate{Bit: 2, Bits: 12, Target: 2})
		w.planA.Host.Services["westeurope"] = table
		w.apply(t)
		route := stepNamed(t, explain(w, 1, toStorage), stepRoute)
		if route.Rule != "ROUTE-1" || len(route.Candidates) != 4 {
			t.Fatalf("%+v", route)
		}
		for i, expected := range []Candidate{
			{Prefix: prefix("20.60.0.0/16"), NextHopType: "VirtualNetworkServiceEndpoint", Endpoint: "Microsoft.Storage", Enabled: true, Active: true, Rule: "ROUTE-1"},
			{Prefix: prefix("20.48.0.0/12"), NextHopType: "VirtualNetworkServiceEndpoint", Endpoint: "Microsoft.Sql", Rule: "ROUTE-9"},
			{Prefix: prefix("20.0.0.0/8"), NextHopType: "VirtualAppliance", Enabled: true, Rule: "ROUTE-1"},
			{Prefix: prefix("0.0.0.0/0"), NextHopType: "Internet", Enabled: true, Rule: "ROUTE-1"},
		} {
			got := route.Candidates[i]
			if got.Prefix != expected.Prefix || got.NextHopType != expected.NextHopType || got.Endpoint != expected.Endpoint ||
				got.Enabled != expected.Enabled || got.Active != expected.Active || got.Rule != expected.Rule || got.Detail == "" {
				t.Errorf("candidate %d: %+v", i, got)
			}
		}
	})
	t.Run("ROUTE-3 a gateway's route is set aside", func(t *testing.T) {
		w := newWorld(t)
		beneath := hopTo(model.NextHopInternet, model.SourceDefault, 0, "")
		w.planA.Host.Routes["routes"] = append(w.planA.Host.Routes["routes"], plan.Route{Prefix: prefix("20.60.0.0/24"),
			Hop: hopTo(model.NextHopVirtualNetworkGateway, model.SourceVirtualNetworkGateway, 0, ""), Beneath: &beneath})
		w.apply(t)
		route := stepNamed(t, explain(w, 1, toStorage), stepRoute)
		if route.Rule != "ROUTE-3" || len(route.Candidates) != 3 || route.Candidates[1].Source != "VirtualNetworkGateway" ||
			route.Candidates[1].Rule != "ROUTE-3" || route.Candidates[1].Active {
			t.Fatalf("%+v", route)
		}
	})
	t.Run("SE-6 an endpoint is no way for ICMP", func(t *testing.T) {
		w := newWorld(t)
		route := stepNamed(t, explain(w, 1, ping(vmApp, storage)), stepRoute)
		at := slices.IndexFunc(route.Candidates, func(c Candidate) bool { return c.Endpoint != "" })
		if at < 0 || route.Candidates[at].Rule != "SE-6" || route.Candidates[0].NextHopType != "Internet" {
			t.Fatalf("%+v", route)
		}
	})
}

func TestExplainSecurity(t *testing.T) {
	w := newWorld(t)
	denied := stepNamed(t, explain(w, 1, tcp(vmApp, outsider, 1, 25, syn)), stepSecurity)
	if denied.Rule != "NSG-1" || denied.Reason != model.ReasonSecurityGroup || !strings.Contains(denied.Detail, `the NIC's security group: rule "no-mail", priority 100, denies`) {
		t.Fatalf("%+v", denied)
	}
	steps, _ := w.a.ExplainFromFabric(tunnelled(tcp(outsider, vmApp, 1, 22, syn)))
	last := steps[len(steps)-2]
	if last.Name != stepSecurity || !strings.Contains(last.Detail, `the NIC's security group: rule "DenyAllInBound", priority 65500`) {
		t.Fatalf("%+v", steps)
	}
	if first := stepNamed(t, steps, stepSecurity); !strings.Contains(first.Detail, "the subnet's security group: there is none") {
		t.Fatalf("%+v", first)
	}
	w.send(1, toStorage)
	if have := stepNamed(t, explain(w, 1, toStorage), stepFlow); !strings.Contains(have.Detail, "flow opened by the VM, via identity 16") {
		t.Fatalf("%+v", have)
	}
	if policy := stepNamed(t, explain(w, 5, tcp(vmPrivate, rogueStorage, 1, 2, syn)), stepPolicy); policy.Reason != model.ReasonEndpointPolicy || policy.Rule != "SEP-2" {
		t.Fatalf("%+v", policy)
	}
}

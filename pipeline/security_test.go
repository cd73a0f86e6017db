package pipeline

import (
	"net/netip"
	"testing"

	"pgregory.net/rapid"

	"postern/model"
	"postern/plan"
)

// slowAllows is the slow twin of a rule list: prefixes one by one, ports one by one, straight from the plan.
func slowAllows(host *plan.Host, ref plan.Ref, source, destination netip.Addr, protocol model.Protocol, from, to uint16) bool {
	if ref == "" {
		return true
	}
	within := func(set plan.Ref, address netip.Addr) bool {
		if set == "" {
			return true
		}
		for _, p := range host.Sets[set] {
			if p.Contains(address) {
				return true
			}
		}
		return false
	}
	if protocol != model.ProtocolTCP && protocol != model.ProtocolUDP {
		from, to = 0, 0
	}
	for _, r := range host.Rules[ref] {
		if r.Protocol != model.ProtocolAny && r.Protocol != protocol {
			continue
		}
		if from < r.SourcePorts.First || from > r.SourcePorts.Last || to < r.DestinationPorts.First || to > r.DestinationPorts.Last {
			continue
		}
		if within(r.Source, source) && within(r.Destination, destination) {
			return r.Allow
		}
	}
	return false
}

func TestRuleReference(t *testing.T) {
	t.Run("NSG-1 NSG-3 lists agree with the slow twin", func(t *testing.T) {
		allowed, denied := 0, 0
		rapid.Check(t, func(t *rapid.T) {
			node := hostPlan("a", locatorA)
			host := node.Host
			sets := rapid.SampledFrom([]plan.Ref{"", "s0", "s1", "s2"})
			for _, ref := range []plan.Ref{"s0", "s1", "s2"} {
				host.Sets[ref] = rapid.SliceOfN(smallPrefix(), 0, 4).Draw(t, "set")
			}
			ports := rapid.SampledFrom([]model.PortRange{model.AllPorts, {First: 0, Last: 0}, {First: 5, Last: 9}, {First: 7, Last: 7}})
			for _, ref := range []plan.Ref{"one", "two"} {
				var rules []plan.Rule
				for range rapid.IntRange(0, 6).Draw(t, "rules") {
					rules = append(rules, plan.Rule{Allow: rapid.Bool().Draw(t, "allow"),
						Protocol: rapid.SampledFrom([]model.Protocol{0, 0, 1, 6, 17, 47}).Draw(t, "protocol"),
						Source:   sets.Draw(t, "source"), Destination: sets.Draw(t, "destination"),
						SourcePorts: ports.Draw(t, "source ports"), DestinationPorts: ports.Draw(t, "destination ports")})
				}
				host.Rules[ref] = rules
			}
			lists := rapid.SampledFrom([][2]plan.Ref{{"one", ""}, {"", "two"}, {"one", "two"}, {"", ""}}).Draw(t, "lists")
			host.NICs[0].Outgoing = lists
			w := NewHost(func() int64 { return 0 })
			if err := w.Apply(node); err != nil {
				t.Fatal(err)
			}
			j := judge{host: w, snapshot: w.current.Load()}
			j.nic = j.snapshot.nics[1]
			for range 6 {
				d := datagram{source: [4]byte{20, 60, 0, byte(rapid.IntRange(0, 7).Draw(t, "source"))},
					destination: [4]byte{20, 60, 1, byte(rapid.IntRange(0, 7).Draw(t, "destination"))},
					protocol:    rapid.SampledFrom([]model.Protocol{1, 6, 17, 47}).Draw(t, "protocol")}
				if d.protocol != 47 {
					d.sourcePort, d.destinationPort = uint16(rapid.IntRange(0, 10).Draw(t, "from")), uint16(rapid.IntRange(0, 10).Draw(t, "to"))
				}
				source, destination := netip.AddrFrom4(d.source), netip.AddrFrom4(d.destination)
				expected := slowAllows(host, lists[0], source, destination, d.protocol, d.sourcePort, d.destinationPort) &&
					slowAllows(host, lists[1], source, destination, d.protocol, d.sourcePort, d.destinationPort)
				if got := j.allowed(&j.nic.outgoing, &d); got != expected {
					t.Fatalf("%+v: %v, the slow twin says %v", d, got, expected)
				}
				if expected {
					allowed++
				} else {
					denied++
				}
			}
		})
		if allowed == 0 || denied == 0 {
			t.Errorf("%d allowed, %d denied: the random cases say little", allowed, denied)
		}
	})
}

func TestSecurityGroups(t *testing.T) {
	deny := []plan.Rule{{Name: "deny", Priority: 100, SourcePorts: model.AllPorts, DestinationPorts: model.AllPorts}}
	allow := []plan.Rule{{Name: "allow", Priority: 100, Allow: true, SourcePorts: model.AllPorts, DestinationPorts: model.AllPorts}}
	for _, c := range []struct {
		name  string
		lists [2]plan.Ref
		pass  bool
	}{
		{"NSG-3 none", [2]plan.Ref{}, true},
		{"NSG-3 both allow", [2]plan.Ref{"allow", "allow"}, true},
		{"NSG-3 the first denies", [2]plan.Ref{"deny", "allow"}, false},
		{"NSG-3 the second denies", [2]plan.Ref{"allow", "deny"}, false},
		{"NSG-1 an empty list denies", [2]plan.Ref{"empty", ""}, false},
		{"NSG-1 the first rule decides", [2]plan.Ref{"both", ""}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			w.planA.Host.Rules["deny"], w.planA.Host.Rules["allow"], w.planA.Host.Rules["empty"] = deny, allow, nil
			w.planA.Host.Rules["both"] = append(append([]plan.Rule{}, deny...), allow...)
			w.planA.Host.NICs[0].Outgoing, w.planA.Host.NICs[0].Incoming = c.lists, c.lists
			w.apply(t)
			wantOut, wantIn := model.ReasonSecurityGroup, model.ReasonSecurityGroup
			if c.pass {
				wantOut, wantIn = model.ReasonVirtualNetwork, model.ReasonDelivered
			}
			if got := w.send(1, toNeighbour).Verdict.Reason; got != wantOut {
				t.Errorf("out: %v", got)
			}
			if got := w.receive(tunnelled(tcp(vmNeighbour, vmApp, 9, 22, syn))).Verdict.Reason; got != wantIn {
				t.Errorf("in: %v", got)
			}
		})
	}
	t.Run("NSG-2 a change affects new flows alone", func(t *testing.T) {
		w := newWorld(t)
		want(t, w.send(1, toNeighbour), model.ToFabric, model.ReasonVirtualNetwork)
		w.planA.Host.Rules["out"] = deny
		w.apply(t)
		want(t, w.send(1, tcp(vmApp, vmNeighbour, 40000, 80, ack)), model.ToFabric, model.ReasonVirtualNetwork)
		want(t, w.send(1, tcp(vmApp, vmNeighbour, 40001, 80, syn)), model.Drop, model.ReasonSecurityGroup)
	})
}

func TestPlatformTags(t *testing.T) {
	for _, c := range []struct {
		name              string
		dns, metadata     bool
		toDNS, toMetadata model.Reason
	}{
		{"NSG-5 nothing denied", false, false, model.ReasonPlatform, model.ReasonPlatform},
		{"NSG-5 name resolution denied", true, false, model.ReasonSecurityGroup, model.ReasonPlatform},
		{"NSG-5 metadata denied", false, true, model.ReasonPlatform, model.ReasonSecurityGroup},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			w.planA.Host.NICs[0].DenyDNS, w.planA.Host.NICs[0].DenyMetadata = c.dns, c.metadata
			w.apply(t)
			if got := w.send(1, udp(vmApp, dns, 1, 53)).Verdict.Reason; got != c.toDNS {
				t.Errorf("name resolution: %v", got)
			}
			if got := w.send(1, tcp(vmApp, metadata, 1, 80, syn)).Verdict.Reason; got != c.toMetadata {
				t.Errorf("metadata: %v", got)
			}
		})
	}
}

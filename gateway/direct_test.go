package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"postern/firewall"
	"postern/model"
	"postern/plan"
)

// ownService is an instance with a port that is judged packet by packet.
func ownService(rules model.NetworkRules, backends ...string) plan.Instance {
	instance := storageAccount("stown", rules)
	instance.Ports = []model.ServicePort{{Number: 9000, Way: model.WayDirect}, {Number: 9001, Way: model.WayDirect}, {Number: 6379, Way: model.WayTCP}}
	for _, backend := range backends {
		instance.Backends = append(instance.Backends, model.Backend{Address: backend, Weight: 2})
	}
	return instance
}

// Both doors say the same: whoever the compiled callers have is whom Judge lets in, whatever the rules are (FW-1, FW-3, FW-4,
// FW-5, FW-6, SE-1, SEP-2).
func TestCallersAreWhomJudgeLetsIn(t *testing.T) {
	identities := []model.Identity{identityApp, identityOther, identityPlain, identityGlobal, identityPolicy, identityUnknown}
	rapid.Check(t, func(t *rapid.T) {
		prefix := rapid.Custom(func(t *rapid.T) netip.Prefix {
			bytes := [4]byte(rapid.SliceOfN(rapid.SampledFrom([]byte{1, 2, 10, 100, 64, 203, 255}), 4, 4).Draw(t, "address"))
			return netip.PrefixFrom(netip.AddrFrom4(bytes), rapid.IntRange(0, 32).Draw(t, "bits")).Masked()
		})
		prefixes := rapid.SliceOfN(prefix, 0, 5)
		rules := model.NetworkRules{PublicNetworkAccess: rapid.Bool().Draw(t, "public"), DefaultAllow: rapid.Bool().Draw(t, "default"),
			AllowPlatform: rapid.Bool().Draw(t, "platform"), IPRules: prefixes.Draw(t, "ipRules")}
		for _, identity := range identities {
			if rapid.Bool().Draw(t, "rule") {
				rules.VirtualNetworkRules = append(rules.VirtualNetworkRules, model.VirtualNetworkRule{Subnet: subnetID("x"), Identity: identity})
			}
		}
		for range rapid.IntRange(0, 3).Draw(t, "filters") {
			filter := model.Filter{Name: "f", Allow: rapid.Bool().Draw(t, "allow")}
			switch rapid.IntRange(0, 2).Draw(t, "kind") {
			case 0:
				filter.Any = true
			case 1:
				filter.Prefixes = prefixes.Draw(t, "prefixes")
			case 2:
				filter.Subnet, filter.Identity = subnetID("y"), rapid.SampledFrom(identities).Draw(t, "identity")
			}
			rules.Filters = append(rules.Filters, filter)
		}
		instance := ownService(rules)
		instance.Rules.PublicNetworkAccess = rules.PublicNetworkAccess
		snapshot, err := NewSnapshot(cloud(instance))
		if err != nil {
			t.Fatal(err)
		}
		direct := snapshot.Direct(nil)
		who := direct.Callers[direct.Ports[0].Callers]
		target := target(snapshot, "stown")
		for _, identity := range identities {
			caller := Caller{Kind: firewall.Endpoint, Subnet: identity, Service: identityStorage}
			if want := Judge(snapshot, caller, target).Allow; slices.Contains(who.Subnets, identity) != want {
				t.Fatalf("subnet %d: the compiled callers say %v, Judge %v", identity, !want, want)
			}
		}
		for range 50 {
			address := netip.AddrFrom4([4]byte(rapid.SliceOfN(rapid.SampledFrom([]byte{0, 1, 2, 10, 63, 64, 100, 127, 128, 169, 172, 192, 203, 224, 254, 255}), 4, 4).Draw(t, "caller")))
			caller := Identify(snapshot, netip.AddrPortFrom(accountAddress, 9000), netip.AddrPortFrom(address, 40000))
			if got, want := longestMatch(who.Origins, address), Judge(snapshot, caller, target).Allow; got != want {
				t.Fatalf("%s: the compiled callers say %v, Judge %v", address, got, want)
			}
		}
	})
}

func longestMatch(origins []plan.Origin, address netip.Addr) (may bool) {
	bits := -1
	for _, origin := range origins {
		if origin.Prefix.Contains(address) && origin.Prefix.Bits() > bits {
			bits, may = origin.Prefix.Bits(), origin.May
		}
	}
	return may
}

// directPath is a judge that keeps what it is told.
type directPath struct{ applied chan plan.Direct }

func (d directPath) Apply(wanted plan.Direct) error { d.applied <- wanted; return nil }

func TestDirectPlan(t *testing.T) {
	snapshot := snapshotOf(t, cloud(ownService(ruleFor("snet-app", identityApp), "[::1]:7000", "[::1]:7001")))
	direct := snapshot.Direct(func(backend, _ string) bool { return backend == "[::1]:7000" })
	if len(direct.Ports) != 2 || direct.Ports[0].Callers != direct.Ports[1].Callers || len(direct.Callers) != 1 {
		t.Fatalf("got %+v", direct)
	}
	want := []plan.DirectBackend{{Server: netip.MustParseAddrPort("[::1]:7001"), Weight: 2}}
	if got := direct.Ports[0]; got.Address != accountAddress || got.Port != 9000 || got.Service != identityStorage || !slices.Equal(got.Backends, want) {
		t.Errorf("got %+v", got)
	}
	if !slices.Equal(direct.ServicePorts, []uint16{80, 443, 6379}) || !slices.Equal(direct.Addresses, []netip.Addr{accountAddress}) {
		t.Errorf("got %+v", direct)
	}
}

// The packets' judge is told of every plan, and of a backend that dies or comes back.
func TestDirectPathIsToldOfBackends(t *testing.T) {
	server, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Skipf("this machine has no IPv6 loopback: %v", err)
	}
	defer server.Close()
	dead, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Fatal(err)
	}
	dead.Close()
	log := NewAccessLog(new(bytes.Buffer), 0)
	defer log.Close(t.Context())
	path := directPath{make(chan plan.Direct, 8)}
	g, err := New(Config{AccessLog: log, Direct: path})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	if err := g.Apply(cloud(ownService(ruleFor("snet-app", identityApp), server.Addr().String(), dead.Addr().String()))); err != nil {
		t.Fatal(err)
	}
	if first := <-path.applied; len(first.Ports[0].Backends) != 2 {
		t.Errorf("at first: got %+v", first.Ports)
	}
	select {
	case next := <-path.applied:
		if got := next.Ports[0].Backends; len(got) != 1 || got[0].Server.String() != server.Addr().String() {
			t.Errorf("got %+v", got)
		}
	case <-time.After(time.Minute):
		t.Error("nobody told that a backend is dead")
	}
}

// What the kernel tells of a connection is a line of the access log, in the words of this side (FW-13).
func TestRecordDirect(t *testing.T) {
	vm := byEndpoint(identityApp, "10.13.76.36")
	other := byEndpoint(identityOther, "10.13.77.4")
	rules := ruleFor("snet-app", identityApp)
	gone := ruleFor("snet-other", identityOther)
	backend := netip.MustParseAddrPort("[::1]:7000")
	for _, c := range []struct {
		name   string
		from   way
		told   model.Connection
		revoke bool
		want   Entry
	}{
		{"SE-2 let in", vm, model.Connection{Reason: model.ReasonOwnAddress, Backend: backend, Received: 7, Sent: 9, Duration: time.Second}, false,
			Entry{StatusText: StatusSuccess, Rule: "virtualNetworkRules " + string(subnetID("snet-app")), Backend: "[::1]:7000", RequestBytes: 7, ResponseBytes: 9, DurationMs: 1000}},
		{"broken off", vm, model.Connection{Reason: model.ReasonOwnAddress, Backend: backend, Broken: true}, false,
			Entry{StatusText: StatusNetworkError, Rule: "virtualNetworkRules " + string(subnetID("snet-app")), Backend: "[::1]:7000"}},
		{"FW-6 denied", other, model.Connection{Reason: model.ReasonNetworkRules}, false,
			Entry{StatusText: "Forbidden", MissingRule: "no virtualNetworkRules entry for " + string(subnetID("snet-other"))}},
		{"FW-1 revoked", vm, model.Connection{Reason: model.ReasonRevoked, Backend: backend}, true,
			Entry{StatusText: StatusConnectionRevoked, Rule: "virtualNetworkRules " + string(subnetID("snet-app")), Backend: "[::1]:7000",
				MissingRule: "no virtualNetworkRules entry for " + string(subnetID("snet-app"))}},
		{"ended just before its rule went", vm, model.Connection{Reason: model.ReasonOwnAddress, Backend: backend}, true,
			Entry{StatusText: StatusSuccess, Rule: "virtualNetworkRules " + string(subnetID("snet-app")), Backend: "[::1]:7000"}},
		{"no backend", vm, model.Connection{Reason: model.ReasonNoBackend}, false,
			Entry{StatusText: "BackendDown", Rule: "virtualNetworkRules " + string(subnetID("snet-app"))}},
		{"no room", vm, model.Connection{Reason: model.ReasonConnectionsFull}, false, Entry{StatusText: StatusNotTaken}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var written bytes.Buffer
			log := NewAccessLog(&written, 0)
			g, err := New(Config{AccessLog: log, Direct: directPath{make(chan plan.Direct, 8)}})
			if err != nil {
				t.Fatal(err)
			}
			defer g.Close()
			plans := []model.NetworkRules{rules}
			if c.revoke {
				plans = append(plans, gone)
			}
			for _, rules := range plans {
				if err := g.Apply(cloud(ownService(rules, "[::1]:7000"))); err != nil {
					t.Fatal(err)
				}
			}
			c.told.Caller, c.told.Dialled, c.told.Opened = netip.AddrPortFrom(c.from.peer, 40000), netip.AddrPortFrom(serviceAddress.Addr(), 9000), time.Now()
			g.RecordDirect(c.told)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			if err := log.Close(ctx); err != nil {
				t.Fatal(err)
			}
			var got Entry
			if err := json.Unmarshal(written.Bytes(), &got); err != nil {
				t.Fatalf("%v: %s", err, written.String())
			}
			if got.Account != "stown" || got.Protocol != "direct" || got.CallerKind != firewall.Endpoint || !strings.HasPrefix(got.CallerIPAddress, "10.13.7") {
				t.Errorf("got %+v", got)
			}
			if got.StatusText != c.want.StatusText || got.Rule != c.want.Rule || got.MissingRule != c.want.MissingRule || got.Backend != c.want.Backend ||
				got.RequestBytes != c.want.RequestBytes || got.ResponseBytes != c.want.ResponseBytes || got.DurationMs != c.want.DurationMs {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
}

package gateway

import (
	"net/netip"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"postern/firewall"
	"postern/model"
	"postern/plan"
)

func ipRules(rules ...string) model.NetworkRules {
	var acls model.NetworkRules
	for _, rule := range rules {
		if !strings.Contains(rule, "/") {
			rule += "/32"
		}
		acls.IPRules = append(acls.IPRules, netip.MustParsePrefix(rule))
	}
	return acls
}

func with(acls model.NetworkRules, change func(*model.NetworkRules)) model.NetworkRules {
	change(&acls)
	return acls
}

func disabled(a plan.Instance) plan.Instance {
	a.Rules.PublicNetworkAccess = false
	return a
}

func TestJudge(t *testing.T) {
	var (
		open      = model.NetworkRules{DefaultAllow: true}
		vm        = byEndpoint(identityApp, "10.13.76.36")
		other     = byEndpoint(identityOther, "10.13.77.4")
		plain     = byEndpoint(identityPlain, "10.13.78.4")
		global    = byEndpoint(identityGlobal, "10.13.79.4")
		policed   = byEndpoint(identityPolicy, "10.13.80.4")
		nobody    = byEndpoint(identityUnknown, "10.13.76.36")
		outsider  = byInternet("20.1.2.3")
		sameRegio = byInternet("100.64.0.7")
	)
	tests := []struct {
		name    string
		account plan.Instance
		caller  way
		reason  firewall.Reason
		rule    string // what admitted; "" for a denial
		missing string // a part of what was missing
	}{
		{"FW-1 defaultAction Allow lets the Internet in", storageAccount("sta", open), outsider, firewall.ReasonDefaultAllow, "defaultAction Allow", ""},
		{"FW-1 defaultAction Allow lets every subnet in", storageAccount("sta", open), vm, firewall.ReasonDefaultAllow, "defaultAction Allow", ""},
		{"FW-1 defaultAction Allow lets the region in", storageAccount("sta", open), sameRegio, firewall.ReasonDefaultAllow, "defaultAction Allow", ""},
		{"FW-1 rules say nothing while defaultAction is Allow",
			storageAccount("sta", with(ipRules("20.1.2.3"), func(a *model.NetworkRules) { a.DefaultAllow = true })), outsider, firewall.ReasonDefaultAllow, "defaultAction Allow", ""},
		{"FW-1 Deny without rules refuses", storageAccount("sta", model.NetworkRules{}), outsider, firewall.ReasonNoIPRule, "", "no ipRules entry for 20.1.2.3"},

		{"FW-3 an unknown identity is denied", storageAccount("sta", ruleFor("snet-app", identityUnknown)), nobody, firewall.ReasonUnknownIdentity, "", "identity 4999"},
		{"FW-3 an unknown identity is denied even where all are let in", storageAccount("sta", open), nobody, firewall.ReasonUnknownIdentity, "", "identity 4999"},
		{"FW-3 a rule without a source matches nobody", storageAccount("sta", ruleFor("snet-app", model.IdentityNone)), outsider, firewall.ReasonNoIPRule, "", "ipRules"},

		{"FW-4 a single address", storageAccount("sta", ipRules("20.1.2.3")), outsider, firewall.ReasonIPRule, "ipRules 20.1.2.3", ""},
		{"FW-4 a range", storageAccount("sta", ipRules("9.9.9.9", "20.1.2.0/24")), outsider, firewall.ReasonIPRule, "ipRules 20.1.2.0/24", ""},
		{"FW-4 a range that ends before", storageAccount("sta", ipRules("20.1.2.0/31")), outsider, firewall.ReasonNoIPRule, "", "no ipRules entry for 20.1.2.3"},
		{"FW-4 a private range never lets an endpoint caller in", storageAccount("sta", ipRules("10.0.0.0/8")), vm, firewall.ReasonNoVirtualNetworkRule, "", "snet-app"},

		{"FW-5 ipRules do not match a platform address", storageAccount("sta", ipRules("100.64.0.0/10", "0.0.0.0/0")), sameRegio, firewall.ReasonSameRegion, "", "(FW-5)"},
		{"FW-5 ipRules do not match an endpoint caller", storageAccount("sta", ipRules("0.0.0.0/0")), vm, firewall.ReasonNoVirtualNetworkRule, "", "no virtualNetworkRules entry for " + string(subnetID("snet-app"))},

		{"FW-6 the subnet of a rule gets in", storageAccount("sta", ruleFor("snet-app", identityApp)), vm, firewall.ReasonVirtualNetworkRule, "virtualNetworkRules " + string(subnetID("snet-app")), ""},
		{"FW-6 another subnet does not", storageAccount("sta", ruleFor("snet-app", identityApp)), other, firewall.ReasonNoVirtualNetworkRule, "", "snet-other"},
		{"FW-6 nor the Internet", storageAccount("sta", ruleFor("snet-app", identityApp)), outsider, firewall.ReasonNoIPRule, "", "20.1.2.3"},
		{"FW-6 nor the same region without an endpoint", storageAccount("sta", ruleFor("snet-app", identityApp)), sameRegio, firewall.ReasonSameRegion, "", "FW-5"},
		{"FW-6 a subnet without the endpoint", storageAccount("sta", ruleFor("snet-plain", identityPlain)), plain, firewall.ReasonEndpointNotEnabled, "", "no service endpoint Microsoft.Storage on " + string(subnetID("snet-plain"))},
		{"SE-9 Microsoft.Storage.Global is Storage too", storageAccount("sta", ruleFor("snet-global", identityGlobal)), global, firewall.ReasonVirtualNetworkRule, "virtualNetworkRules " + string(subnetID("snet-global")), ""},

		{"FW-7 a deleted source lets its namesake out", storageAccount("sta", ruleFor("snet-app", model.IdentityNone)), vm, firewall.ReasonNetworkSourceGone, "", "networkSourceDeleted"},
		{"FW-7 a stale identity lets its namesake out", storageAccount("sta", ruleFor("SNET-APP", 4090)), vm, firewall.ReasonNetworkSourceGone, "", "networkSourceDeleted"},

		{"FW-8 Disabled outranks defaultAction Allow", disabled(storageAccount("sta", open)), outsider, firewall.ReasonPublicAccessOff, "", "publicNetworkAccess"},
		{"FW-8 Disabled outranks ipRules", disabled(storageAccount("sta", ipRules("20.1.2.3"))), outsider, firewall.ReasonPublicAccessOff, "", "publicNetworkAccess"},
		{"FW-8 Disabled outranks virtualNetworkRules", disabled(storageAccount("sta", ruleFor("snet-app", identityApp))), vm, firewall.ReasonPublicAccessOff, "", "publicNetworkAccess"},

		{"SEP-2 a listed account is reached", storageAccount("stown", open), policed, firewall.ReasonDefaultAllow, "defaultAction Allow", ""},
		{"SEP-2 a listed account keeps its own rules", storageAccount("stown", model.NetworkRules{}), policed, firewall.ReasonNoVirtualNetworkRule, "", "snet-policy"},
		{"SEP-2 another account is not reached", storageAccount("rogue", ruleFor("snet-policy", identityPolicy)), policed, firewall.ReasonEndpointPolicy, "", "rogue (SEP-2)"},
		{"SEP-2 no policy, every account", storageAccount("rogue", open), vm, firewall.ReasonDefaultAllow, "defaultAction Allow", ""},
		{"SEP-6 also where the account restricts nothing", storageAccount("rogue", open), policed, firewall.ReasonEndpointPolicy, "", "snet-policy"},
		{"SEP-6 does not concern the Internet", storageAccount("rogue", open), outsider, firewall.ReasonDefaultAllow, "defaultAction Allow", ""},

		{"SE-4 the IP rule for the VM's public address no longer matches", storageAccount("sta", ipRules("20.1.2.3")), vm, firewall.ReasonNoVirtualNetworkRule, "", "virtualNetworkRules"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			snapshot := snapshotOf(t, cloud(test.account))
			got := Judge(snapshot, callerOf(snapshot, test.caller), target(snapshot, test.account.Name))
			if got.Reason != test.reason || got.Rule != test.rule || got.Allow != (test.rule != "") {
				t.Errorf("got %+v, want reason %s, rule %q", got, test.reason, test.rule)
			}
			if got.Reason.RuleID() == "" {
				t.Errorf("%s stands on no rule", got.Reason)
			}
			if got.Allow != (got.Missing == "") || !strings.Contains(got.Missing, test.missing) {
				t.Errorf("missing is %q, want %q in it", got.Missing, test.missing)
			}
		})
	}
}

func TestJudgeFailsClosed(t *testing.T) {
	node := cloud(storageAccount("sta", model.NetworkRules{DefaultAllow: true}))
	snapshot := snapshotOf(t, node)
	t.Run("FW-3 without a plan everything is denied", func(t *testing.T) {
		caller := callerOf(nil, byInternet("20.1.2.3"))
		if got := Judge(nil, caller, target(nil, "sta")); got.Allow || got.Reason != firewall.ReasonUnsynced {
			t.Errorf("got %+v", got)
		}
	})
	t.Run("FW-3 a caller of no kind is denied", func(t *testing.T) {
		if got := Judge(snapshot, Caller{}, target(snapshot, "sta")); got.Allow || got.Reason != firewall.ReasonUnknownIdentity {
			t.Errorf("got %+v", got)
		}
	})
	t.Run("SEP-2 a policy that the plan does not have lets nothing through", func(t *testing.T) {
		node := cloud(storageAccount("stown", model.NetworkRules{DefaultAllow: true}))
		node.Gateway.Policies = nil
		snapshot := snapshotOf(t, node)
		got := Judge(snapshot, callerOf(snapshot, byEndpoint(identityPolicy, "10.13.80.4")), target(snapshot, "stown"))
		if got.Allow || got.Reason != firewall.ReasonEndpointPolicy {
			t.Errorf("got %+v", got)
		}
	})
	t.Run("an account of another region or of nobody", func(t *testing.T) {
		for _, name := range []string{"stelsewhere", "stnobody"} {
			if got := Judge(snapshot, callerOf(snapshot, byInternet("20.1.2.3")), target(snapshot, name)); got.Allow || got.Reason != firewall.ReasonUnknownAccount {
				t.Errorf("%s: got %+v", name, got)
			}
		}
	})
}

// referenceAllows is Judge's slow twin: the rules read off one by one, on the plan as it is, from raw addresses.
func referenceAllows(g *plan.Gateway, w way, name string) bool {
	var account *plan.Instance
	for i := range g.Instances {
		if g.Instances[i].Name == name {
			account = &g.Instances[i]
		}
	}
	if account == nil || !account.Rules.PublicNetworkAccess {
		return false // FW-8
	}
	bytes := w.peer.As16()
	if !w.local.Addr().Is6() {
		if w.peer.Is6() {
			return false // FW-3
		}
		if account.Rules.DefaultAllow {
			return true // FW-1
		}
		platform := bytes[12] == 100 && bytes[13]&0xc0 == 64
		for _, rule := range account.Rules.IPRules {
			if rule.Contains(w.peer) && !platform { // FW-5
				return true
			}
		}
		return false
	}
	identity := uint32(bytes[8])<<24 | uint32(bytes[9])<<16 | uint32(bytes[10])<<8 | uint32(bytes[11])
	for _, subnet := range g.Subnets {
		if uint32(subnet.Identity) != identity || bytes[7] != byte(model.FunctionNIC) {
			continue
		}
		if subnet.EnabledServices&0b11 == 0 {
			return false
		}
		if subnet.Policy != "" { // SEP-2, SEP-6
			listed := false
			for _, key := range g.Policies[subnet.Policy] {
				listed = listed || key == account.ID.Key()
			}
			if !listed {
				return false
			}
		}
		if account.Rules.DefaultAllow {
			return true
		}
		for _, rule := range account.Rules.VirtualNetworkRules {
			if uint32(rule.Identity) == identity { // FW-6, FW-7
				return true
			}
		}
		return false
	}
	return false // FW-3
}

func TestJudgeAgainstReference(t *testing.T) {
	names := []string{"stown", "rogue", "stc"}
	identities := []model.Identity{0, 1, 16, identityApp, identityOther, identityPlain, identityGlobal, identityPolicy, identityUnknown}
	allowed, denied := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		var accounts []plan.Instance
		for _, name := range names[:rapid.IntRange(1, 3).Draw(t, "accounts")] {
			acls := model.NetworkRules{DefaultAllow: rapid.Bool().Draw(t, "default")}
			for range rapid.IntRange(0, 3).Draw(t, "ip rules") {
				address := rapid.SampledFrom([]string{"20.1.2.3", "20.1.2.4", "100.64.0.7", "10.1.0.4", "52.0.0.1"}).Draw(t, "ip")
				prefix, err := netip.MustParseAddr(address).Prefix(rapid.SampledFrom([]int{0, 8, 30, 32}).Draw(t, "bits"))
				if err != nil {
					t.Fatal(err)
				}
				acls.IPRules = append(acls.IPRules, prefix)
			}
			for range rapid.IntRange(0, 3).Draw(t, "vnet rules") {
				acls.VirtualNetworkRules = append(acls.VirtualNetworkRules, model.VirtualNetworkRule{
					Subnet: subnetID("snet-app"), Identity: rapid.SampledFrom(identities).Draw(t, "rule"),
				})
			}
			account := storageAccount(name, acls)
			account.Rules.PublicNetworkAccess = rapid.IntRange(0, 4).Draw(t, "public") > 0
			accounts = append(accounts, account)
		}
		node := cloud(accounts...)
		snapshot, err := NewSnapshot(node)
		if err != nil {
			t.Fatal(err)
		}
		var w way
		if rapid.Bool().Draw(t, "endpoint") {
			w = byEndpoint(rapid.SampledFrom(identities).Draw(t, "caller"), "10.1.0.4")
			if rapid.IntRange(0, 9).Draw(t, "function") == 0 {
				bytes := w.peer.As16()
				bytes[7] = byte(rapid.IntRange(1, 6).Draw(t, "fn"))
				w.peer = netip.AddrFrom16(bytes)
			}
		} else {
			w = byInternet(rapid.SampledFrom([]string{"20.1.2.3", "20.1.2.9", "100.64.0.7", "100.127.255.255", "100.128.0.1", "2001:db8::1"}).Draw(t, "public"))
		}
		name := rapid.SampledFrom(names).Draw(t, "name")
		got, want := Judge(snapshot, callerOf(snapshot, w), target(snapshot, name)), referenceAllows(node.Gateway, w, name)
		if got.Allow != want {
			t.Fatalf("%v to %s: got %+v, the reference says %v", w, name, got, want)
		}
		if got.Allow {
			allowed++
		} else {
			denied++
		}
	})
	if allowed == 0 || denied == 0 {
		t.Errorf("%d allowed and %d denied: the comparison saw one side alone", allowed, denied)
	}
}

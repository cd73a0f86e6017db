package servicetest_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"postern/explain"
	"postern/firewall"
	"postern/gateway"
	"postern/model"
	"postern/resource"
	"postern/service"
	"postern/servicetag"
)

// policyRules are what SEP-1 to SEP-7 say of each type, and SE-9, SE-10 and SE-16: by the gateway's judgement and by that of
// the host, which knows instances by their addresses. The subnet limited has the policies.
var policyRules = []rule{
	{"SEP-1", "of any service, whose endpoint the subnet has", func(t *testing.T, w *world, s *subject) {
		letIn(w, s)
		w.put(policy("p", s.endpoint(), s.id()+"-of-nobody"))
		var refusal *resource.Error
		if err := w.change([]item{w.subnet(s, "plain", false, "p")}); !errors.As(err, &refusal) || refusal.Code != "ServiceEndpointPolicyEndpointMissing" {
			t.Errorf("a subnet without the endpoint: got %v", err)
		}
		reaches(w, s, limited, true)
		w.put(w.subnet(s, "limited", true, "p"))
		reaches(w, s, limited, false)
		reaches(w, s, app, true)
		// A definition is for the service that it names, and for no other.
		another := "Microsoft.Storage"
		if s.endpoint() == another {
			another = "Microsoft.Sql"
		}
		w.put(policy("p", another, s.id()+"-of-nobody"), item{subnetID("limited"), text(object{"properties": object{"addressPrefix": prefixOf("limited") + ".0/24",
			"serviceEndpoints":        []any{object{"service": s.endpoint()}, object{"service": another}},
			"serviceEndpointPolicies": []any{object{"id": network + "serviceEndpointPolicies/p"}}}})})
		reaches(w, s, limited, true)
	}},
	{"SEP-2", "no policy, all; several unite", func(t *testing.T, w *world, s *subject) {
		letIn(w, s)
		reaches(w, s, limited, true)
		w.put(policy("p", s.endpoint(), s.id()+"-of-nobody"), policy("q", s.endpoint(), s.id()), w.subnet(s, "limited", true, "p"))
		reaches(w, s, limited, false)
		w.put(w.subnet(s, "limited", true, "p", "q"))
		reaches(w, s, limited, true)
		w.put(w.subnet(s, "limited", true, "p"), item{network + "serviceEndpointPolicies/q", ""})
		reaches(w, s, limited, false)
	}},
	{"SEP-3", "a subscription, a group, an instance with all its names", func(t *testing.T, w *world, s *subject) {
		letIn(w, s)
		for scope, want := range map[string]bool{"/subscriptions/s": true, group: true, s.id(): true, strings.ToUpper(s.id()): true,
			"/subscriptions/t": false, group + "2": false, s.id() + "2": false, strings.Replace(s.id(), "/rg/", "/rg2/", 1): false} {
			w := w.derive(t)
			w.put(policy("p", s.endpoint(), scope), w.subnet(s, "limited", true, "p"))
			if got := reach(w, s, limited); got != want {
				t.Errorf("with the scope %s it is reached: %v", scope, got)
			}
		}
		w.put(policy("p", s.endpoint(), s.id()), w.subnet(s, "limited", true, "p"))
		snapshot, err := gateway.NewSnapshot(w.plan())
		if err != nil {
			t.Fatal(err)
		}
		for _, zone := range s.described().Zones(model.DefaultSettings) {
			if zone.Space != w.instance(s).Space { // of instances that have their names elsewhere
				continue
			}
			if target, err := snapshot.Find(s.name + "." + zone.Suffix); err != nil || target.Instance == nil || !target.Instance.ID.Is(model.ResourceID(s.id())) {
				t.Errorf("the name below %s is of %+v, %v", zone.Suffix, target, err)
			}
		}
	}},
	{"SEP-4", "a policy of the VNet's region, instances of other subscriptions", func(t *testing.T, w *world, s *subject) {
		far := policy("far", s.endpoint(), s.id())
		far.body = strings.Replace(far.body, region, distant, 1)
		w.put(far)
		if err := w.change([]item{w.subnet(s, "limited", true, "far")}); err == nil {
			t.Error("a policy of another region is taken")
		}
		foreign := s.sibling(func(other *subject) { other.group = "/subscriptions/t/resourceGroups/elsewhere" })
		w.put(foreign.items(rules{})...)
		letIn(w, s)
		letIn(w, foreign)
		w.put(policy("p", s.endpoint(), "/subscriptions/t"), w.subnet(s, "limited", true, "p"))
		reaches(w, foreign, limited, true)
		reaches(w, s, limited, false)
	}},
	{"SEP-5", "aliases; with them alone nothing else", func(t *testing.T, w *world, s *subject) {
		known := s.sibling(func(other *subject) { other.alias = "/services/Azure/DataFactory, /services/Azure/Batch" })
		w.put(known.items(rules{})...)
		letIn(w, s)
		letIn(w, known)
		for alias, want := range map[string]bool{"/services/Azure/DataFactory": true, "/services/Azure": true, "/services/Azure/DataFactory2": false, "/services/Azure/MachineLearning": false} {
			w := w.derive(t)
			w.put(policy("p", "Global", alias), w.subnet(s, "limited", true, "p"))
			if got := reach(w, known, limited); got != want {
				t.Errorf("by the alias %s it is reached: %v", alias, got)
			}
			reaches(w, s, limited, false)
		}
	}},
	{"SEP-6", "whether or not the instance restricts networks", func(t *testing.T, w *world, s *subject) {
		w.put(policy("p", s.endpoint(), s.id()+"-of-nobody"), w.subnet(s, "limited", true, "p"))
		for _, r := range []rules{{allow: true}, {subnets: []string{subnetID("limited")}}, {}, {closed: true}} {
			w.write(s, r)
			w.denies(s, fmt.Sprintf("a subnet that may not reach it, with %+v", r), limited, firewall.ReasonEndpointPolicy)
		}
		if s.lacks["FW-10"] == "" { // no identity gets past the policy of its own subnet
			w.write(s, rules{resources: []string{vm}})
			w.denies(s, "a resource that is named, in such a subnet", as(limited, vm), firewall.ReasonEndpointPolicy)
		}
	}},
	{"SEP-7", "limits", func(t *testing.T, w *world, s *subject) {
		var scopes []string
		for i := range 200 + 1 {
			scopes = append(scopes, fmt.Sprintf("%s%d", s.id(), i))
		}
		w.put(policy("p", s.endpoint(), scopes[:200]...))
		var refusal *resource.Error
		if err := w.change([]item{policy("p", s.endpoint(), scopes...)}); !errors.As(err, &refusal) || refusal.Code != "ServiceEndpointPolicyDefinitionResourcesInvalid" {
			t.Errorf("201 resources of a definition: got %v", err)
		}
		var items []item
		var names []string
		for i := range 100 + 1 {
			names = append(names, fmt.Sprintf("p%d", i))
			items = append(items, policy(names[i], s.endpoint(), s.id()))
		}
		w.put(items...)
		w.put(w.subnet(s, "limited", true, names[:100]...))
		if err := w.change([]item{w.subnet(s, "limited", true, names...)}); !errors.As(err, &refusal) || refusal.Code != "ServiceEndpointPolicyLimitExceeded" {
			t.Errorf("101 policies of a subnet: got %v", err)
		}
	}},
	{"SE-9, SE-10", "Storage covers the region and its pair, or all; Sql the VNet's region; others all", func(t *testing.T, w *world, s *subject) {
		switch s.endpoint() {
		case "Microsoft.Sql":
			covers(w, s, model.ScopeRegion)
		case "Microsoft.Storage":
			covers(w, s, model.ScopeRegionPair)
			everywhere := w.subnet(s, "app", true)
			everywhere.body = strings.Replace(everywhere.body, `"Microsoft.Storage"`, `"Microsoft.Storage.Global"`, 1)
			w.put(everywhere)
			covers(w, s, model.ScopeGlobal)
			both := strings.Replace(everywhere.body, `{"service":`, `{"service":"Microsoft.Storage"},{"service":`, 1)
			if err := w.change([]item{{everywhere.id, both}}); err == nil {
				t.Error("a subnet has both endpoints of Storage")
			}
		default:
			covers(w, s, model.ScopeGlobal)
		}
	}},
	{"SE-16", "a VNet with endpoints goes, and leaves rules for nobody", func(t *testing.T, w *world, s *subject) {
		w.write(s, rules{subnets: []string{subnetID("app")}})
		if state := stateOf(w, s); state == service.StateDeleted || state == "Failed" {
			t.Errorf("the rule is %s already", state)
		}
		for _, name := range subnets {
			w.put(item{network + "networkInterfaces/" + name, ""})
		}
		w.put(item{vnet, ""})
		if state := stateOf(w, s); state != service.StateDeleted && state != "Failed" && state != "none" {
			t.Errorf("the rule is %s", state)
		}
		for _, rule := range w.instance(s).Rules.VirtualNetworkRules {
			if rule.Identity != model.IdentityNone {
				t.Errorf("the rule is for subnet %d", rule.Identity)
			}
		}
	}},
}

// letIn lets in app and limited by the instance's own rules.
func letIn(w *world, s *subject) {
	w.t.Helper()
	w.write(s, rules{subnets: []string{subnetID("app"), subnetID("limited")}})
}

// explained is what becomes of a packet of a VM to an instance.
func explained(w *world, s *subject, from caller) *explain.Explanation {
	w.t.Helper()
	cloud, err := explain.NewCloud(w.cloud.Snapshot(), servicetag.BuiltIn(), w.compiler)
	if err != nil {
		w.t.Fatal(err)
	}
	one := w.instance(s)
	explanation, err := explain.Packet(cloud, explain.Question{From: from.subnet, To: netip.AddrPortFrom(one.Address, one.Ports[0].Number).String()})
	if err != nil {
		w.t.Fatal(err)
	}
	return explanation
}

// reach tells whether a VM reaches an instance: host and gateway must agree, each by its own plan.
func reach(w *world, s *subject, from caller) bool {
	w.t.Helper()
	atHost, atGateway := explained(w, s, from), w.judged(s, from)
	if atHost.Verdict.Allowed != atGateway.Allow {
		w.t.Errorf("the way of the packet ends with %+v, and the gateway says %+v", atHost.Verdict, atGateway)
	}
	if !atGateway.Allow && (atGateway.Reason != firewall.ReasonEndpointPolicy || atHost.Verdict.At != region+"-0" || !strings.HasPrefix(atHost.Verdict.Rule, "SEP-")) {
		w.t.Errorf("denied by %+v and %+v; want the policy, at both", atHost.Verdict, atGateway)
	}
	return atGateway.Allow
}

func reaches(w *world, s *subject, from caller, want bool) {
	w.t.Helper()
	if got := reach(w, s, from); got != want {
		w.t.Errorf("%s reaches %s: %v", from.subnet, s.name, got)
	}
}

// covers tells from where on a VM's packets take the endpoint: to instances of its own region, of its pair, of any other.
func covers(w *world, s *subject, scope model.ServiceScope) {
	w.t.Helper()
	want := map[model.Location]bool{region: true, pair: scope >= model.ScopeRegionPair, distant: scope == model.ScopeGlobal}
	for _, at := range []model.Location{region, pair, distant} {
		there := s.sibling(func(other *subject) { other.at, other.name = at, s.name+string(at[0])+"9" })
		w.put(there.items(rules{allow: true})...)
		e := explained(w, there, app)
		got := slices.ContainsFunc(e.Routes, func(c explain.Candidate) bool {
			return c.State == explain.Winner && c.NextHopType == model.NextHopServiceEndpoint
		})
		if got != want[at] {
			w.t.Errorf("to an instance in %s packets take the endpoint: %v (%+v)", at, got, e.Verdict)
		}
	}
}

// A subnet without an endpoint of the operator's own is told its name, as of any other (ROUTE-17).
func TestExplainNamesOwnEndpoints(t *testing.T) {
	for _, s := range subjects {
		w := newWorld(t, s)
		found := false
		for _, candidate := range explained(w, s, plain).Routes {
			found = found || candidate.State == explain.NotEnabled && candidate.Name == s.endpoint()
		}
		if !found {
			t.Errorf("%s: no candidate has the name %s: %+v", s.typ, s.endpoint(), explained(w, s, plain).Routes)
		}
	}
}

// stateOf is the state that ARM answers of the first rule that names a subnet; "none" where the form has no states.
func stateOf(w *world, s *subject) string {
	w.t.Helper()
	ids := []string{s.id()}
	for _, one := range s.items(rules{subnets: []string{subnetID("app")}})[1:] {
		ids = append(ids, one.id)
	}
	for _, text := range ids {
		id, err := resource.ParseID(text)
		if err != nil {
			w.t.Fatal(err)
		}
		data, err := w.cloud.Render(id, "Succeeded")
		if err != nil {
			w.t.Fatal(err)
		}
		var answer map[string]any
		if err := json.Unmarshal(data, &answer); err != nil {
			w.t.Fatal(err)
		}
		if state := stateIn(answer); state != "" {
			return state
		}
	}
	return "none"
}

// stateIn finds the state beside a subnet's id.
func stateIn(value any) string {
	switch value := value.(type) {
	case []any:
		for _, element := range value {
			if state := stateIn(element); state != "" {
				return state
			}
		}
	case map[string]any:
		state, _ := value["state"].(string)
		if strings.Contains(text(value), `"`+subnetID("app")+`"`) && state != "" && state != "Active" && state != "Running" {
			return state
		}
		for _, name := range sortedKeys(value) {
			if state := stateIn(value[name]); state != "" {
				return state
			}
		}
	}
	return ""
}

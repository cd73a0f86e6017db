package servicetest_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"postern/authorization"
	"postern/firewall"
	"postern/gateway"
	"postern/model"
	"postern/resource"
)

// firewallRules are what FW-1 to FW-11 and FW-14 say of each type, by plans that went the whole way from its body. FW-2, FW-12
// and FW-13 are asked of a gateway that runs: see running_test.go.
var firewallRules = []rule{
	{"FW-1", "no effect unless the default denies", func(t *testing.T, w *world, s *subject) {
		w.write(s, rules{allow: true})
		for what, from := range map[string]caller{"a subnet": app, "the Internet": office, "the region": platform} {
			w.allows(s, what, from)
		}
		w.write(s, rules{})
		for what, from := range map[string]caller{"a subnet": app, "the Internet": office, "the region": platform} {
			w.denies(s, what, from)
		}
	}},
	{"FW-3", "fail closed", func(t *testing.T, w *world, s *subject) {
		w.write(s, rules{allow: true, subnets: []string{subnetID("app")}})
		w.denies(s, "an identity of nobody", caller{subnet: "nobody"}, firewall.ReasonUnknownIdentity)
		local, peer := w.addresses(s, app, w.instance(s).Ports[0].Number)
		who := gateway.Identify(nil, local, peer)
		target, err := (*gateway.Snapshot)(nil).Find(w.host(s))
		if err != nil {
			t.Fatal(err)
		}
		if got := gateway.Judge(nil, who, target); got.Allow || got.Reason != firewall.ReasonUnsynced {
			t.Errorf("a gateway without a plan: %+v", got)
		}
		w.denies(s, "a subnet without the endpoint", plain, firewall.ReasonEndpointNotEnabled)
	}},
	{"FW-4", "public IPv4 ranges alone", func(t *testing.T, w *world, s *subject) {
		for _, text := range []string{"10.0.0.0/24", "192.168.1.1", "172.16.0.0/12", "100.64.0.0/10", "2001:db8::1", "nobody", "203.0.113.1/24"} {
			refused(t, w, s, rules{addresses: []string{text}}, text)
		}
		if err := w.change(s.items(rules{addresses: []string{"203.0.113.0/31"}})); (err == nil) != s.single {
			t.Errorf("a /31: %v", err)
		}
		w.write(s, rules{addresses: []string{"203.0.113.64/26", "198.51.100.7"}})
		w.allows(s, "an address of the range", office)
	}},
	{"FW-5", "addresses are for the Internet's callers", func(t *testing.T, w *world, s *subject) {
		addresses := []string{"203.0.113.77"}
		if s.lacks["FW-4"] == anyRange { // what can be written still matches none of them
			addresses = append(addresses, "100.64.1.7", prefixOf("app")+".4")
		}
		w.write(s, rules{addresses: addresses})
		w.allows(s, "the office", office)
		w.denies(s, "a stranger", stranger)
		w.denies(s, "a subnet", app)
		w.denies(s, "the region", platform)
		if s.azure {
			w.write(s, rules{azure: true})
			w.allows(s, "the region, where it is allowed", platform)
			w.denies(s, "the Internet", office)
			w.denies(s, "a subnet", app)
		}
	}},
	{"FW-6", "a subnet, which must have the endpoint", func(t *testing.T, w *world, s *subject) {
		refused(t, w, s, rules{subnets: []string{subnetID("plain")}}, "a subnet without the endpoint")
		refused(t, w, s, rules{subnets: []string{subnetID("nobody")}}, "no subnet")
		w.write(s, rules{subnets: []string{subnetID("app")}})
		w.allows(s, "the subnet", app)
		for what, from := range map[string]caller{"another subnet": other, "one without the endpoint": plain, "the Internet": office, "the region": platform} {
			w.denies(s, what, from)
		}
		if !s.ignores {
			return
		}
		w.write(s, rules{subnets: []string{subnetID("plain")}, ignore: true})
		w.denies(s, "the subnet before it has the endpoint", plain, firewall.ReasonEndpointNotEnabled)
		w.put(w.subnet(s, "plain", true))
		w.allows(s, "the subnet with the endpoint", plain)
	}},
	{"FW-7", "a subnet that was deleted, and its namesake", func(t *testing.T, w *world, s *subject) {
		w.write(s, rules{subnets: []string{subnetID("app"), subnetID("other")}})
		w.put(item{network + "networkInterfaces/app", ""}, item{subnetID("app"), ""})
		w.denies(s, "an identity that is gone", app, firewall.ReasonUnknownIdentity)
		w.put(w.subnet(s, "app", true), nic("app"))
		w.denies(s, "a new subnet of the name", app, firewall.ReasonNetworkSourceGone, firewall.ReasonNoVirtualNetworkRule, firewall.ReasonFilter)
		w.allows(s, "the other subnet", other)
		w.write(s, rules{})
		w.write(s, rules{subnets: []string{subnetID("app")}})
		w.allows(s, "the new one, in a rule written anew", app)
	}},
	{"FW-8", "publicNetworkAccess outranks all but identities", func(t *testing.T, w *world, s *subject) {
		closed := rules{allow: true, closed: true, addresses: []string{office.address}, subnets: []string{subnetID("app")}, azure: s.azure}
		w.write(s, closed)
		for what, from := range map[string]caller{"the subnet": app, "the office": office, "the region": platform} {
			w.denies(s, what, from, firewall.ReasonPublicAccessOff)
		}
		if s.lacks["FW-10"] == "" {
			closed.resources = []string{vm}
			w.write(s, closed)
			w.allows(s, "a resource that is named", as(stranger, vm))
		}
		if s.trusted != "" {
			closed.trusted = true
			w.write(s, closed)
			w.allows(s, "a trusted service", as(stranger, s.trustedID()))
		}
	}},
	{"FW-9", "the bypass lets trusted services in, by their identity", func(t *testing.T, w *world, s *subject) {
		if s.trusted == "" {
			t.Fatal("the subject names no type that its service trusts")
		}
		w.write(s, rules{trusted: true})
		w.allows(s, "a trusted service", as(stranger, s.trustedID()))
		w.denies(s, "a VM's identity", as(stranger, vm))
		w.denies(s, "nobody's identity", stranger)
		w.denies(s, "the region's addresses", platform)
		w.write(s, rules{})
		w.denies(s, "a trusted service without the bypass", as(stranger, s.trustedID()))
	}},
	{"FW-10", "a managed identity of a resource that is named", func(t *testing.T, w *world, s *subject) {
		w.write(s, rules{resources: []string{vm}})
		w.allows(s, "the resource", as(stranger, vm))
		w.allows(s, "the resource, by the endpoint of a subnet that no rule names", as(app, vm))
		w.denies(s, "another one", as(stranger, vm+"2"))
		w.denies(s, "nobody's identity", stranger)
		if s.typ != "Microsoft.DocumentDB/databaseAccounts" { // whose form names no tenant: the cloud's own tokens are all there are
			foreign := as(stranger, vm)
			foreign.managed.Tenant = "00000000-0000-4000-8000-000000000000"
			w.denies(s, "the resource, of another tenant", foreign)
		}
	}},
	{"FW-11", "limits", func(t *testing.T, w *world, s *subject) {
		if s.limit == 0 {
			t.Fatal("the subject names no limit")
		}
		var list []any
		var ids []string
		for i := range s.limit + 1 {
			name := fmt.Sprintf("s%d", i)
			ids = append(ids, network+"virtualNetworks/many/subnets/"+name)
			list = append(list, object{"name": name, "properties": object{"addressPrefix": fmt.Sprintf("10.2.%d.%d/28", i/16, i%16*16),
				"serviceEndpoints": []any{object{"service": s.endpoint()}}}})
		}
		w.put(item{network + "virtualNetworks/many", text(object{"location": region, "properties": object{
			"addressSpace": object{"addressPrefixes": []any{"10.2.0.0/16"}}, "subnets": list}})})
		refused(t, w, s, rules{subnets: ids}, fmt.Sprintf("%d subnets", s.limit+1))
		w.write(s, rules{subnets: ids[:s.limit]})
	}},
	{"FW-14", "naming a subnet takes the right to join it", func(t *testing.T, w *world, s *subject) {
		var linked []string
		for _, one := range s.items(rules{subnets: []string{subnetID("app"), subnetID("other")}}) {
			id, err := resource.ParseID(one.id)
			if err != nil {
				t.Fatal(err)
			}
			for _, link := range authorization.Links(id.Type(), []byte(one.body)) {
				if link.Action == "Microsoft.Network/virtualNetworks/subnets/joinViaServiceEndpoint/action" {
					linked = append(linked, link.Scope)
				}
			}
		}
		if got, want := strings.Join(linked, " "), subnetID("app")+" "+subnetID("other"); got != want {
			t.Errorf("the right is asked for on %q; want %q", got, want)
		}
	}},
}

// vm is a resource with a managed identity.
const vm = "/subscriptions/s/resourceGroups/rg/providers/Microsoft.Compute/virtualMachines/vm"

// trustedID is a resource of a type that the subject's service trusts.
func (s *subject) trustedID() string {
	return "/subscriptions/s/resourceGroups/rg/providers/" + s.trusted + "/trusted"
}

// as is a caller with a token.
func as(from caller, resource string) caller {
	from.managed = firewall.Managed{Tenant: tenant, Resource: model.ResourceID(resource)}
	return from
}

// refused wants ARM's 400, and the cloud as it was.
func refused(t *testing.T, w *world, s *subject, r rules, what string) {
	t.Helper()
	before := w.cloud
	var refusal *resource.Error
	if err := w.change(s.items(r)); !errors.As(err, &refusal) {
		t.Errorf("%s: got %v; want a refusal", what, err)
	} else if refusal.Code == "" || refusal.Target == "" || refusal.Status != 0 && refusal.Status != 400 {
		t.Errorf("%s: got %d %s at %q", what, refusal.Status, refusal.Code, refusal.Target)
	}
	if w.cloud != before {
		t.Errorf("%s: it changed something", what)
	}
}

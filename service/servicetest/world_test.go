package servicetest_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"postern/compile"
	"postern/firewall"
	"postern/gateway"
	"postern/model"
	"postern/plan"
	"postern/resource"
	"postern/service"
	"postern/service/all"
	"postern/servicetag"
	"postern/wire"
)

// world is a cloud without a store: bodies are written as ARM writes them, compiled as nodes get them, and judged by what
// the gateway judges by. A world is changed by its methods alone; derive starts another one from where it is.
type world struct {
	t        testing.TB
	cloud    *resource.Cloud
	compiler *compile.Compiler
}

const (
	region  = "westeurope"
	pair    = "northeurope"        // its pair (SE-9)
	distant = "germanywestcentral" // another one

	group   = "/subscriptions/s/resourceGroups/rg"
	network = group + "/providers/Microsoft.Network/"
	vnet    = network + "virtualNetworks/vnet"
	tenant  = "7e57ab1e-0000-4000-8000-000000000001"
)

// The subnets of the world, each with a VM. app, other and limited have the endpoint, plain has not.
var subnets = []string{"app", "other", "limited", "plain"}

func subnetID(name string) string { return vnet + "/subnets/" + name }

// nodes are the machines of three regions.
var nodes = sync.OnceValue(func() *resource.Cloud {
	empty, err := resource.NewCloud(nil, resource.FirstCounters, 0)
	if err != nil {
		panic(err) // there is nothing to read
	}
	w := &world{cloud: empty}
	var items []item
	for i, at := range []string{region, pair, distant} {
		for j, properties := range []string{
			`{"role":"host","locator":"fd00:1:%[1]d:100::/56"}`,
			`{"role":"gateway","locator":"fd00:1:%[1]d:200::/56","serviceLocator":"fd00:1:%[1]d:300::/56","platformLocator":"fd00:1:%[1]d:400::/56"}`,
			`{"role":"edge","locator":"fd00:1:%[1]d:500::/56","outboundAddress":"203.0.113.%[1]d","platformPool":"100.64.%[1]d.0/24"}`,
		} {
			full, _ := resource.Expand(fmt.Sprintf("nodes/%s-%d", at, j))
			items = append(items, item{full, `{"location":"` + at + `","properties":` + fmt.Sprintf(properties, i+1) + `}`})
		}
	}
	if err := w.change(items); err != nil {
		panic(err)
	}
	return w.cloud
})

// item is a resource that is written, or with an empty body taken away.
type item struct{ id, body string }

// change writes all or nothing.
func (w *world) change(items []item) error {
	change := resource.NewChange(w.cloud, resource.Options{Random: rand.NewChaCha8([32]byte{7}),
		FrontAddresses: func(tag string, at model.Location) []netip.Prefix {
			if regional, ok := servicetag.BuiltIn().Regional(tag, at); ok {
				return regional.Prefixes
			}
			return servicetag.BuiltIn().IPv4(tag) // a tag without regions
		}})
	for _, one := range items {
		id, err := resource.ParseID(one.id)
		if err != nil {
			return err
		}
		if one.body == "" {
			if existed, err := change.Delete(id); err != nil || !existed {
				return fmt.Errorf("delete %s: there was one: %v; %w", id, existed, err)
			}
			continue
		}
		if _, err := change.Put(id, json.RawMessage(one.body)); err != nil {
			return err
		}
	}
	outcome, err := change.Finish()
	if err != nil {
		return err
	}
	w.cloud = outcome.After.At(w.cloud.Revision+1, outcome.Puts)
	return nil
}

// put is change where nothing is to be refused.
func (w *world) put(items ...item) {
	w.t.Helper()
	if err := w.change(items); err != nil {
		w.t.Fatal(err)
	}
}

// newWorld has an instance of a subject that lets everybody in, and a VNet whose subnets have its endpoint.
func newWorld(t testing.TB, s *subject) *world {
	t.Helper()
	w := &world{t: t, cloud: nodes(), compiler: new(compile.Compiler)}
	items := s.items(rules{allow: true})
	items = append(items, item{vnet, `{"location":"` + region + `","properties":{"addressSpace":{"addressPrefixes":["10.1.0.0/16"]}}}`})
	for _, name := range subnets {
		items = append(items, w.subnet(s, name, name != "plain"))
	}
	for _, name := range subnets {
		items = append(items, nic(name))
	}
	w.put(items...)
	return w
}

// derive is a world of its own that begins like this one.
func (w *world) derive(t testing.TB) *world { return &world{t, w.cloud, w.compiler} }

func prefixOf(name string) string {
	for i, known := range subnets {
		if known == name {
			return fmt.Sprintf("10.1.%d", i)
		}
	}
	return "10.1.99"
}

// subnet is a subnet with the subject's endpoint, or without it, and with policies.
func (w *world) subnet(s *subject, name string, enabled bool, policies ...string) item {
	properties := map[string]any{"addressPrefix": prefixOf(name) + ".0/24"}
	if enabled {
		properties["serviceEndpoints"] = []any{map[string]any{"service": s.endpoint()}}
	}
	if len(policies) > 0 {
		var list []any
		for _, policy := range policies {
			list = append(list, map[string]any{"id": network + "serviceEndpointPolicies/" + policy})
		}
		properties["serviceEndpointPolicies"] = list
	}
	return item{subnetID(name), text(map[string]any{"properties": properties})}
}

func nic(name string) item {
	return item{network + "networkInterfaces/" + name, text(map[string]any{"location": region, "properties": map[string]any{"ipConfigurations": []any{
		map[string]any{"name": "main", "properties": map[string]any{"subnet": map[string]any{"id": subnetID(name)}, "privateIPAddress": prefixOf(name) + ".4",
			"privateIPAllocationMethod": "Static"}}}}})}
}

// policy is an endpoint policy with one definition.
func policy(name, service string, resources ...string) item {
	return item{network + "serviceEndpointPolicies/" + name, text(map[string]any{"location": region, "properties": map[string]any{"serviceEndpointPolicyDefinitions": []any{
		map[string]any{"name": "one", "properties": map[string]any{"service": service, "serviceResources": resources}}}}})}
}

func text(value any) string {
	data, err := json.Marshal(value)
	if err != nil {
		panic(err) // texts, lists and objects alone
	}
	return string(data)
}

// write writes the subject's instance anew with rules.
func (w *world) write(s *subject, r rules) {
	w.t.Helper()
	w.put(s.items(r)...)
}

// instance is the subject's, or one of its siblings.
func (w *world) instance(s *subject) *model.ServiceInstance {
	w.t.Helper()
	for _, one := range w.cloud.Snapshot().Instances {
		if one.ID.Is(model.ResourceID(s.id())) {
			return one
		}
	}
	w.t.Fatalf("there is no %s", s.id())
	return nil
}

// plans are those of all nodes.
func (w *world) plans() map[string]plan.Node {
	w.t.Helper()
	plans, err := w.compiler.Compile(w.cloud.Snapshot(), servicetag.BuiltIn())
	if err != nil {
		w.t.Fatal(err)
	}
	return plans
}

// plan is that of the gateway of the subject's region.
func (w *world) plan() plan.Node { return w.plans()[region+"-1"] }

// caller is who asks.
type caller struct {
	subnet  string // of a VM, by its endpoint; or
	address string // public, or of the platform's pool
	managed firewall.Managed
}

// addresses are the local and the peer address that a connection of a caller to an instance has at the gateway.
func (w *world) addresses(s *subject, from caller, port uint16) (local, peer netip.AddrPort) {
	w.t.Helper()
	one := w.instance(s)
	if from.subnet == "" {
		return netip.AddrPortFrom(one.Address, port), netip.AddrPortFrom(netip.MustParseAddr(from.address), 50000)
	}
	identity := model.Identity(4094) // of nobody
	for _, subnet := range w.cloud.Snapshot().VirtualNetworks[0].Subnets {
		if subnet.ID.Name() == from.subnet {
			identity = subnet.Identity
		}
	}
	locator := w.plan().Gateway.ServiceLocator
	to := wire.Parts{Locator: locator, Function: model.FunctionService, Identity: one.Endpoint.Identity, IPv4: one.Address}
	source := wire.Parts{Locator: model.MustLocator("fd00:1:1:100::/56"), Function: model.FunctionNIC, Identity: identity, IPv4: netip.MustParseAddr(prefixOf(from.subnet) + ".4")}
	return netip.AddrPortFrom(to.Address(), port), netip.AddrPortFrom(source.Address(), 50000)
}

// judged is what the gateway says about a caller, by a plan that went the whole way.
func (w *world) judged(s *subject, from caller) gateway.Decision {
	w.t.Helper()
	snapshot, err := gateway.NewSnapshot(w.plan())
	if err != nil {
		w.t.Fatal(err)
	}
	return judgedBy(w, snapshot, s, from)
}

func judgedBy(w *world, snapshot *gateway.Snapshot, s *subject, from caller) gateway.Decision {
	w.t.Helper()
	local, peer := w.addresses(s, from, w.instance(s).Ports[0].Number)
	who := gateway.Identify(snapshot, local, peer)
	who.Managed = from.managed
	target, err := snapshot.Find(w.host(s))
	if err != nil {
		w.t.Fatal(err)
	}
	return gateway.Judge(snapshot, who, target)
}

// host is the instance's first name.
func (w *world) host(s *subject) string {
	one := w.instance(s)
	zones := s.described().Zones(w.cloud.Snapshot().Settings)
	return one.Name + "." + zones[0].Suffix
}

// allows and denies tell what becomes of a caller.
func (w *world) allows(s *subject, what string, from caller) {
	w.t.Helper()
	if got := w.judged(s, from); !got.Allow || got.Rule == "" {
		w.t.Errorf("%s is denied: %s", what, got.Missing)
	}
}

func (w *world) denies(s *subject, what string, from caller, reasons ...firewall.Reason) {
	w.t.Helper()
	got := w.judged(s, from)
	if got.Allow {
		w.t.Errorf("%s is let in: %s", what, got.Rule)
		return
	}
	if got.Missing == "" {
		w.t.Errorf("%s is denied without a word", what)
	}
	for _, reason := range reasons {
		if got.Reason == reason {
			return
		}
	}
	if len(reasons) > 0 {
		w.t.Errorf("%s is denied since %s (%s); want %v", what, got.Missing, got.Reason, reasons)
	}
}

// The usual callers.
var (
	app      = caller{subnet: "app"}
	other    = caller{subnet: "other"}
	limited  = caller{subnet: "limited"}
	plain    = caller{subnet: "plain"}
	office   = caller{address: "203.0.113.77"}
	stranger = caller{address: "198.51.100.9"}
	platform = caller{address: "100.64.1.7"} // of the region, without an endpoint (FW-5)
)

// endpoint is the name that subnets enable for a subject.
func (s *subject) endpoint() string {
	if name := s.described().Endpoint; name != "" {
		return name
	}
	return ownEndpoint
}

func (s *subject) described() *service.Service {
	described, _ := all.Type(s.typ)
	return described
}

func (s *subject) id() string {
	return cmp.Or(s.group, group) + "/providers/" + s.typ + "/" + s.name
}

// service is its row of docs/services.md.
func (s *subject) service() string { return strings.ToLower(s.described().Name) }

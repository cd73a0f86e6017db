package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"postern/agent"
	"postern/api"
	"postern/model"
	"postern/plan"
	"postern/resource"
	"postern/server"
	"postern/store"
	"postern/store/embedded"
)

// cloud is what the API works on, in this process: store and compile loop.
type cloud struct {
	dir   string
	store *embedded.Server
	api   *api.API
	ctx   context.Context
}

var options = resource.Options{FrontAddresses: func(string, model.Location) []netip.Prefix {
	return []netip.Prefix{netip.MustParsePrefix("20.60.26.0/24")}
}}

// compileNICs is a small compiler: a host's plan has the numbers of its NICs. A cloud with a NIC called "broken" cannot be
// compiled.
func compileNICs(snapshot *model.Snapshot) (map[string]plan.Node, error) {
	plans := make(map[string]plan.Node)
	for _, node := range snapshot.Nodes {
		p := plan.Node{Node: node.Name, Role: node.Role, Locator: node.Locator, Host: &plan.Host{}}
		for _, nic := range snapshot.NetworkInterfaces {
			if nic.ID.Name() == "broken" {
				return nil, errors.New("NIC broken: no sense in it")
			}
			if nic.Node == node.Name {
				p.Host.NICs = append(p.Host.NICs, plan.NIC{Number: nic.Number, ID: nic.ID, IPv4: nic.IPv4})
			}
		}
		plans[node.Name] = p
	}
	return plans, nil
}

func start(t *testing.T) *cloud {
	t.Helper()
	dir, err := os.MkdirTemp("", "pt-api-")
	if err != nil {
		t.Fatal(err)
	}
	c := &cloud{dir: dir}
	if c.store, err = embedded.Open(dir); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	c.ctx = ctx
	cache := server.NewCache(c.store.Store)
	c.api = api.New(c.store.Store, cache, options)
	c.api.Wait = 5 * time.Second
	log := slog.New(slog.DiscardHandler)
	var group sync.WaitGroup
	group.Go(func() { server.RunCompiler(ctx, c.store.Store, cache, compileNICs, log) })
	t.Cleanup(func() {
		cancel()
		group.Wait()
		c.api.Close()
		if err := c.store.Close(); err != nil {
			t.Error(err)
		}
		os.RemoveAll(dir)
	})
	return c
}

// driver remembers what it was told to apply.
type driver struct {
	lock sync.Mutex
	last plan.Node
	fail error
}

func (d *driver) Apply(_ context.Context, node plan.Node) error {
	d.lock.Lock()
	defer d.lock.Unlock()
	if d.fail != nil {
		return d.fail
	}
	d.last = node
	return nil
}

func (d *driver) plan() plan.Node {
	d.lock.Lock()
	defer d.lock.Unlock()
	return d.last
}

func (d *driver) Counters() ([]model.Counter, error) { return nil, nil }
func (d *driver) Close() error                       { return nil }

// join lets an agent with a driver run a node until the test ends or the answer is called.
func (c *cloud) join(t *testing.T, node string, d *driver) (stop func()) {
	t.Helper()
	connection, err := store.Connect(c.store.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(c.ctx)
	a, err := agent.New(agent.Options{Node: node, Dir: filepath.Join(c.dir, "agents"), Plans: connection, Driver: d, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := a.Run(ctx); err != nil {
			t.Error(err)
		}
	}()
	stop = sync.OnceFunc(func() {
		cancel()
		<-done
		connection.Close()
	})
	t.Cleanup(stop)
	return stop
}

func items(t *testing.T, file string) []resource.Item {
	t.Helper()
	list, err := resource.Load("test.yaml", []byte(file))
	if err != nil {
		t.Fatal(err)
	}
	return list
}

const network = `
type: nodes
name: host-a
location: westeurope
properties: {role: host, locator: "fd00:1:1:100::/56"}
---
type: virtualNetworks
name: vnet
location: westeurope
properties:
  addressSpace: {addressPrefixes: [10.1.0.0/16]}
  subnets: [{name: app, properties: {addressPrefix: 10.1.0.0/24}}]
`

const nicBody = `{"location":"westeurope","properties":{"ipConfigurations":[{"name":"c","properties":{"subnet":{"id":"/subscriptions/00000000-0000-4000-8000-000000000000/resourceGroups/demo/providers/Microsoft.Network/virtualNetworks/vnet/subnets/app"}}}]}}`

func id(t *testing.T, typ, name string) resource.ID {
	t.Helper()
	id, err := resource.IDOf(typ, name)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func refusal(t *testing.T, err error, code string) *resource.Error {
	t.Helper()
	var refused *resource.Error
	if !errors.As(err, &refused) || refused.Code != code {
		t.Fatalf("got %v, want %s", err, code)
	}
	return refused
}

func TestSucceededMeansEnforced(t *testing.T) {
	c, d := start(t), &driver{}
	c.join(t, "host-a", d)
	if _, err := c.api.Apply(c.ctx, api.Batch{Resources: items(t, network)}); err != nil {
		t.Fatal(err)
	}
	nic := id(t, "networkInterfaces", "nic")
	t.Run("ARM-1 PUT answers when the node has applied it", func(t *testing.T) {
		made, err := c.api.Put(c.ctx, nic, json.RawMessage(nicBody), api.Conditions{})
		if err != nil {
			t.Fatal(err)
		}
		if nics := d.plan().Host.NICs; len(nics) != 1 || !nics[0].ID.Is(nic.Model()) {
			t.Errorf("the driver has %+v", nics)
		}
		if made.Operation != nil || !made.Created || !strings.Contains(string(made.Body), `"provisioningState":"Succeeded"`) ||
			!strings.Contains(string(made.Body), `"privateIPAddress":"10.1.0.4"`) {
			t.Errorf("answer: %+v %s", made, made.Body)
		}
	})
	t.Run("ARM-1 GET, child GET and LIST", func(t *testing.T) {
		if _, err := c.api.Get(c.ctx, nic); err != nil {
			t.Error(err)
		}
		subnet, err := c.api.Get(c.ctx, id(t, "virtualNetworks/subnets", "vnet/app"))
		if err != nil || !strings.Contains(string(subnet), `"addressPrefix":"10.1.0.0/24"`) {
			t.Errorf("%s, %v", subnet, err)
		}
		for typ, want := range map[string]int{"": 3, resource.TypeVirtualNetwork: 1, resource.TypeRouteTable: 0} {
			if list, err := c.api.List(c.ctx, api.Filter{Type: typ}); err != nil || len(list) != want {
				t.Errorf("list of %q: %d, %v; want %d", typ, len(list), err, want)
			}
		}
	})
	t.Run("ARM-1 404 and the code of a deletion in use", func(t *testing.T) {
		_, err := c.api.Get(c.ctx, id(t, "routeTables", "gone"))
		if refused := refusal(t, err, "ResourceNotFound"); refused.Status != http.StatusNotFound {
			t.Errorf("status %d", refused.Status)
		}
		_, err = c.api.Delete(c.ctx, id(t, "virtualNetworks", "vnet"), api.Conditions{})
		refusal(t, err, "InUseSubnetCannotBeDeleted")
		if _, err := c.api.Delete(c.ctx, id(t, "routeTables", "gone"), api.Conditions{}); err != nil {
			t.Errorf("deleting what is not there: %v", err)
		}
	})
	t.Run("ARM-1 412 on another etag", func(t *testing.T) {
		_, err := c.api.Put(c.ctx, nic, json.RawMessage(nicBody), api.Conditions{IfMatch: `W/"1"`})
		if refused := refusal(t, err, "PreconditionFailed"); refused.Status != http.StatusPreconditionFailed {
			t.Errorf("status %d", refused.Status)
		}
		answer, err := c.api.Get(c.ctx, nic)
		if err != nil {
			t.Fatal(err)
		}
		var tagged struct{ ETag string }
		if err := json.Unmarshal(answer, &tagged); err != nil {
			t.Fatal(err)
		}
		if made, err := c.api.Put(c.ctx, nic, json.RawMessage(nicBody), api.Conditions{IfMatch: tagged.ETag}); err != nil || made.Created {
			t.Errorf("with its own etag: %+v, %v", made, err)
		}
	})
	t.Run("DELETE answers when the node has applied it", func(t *testing.T) {
		if _, err := c.api.Delete(c.ctx, nic, api.Conditions{}); err != nil {
			t.Fatal(err)
		}
		if nics := d.plan().Host.NICs; len(nics) != 0 {
			t.Errorf("the driver still has %+v", nics)
		}
	})
}

func TestNothingHalfApplied(t *testing.T) {
	c := start(t)
	before, err := c.store.Revision(c.ctx)
	if err != nil {
		t.Fatal(err)
	}
	bad := network + "---\ntype: routeTables\nname: rt\nlocation: westeurope\nproperties: {routes: [{name: r, properties: {addressPrefix: 0.0.0.0/0, nextHopType: VNetPeering}}]}\n"
	_, err = c.api.Apply(c.ctx, api.Batch{Resources: items(t, bad)})
	t.Run("ROUTE-10 names resource and field", func(t *testing.T) {
		refused := refusal(t, err, "InvalidRequestFormat")
		if refused.Target != "properties.routes[0].properties.nextHopType" || !strings.HasSuffix(refused.Resource, "/routeTables/rt") || refused.Status != 400 {
			t.Errorf("got %+v", refused)
		}
	})
	if after, err := c.store.Revision(c.ctx); err != nil || after != before {
		t.Errorf("the cloud has revision %d, %v; before %d", after, err, before)
	}
	if list, err := c.api.List(c.ctx, api.Filter{Type: ""}); err != nil || len(list) != 0 {
		t.Errorf("%d resources are there, %v", len(list), err)
	}
}

func TestConcurrentWriters(t *testing.T) {
	c, d := start(t), &driver{}
	c.join(t, "host-a", d)
	if _, err := c.api.Apply(c.ctx, api.Batch{Resources: items(t, network)}); err != nil {
		t.Fatal(err)
	}
	// A second API on the same store, as another server process would be.
	other := api.New(c.store.Store, server.NewCache(c.store.Store), options)
	defer other.Close()
	const writers, each = 4, 5
	var group sync.WaitGroup
	for w := range writers {
		door := c.api
		if w%2 == 1 {
			door = other
		}
		group.Go(func() {
			for i := range each {
				nic, err := resource.IDOf("networkInterfaces", fmt.Sprintf("nic-%d-%d", w, i))
				if err == nil {
					_, err = door.Put(c.ctx, nic, json.RawMessage(nicBody), api.Conditions{})
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	numbers, addresses := make(map[uint32]bool), make(map[netip.Addr]bool)
	for _, nic := range d.plan().Host.NICs {
		numbers[nic.Number], addresses[nic.IPv4] = true, true
	}
	if len(numbers) != writers*each || len(addresses) != writers*each {
		t.Errorf("%d numbers and %d addresses for %d NICs", len(numbers), len(addresses), writers*each)
	}
}

func TestCatalogue(t *testing.T) {
	c := start(t)
	if err := c.api.PutCatalogue(c.ctx, []byte("tags")); err != nil {
		t.Fatal(err)
	}
	if data, err := c.api.Catalogue(c.ctx); err != nil || string(data) != "tags" {
		t.Errorf("%q, %v", data, err)
	}
}

func TestPlanOfANode(t *testing.T) {
	c := start(t)
	c.join(t, "host-a", &driver{})
	if _, err := c.api.Apply(c.ctx, api.Batch{Resources: items(t, network)}); err != nil {
		t.Fatal(err)
	}
	p, revision, err := c.api.Plan(c.ctx, "host-a")
	if err != nil || p.Node != "host-a" || revision == 0 {
		t.Errorf("%+v of %d, %v", p, revision, err)
	}
	_, _, err = c.api.Plan(c.ctx, "host-z")
	refusal(t, err, "ResourceNotFound")
}

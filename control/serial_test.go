package control_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"postern/api"
	"postern/control"
	"postern/control/controltest"
	"postern/resource"
)

const (
	group = "/subscriptions/" + resource.DefaultSubscription + "/resourceGroups/busy"

	fabric = `
type: nodes
name: host-a
location: westeurope
properties: {role: host, locator: "fd00:1:1:100::/56"}
---
type: nodes
name: gateway-we
location: westeurope
properties: {role: gateway, locator: "fd00:1:1:300::/56", serviceLocator: "fd00:1:a:100::/56", platformLocator: "fd00:1:b:100::/56"}
---
id: ` + group + `
location: westeurope
`
)

// start starts a plane with a fabric and a group.
func start(t *testing.T, ctx context.Context, options control.Options) *controltest.Plane {
	t.Helper()
	plane := controltest.Start(t, options)
	items, err := resource.Load("fabric.yaml", []byte(fabric))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := plane.API.Apply(ctx, api.Batch{Resources: items}); err != nil {
		t.Fatal(err)
	}
	return plane
}

// write is a request of a writer, and what came of it.
type write struct {
	method, id, body string
	revision         int64 // of the cloud that it made
}

func (w write) send(ctx context.Context, a *api.API, conditions api.Conditions) (api.Outcome, error) {
	id, err := resource.ParseID(w.id)
	if err != nil {
		return api.Outcome{}, err
	}
	conditions.Group = true
	switch w.method {
	case http.MethodPut:
		return a.Put(ctx, id, json.RawMessage(w.body), conditions)
	case http.MethodPatch:
		return a.Patch(ctx, id, json.RawMessage(w.body), conditions)
	}
	return a.Delete(ctx, id, conditions)
}

// arbitrary makes a write of one of a few resources, so that writers meet.
func arbitrary(random *rand.Rand) write {
	n := random.IntN
	vnet := fmt.Sprintf("%s/providers/Microsoft.Network/virtualNetworks/vnet%d", group, n(2))
	subnet := fmt.Sprintf("%s/subnets/s%d", vnet, n(4))
	table := fmt.Sprintf("%s/providers/Microsoft.Network/routeTables/rt%d", group, n(2))
	prefix := fmt.Sprintf("10.%d.%d.0/24", vnet[len(vnet)-1]-'0', subnet[len(subnet)-1]-'0')
	endpoint := []string{"", `,"serviceEndpoints":[{"service":"Microsoft.Storage"}]`, `,"serviceEndpoints":[{"service":"Microsoft.Storage.Global"}]`}[n(3)]
	routed := []string{"", `,"routeTable":{"id":"` + table + `"}`}[n(2)]
	switch n(9) {
	case 0:
		return write{method: "PUT", id: vnet, body: fmt.Sprintf(`{"location":"westeurope","tags":{"n":"%d"},"properties":{"addressSpace":{"addressPrefixes":["10.%c.0.0/16"]},`+
			`"subnets":[{"name":"s0","properties":{"addressPrefix":"10.%c.0.0/24"}}]}}`, n(100), vnet[len(vnet)-1], vnet[len(vnet)-1])}
	case 1, 2:
		return write{method: "PUT", id: subnet, body: fmt.Sprintf(`{"properties":{"addressPrefix":%q%s%s}}`, prefix, endpoint, routed)}
	case 3:
		return write{method: "DELETE", id: []string{subnet, table, vnet}[n(3)]}
	case 4:
		return write{method: "PUT", id: table, body: fmt.Sprintf(`{"location":"westeurope","properties":{"routes":[{"name":"r%d","properties":{"addressPrefix":"0.0.0.0/0","nextHopType":"None"}}]}}`, n(3))}
	case 5:
		return write{method: "PUT", id: fmt.Sprintf("%s/routes/r%d", table, n(4)), body: fmt.Sprintf(`{"properties":{"addressPrefix":"10.%d.0.0/16","nextHopType":"Internet"}}`, n(9))}
	case 6:
		return write{method: "PUT", id: fmt.Sprintf("%s/providers/Microsoft.Network/networkInterfaces/nic%d", group, n(6)), body: `{"location":"westeurope","properties":{` +
			`"ipConfigurations":[{"name":"c","properties":{"subnet":{"id":"` + subnet + `"}}}]}}`}
	case 7:
		return write{method: "PATCH", id: []string{vnet, table}[n(2)], body: fmt.Sprintf(`{"tags":{"patched":"%d"}}`, n(100))}
	}
	return write{method: "PUT", id: fmt.Sprintf("%s/providers/Microsoft.Storage/storageAccounts/stbusy%d", group, n(2)), body: `{"location":"westeurope","kind":"StorageV2",` +
		`"sku":{"name":"Standard_LRS"},"properties":{"networkAcls":{"defaultAction":"Deny","virtualNetworkRules":[{"id":"` + subnet + `"}]}}}`}
}

// TestSerialOrder covers that what a hundred writers leave behind is what some order of their writes, one by one, makes:
// that of the revisions. Every resource is compared, with all that was allotted to it.
func TestSerialOrder(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	const writers, each = 100, 6
	busy := start(t, ctx, control.Options{})
	var lock sync.Mutex
	var done []write
	codes := map[string]int{}
	var all sync.WaitGroup
	for number := range writers {
		all.Go(func() {
			random := rand.New(rand.NewPCG(uint64(number), 17))
			for range each {
				one := arbitrary(random)
				made, err := one.send(ctx, busy.API, api.Conditions{})
				var refused *resource.Error
				lock.Lock()
				switch {
				case err == nil && made.Revision != 0:
					one.revision = made.Revision
					done = append(done, one)
				case errors.As(err, &refused) && refused.Status < 500:
					codes[refused.Code]++
				case err != nil:
					t.Errorf("%s %s: %v", one.method, one.id, err)
				}
				lock.Unlock()
			}
		})
	}
	all.Wait()
	t.Logf("%d writes of %d were made; refused: %v", len(done), writers*each, codes)
	if len(done) < writers {
		t.Fatalf("only %d writes were made: %v", len(done), codes)
	}
	slices.SortFunc(done, func(a, b write) int { return cmp.Compare(a.revision, b.revision) })
	for i := 1; i < len(done); i++ {
		if done[i].revision == done[i-1].revision {
			t.Fatalf("ARM-3 two writes made revision %d: %v and %v", done[i].revision, done[i-1], done[i])
		}
	}
	quiet := start(t, ctx, control.Options{})
	for _, one := range done {
		if made, err := one.send(ctx, quiet.API, api.Conditions{}); err != nil || made.Revision == 0 {
			t.Fatalf("ARM-3 no order of one by one: %s %s of revision %d: %+v, %v", one.method, one.id, one.revision, made, err)
		}
	}
	left, right := contents(t, ctx, busy), contents(t, ctx, quiet)
	for key, have := range left.records {
		if want := right.records[key]; !reflect.DeepEqual(have, want) {
			t.Errorf("ARM-3 %s is\n%s\nand one by one\n%s", key, have, want)
		}
	}
	if len(left.records) != len(right.records) || left.counters != right.counters {
		t.Errorf("ARM-3 %d resources with counters %+v, one by one %d with %+v", len(left.records), left.counters, len(right.records), right.counters)
	}
}

// state is what a cloud has, but for revisions, dates and what is made at random.
type state struct {
	records  map[string]string // what is answered, what was allotted; by key
	counters resource.Counters
}

func contents(t *testing.T, ctx context.Context, plane *controltest.Plane) state {
	t.Helper()
	cloud, err := plane.Cache.Current(ctx)
	if err != nil {
		t.Fatal(err)
	}
	s := state{map[string]string{}, cloud.Counters}
	for _, record := range cloud.Records("") {
		id, err := resource.ParseID(record.ID)
		if err != nil {
			t.Fatal(err)
		}
		body, err := plane.API.Get(ctx, id)
		if err != nil {
			t.Fatal(err)
		}
		var answer any
		if err := json.Unmarshal(body, &answer); err != nil {
			t.Fatal(err)
		}
		forget(answer)
		allotted := record.Allotted
		allotted.GUID, allotted.Keys, allotted.Created = "", [2]string{}, time.Time{}
		var text bytes.Buffer
		encoder := json.NewEncoder(&text)
		encoder.SetIndent("", " ")
		if err := errors.Join(encoder.Encode(answer), encoder.Encode(allotted)); err != nil {
			t.Fatal(err)
		}
		s.records[record.Key()] = text.String()
	}
	return s
}

// forget removes what differs between clouds in which the same happened.
func forget(value any) {
	switch value := value.(type) {
	case map[string]any:
		for _, name := range []string{"etag", "resourceGuid", "creationTime", "keyCreationTime", "encryption"} {
			delete(value, name)
		}
		for _, inner := range value {
			forget(inner)
		}
	case []any:
		for _, inner := range value {
			forget(inner)
		}
	}
}

// TestOneWriterWins covers two writers that have read the same: one writes, the other one hears that it is late.
func TestOneWriterWins(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	plane := start(t, ctx, control.Options{Wait: 100 * time.Millisecond})
	vnet := write{method: "PUT", id: group + "/providers/Microsoft.Network/virtualNetworks/vnet",
		body: `{"location":"westeurope","properties":{"addressSpace":{"addressPrefixes":["10.0.0.0/16"]},"subnets":[{"name":"s","properties":{"addressPrefix":"10.0.0.0/24"}}]}}`}
	nic := write{method: "PUT", id: group + "/providers/Microsoft.Network/networkInterfaces/nic", body: `{"location":"westeurope","properties":{"ipConfigurations":[{"name":"c",` +
		`"properties":{"subnet":{"id":"` + vnet.id + `/subnets/s"}}}]}}`}
	for _, one := range []write{vnet, nic} {
		if _, err := one.send(ctx, plane.API, api.Conditions{}); err != nil {
			t.Fatal(err)
		}
	}
	// race lets two writers send at once and counts what they are told.
	race := func(one write, conditions api.Conditions) map[string]int {
		codes, lock := map[string]int{}, sync.Mutex{}
		var both sync.WaitGroup
		for range 2 {
			both.Go(func() {
				_, err := one.send(ctx, plane.API, conditions)
				var refused *resource.Error
				code := "written"
				if errors.As(err, &refused) {
					code = fmt.Sprint(refused.Status, " ", refused.Code)
				} else if err != nil {
					t.Error(err)
				}
				lock.Lock()
				codes[code]++
				lock.Unlock()
			})
		}
		both.Wait()
		return codes
	}
	for range 10 {
		cloud, err := plane.Cache.Current(ctx)
		if err != nil {
			t.Fatal(err)
		}
		id, err := resource.ParseID(vnet.id)
		if err != nil {
			t.Fatal(err)
		}
		record, _ := cloud.Record(id)
		if codes := race(vnet, api.Conditions{IfMatch: record.ETag()}); codes["written"] != 1 || codes["412 PreconditionFailed"] != 1 {
			t.Errorf("ARM-1 by etag: %v", codes)
		}
	}
	plane.Nodes.Silence("host-a")
	subnet := write{method: "PUT", id: vnet.id + "/subnets/s", body: `{"properties":{"addressPrefix":"10.0.0.0/24","serviceEndpoints":[{"service":"Microsoft.Storage"}]}}`}
	if codes := race(subnet, api.Conditions{}); codes["written"] != 1 || codes["409 AnotherOperationInProgress"] != 1 {
		t.Errorf("ARM-1 while the node is silent: %v", codes)
	}
}

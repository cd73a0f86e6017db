package resource

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"postern/resource/sdktest"
)

var update = flag.Bool("update", false, "write docs/conformance.md anew")

// conformanceFile is the table that this test makes and compares.
const conformanceFile = "../docs/conformance.md"

// clients are the SDK's clients whose examples are replayed: the file, and the type that the calls are about.
var clients = []struct{ section, file, typ string }{
	{"network", "applicationsecuritygroups", TypeApplicationSecurityGroup},
	{"network", "interfaces", TypeNetworkInterface},
	{"network", "natgateways", TypeNatGateway},
	{"network", "publicipaddresses", TypePublicIPAddress},
	{"network", "routes", TypeRouteTable + "/routes"},
	{"network", "routetables", TypeRouteTable},
	{"network", "securitygroups", TypeNetworkSecurityGroup},
	{"network", "securityrules", TypeNetworkSecurityGroup + "/securityRules"},
	{"network", "serviceendpointpolicies", TypeServiceEndpointPolicy},
	{"network", "serviceendpointpolicydefinitions", TypeServiceEndpointPolicy + "/serviceEndpointPolicyDefinitions"},
	{"network", "subnets", TypeVirtualNetwork + "/subnets"},
	{"network", "virtualnetworks", TypeVirtualNetwork},
	{"network", "virtualnetworkpeerings", TypeVirtualNetwork + "/virtualNetworkPeerings"},
	{"storage", "accounts", TypeStorageAccount},
}

// errOther is the outcome of an example that is not about a resource's body: lists, actions.
var errOther = errors.New("not a call about one resource's body")

// TestConformance replays the SDK's example calls and compares the answers with the documented ones. What it finds is
// docs/conformance.md; a change of it shows in the test until the file is made anew with -update.
func TestConformance(t *testing.T) {
	var table, misses strings.Builder
	matched, replayed := 0, 0
	for _, client := range clients {
		source, err := sdktest.Read(client.section)
		if err != nil {
			t.Fatal(err)
		}
		examples, err := source.Examples(client.file + "_client_example_test.go")
		if err != nil {
			t.Fatal(err)
		}
		slices.SortFunc(examples, func(a, b sdktest.Example) int { return strings.Compare(a.Name, b.Name) })
		tried, good := 0, 0
		for _, example := range examples {
			differences, err := replay(t, client.typ, example)
			if errors.Is(err, errOther) {
				continue
			}
			if tried++; err != nil {
				differences = []string{err.Error()}
			}
			if len(differences) == 0 {
				good++
				continue
			}
			fmt.Fprintf(&misses, "- `%s`\n", strings.TrimPrefix(example.Name, "Example"))
			for _, difference := range differences[:min(len(differences), 6)] {
				fmt.Fprintf(&misses, "  - %s\n", difference)
			}
			if more := len(differences) - 6; more > 0 {
				fmt.Fprintf(&misses, "  - and %d more\n", more)
			}
		}
		fmt.Fprintf(&table, "| %s | %d | %d | %d |\n", client.typ, len(examples), tried, good)
		matched, replayed = matched+good, replayed+tried
	}
	fmt.Fprintf(&table, "| **together** | | **%d** | **%d** |\n", replayed, matched)
	want := fmt.Sprintf(conformanceText, table.String(), misses.String())
	if *update {
		if err := os.WriteFile(conformanceFile, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(conformanceFile)
	if err != nil {
		t.Fatal(err)
	}
	if string(have) != want {
		t.Errorf("%d of %d examples match, which is not what %s says; look at the difference after go test ./resource -run TestConformance -update",
			matched, replayed, conformanceFile)
	}
}

const conformanceText = `# Conformance with the SDK's examples

Made by ` + "`go test ./resource -run TestConformance -update`" + `; the same test without ` + "`-update`" + ` compares.

Azure's Go SDK has example calls for each client in its own tests, each with a documented answer. The test replays
those that are about one resource's body (create, get, update, delete) against the part of Postern that judges,
keeps and answers bodies, without HTTP between, and compares field by field. Lists and actions are not replayed here.

Rules of the comparison:

- Ids are rewritten to one subscription. What an example refers to is made first, in the example's region, with as
  little as it needs. For a get or an update the documented answer itself is written first, so far as it can be.
- Every documented member must be answered with the same value. What Postern answers besides does not count.
- Left out: ids, etags, GUIDs, dates, and addresses that the service allots.
- An empty list or text and an absent one are the same. Regions compare in their short form.

| type | examples | replayed | match |
|---|---|---|---|
%s
## What does not match, and why

A code and a sentence is a refusal; "want" is the documented value.

%s`

var subscriptions = regexp.MustCompile(`(?i)/subscriptions/[^/"]+/resourceGroups/`)

// rewritten moves the ids of a value to one subscription.
func rewritten(t *testing.T, value any) map[string]any {
	t.Helper()
	data, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	data = subscriptions.ReplaceAll(data, []byte("/subscriptions/"+DefaultSubscription+"/resourceGroups/"))
	decoder := json.NewDecoder(strings.NewReader(string(data)))
	decoder.UseNumber()
	var object map[string]any
	if err := decoder.Decode(&object); err != nil {
		t.Fatal(err)
	}
	return object
}

// replay makes one example call in a cloud of its own and answers what differs from the documented answer.
func replay(t *testing.T, typ string, example sdktest.Example) ([]string, error) {
	method := strings.TrimPrefix(example.Method, "Begin")
	if !slices.Contains([]string{"CreateOrUpdate", "Create", "Get", "GetProperties", "Update", "UpdateTags", "Delete"}, method) {
		return nil, errOther
	}
	if method != "Delete" && example.Answer == nil {
		return nil, errOther
	}
	id := exampleID(t, typ, example.Arguments)
	body, answer := rewritten(t, example.Body), rewritten(t, example.Answer)
	w := newWorld(t, id, body, answer)
	if w.failed != nil {
		return nil, w.failed
	}
	var err error
	switch method {
	case "CreateOrUpdate", "Create":
		err = w.put(id, body)
	case "Get", "GetProperties":
		err = w.put(id, answer)
	case "Update", "UpdateTags":
		seed := maps.Clone(answer)
		delete(seed, "tags")
		if err = w.put(id, seed); err == nil {
			err = w.patch(id, body)
		}
	case "Delete":
		w.require(id)
		c := NewChange(w.cloud, testOptions())
		if existed, err := c.Delete(id); err != nil || !existed {
			return nil, fmt.Errorf("not deleted: %w", err)
		}
		return nil, w.finish(c)
	}
	if err != nil {
		return nil, err
	}
	data, err := w.cloud.Render(id, "Succeeded")
	if err != nil {
		return nil, err
	}
	have, err := readObject(data)
	if err != nil {
		return nil, err
	}
	return differences(answer, have, ""), nil
}

func exampleID(t *testing.T, typ string, arguments []string) ID {
	t.Helper()
	provider, rest, _ := strings.Cut(typ, "/")
	id := ID{Subscription: DefaultSubscription, ResourceGroup: arguments[0], Provider: provider, Types: strings.Split(rest, "/"), Names: arguments[1:]}
	if len(id.Types) != len(id.Names) {
		t.Fatalf("an example about a %s has the names %v", typ, arguments)
	}
	return id
}

// world is the cloud of one example, with what the example refers to.
type world struct {
	t      *testing.T
	cloud  *Cloud
	region string
	main   ID
	spaces []string // address space of the remote VNet of a peering, from the documented answer
	own    []string // address space of the VNet that the example is in
	count  int
	failed error
}

func newWorld(t *testing.T, id ID, body, answer map[string]any) *world {
	t.Helper()
	cloud, err := NewCloud(nil, FirstCounters, 0)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, cloud: cloud, region: "eastus", main: id}
	for _, source := range []map[string]any{body, answer} {
		if location, ok := source["location"].(string); ok {
			w.region = shortLocation(location)
			break
		}
	}
	for _, source := range []map[string]any{answer, body} {
		properties := objectAt(source, "properties")
		w.spaces = append(w.spaces, words(objectAt(properties, "remoteAddressSpace")["addressPrefixes"])...)
		if prefix, ok := properties["addressPrefix"].(string); ok {
			w.own = append(w.own, prefix)
		}
		w.own = append(w.own, words(properties["addressPrefixes"])...)
	}
	slices.Sort(w.own)
	w.own = slices.Compact(w.own)
	slices.Sort(w.spaces)
	w.spaces = slices.Compact(w.spaces)
	w.make(mustID(t, "nodes/host"), map[string]any{"location": w.region, "properties": map[string]any{"role": "host", "locator": "fd00:1:1:100::/56"}})
	if id.IsChild() {
		w.require(id.Root())
	}
	w.requireAll(body)
	w.requireAll(answer)
	return w
}

func words(value any) []string {
	var list []string
	elements, _ := value.([]any)
	for _, element := range elements {
		list = append(list, element.(string))
	}
	return list
}

// requireAll makes what a body refers to, if it can exist.
func (w *world) requireAll(value any) {
	switch value := value.(type) {
	case map[string]any:
		for _, name := range sortedKeys(value) {
			text, _ := value[name].(string)
			if id, err := ParseID(text); name == "id" && err == nil && id.Root().Key() != w.main.Root().Key() {
				w.require(id)
			}
			w.requireAll(value[name])
		}
	case []any:
		for _, element := range value {
			w.requireAll(element)
		}
	}
}

// require makes the least that a resource can be, unless it is there.
func (w *world) require(id ID) {
	if w.cloud.has(id.Model()) {
		return
	}
	if id.IsChild() {
		w.require(id.Root())
		w.make(id, map[string]any{"properties": w.leastChild(id)})
		return
	}
	body := map[string]any{"location": w.region}
	switch id.Type() {
	case TypeVirtualNetwork:
		spaces := []string{fmt.Sprintf("10.%d.0.0/16", 100+w.count)}
		if id.Key() == w.main.Root().Key() && len(w.own) > 0 {
			spaces = w.own
		} else if id.Key() != w.main.Root().Key() && len(w.spaces) > 0 {
			spaces, w.spaces = w.spaces, nil
		}
		w.count++
		body["properties"] = map[string]any{"addressSpace": map[string]any{"addressPrefixes": spaces}}
	case TypeNetworkInterface:
		subnet := mustID(w.t, "virtualNetworks/required/subnets/default")
		w.require(subnet)
		body["properties"] = map[string]any{"ipConfigurations": []any{map[string]any{"name": "ipconfig1",
			"properties": map[string]any{"subnet": map[string]any{"id": subnet.String()}}}}}
	case TypeVirtualMachine:
		return // they are never referred to in a write
	}
	w.make(id, body)
}

// leastChild is the least that a child can be.
func (w *world) leastChild(id ID) map[string]any {
	switch id.Types[1] {
	case "subnets":
		vnet := w.cloud.vnet(id.Root().Model())
		address := vnet.AddressSpace[0].Addr()
		for range 256 * len(vnet.Subnets) {
			address = address.Next()
		}
		return map[string]any{"addressPrefix": address.String() + "/24", "serviceEndpoints": []any{map[string]any{"service": "Microsoft.Storage"}}}
	case "routes":
		return map[string]any{"addressPrefix": "192.0.2.0/24", "nextHopType": "None"}
	case "securityRules":
		return map[string]any{"priority": 4096, "direction": "Inbound", "access": "Deny", "protocol": "*", "sourceAddressPrefix": "*", "sourcePortRange": "*",
			"destinationAddressPrefix": "*", "destinationPortRange": "*"}
	case "serviceEndpointPolicyDefinitions":
		return map[string]any{"service": "Microsoft.Storage", "serviceResources": []any{"/subscriptions/" + DefaultSubscription}}
	case "virtualNetworkPeerings":
		remote := mustID(w.t, "virtualNetworks/remote")
		w.require(remote)
		return map[string]any{"remoteVirtualNetwork": map[string]any{"id": remote.String()}}
	}
	w.t.Fatalf("no least %s is known", id.Type())
	return nil
}

// make writes what the example needs. That it cannot be made is the example's outcome.
func (w *world) make(id ID, body map[string]any) {
	if err := w.put(id, body); err != nil && w.failed == nil {
		w.failed = fmt.Errorf("what it refers to cannot be made: %w", err)
	}
}

func (w *world) put(id ID, body map[string]any) error {
	delete(body, "type")
	for _, name := range []string{"id", "name"} { // the examples' own ids do not always agree with their calls
		delete(body, name)
	}
	data, err := json.Marshal(body)
	if err != nil {
		return err
	}
	c := NewChange(w.cloud, testOptions())
	if _, err := c.Put(id, data); err != nil {
		return err
	}
	return w.finish(c)
}

func (w *world) patch(id ID, patch map[string]any) error {
	current, err := w.cloud.Render(id, "Succeeded")
	if err != nil {
		return err
	}
	data, err := json.Marshal(patch)
	if err != nil {
		return err
	}
	body, err := Patch(id, current, data)
	if err != nil {
		return err
	}
	c := NewChange(w.cloud, testOptions())
	if _, err := c.Put(id, body); err != nil {
		return err
	}
	return w.finish(c)
}

func (w *world) finish(c *Change) error {
	outcome, err := c.Finish()
	if err != nil {
		return err
	}
	w.cloud = outcome.After.At(w.cloud.Revision+1, outcome.Puts)
	return nil
}

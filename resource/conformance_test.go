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
	matched, replayed, partly := 0, 0, 0
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
		tried, good, without := 0, 0, 0
		for _, example := range examples {
			differences, err := replay(t, client.typ, example, false)
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
			if types := foreign(example); types != "" {
				rest, err := replay(t, client.typ, example, true)
				if err != nil {
					rest = []string{err.Error()}
				} else if len(rest) == 0 {
					without++
				}
				differences = append([]string{"refers to types that are not there: " + types}, rest...)
			}
			fmt.Fprintf(&misses, "- `%s`\n", strings.TrimPrefix(example.Name, "Example"))
			for _, difference := range differences[:min(len(differences), 6)] {
				fmt.Fprintf(&misses, "  - %s\n", difference)
			}
			if more := len(differences) - 6; more > 0 {
				fmt.Fprintf(&misses, "  - and %d more\n", more)
			}
		}
		fmt.Fprintf(&table, "| %s | %d | %d | %d | %d |\n", client.typ, len(examples), tried, good, without)
		matched, replayed, partly = matched+good, replayed+tried, partly+without
	}
	fmt.Fprintf(&table, "| **together** | | **%d** | **%d** | **%d** |\n", replayed, matched, partly)
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
- A documented answer may say who uses a resource: those NICs and subnets are made too.
- Every documented member must be answered with the same value. What Postern answers besides does not count.
- Left out: ids, etags, GUIDs, dates, the case of types, and what the service chooses (addresses, primaryLocation, secondaryLocation). A name,
  kind or prefix for which the answer documents another value than its own request has is left out too.
- "Match without" counts examples that do not match, and do once references to resources of types that Postern does not
  have (public IP prefixes, load balancers, DDoS plans) are taken out of the request and of the documented answer.
- An empty list or text and an absent one are the same. Regions compare in their short form.

| type | examples | replayed | match | match without |
|---|---|---|---|---|
%s
## What does not match, and why

A code and a sentence is a refusal; "want" is the documented value. Where types are not there, what follows differs besides.

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
// With without, references to what cannot exist are taken out first.
func replay(t *testing.T, typ string, example sdktest.Example, without bool) ([]string, error) {
	method := strings.TrimPrefix(example.Method, "Begin")
	if !slices.Contains([]string{"CreateOrUpdate", "Create", "Get", "GetProperties", "Update", "UpdateTags", "Delete"}, method) {
		return nil, errOther
	}
	if method != "Delete" && example.Answer == nil {
		return nil, errOther
	}
	id := exampleID(t, typ, example.Arguments)
	body, answer := rewritten(t, example.Body), rewritten(t, example.Answer)
	if without {
		takeOut(body)
		takeOut(answer)
	}
	contradicted(answer, body)
	if method != "Delete" {
		delete(answer, "name") // the call's is the one that counts
	}
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
		if body["tags"] != nil {
			delete(seed, "tags")
		}
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
	if err == nil {
		err = w.use(id, answer)
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

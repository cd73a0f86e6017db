package arm_test

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"

	"postern/api"
	"postern/resource"
	"postern/resource/sdktest"
)

var update = flag.Bool("update", false, "write docs/conformance.md anew")

// conformanceFile is the table that TestConformance makes and compares.
const conformanceFile = "../docs/conformance.md"

// replayed are the SDK's clients whose examples are replayed: the file, and the type that the calls are about.
var replayed = []struct{ section, file, typ string }{
	{"network", "applicationsecuritygroups", resource.TypeApplicationSecurityGroup},
	{"network", "interfaces", resource.TypeNetworkInterface},
	{"network", "natgateways", resource.TypeNatGateway},
	{"network", "publicipaddresses", resource.TypePublicIPAddress},
	{"network", "publicipprefixes", resource.TypePublicIPPrefix},
	{"network", "routes", resource.TypeRouteTable + "/routes"},
	{"network", "routetables", resource.TypeRouteTable},
	{"network", "securitygroups", resource.TypeNetworkSecurityGroup},
	{"network", "securityrules", resource.TypeNetworkSecurityGroup + "/securityRules"},
	{"network", "defaultsecurityrules", resource.TypeNetworkSecurityGroup + "/defaultSecurityRules"},
	{"network", "serviceendpointpolicies", resource.TypeServiceEndpointPolicy},
	{"network", "serviceendpointpolicydefinitions", resource.TypeServiceEndpointPolicy + "/serviceEndpointPolicyDefinitions"},
	{"network", "subnets", resource.TypeVirtualNetwork + "/subnets"},
	{"network", "virtualnetworks", resource.TypeVirtualNetwork},
	{"network", "virtualnetworkpeerings", resource.TypeVirtualNetwork + "/virtualNetworkPeerings"},
	{"network", "availableendpointservices", "Microsoft.Network/locations/virtualNetworkAvailableEndpointServices"},
	{"network", "availableservicealiases", "Microsoft.Network/locations/availableServiceAliases"},
	{"network", "servicetags", "Microsoft.Network/locations/serviceTags"},
	{"network", "servicetaginformation", "Microsoft.Network/locations/serviceTagDetails"},
	{"network", "watchers", resource.TypeNetworkWatcher},
	{"network", "usages", "Microsoft.Network/locations/usages"},
	{"storage", "accounts", resource.TypeStorageAccount},
}

// otherTypes are calls in those files that are about types which are none of Postern's, or ask a network watcher for more than
// it has: a word of the method's name, and what they are about.
var otherTypes = []struct{ word, about string }{
	{"CloudService", "the network interfaces and addresses of cloud services, a type that Azure has retired"},
	{"ConnectionAnalyzers", "connection analyzers, which send probes for as long as they stand"},
	{"AzureReachabilityReport", "reports of latency from Internet providers to Azure's regions"},
	{"AvailableProviders", "Internet providers that those reports know"},
	{"FlowLog", "flow logs"},
	{"Troubleshooting", "the troubleshooting of virtual network gateways"},
}

// outcome is how an example ended. The table counts each.
type outcome int

const (
	matches    outcome = iota
	selfDenied         // matches but for what the answer says otherwise than its own request
	without            // matches once references to types that are not there are taken out
	impossible         // Azure refuses what is documented, as Postern does
	differs
)

// TestConformance replays the SDK's example calls through the SDK's clients over HTTPS and compares the answers with the
// documented ones. What it finds is docs/conformance.md; a change of it shows in the test until the file is made anew
// with -update.
func TestConformance(t *testing.T) {
	c := startSDK(t)
	if err := c.prepare(); err != nil {
		t.Fatal(err)
	}
	var report conformanceReport
	for _, client := range replayed {
		source, err := sdktest.Read(client.section)
		if err != nil {
			t.Fatal(err)
		}
		examples, err := source.Examples(client.file + "_client_example_test.go")
		if err != nil {
			t.Fatal(err)
		}
		slices.SortFunc(examples, func(a, b sdktest.Example) int { return strings.Compare(a.Name, b.Name) })
		row := conformanceRow{typ: client.typ, examples: len(examples)}
		for _, example := range examples {
			if at := slices.IndexFunc(otherTypes, func(other struct{ word, about string }) bool { return strings.Contains(example.Method, other.word) }); at >= 0 {
				fmt.Fprintf(&report.left, "- `%s`: %s\n", strings.TrimPrefix(example.Name, "Example"), otherTypes[at].about)
				continue
			}
			how, reasons, err := c.conforms(client.typ, example)
			if err != nil {
				t.Fatalf("%s: %v", example.Name, err)
			}
			row.counts[how]++
			report.note(strings.TrimPrefix(example.Name, "Example"), how, reasons)
		}
		report.rows = append(report.rows, row)
	}
	report.unused(t)
	for kind := range modelOf {
		if !c.strict.seen[kind] && strings.HasPrefix(kind, "microsoft.network/") {
			t.Errorf("no example had an answer of %s: its members were not compared with the SDK's model", kind)
		}
	}
	want := report.String()
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
		t.Errorf("what matches is not what %s says; look at the difference after go test ./arm -run TestConformance -update", conformanceFile)
	}
}

// exampleRegions are the regions that the examples name.
var exampleRegions = []string{"centralus", "centraluseuap", "eastus", "eastus2", "eastus2euap", "westcentralus", "westus"}

// prepare gives each region of the examples a host, and a service tag of Storage for accounts' addresses.
func (c *clients) prepare() error {
	var hosts []resource.Item
	for i, region := range exampleRegions {
		id, err := resource.ParseID(fmt.Sprintf("/subscriptions/%s/resourceGroups/fabric/providers/%s/host-%d", resource.DefaultSubscription, resource.TypeNode, i))
		if err != nil {
			return err
		}
		hosts = append(hosts, resource.Item{ID: id, Body: fmt.Appendf(nil, `{"location":%q,"properties":{"role":"host","locator":"fd00:2:%d:100::/56"}}`, region, i)})
	}
	if err := c.usualTags(); err != nil {
		return err
	}
	_, err := c.plane.API.Apply(c.ctx, api.Batch{Resources: hosts})
	return err
}

// conforms replays one example, and again without what keeps it from matching.
func (c *clients) conforms(typ string, example sdktest.Example) (outcome, []string, error) {
	differences, denied, err := c.replay(typ, example, false)
	if err != nil {
		return differs, nil, err
	}
	differences, slips, refused := excused(example, differences)
	denied = append(denied, slips...)
	switch {
	case len(differences) == 0 && refused:
		return impossible, denied, nil
	case len(differences) == 0 && len(denied) > 0:
		return selfDenied, denied, nil
	case len(differences) == 0:
		return matches, nil, nil
	}
	body, err := rewritten(example.Arguments)
	if err != nil {
		return differs, nil, err
	}
	answer, err := rewritten(example.Answer)
	if err != nil {
		return differs, nil, err
	}
	types := append(takeOut(body), takeOut(answer)...)
	if len(types) == 0 {
		return differs, differences, nil
	}
	slices.Sort(types)
	differences, denied, err = c.replay(typ, example, true)
	differences, slips, refused = excused(example, differences)
	how := without
	switch {
	case len(differences) > 0:
		how = differs
	case refused:
		how = impossible
	}
	reasons := []string{"refers to types that are not there: " + strings.Join(slices.Compact(types), ", ")}
	return how, slices.Concat(reasons, differences, denied, slips), err
}

// replay makes one example call in a cloud of its own and answers what differs from the documented answer, and what that
// answer says otherwise than the call. With without, references to what cannot exist are taken out first. An error is
// the test's own.
func (c *clients) replay(typ string, example sdktest.Example, without bool) (differences_, denied []string, err error) {
	if err := c.clear(); err != nil {
		return nil, nil, err
	}
	copied, err := rewritten(example.Arguments)
	if err != nil {
		return nil, nil, err
	}
	arguments := copied.([]any)
	var body map[string]any
	for _, argument := range arguments {
		if object, ok := argument.(map[string]any); ok && body == nil {
			body = object
		}
	}
	told, err := rewritten(example.Answer)
	if err != nil {
		return nil, nil, err
	}
	answer, _ := told.(map[string]any)
	if without {
		takeOut(arguments)
		takeOut(answer)
	}
	names := example.Names()
	denied = contradicted(answer, body, "")
	if name, ok := answer["name"].(string); ok && len(names) > 1 && !strings.EqualFold(name, names[len(names)-1]) {
		denied = append(denied, fmt.Sprintf("`name` is asked to be `%s` and documented as `%s`", names[len(names)-1], name))
		delete(answer, "name")
	}
	have, err := c.act(typ, example, arguments, body, answer)
	if err == nil {
		return differences(answer, have, ""), denied, nil
	}
	var refusal *resource.Error
	var response *azcore.ResponseError
	switch {
	case errors.As(err, &response):
		return []string{fmt.Sprintf("refused: %s (%d)", response.ErrorCode, response.StatusCode)}, denied, nil
	case errors.As(err, &refusal):
		return []string{strings.ReplaceAll(err.Error(), "/subscriptions/"+resource.DefaultSubscription+"/", "…/")}, denied, nil
	}
	return []string{err.Error()}, denied, c.ctx.Err()
}

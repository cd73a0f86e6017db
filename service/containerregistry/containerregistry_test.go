package containerregistry

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"postern/firewall"
	"postern/model"
	"postern/service"
	"postern/service/servicetest"
)

func registry(sku, properties string) string {
	return `{"sku":{"name":"` + sku + `"},"properties":{` + properties + `}}`
}

const rules = `"networkRuleSet":{"defaultAction":"Deny","ipRules":[{"action":"Allow","value":"20.1.2.0/24"}],
  "virtualNetworkRules":[{"action":"Allow","id":"` + string(servicetest.App) + `"},{"id":"` + string(servicetest.Other) + `"}]}`

func TestRules(t *testing.T) {
	app := firewall.Caller{Kind: firewall.Endpoint, Subnet: 101, SubnetID: servicetest.App}
	public := firewall.Caller{Kind: firewall.Public, Address: netip.MustParseAddr("20.1.2.3")}
	stranger := firewall.Caller{Kind: firewall.Public, Address: netip.MustParseAddr("21.2.3.4")}
	group := stranger
	group.Managed = firewall.Managed{Tenant: "t", Resource: servicetest.Group + "Microsoft.ContainerInstance/containerGroups/g"}
	for _, c := range []struct {
		name, properties string
		caller           firewall.Caller
		allow            bool
	}{
		{"FW-1 without rules", ``, stranger, true},
		{"FW-4 a range", rules, public, true},
		{"FW-1 in no range", rules, stranger, false},
		{"FW-6 a subnet", rules, app, true},
		{"FW-6 another subnet", rules, firewall.Caller{Kind: firewall.Endpoint, Subnet: 103}, false},
		{"FW-5 the region", rules, firewall.Caller{Kind: firewall.Platform, Address: public.Address}, false},
		{"FW-8 no public access", `"publicNetworkAccess":"Disabled",` + rules, public, false},
		{"FW-9 a trusted service", rules, group, true},
		{"FW-9 no trusted service", `"networkRuleBypassOptions":"None",` + rules, group, false},
	} {
		one := servicetest.MustDecode(t, Service, "crpostern", registry("Premium", c.properties))
		if d := firewall.Judge(&one.Rules, c.caller, Service.Trusted); d.Allow != c.allow {
			t.Errorf("%s: %+v", c.name, d)
		}
	}
}

func TestRefused(t *testing.T) {
	many := func(n int, rule string) string {
		var list []string
		for i := range n {
			list = append(list, fmt.Sprintf(rule, i))
		}
		return strings.Join(list, ",")
	}
	set := func(text string) string { return registry("Premium", `"networkRuleSet":{`+text+`}`) }
	servicetest.Refuses(t, Service, "crpostern", [][4]string{
		{"no SKU", `{}`, "sku.name", service.CodeInvalidContent},
		{"a SKU that is none", registry("Gold", ""), "sku.name", service.CodeInvalidFormat},
		{"rules of a Basic registry", registry("Basic", rules), "properties.networkRuleSet", "BadRequest"},
		{"FW-11 101 addresses", set(`"ipRules":[` + many(101, `{"value":"20.1.2.%d"}`) + `]`), "properties.networkRuleSet", "BadRequest"},
		{"FW-11 101 subnets", set(`"virtualNetworkRules":[` + many(101, `{"id":"/s/%d"}`) + `]`), "properties.networkRuleSet", "BadRequest"},
		{"FW-9 bypass in the set", set(`"bypass":"AzureServices"`), "properties.networkRuleSet", service.CodeInvalidFormat},
		{"FW-4 a private address", set(`"ipRules":[{"value":"10.1.2.3"}]`), "properties.networkRuleSet.ipRules[0].value", service.CodeInvalidValues},
		{"a rule that denies", set(`"ipRules":[{"action":"Deny","value":"20.1.2.3"}]`), "properties.networkRuleSet.ipRules[0].action", service.CodeInvalidFormat},
	})
	for _, name := range []string{"four", "with-hyphen", "a.bcde", strings.Repeat("a", 51)} {
		if _, refusal := servicetest.Decode(Service, name, registry("Basic", "")); refusal == nil {
			t.Errorf("the name %q is taken", name)
		}
	}
}

func TestRender(t *testing.T) {
	data, _ := json.Marshal(servicetest.Render(t, Service, "crPostern", registry("Premium", rules), model.DefaultSettings))
	for _, want := range []string{`"loginServer":"crpostern.azurecr.io"`, `"state":"Succeeded"`, `"state":"networkSourceDeleted"`, `"tier":"Premium"`, `"networkRuleBypassOptions":"AzureServices"`} {
		if !strings.Contains(string(data), want) {
			t.Errorf("FW-7 the answer has no %s: %s", want, data)
		}
	}
	if strings.Contains(string(data), `"bypass"`) {
		t.Errorf("the set has a bypass: %s", data)
	}
	if data, _ := json.Marshal(servicetest.Render(t, Service, "crpostern", registry("Basic", ""), model.DefaultSettings)); strings.Contains(string(data), "networkRuleSet") {
		t.Errorf("a Basic registry has rules: %s", data)
	}
}

func TestRefusals(t *testing.T) {
	response := Service.HTTP.Refuse(&service.Denial{Fault: service.Forbidden, Caller: netip.MustParseAddrPort("172.214.169.102:1")})
	var body struct {
		Errors []struct{ Code, Message string }
	}
	if err := json.Unmarshal(response.Body, &body); err != nil {
		t.Fatal(err)
	}
	if response.Status != 403 || len(body.Errors) != 1 || body.Errors[0].Code != "DENIED" ||
		body.Errors[0].Message != "client with IP '172.214.169.102' is not allowed access. Refer https://aka.ms/acr/firewall to grant access." {
		t.Errorf("FW-12 %d %s", response.Status, response.Body)
	}
	for fault := service.NoSuchName; fault <= service.BackendDown; fault++ {
		response := Service.HTTP.Refuse(&service.Denial{Fault: fault})
		if err := json.Unmarshal(response.Body, &body); err != nil || response.Status != fault.Status() || body.Errors[0].Code == "" || body.Errors[0].Code == "DENIED" {
			t.Errorf("%v: %d %s", fault, response.Status, response.Body)
		}
	}
}

func TestOperations(t *testing.T) {
	for line, want := range map[string]string{"GET /v2/": "Ping", "GET /v2/a/b/manifests/latest": "PullManifest", "HEAD /v2/a/blobs/sha256:0": "HeadBlob",
		"POST /v2/a/blobs/uploads/": "PushBlob", "GET /v2/a/tags/list": "PullTags", "POST /oauth2/token": "Authenticate", "GET /": "Unknown", "GET /v2/manifests": "Unknown"} {
		method, target, _ := strings.Cut(line, " ")
		if got := operation("", httptest.NewRequest(method, target, nil)); got != want {
			t.Errorf("%s: %s, want %s", line, got, want)
		}
	}
}

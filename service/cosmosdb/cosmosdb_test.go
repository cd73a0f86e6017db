package cosmosdb

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

const rules = `"ipRules":[{"ipAddressOrRange":"20.1.2.3"},{"ipAddressOrRange":"20.2.0.0/16"}],
  "virtualNetworkRules":[{"id":"` + string(servicetest.App) + `","ignoreMissingVNetServiceEndpoint":true}]`

func account(properties string) string { return `{"properties":{` + properties + `}}` }

func TestRules(t *testing.T) {
	app := firewall.Caller{Kind: firewall.Endpoint, Subnet: 101, SubnetID: servicetest.App}
	public := firewall.Caller{Kind: firewall.Public, Address: netip.MustParseAddr("20.2.3.4")}
	stranger := firewall.Caller{Kind: firewall.Public, Address: netip.MustParseAddr("21.2.3.4")}
	platform := firewall.Caller{Kind: firewall.Platform, Address: netip.MustParseAddr("100.64.0.9")}
	synapse := firewall.Caller{Kind: firewall.Public, Address: stranger.Address,
		Managed: firewall.Managed{Tenant: "t", Resource: servicetest.Group + "Microsoft.Synapse/workspaces/w"}}
	bypass := `"ipRules":[{"ipAddressOrRange":"20.1.2.3"}],"networkAclBypassResourceIds":["` + servicetest.Group + `Microsoft.Synapse/workspaces/w"]`
	for _, c := range []struct {
		name, body string
		caller     firewall.Caller
		allow      bool
	}{
		{"FW-1 without rules", ``, stranger, true},
		{"FW-1 a filter without rules", `"isVirtualNetworkFilterEnabled":true`, stranger, false},
		{"FW-4 a range", rules, public, true},
		{"FW-1 who is in no range", rules, stranger, false},
		{"FW-6 while the filter is off", rules, app, false},
		{"FW-6 while the filter is on", `"isVirtualNetworkFilterEnabled":true,` + rules, app, true},
		{"FW-6 another subnet", `"isVirtualNetworkFilterEnabled":true,` + rules, firewall.Caller{Kind: firewall.Endpoint, Subnet: 102}, false},
		{"FW-5 the region", rules, platform, false},
		{"FW-5 the region, by 0.0.0.0", `"ipRules":[{"ipAddressOrRange":"0.0.0.0"}]`, platform, true},
		{"FW-5 0.0.0.0 lets nobody else in", `"ipRules":[{"ipAddressOrRange":"0.0.0.0"}]`, stranger, false},
		{"FW-8 no public access", `"publicNetworkAccess":"Disabled",` + rules, public, false},
		{"FW-9 a listed resource", `"networkAclBypass":"AzureServices",` + bypass, synapse, true},
		{"FW-9 a listed resource without bypass", bypass, synapse, false},
		{"FW-9 bypass without a list", `"networkAclBypass":"AzureServices","ipRules":[{"ipAddressOrRange":"20.1.2.3"}]`, synapse, false},
	} {
		one := servicetest.MustDecode(t, Service, "cosmos-app", account(c.body))
		if d := firewall.Judge(&one.Rules, c.caller, Service.Trusted); d.Allow != c.allow {
			t.Errorf("%s: %+v", c.name, d)
		}
	}
	if one := servicetest.MustDecode(t, Service, "cosmos-app", account(`"isVirtualNetworkFilterEnabled":true,`+rules)); !one.Sources[servicetest.App.Key()].IgnoreMissing {
		t.Error("FW-6 ignoreMissingVNetServiceEndpoint is not read")
	}
}

func TestRefused(t *testing.T) {
	var many []string
	for i := range maxVirtualNetworkRules + 1 {
		many = append(many, fmt.Sprintf(`{"id":"/s/%d"}`, i))
	}
	subnets := func(list []string) string { return account(`"virtualNetworkRules":[` + strings.Join(list, ",") + `]`) }
	servicetest.Refuses(t, Service, "cosmos-app", [][4]string{
		{"FW-4 a private address", account(`"ipRules":[{"ipAddressOrRange":"192.168.0.1"}]`), "properties.ipRules[0].ipAddressOrRange", service.CodeInvalidValues},
		{"FW-11 65 subnets, with the filter off too", subnets(many), "properties.virtualNetworkRules", "BadRequest"},
		{"a subnet twice", subnets([]string{many[0], many[0]}), "properties.virtualNetworkRules[1].id", service.CodeInvalidValues},
		{"FW-9 a word that is none", account(`"networkAclBypass":"Logging"`), "properties.networkAclBypass", service.CodeInvalidFormat},
		{"FW-9 a resource that is none", account(`"networkAclBypassResourceIds":["me"]`), "properties.networkAclBypassResourceIds[0]", "BadRequest"},
		{"a filter that is a text", account(`"isVirtualNetworkFilterEnabled":"yes"`), "properties.isVirtualNetworkFilterEnabled", service.CodeInvalidContent},
	})
	servicetest.MustDecode(t, Service, "cosmos-app", subnets(many[1:]))
	for _, name := range []string{"ab", "-ab", "a--b", "ab-", "a.b", strings.Repeat("a", 45)} {
		if _, refusal := servicetest.Decode(Service, name, `{}`); refusal == nil {
			t.Errorf("the name %q is taken", name)
		}
	}
}

func TestRender(t *testing.T) {
	body := account(`"isVirtualNetworkFilterEnabled":true,"virtualNetworkRules":[{"id":"` + string(servicetest.App) + `"},{"id":"` + string(servicetest.Other) + `"}]`)
	data, _ := json.Marshal(servicetest.Render(t, Service, "cosmos-app", body, model.DefaultSettings))
	for _, want := range []string{`"documentEndpoint":"https://cosmos-app.documents.azure.com:443/"`, `"state":"Succeeded"`, `"state":"networkSourceDeleted"`,
		`"networkAclBypass":"None"`, `"kind":"GlobalDocumentDB"`} {
		if !strings.Contains(string(data), want) {
			t.Errorf("FW-7 the answer has no %s: %s", want, data)
		}
	}
}

func TestRefusals(t *testing.T) {
	denial := service.Denial{Fault: service.Forbidden, Kind: firewall.Public, Caller: netip.MustParseAddrPort("168.181.48.244:9"), RequestID: "id"}
	response := Service.HTTP.Refuse(&denial)
	var body struct{ Code, Message string }
	if err := json.Unmarshal(response.Body, &body); err != nil {
		t.Fatal(err)
	}
	const blocked = ". This is blocked by your Cosmos DB account firewall settings. More info: https://aka.ms/cosmosdb-tsg-forbidden\r\nActivityId: id"
	if response.Status != 403 || body.Code != "Forbidden" || body.Message != "Request originated from IP 168.181.48.244 through public internet"+blocked {
		t.Errorf("FW-12 %d %+v", response.Status, body)
	}
	denial.Kind = firewall.Endpoint
	if response := Service.HTTP.Refuse(&denial); !strings.Contains(string(response.Body), "originated from client VNET through service endpoint.") {
		t.Errorf("FW-12 %s", response.Body)
	}
	for fault := service.NoSuchName; fault <= service.BackendDown; fault++ {
		response := Service.HTTP.Refuse(&service.Denial{Fault: fault})
		if err := json.Unmarshal(response.Body, &body); err != nil || response.Status != fault.Status() || body.Code == "" || body.Code == "Forbidden" {
			t.Errorf("%v: %d %s", fault, response.Status, response.Body)
		}
	}
}

func TestOperations(t *testing.T) {
	for line, want := range map[string]string{"GET /": "ReadDatabaseAccount", "GET /dbs/d": "ReadDatabase", "POST /dbs/d/colls/c/docs": "CreateDocument",
		"GET /dbs/d/colls/c/docs": "ReadDocumentFeed", "DELETE /dbs/d/colls/c/docs/1": "DeleteDocument", "GET /else": "Unknown", "BREW /dbs": "Unknown", "GET //": "Unknown"} {
		method, target, _ := strings.Cut(line, " ")
		if got := operation("", httptest.NewRequest(method, target, nil)); got != want {
			t.Errorf("%s: %s, want %s", line, got, want)
		}
	}
	query := httptest.NewRequest("POST", "/dbs/d/colls/c/docs", nil)
	query.Header.Set("x-ms-documentdb-isquery", "True")
	if got := operation("", query); got != "QueryDocument" {
		t.Error(got)
	}
}

package keyvault

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"postern/firewall"
	"postern/model"
	"postern/service"
	"postern/service/servicetest"
)

const selected = `{"location":"westeurope","properties":{"networkAcls":{"defaultAction":"Deny","bypass":"AzureServices",
  "ipRules":[{"value":"20.1.2.3"},{"value":"20.1.3.0/31"},{"value":"20.1.4.4/32"}],
  "virtualNetworkRules":[{"id":"` + string(servicetest.App) + `"},{"id":"` + string(servicetest.Other) + `","ignoreMissingVnetServiceEndpoint":true}]}}}`

func TestRules(t *testing.T) {
	vault := servicetest.MustDecode(t, Service, "kv-app", selected)
	if !vault.Sources[servicetest.Other.Key()].IgnoreMissing || vault.Sources[servicetest.App.Key()].IgnoreMissing {
		t.Errorf("FW-6 ignoreMissingVnetServiceEndpoint: %+v", vault.Sources)
	}
	public := func(address string) firewall.Caller {
		return firewall.Caller{Kind: firewall.Public, Address: netip.MustParseAddr(address)}
	}
	for _, c := range []struct {
		name   string
		caller firewall.Caller
		allow  bool
	}{
		{"FW-6 a subnet of the rules", firewall.Caller{Kind: firewall.Endpoint, Subnet: 101, SubnetID: servicetest.App}, true},
		{"FW-1 another subnet", firewall.Caller{Kind: firewall.Endpoint, Subnet: 103}, false},
		{"FW-7 a namesake", firewall.Caller{Kind: firewall.Endpoint, Subnet: 104, SubnetID: servicetest.App}, false},
		{"FW-4 an address", public("20.1.2.3"), true},
		{"FW-4 a range of two", public("20.1.3.1"), true},
		{"FW-4 a range of one", public("20.1.4.4"), true},
		{"FW-1 another address", public("20.1.2.4"), false},
		{"FW-5 the region's own", firewall.Caller{Kind: firewall.Platform, Address: netip.MustParseAddr("20.1.2.3")}, false},
		{"FW-9 a trusted service", firewall.Caller{Kind: firewall.Public, Managed: firewall.Managed{Tenant: "t", Resource: servicetest.Group + "Microsoft.Sql/servers/s"}}, true},
		{"FW-9 one that is not", firewall.Caller{Kind: firewall.Public, Managed: firewall.Managed{Tenant: "t", Resource: servicetest.Group + "Microsoft.Compute/virtualMachines/v"}}, false},
	} {
		if d := firewall.Judge(&vault.Rules, c.caller, Service.Trusted); d.Allow != c.allow {
			t.Errorf("%s: %+v", c.name, d)
		}
	}
	t.Run("FW-1 without rules everybody comes in", func(t *testing.T) {
		open := servicetest.MustDecode(t, Service, "kv-app", `{}`)
		if d := firewall.Judge(&open.Rules, public("1.1.1.1"), nil); !d.Allow {
			t.Errorf("%+v", d)
		}
	})
	t.Run("FW-8 publicNetworkAccess outranks them", func(t *testing.T) {
		shut := servicetest.MustDecode(t, Service, "kv-app", strings.Replace(selected, `"networkAcls"`, `"publicNetworkAccess":"disabled","networkAcls"`, 1))
		if d := firewall.Judge(&shut.Rules, public("20.1.2.3"), nil); d.Allow {
			t.Errorf("%+v", d)
		}
	})
}

// many writes a list of n rules.
func many(n int, rule string) string {
	var list []string
	for i := range n {
		list = append(list, fmt.Sprintf(rule, i/200, i%200))
	}
	return strings.Join(list, ",")
}

func TestRefused(t *testing.T) {
	acls := func(text string) string { return `{"properties":{"networkAcls":{` + text + `}}}` }
	servicetest.Refuses(t, Service, "kv-app", [][4]string{
		{"a word that is none", acls(`"defaultAction":"Maybe"`), "properties.networkAcls.defaultAction", service.CodeInvalidFormat},
		{"FW-9 a bypass of storage's", acls(`"bypass":"Logging"`), "properties.networkAcls.bypass", service.CodeInvalidFormat},
		{"FW-4 a private address", acls(`"ipRules":[{"value":"10.0.0.1"}]`), "properties.networkAcls.ipRules[0].value", service.CodeInvalidValues},
		{"FW-4 host bits", acls(`"ipRules":[{"value":"20.0.0.1/24"}]`), "properties.networkAcls.ipRules[0].value", service.CodeInvalidValues},
		{"FW-10 resource access rules", acls(`"resourceAccessRules":[{"tenantId":"t"}]`), "properties.networkAcls.resourceAccessRules", service.CodeInvalidFormat},
		{"FW-11 201 subnets", acls(`"virtualNetworkRules":[` + many(201, `{"id":"/s/%d-%d"}`) + `]`), "properties.networkAcls", limits.Code},
		{"FW-11 1001 addresses", acls(`"ipRules":[` + many(1001, `{"value":"20.0.%d.%d"}`) + `]`), "properties.networkAcls", limits.Code},
		{"a subnet twice", acls(`"virtualNetworkRules":[{"id":"/s/1"},{"id":"/S/1"}]`), "properties.networkAcls.virtualNetworkRules[1].id", service.CodeInvalidValues},
		{"a list that is a text", acls(`"ipRules":"20.1.2.3"`), "properties.networkAcls.ipRules", service.CodeInvalidContent},
	})
	servicetest.MustDecode(t, Service, "kv-app", acls(`"virtualNetworkRules":[`+many(200, `{"id":"/s/%d-%d"}`)+`]`))
	for name, valid := range map[string]bool{"kv-app": true, "KV1": true, "kv": false, "1kv": false, "kv-": false, "k--v": false, "kv.app": false, strings.Repeat("k", 25): false} {
		if _, refusal := servicetest.Decode(Service, name, `{}`); (refusal == nil) != valid {
			t.Errorf("the name %q: %v", name, refusal)
		}
	}
}

func TestRender(t *testing.T) {
	p := servicetest.Render(t, Service, "kv-app", selected, model.DefaultSettings)["properties"].(map[string]any)
	if p["vaultUri"] != "https://kv-app.vault.azure.net/" || p["tenantId"] != model.DefaultSettings.Tenant || p["publicNetworkAccess"] != "Enabled" {
		t.Errorf("%v", p)
	}
	acls, _ := json.Marshal(p["networkAcls"])
	for _, want := range []string{`"value":"20.1.2.3/32"`, `"bypass":"AzureServices"`, `"state":"Succeeded"`, `"state":"networkSourceDeleted"`} {
		if !strings.Contains(string(acls), want) {
			t.Errorf("FW-7 the rules have no %s: %s", want, acls)
		}
	}
	settings := model.DefaultSettings
	settings.ServiceSuffix = "cloud.example"
	p = servicetest.Render(t, Service, "kv-app", `{}`, settings)["properties"].(map[string]any)
	if p["vaultUri"] != "https://kv-app.vault.cloud.example/" {
		t.Errorf("with a suffix of its own: %v", p["vaultUri"])
	}
}

func TestRefusals(t *testing.T) {
	said := func(d service.Denial) (int, fault) {
		response := Service.HTTP.Refuse(&d)
		var body struct{ Error fault }
		if err := json.Unmarshal(response.Body, &body); err != nil {
			t.Fatal(err)
		}
		return response.Status, body.Error
	}
	denial := service.Denial{Fault: service.Forbidden, Caller: netip.MustParseAddrPort("20.61.146.97:1234"), Instance: "kv-app"}
	status, got := said(denial)
	if status != 403 || got.Code != "Forbidden" || got.Inner.Code != "ForbiddenByFirewall" ||
		got.Message != "Client address is not authorized and caller is not a trusted service.\r\nClient address: 20.61.146.97\r\nVault: kv-app" {
		t.Errorf("FW-12 %d %+v", status, got)
	}
	denial.Decision.Reason = firewall.ReasonPublicAccessOff
	if _, got := said(denial); got.Inner.Code != "ForbiddenByConnection" {
		t.Errorf("FW-8 %+v", got)
	}
	for fault := service.NoSuchName; fault <= service.BackendDown; fault++ {
		if status, got := said(service.Denial{Fault: fault}); status != fault.Status() || got.Code == "" || got.Message == "" || got.Inner != nil {
			t.Errorf("%v: %d %+v", fault, status, got)
		}
	}
}

func TestOperations(t *testing.T) {
	var got []string
	for _, line := range []string{"GET /secrets?api-version=7.5", "GET /secrets/db/0123", "PUT /secrets/db", "POST /keys/k/create", "POST /keys/k/v/sign", "GET /", "BREW /secrets"} {
		method, target, _ := strings.Cut(line, " ")
		got = append(got, operation("", httptest.NewRequest(method, target, nil)))
	}
	if want := []string{"SecretList", "SecretGet", "SecretSet", "KeyCreate", "KeySign", "Unknown", "Unknown"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

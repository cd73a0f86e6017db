package cognitiveservices

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"postern/firewall"
	"postern/model"
	"postern/service"
	"postern/service/servicetest"
)

func account(properties string) string { return `{"properties":{` + properties + `}}` }

const rules = `"customSubDomainName":"Speech-App","networkAcls":{"defaultAction":"Deny","ipRules":[{"value":"20.1.2.3"}],
  "virtualNetworkRules":[{"id":"` + string(servicetest.App) + `"},{"id":"` + string(servicetest.Other) + `","ignoreMissingVnetServiceEndpoint":true}]}`

func TestRules(t *testing.T) {
	public := firewall.Caller{Kind: firewall.Public, Address: netip.MustParseAddr("20.1.2.3")}
	stranger := firewall.Caller{Kind: firewall.Public, Address: netip.MustParseAddr("21.2.3.4")}
	search := stranger
	search.Managed = firewall.Managed{Tenant: "t", Resource: servicetest.Group + "Microsoft.Search/searchServices/s"}
	for _, c := range []struct {
		name, properties string
		caller           firewall.Caller
		allow            bool
	}{
		{"FW-1 without rules", ``, stranger, true},
		{"FW-4 an address", rules, public, true},
		{"FW-1 another address", rules, stranger, false},
		{"FW-6 a subnet", rules, firewall.Caller{Kind: firewall.Endpoint, Subnet: 101}, true},
		{"FW-6 another subnet", rules, firewall.Caller{Kind: firewall.Endpoint, Subnet: 103}, false},
		{"FW-5 the region", rules, firewall.Caller{Kind: firewall.Platform, Address: public.Address}, false},
		{"FW-8 no public access", `"publicNetworkAccess":"Disabled",` + rules, public, false},
		{"FW-9 no bypass unless it is asked for", rules, search, false},
		{"FW-9 a trusted service", strings.Replace(rules, `"defaultAction"`, `"bypass":"AzureServices","defaultAction"`, 1), search, true},
	} {
		one := servicetest.MustDecode(t, Service, "speech", account(c.properties))
		if d := firewall.Judge(&one.Rules, c.caller, Service.Trusted); d.Allow != c.allow {
			t.Errorf("%s: %+v", c.name, d)
		}
	}
}

// An account is known by its custom subdomain, and without one by no name at all.
func TestNames(t *testing.T) {
	if one := servicetest.MustDecode(t, Service, "speech", account(rules)); one.Name != "speech-app" || one.Space != "cognitiveservices" {
		t.Errorf("with a subdomain: %q in %q", one.Name, one.Space)
	}
	if one := servicetest.MustDecode(t, Service, "speech", account("")); one.Space != "" {
		t.Errorf("without a subdomain: %q in %q", one.Name, one.Space)
	}
}

func TestRefused(t *testing.T) {
	acls := func(text string) string {
		return account(`"customSubDomainName":"speech","networkAcls":{` + text + `}`)
	}
	var subnets, addresses []string
	for i := range 101 {
		subnets, addresses = append(subnets, fmt.Sprintf(`{"id":"/s/%d"}`, i)), append(addresses, fmt.Sprintf(`{"value":"20.1.2.%d"}`, i))
	}
	servicetest.Refuses(t, Service, "speech", [][4]string{
		{"rules without a subdomain", account(`"networkAcls":{}`), "properties.customSubDomainName", "BadRequest"},
		{"a subdomain that is none", account(`"customSubDomainName":"a.b"`), "properties.customSubDomainName", "BadRequest"},
		{"FW-4 a /32", acls(`"ipRules":[{"value":"20.1.2.3/32"}]`), "properties.networkAcls.ipRules[0].value", service.CodeInvalidValues},
		{"FW-10 resource access rules", acls(`"resourceAccessRules":[{"tenantId":"t"}]`), "properties.networkAcls.resourceAccessRules", service.CodeInvalidFormat},
		{"FW-11 101 subnets", acls(`"virtualNetworkRules":[` + strings.Join(subnets, ",") + `]`), "properties.networkAcls", "BadRequest"},
		{"FW-11 101 addresses", acls(`"ipRules":[` + strings.Join(addresses, ",") + `]`), "properties.networkAcls", "BadRequest"},
		{"FW-9 a bypass of storage's", acls(`"bypass":"Metrics"`), "properties.networkAcls.bypass", service.CodeInvalidFormat},
	})
}

func TestRender(t *testing.T) {
	data, _ := json.Marshal(servicetest.Render(t, Service, "speech", account(rules), model.DefaultSettings))
	for _, want := range []string{`"endpoint":"https://speech-app.cognitiveservices.azure.com/"`, `"OpenAI":"https://speech-app.openai.azure.com/"`,
		`"state":"Succeeded"`, `"state":"networkSourceDeleted"`, `"bypass":"None"`} {
		if !strings.Contains(string(data), want) {
			t.Errorf("FW-7 the answer has no %s: %s", want, data)
		}
	}
	if data, _ := json.Marshal(servicetest.Render(t, Service, "speech", account(""), model.DefaultSettings)); strings.Contains(string(data), `"endpoint`) {
		t.Errorf("an account without a subdomain has an endpoint: %s", data)
	}
}

func TestRefusals(t *testing.T) {
	response := Service.HTTP.Refuse(&service.Denial{Fault: service.Forbidden})
	if got := string(response.Body); response.Status != 403 || got != `{"error":{"code":"403","message":"Access denied due to Virtual Network/Firewall rules."}}` {
		t.Errorf("FW-12 %d %s", response.Status, got)
	}
	shut := Service.HTTP.Refuse(&service.Denial{Fault: service.Forbidden, Decision: firewall.Decision{Reason: firewall.ReasonPublicAccessOff}})
	if !strings.Contains(string(shut.Body), "Public access is disabled.") {
		t.Errorf("FW-8 %s", shut.Body)
	}
	if gone := Service.HTTP.Refuse(&service.Denial{Fault: service.NoSuchInstance}); gone.Status != 404 || strings.Contains(string(gone.Body), "Firewall") {
		t.Errorf("%d %s", gone.Status, gone.Body)
	}
}

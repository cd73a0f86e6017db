package datalakestore

import (
	"encoding/json"
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

func account(properties string) string { return `{"properties":{` + properties + `}}` }

const rules = `"firewallState":"Enabled","firewallRules":[{"name":"office","properties":{"startIpAddress":"20.1.2.3","endIpAddress":"20.1.2.9"}}],
  "virtualNetworkRules":[{"name":"app","properties":{"subnetId":"` + string(servicetest.App) + `"}},{"name":"gone","properties":{"subnetId":"` + string(servicetest.Other) + `"}}]`

func TestRules(t *testing.T) {
	public := func(address string) firewall.Caller {
		return firewall.Caller{Kind: firewall.Public, Address: netip.MustParseAddr(address)}
	}
	platform := firewall.Caller{Kind: firewall.Platform, Address: netip.MustParseAddr("100.64.0.9")}
	for _, c := range []struct {
		name, properties string
		caller           firewall.Caller
		allow            bool
	}{
		{"FW-1 without a firewall", ``, public("21.0.0.1"), true},
		{"FW-1 a firewall that is off", strings.Replace(rules, "Enabled", "Disabled", 1), public("21.0.0.1"), true},
		{"FW-4 the range's first", rules, public("20.1.2.3"), true},
		{"FW-4 the range's last", rules, public("20.1.2.9"), true},
		{"FW-1 behind the range", rules, public("20.1.2.10"), false},
		{"FW-6 a subnet", rules, firewall.Caller{Kind: firewall.Endpoint, Subnet: 101}, true},
		{"FW-6 another subnet", rules, firewall.Caller{Kind: firewall.Endpoint, Subnet: 103}, false},
		{"FW-5 the region", rules, platform, false},
		{"FW-5 the region, by firewallAllowAzureIps", `"firewallAllowAzureIps":"Enabled",` + rules, platform, true},
	} {
		one := servicetest.MustDecode(t, Service, "lake", account(c.properties))
		if d := firewall.Judge(&one.Rules, c.caller, nil); d.Allow != c.allow {
			t.Errorf("%s: %+v", c.name, d)
		}
	}
}

func TestRefused(t *testing.T) {
	rule := `{"name":"r","properties":{"startIpAddress":"20.1.2.3","endIpAddress":"20.1.2.3"}}`
	servicetest.Refuses(t, Service, "lake", [][4]string{
		{"a state that is none", account(`"firewallState":"On"`), "properties.firewallState", service.CodeInvalidFormat},
		{"FW-4 a range that ends before it begins", account(`"firewallRules":[{"name":"r","properties":{"startIpAddress":"20.1.2.3","endIpAddress":"20.1.2.2"}}]`),
			"properties.firewallRules[0]", service.CodeInvalidValues},
		{"FW-11 1001 ranges", account(`"firewallRules":[` + strings.Repeat(rule+",", 1000) + rule + `]`), "properties.firewallRules", service.CodeInvalidValues},
		{"a subnet twice", account(`"virtualNetworkRules":[{"properties":{"subnetId":"/s"}},{"properties":{"subnetId":"/s"}}]`), "properties.virtualNetworkRules[1].id", service.CodeInvalidValues},
	})
	for _, name := range []string{"ab", "a-lake", strings.Repeat("a", 25)} {
		if _, refusal := servicetest.Decode(Service, name, `{}`); refusal == nil {
			t.Errorf("the name %q is taken", name)
		}
	}
}

func TestRender(t *testing.T) {
	data, _ := json.Marshal(servicetest.Render(t, Service, "lake", account(rules), model.DefaultSettings))
	for _, want := range []string{`"endpoint":"lake.azuredatalakestore.net"`, `"state":"Succeeded"`, `"state":"networkSourceDeleted"`, `"firewallAllowAzureIps":"Disabled"`} {
		if !strings.Contains(string(data), want) {
			t.Errorf("FW-7 the answer has no %s: %s", want, data)
		}
	}
}

func TestRefusals(t *testing.T) {
	response := Service.HTTP.Refuse(&service.Denial{Fault: service.Forbidden, Caller: netip.MustParseAddrPort("20.1.2.3:4"), Instance: "lake"})
	var body struct {
		RemoteException struct{ Exception, Message, JavaClassName string }
	}
	if err := json.Unmarshal(response.Body, &body); err != nil {
		t.Fatal(err)
	}
	if got := body.RemoteException; response.Status != 403 || got.Exception != "AccessDeniedByFirewall" || got.JavaClassName != "org.apache.hadoop.security.AccessControlException" ||
		got.Message != "The client IP '20.1.2.3' is not allowed, meanwhile the request doesn't originate from an allowed virtual network, based on the configuration of the Azure Data Lake account 'lake'." {
		t.Errorf("FW-12 %d %s", response.Status, response.Body)
	}
	if gone := Service.HTTP.Refuse(&service.Denial{Fault: service.NoSuchInstance}); gone.Status != 404 || strings.Contains(string(gone.Body), "Firewall") {
		t.Errorf("%d %s", gone.Status, gone.Body)
	}
}

func TestOperations(t *testing.T) {
	if !slices.IsSorted(operations) {
		t.Error("operations are searched, and are not in order")
	}
	for query, want := range map[string]string{"op=LISTSTATUS": "LISTSTATUS", "op=open": "OPEN", "op=brew": "Unknown", "": "Unknown"} {
		if got := operation("", httptest.NewRequest("GET", "/webhdfs/v1/?"+query, nil)); got != want {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
	}
}

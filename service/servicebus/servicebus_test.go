package servicebus

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"postern/firewall"
	"postern/model"
	"postern/service"
	"postern/service/servicetest"
)

func with(rules string) string {
	return `{"location":"westeurope","properties":{"networkRuleSets":[{"name":"default","properties":{` + rules + `}}]}}`
}

const selected = `"defaultAction":"Deny","ipRules":[{"ipMask":"20.1.2.3"},{"ipMask":"20.1.3.0/24","action":"Allow"},{"ipMask":"20.1.4.4/32"}],
  "virtualNetworkRules":[{"subnet":{"id":"` + string(servicetest.App) + `"}},{"subnet":{"id":"` + string(servicetest.Other) + `"},"ignoreMissingVnetServiceEndpoint":true}]`

func TestRules(t *testing.T) {
	bus := servicetest.MustDecode(t, Service, "Bus-Shop", with(selected))
	if bus.Name != "bus-shop" || bus.Space != "servicebus" || len(bus.Ports) != 2 {
		t.Errorf("got %+v", bus.ServiceInstance)
	}
	if app, other := bus.Sources[servicetest.App.Key()], bus.Sources[servicetest.Other.Key()]; !app.Apart || app.IgnoreMissing || !other.IgnoreMissing ||
		app.Field != "properties.networkRuleSets[0].properties.virtualNetworkRules[0].subnet.id" {
		t.Errorf("FW-6 FW-7: got %+v", bus.Sources)
	}
	public := func(address string) firewall.Caller {
		return firewall.Caller{Kind: firewall.Public, Address: netip.MustParseAddr(address)}
	}
	for _, c := range []struct {
		name   string
		rules  string
		caller firewall.Caller
		allow  bool
	}{
		{"FW-6 a subnet of the rules", selected, firewall.Caller{Kind: firewall.Endpoint, Subnet: 101, SubnetID: servicetest.App}, true},
		{"FW-1 another subnet", selected, firewall.Caller{Kind: firewall.Endpoint, Subnet: 103}, false},
		{"FW-4 an address", selected, public("20.1.2.3"), true},
		{"FW-4 a range", selected, public("20.1.3.77"), true},
		{"FW-4 a range of one", selected, public("20.1.4.4"), true},
		{"FW-1 another address", selected, public("20.1.2.4"), false},
		{"FW-1 without rules it is open", "", public("20.1.2.4"), true},
		{"FW-8 public access off in the rules", `"publicNetworkAccess":"Disabled",` + selected, public("20.1.2.3"), false},
		{"FW-9 trusted services are not trusted", selected, firewall.Caller{Kind: firewall.Public, Address: netip.MustParseAddr("20.9.9.9"), Managed: grid}, false},
		{"FW-9 trustedServiceAccessEnabled", `"trustedServiceAccessEnabled":true,` + selected, firewall.Caller{Kind: firewall.Public, Address: netip.MustParseAddr("20.9.9.9"), Managed: grid}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			into := servicetest.MustDecode(t, Service, "bus-shop", with(c.rules))
			if got := firewall.Judge(&into.Rules, c.caller, Service.Trusted); got.Allow != c.allow {
				t.Errorf("got %+v, want %t", got, c.allow)
			}
		})
	}
	t.Run("FW-8 public access off in the namespace", func(t *testing.T) {
		off := strings.Replace(with(selected), `"properties":{`, `"properties":{"publicNetworkAccess":"Disabled",`, 1)
		if into := servicetest.MustDecode(t, Service, "bus-shop", off); into.Rules.PublicNetworkAccess {
			t.Errorf("got %+v", into.Rules)
		}
	})
}

var grid = firewall.Managed{Tenant: "t", Resource: servicetest.Group + "Microsoft.EventGrid/topics/topic"}

func TestLimits(t *testing.T) {
	list := func(n int, format string) string {
		var all []string
		for i := range n {
			all = append(all, fmt.Sprintf(format, i))
		}
		return strings.Join(all, ",")
	}
	const ip, subnet = `{"ipMask":"20.1.2.%d"}`, `{"subnet":{"id":"/s/%d"}}`
	for name, format := range map[string][2]string{"ipRules": {"ipRules", ip}, "virtualNetworkRules": {"virtualNetworkRules", subnet}} {
		t.Run("FW-11 128 "+name, func(t *testing.T) {
			servicetest.MustDecode(t, Service, "bus-shop", with(`"`+format[0]+`":[`+list(128, format[1])+`]`))
			if into, refusal := servicetest.Decode(Service, "bus-shop", with(`"`+format[0]+`":[`+list(129, format[1])+`]`)); refusal == nil || refusal.Code != "BadRequest" {
				t.Errorf("129: got %+v, %v", into, refusal)
			}
		})
	}
	set := "properties.networkRuleSets[0]"
	servicetest.Refuses(t, Service, "bus-shop", [][4]string{
		{"FW-2 no such action", with(`"defaultAction":"Perhaps"`), set + ".properties.defaultAction", service.CodeInvalidFormat},
		{"FW-4 a private range", with(`"ipRules":[{"ipMask":"10.0.0.0/8"}]`), set + ".properties.ipRules[0].ipMask", service.CodeInvalidValues},
		{"FW-4 IPv6", with(`"ipRules":[{"ipMask":"2001:db8::1"}]`), set + ".properties.ipRules[0].ipMask", service.CodeInvalidValues},
		{"FW-4 no rule denies", with(`"ipRules":[{"ipMask":"20.1.2.3","action":"Deny"}]`), set + ".properties.ipRules[0].action", service.CodeInvalidFormat},
		{"a rule set of another name", strings.Replace(with(""), "default", "second", 1), set + ".name", "BadRequest"},
	})
	for _, name := range []string{"short", "9numbers", "ends-with-", strings.Repeat("a", 51)} {
		if _, refusal := servicetest.Decode(Service, name, `{}`); refusal == nil {
			t.Errorf("%s is taken for a name", name)
		}
	}
}

func TestRender(t *testing.T) {
	settings := model.DefaultSettings
	settings.ServiceSuffix = "cloud.example"
	got := servicetest.Render(t, Service, "bus-shop", with(selected), settings)
	if endpoint := got["properties"].(map[string]any)["serviceBusEndpoint"]; endpoint != "https://bus-shop.servicebus.cloud.example:443/" {
		t.Errorf("got %v", endpoint)
	}
}

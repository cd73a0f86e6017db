package appservice

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

func site(config string) string { return `{"properties":{"siteConfig":{` + config + `}}}` }

func restrictions(list ...string) string {
	return `"ipSecurityRestrictions":[` + strings.Join(list, ",") + `]`
}

const (
	app     = `{"name":"app","priority":300,"action":"Allow","vnetSubnetResourceId":"` + string(servicetest.App) + `"}`
	notApp  = `{"name":"not app","priority":200,"action":"Deny","vnetSubnetResourceId":"` + string(servicetest.App) + `"}`
	office  = `{"name":"office","priority":100,"ipAddress":"20.1.2.0/24, 20.9.9.9/32"}`
	guest   = `{"name":"guest","priority":50,"action":"Deny","ipAddress":"20.1.2.7/32"}`
	anybody = `{"name":"all","action":"Allow","ipAddress":"Any"}`
)

// The first restriction by priority that matches decides, wherever it stands in the list.
func TestRules(t *testing.T) {
	subnet := firewall.Caller{Kind: firewall.Endpoint, Subnet: 101, SubnetID: servicetest.App}
	public := func(address string) firewall.Caller {
		return firewall.Caller{Kind: firewall.Public, Address: netip.MustParseAddr(address)}
	}
	for _, c := range []struct {
		name, config string
		caller       firewall.Caller
		allow        bool
		rule         string
	}{
		{"FW-1 no restriction", ``, public("21.0.0.1"), true, ""},
		{"FW-1 no restriction, and Deny", `"ipSecurityRestrictionsDefaultAction":"Deny"`, public("21.0.0.1"), false, ""},
		{"FW-4 a range", restrictions(app, office), public("20.1.2.3"), true, "ipSecurityRestrictions office"},
		{"FW-4 the second range", restrictions(app, office), public("20.9.9.9"), true, "ipSecurityRestrictions office"},
		{"FW-1 what no restriction names", restrictions(app, office), public("21.0.0.1"), false, ""},
		{"FW-1 what no restriction names, and Allow", restrictions(guest) + `,"ipSecurityRestrictionsDefaultAction":"Allow"`, public("21.0.0.1"), true, "defaultAction Allow"},
		{"FW-1 a lower number goes first", restrictions(office, guest), public("20.1.2.7"), false, ""},
		{"FW-6 a subnet", restrictions(app), subnet, true, "ipSecurityRestrictions app"},
		{"FW-6 a subnet that is denied first", restrictions(app, notApp), subnet, false, ""},
		{"FW-6 another subnet", restrictions(app), firewall.Caller{Kind: firewall.Endpoint, Subnet: 102}, false, ""},
		{"FW-5 ranges are not for the region", restrictions(office), firewall.Caller{Kind: firewall.Platform, Address: netip.MustParseAddr("20.1.2.3")}, false, ""},
		{"FW-1 Any is for all", restrictions(anybody, guest), firewall.Caller{Kind: firewall.Platform}, true, "ipSecurityRestrictions all"},
		{"FW-1 what has no priority goes last", restrictions(anybody, guest), public("20.1.2.7"), false, ""},
		{"FW-8 no public access", `"publicNetworkAccess":"Disabled",` + restrictions(anybody), public("20.1.2.7"), false, ""},
	} {
		one := servicetest.MustDecode(t, Service, "web", site(c.config))
		if d := firewall.Judge(&one.Rules, c.caller, nil); d.Allow != c.allow || c.rule != "" && d.Rule != c.rule {
			t.Errorf("%s: %+v", c.name, d)
		}
	}
}

func TestRefused(t *testing.T) {
	const at = "properties.siteConfig.ipSecurityRestrictions"
	var many []string
	for range maxRestrictions + 1 {
		many = append(many, anybody)
	}
	one := func(text string) string { return site(restrictions("{" + text + "}")) }
	servicetest.Refuses(t, Service, "web", [][4]string{
		{"a rule for nobody", one(`"action":"Allow"`), at + "[0]", "BadRequest"},
		{"a rule for both", one(`"ipAddress":"Any","vnetSubnetResourceId":"/s/1"`), at + "[0]", "BadRequest"},
		{"an action that is none", one(`"action":"Log","ipAddress":"Any"`), at + "[0].action", service.CodeInvalidFormat},
		{"FW-4 host bits", one(`"ipAddress":"20.1.2.3/24"`), at + "[0].ipAddress", "BadRequest"},
		{"FW-4 an address without a length", one(`"ipAddress":"20.1.2.3"`), at + "[0].ipAddress", "BadRequest"},
		{"FW-11 nine ranges", one(`"ipAddress":"` + strings.Repeat("20.1.2.3/32,", 8) + `20.1.2.3/32"`), at + "[0].ipAddress", "BadRequest"},
		{"a service tag, which is not enforced", one(`"tag":"ServiceTag","ipAddress":"AzureFrontDoor.Backend"`), at + "[0].tag", "BadRequest"},
		{"headers, which are not enforced", one(`"ipAddress":"Any","headers":{"x-azure-fdid":["1"]}`), at + "[0].headers", "BadRequest"},
		{"FW-11 513 restrictions", site(restrictions(many...)), at, "BadRequest"},
		{"a priority that is a text", one(`"priority":"first","ipAddress":"Any"`), at + ".priority", service.CodeInvalidContent},
	})
	servicetest.MustDecode(t, Service, "web", site(restrictions(many[1:]...)))
}

func TestRender(t *testing.T) {
	gone := strings.Replace(app, string(servicetest.App), string(servicetest.Other), 1)
	data, _ := json.Marshal(servicetest.Render(t, Service, "web", site(restrictions(app, gone, office)), model.DefaultSettings))
	for _, want := range []string{`"defaultHostName":"web.azurewebsites.net"`, `"state":"Succeeded"`, `"state":"networkSourceDeleted"`,
		fmt.Sprintf(`"priority":%d`, 100)} {
		if !strings.Contains(string(data), want) {
			t.Errorf("FW-7 the answer has no %s: %s", want, data)
		}
	}
}

func TestRefusals(t *testing.T) {
	response := Service.HTTP.Refuse(&service.Denial{Fault: service.Forbidden, Caller: netip.MustParseAddrPort("20.1.2.3:4")})
	if response.Status != 403 || response.Header.Get(headerForbiddenIP) != "20.1.2.3" || !strings.Contains(string(response.Body), "<h1>Error 403 - Ip Forbidden</h1>") {
		t.Errorf("FW-12 %d %v %s", response.Status, response.Header, response.Body)
	}
	for fault := service.NoSuchName; fault <= service.BackendDown; fault++ {
		response := Service.HTTP.Refuse(&service.Denial{Fault: fault})
		if want := fmt.Sprintf("<h1>Error %d - ", fault.Status()); response.Status != fault.Status() || !strings.Contains(string(response.Body), want) {
			t.Errorf("%v: %d %s", fault, response.Status, response.Body)
		}
	}
}

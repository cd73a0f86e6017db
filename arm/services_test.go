package arm_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
)

// serviceCase is one service at the door. In its texts SUBNET is the id of a subnet that has its endpoint, and BARE of one that
// has none.
type serviceCase struct {
	typ, name        string
	body             string   // Deny for all but SUBNET
	has              []string // texts in the answer, without spaces
	patch            string   // a PATCH, which has text in its answer
	patched          string
	bad, code        string // a body that is refused
	taken            string // code where another group asks for the name
	invalid          string // a name that nobody can have
	suffix           string // version that its clients send
	child, childBody string // a child that can be written, and then is a part of it
	created          int    // the status of a creation, and its child's, where it is not 201: what its clients take
	deleted          int    // the status of a deletion, where it is not 200
}

var serviceCases = []serviceCase{{
	typ: "Microsoft.KeyVault/vaults", name: "kv-door", suffix: "2024-11-01",
	body: `{"location":"westeurope","properties":{"sku":{"family":"A","name":"standard"},"tenantId":"7e57ab1e-0000-4000-8000-000000000001","accessPolicies":[],
	  "networkAcls":{"defaultAction":"Deny","bypass":"None","ipRules":[{"value":"20.1.2.3/32"}],"virtualNetworkRules":[{"id":"SUBNET"}]}}}`,
	has:   []string{`"vaultUri":"https://kv-door.vault.azure.net/"`, `"bypass":"None"`, `"value":"20.1.2.3/32"`, `"state":"Succeeded"`},
	patch: `{"properties":{"publicNetworkAccess":"Disabled"}}`, patched: `"publicNetworkAccess":"Disabled"`,
	bad:  `{"location":"westeurope","properties":{"networkAcls":{"defaultAction":"Deny","virtualNetworkRules":[{"id":"BARE"}]}}}`,
	code: "VirtualNetworkRuleBadRequest", taken: "VaultAlreadyExists", invalid: "9vault",
}, {
	typ: "Microsoft.DocumentDB/databaseAccounts", name: "cosmos-door", suffix: "2024-11-15", created: 200, deleted: 204,
	body: `{"location":"westeurope","kind":"GlobalDocumentDB","properties":{"databaseAccountOfferType":"Standard","locations":[{"locationName":"westeurope","failoverPriority":0}],
	  "ipRules":[{"ipAddressOrRange":"20.1.2.3"}],"isVirtualNetworkFilterEnabled":true,"virtualNetworkRules":[{"id":"SUBNET","ignoreMissingVNetServiceEndpoint":false}]}}`,
	has:   []string{`"documentEndpoint":"https://cosmos-door.documents.azure.com:443/"`, `"isVirtualNetworkFilterEnabled":true`, `"state":"Succeeded"`},
	patch: `{"properties":{"networkAclBypass":"AzureServices"}}`, patched: `"networkAclBypass":"AzureServices"`,
	bad:  `{"location":"westeurope","properties":{"isVirtualNetworkFilterEnabled":true,"virtualNetworkRules":[{"id":"BARE"}]}}`,
	code: "VirtualNetworkRuleBadRequest", taken: "Conflict", invalid: "no--name",
}, {
	typ: "Microsoft.ContainerRegistry/registries", name: "crdoor", suffix: "2023-07-01",
	body: `{"location":"westeurope","sku":{"name":"Premium"},"properties":{"networkRuleSet":{"defaultAction":"Deny","ipRules":[{"action":"Allow","value":"20.1.2.0/24"}],
	  "virtualNetworkRules":[{"action":"Allow","id":"SUBNET"}]}}}`,
	has:   []string{`"loginServer":"crdoor.azurecr.io"`, `"networkRuleBypassOptions":"AzureServices"`, `"state":"Succeeded"`},
	patch: `{"properties":{"networkRuleBypassOptions":"None"}}`, patched: `"networkRuleBypassOptions":"None"`,
	bad:  `{"location":"westeurope","sku":{"name":"Basic"},"properties":{"networkRuleSet":{"defaultAction":"Deny"}}}`,
	code: "BadRequest", taken: "AlreadyInUse", invalid: "no-name",
}, {
	typ: "Microsoft.CognitiveServices/accounts", name: "speech", suffix: "2024-10-01",
	body: `{"location":"westeurope","kind":"SpeechServices","sku":{"name":"S0"},"properties":{"customSubDomainName":"speech-door","networkAcls":{"defaultAction":"Deny",
	  "virtualNetworkRules":[{"id":"SUBNET"}]}}}`,
	has:   []string{`"endpoint":"https://speech-door.cognitiveservices.azure.com/"`, `"bypass":"None"`, `"state":"Succeeded"`},
	patch: `{"properties":{"publicNetworkAccess":"Disabled"}}`, patched: `"publicNetworkAccess":"Disabled"`,
	bad:  `{"location":"westeurope","properties":{"networkAcls":{"defaultAction":"Deny"}}}`,
	code: "BadRequest", taken: "CustomDomainInUse", invalid: "x",
}, {
	typ: "Microsoft.Web/sites", name: "web-door", suffix: "2024-04-01", created: 200,
	body: `{"location":"westeurope","kind":"app","properties":{"siteConfig":{"ipSecurityRestrictions":[{"name":"app","priority":100,"action":"Allow","vnetSubnetResourceId":"SUBNET"},
	  {"name":"office","priority":200,"action":"Allow","ipAddress":"20.1.2.0/24"}]}}}`,
	has:   []string{`"defaultHostName":"web-door.azurewebsites.net"`, `"ipSecurityRestrictions":[{`, `"state":"Succeeded"`},
	patch: `{"properties":{"httpsOnly":true}}`, patched: `"httpsOnly":true`,
	bad:  `{"location":"westeurope","properties":{"siteConfig":{"ipSecurityRestrictions":[{"name":"app","vnetSubnetResourceId":"BARE"}]}}}`,
	code: "VirtualNetworkRuleBadRequest", taken: "Conflict", invalid: "x",
}, {
	typ: "Microsoft.DataLakeStore/accounts", name: "lakedoor", suffix: "2016-11-01",
	body: `{"location":"westeurope","properties":{"firewallState":"Enabled","firewallRules":[{"name":"office","properties":{"startIpAddress":"20.1.2.3","endIpAddress":"20.1.2.9"}}],
	  "virtualNetworkRules":[{"name":"app","properties":{"subnetId":"SUBNET"}}]}}`,
	has:   []string{`"endpoint":"lakedoor.azuredatalakestore.net"`, `"firewallState":"Enabled"`, `"state":"Succeeded"`},
	patch: `{"properties":{"firewallAllowAzureIps":"Enabled"}}`, patched: `"firewallAllowAzureIps":"Enabled"`,
	bad:  `{"location":"westeurope","properties":{"virtualNetworkRules":[{"name":"app","properties":{"subnetId":"BARE"}}]}}`,
	code: "VirtualNetworkRuleBadRequest", taken: "AccountAlreadyExists", invalid: "no-name",
	child: "virtualNetworkRules/second", childBody: `{"properties":{"subnetId":"SUBNET2"}}`,
}}

// TestServices writes, reads, changes and deletes an instance of each service through the door, which knows none of them.
func TestServices(t *testing.T) {
	f := start(t)
	const network = group + "/providers/Microsoft.Network/virtualNetworks/services"
	want := f.asker(t)
	want(t, http.MethodPut, network+version, `{"location":"westeurope","properties":{"addressSpace":{"addressPrefixes":["10.9.0.0/16"]},"subnets":[
	  {"name":"all","properties":{"addressPrefix":"10.9.1.0/24","serviceEndpoints":[{"service":"Microsoft.KeyVault"},{"service":"Microsoft.AzureCosmosDB"},
	    {"service":"Microsoft.ContainerRegistry"},{"service":"Microsoft.CognitiveServices"},{"service":"Microsoft.Web"},{"service":"Microsoft.AzureActiveDirectory"}]}},
	  {"name":"too","properties":{"addressPrefix":"10.9.3.0/24","serviceEndpoints":[{"service":"Microsoft.AzureActiveDirectory"}]}},
	  {"name":"bare","properties":{"addressPrefix":"10.9.2.0/24"}}]}}`, 201)
	other := strings.Replace(group, "demo", "other", 1)
	want(t, http.MethodPut, other+version, `{"location":"westeurope"}`, 201)
	for _, c := range serviceCases {
		t.Run(c.typ, func(t *testing.T) {
			subnets := strings.NewReplacer("SUBNET2", network+"/subnets/too", "SUBNET", network+"/subnets/all", "BARE", network+"/subnets/bare")
			path := group + "/providers/" + c.typ + "/" + c.name + "?api-version=" + c.suffix
			created := c.created
			if created == 0 {
				created = http.StatusCreated
			}
			want(t, http.MethodPut, path, subnets.Replace(c.body), created, c.has...)
			got := want(t, http.MethodGet, path, "", 200, c.has...)
			want(t, http.MethodPut, path, got, 200, c.has...) // what was read can be written
			etag := regexp.MustCompile(`"etag":"[^,]*,`)
			if after := want(t, http.MethodGet, path, "", 200); etag.ReplaceAllString(after, "") != etag.ReplaceAllString(got, "") {
				t.Errorf("a write of what was read changes it:\n%s\n%s", got, after)
			}
			want(t, http.MethodPatch, path, c.patch, 200, c.patched)
			want(t, http.MethodGet, group+"/providers/"+c.typ+"?api-version="+c.suffix, "", 200, `"name":"`+c.name+`"`)
			t.Run("FW-6 what is refused changes nothing", func(t *testing.T) {
				before := want(t, http.MethodGet, path, "", 200)
				want(t, http.MethodPut, path, subnets.Replace(c.bad), 400, `"code":"`+c.code+`"`)
				if after := want(t, http.MethodGet, path, "", 200); after != before {
					t.Errorf("it is another now: %s", after)
				}
			})
			if c.child != "" {
				child := strings.Replace(path, "?", "/"+c.child+"?", 1)
				want(t, http.MethodPut, child, subnets.Replace(c.childBody), 200, `"state":"Succeeded"`)
				want(t, http.MethodGet, path, "", 200, `"name":"`+c.child[strings.IndexByte(c.child, '/')+1:]+`"`)
				want(t, http.MethodDelete, child, "", 200)
			}
			if c.taken != "" {
				want(t, http.MethodPut, strings.Replace(path, group, other, 1), subnets.Replace(c.body), 409, `"code":"`+c.taken+`"`)
			}
			if c.invalid != "" {
				want(t, http.MethodPut, strings.Replace(path, "/"+c.name, "/"+c.invalid, 1), subnets.Replace(c.body), 400)
			}
			deleted := c.deleted
			if deleted == 0 {
				deleted = http.StatusOK
			}
			want(t, http.MethodDelete, path, "", deleted)
			want(t, http.MethodGet, path, "", 404, `"code":"ResourceNotFound"`)
		})
	}
}

// asker makes the owner's way to send a request: it must have a status, and its answer, which is given without spaces, texts.
func (f *fixture) asker(t *testing.T) func(t *testing.T, method, path, body string, status int, texts ...string) string {
	t.Helper()
	token := f.token(t)
	return func(t *testing.T, method, path, body string, status int, texts ...string) string {
		t.Helper()
		got := f.send(t, method, path, token, body, "Content-Type", "application/json")
		plain := strings.NewReplacer(" ", "", "\n", "").Replace(got.body)
		if got.status != status {
			t.Fatalf("%s %s: %d, want %d: %s", method, path, got.status, status, got.body)
		}
		for _, text := range texts {
			if !strings.Contains(plain, text) {
				t.Errorf("%s %s has no %s: %s", method, path, text, got.body)
			}
		}
		return plain
	}
}

package arm_test

import (
	"net/http"
	"strings"
	"testing"
)

// The rule set of a namespace is there from the beginning, is written and read by itself, and is no part of the
// namespace's own body.
func TestNetworkRuleSets(t *testing.T) {
	f := start(t)
	const network = group + "/providers/Microsoft.Network/virtualNetworks/messaging"
	want := f.asker(t)
	want(t, http.MethodPut, network+version, `{"location":"westeurope","properties":{"addressSpace":{"addressPrefixes":["10.9.0.0/16"]},"subnets":[
	  {"name":"all","properties":{"addressPrefix":"10.9.1.0/24","serviceEndpoints":[{"service":"Microsoft.ServiceBus"},{"service":"Microsoft.EventHub"}]}},
	  {"name":"bare","properties":{"addressPrefix":"10.9.2.0/24"}}]}}`, 201)
	rules := func(subnet, more string) string {
		return `{"properties":{"defaultAction":"Deny","ipRules":[{"ipMask":"20.1.2.3","action":"Allow"}],"virtualNetworkRules":[{"subnet":{"id":"` + network +
			"/subnets/" + subnet + `"}` + more + `}]}}`
	}
	for _, provider := range []string{"Microsoft.ServiceBus", "Microsoft.EventHub"} {
		t.Run(provider, func(t *testing.T) {
			name := "door-" + strings.ToLower(provider[len("Microsoft."):])
			const at = "?api-version=2024-01-01"
			path := group + "/providers/" + provider + "/namespaces/" + name
			set := path + "/networkRuleSets/default" + at
			want(t, http.MethodPut, set, rules("all", ""), 404, `"code":"ParentResourceNotFound"`)
			got := want(t, http.MethodPut, path+at, `{"location":"westeurope","sku":{"name":"Premium","tier":"Premium"}}`, 201,
				`"serviceBusEndpoint":"https://`+name+`.servicebus.windows.net:443/"`)
			if strings.Contains(got, "networkRuleSets") {
				t.Errorf("the namespace has its rule set: %s", got)
			}
			want(t, http.MethodGet, set, "", 200, `"name":"default"`, `"defaultAction":"Allow"`, `"ipRules":[]`, `"trustedServiceAccessEnabled":false`)
			// Azure's clients take 200 alone.
			want(t, http.MethodPut, set, rules("all", ""), 200, `"defaultAction":"Deny"`, `"ipMask":"20.1.2.3"`, `"ignoreMissingVnetServiceEndpoint":false`)
			before := want(t, http.MethodGet, set, "", 200, `"defaultAction":"Deny"`, "/subnets/all")
			t.Run("FW-6 a subnet without the endpoint, unless that is ignored", func(t *testing.T) {
				want(t, http.MethodPut, set, rules("bare", ""), 400, `"code":"BadRequest"`)
				if after := want(t, http.MethodGet, set, "", 200); after != before {
					t.Errorf("what is refused changes it: %s", after)
				}
				want(t, http.MethodPut, set, rules("bare", `,"ignoreMissingVnetServiceEndpoint":true`), 200)
				want(t, http.MethodPut, set, rules("all", ""), 200)
			})
			t.Run("FW-7 a write of the namespace leaves the rules", func(t *testing.T) {
				got := want(t, http.MethodGet, path+at, "", 200)
				want(t, http.MethodPut, path+at, got, 200)
				want(t, http.MethodPatch, path+at, `{"tags":{"team":"shop"}}`, 200)
				want(t, http.MethodGet, set, "", 200, `"defaultAction":"Deny"`, "/subnets/all")
			})
			want(t, http.MethodGet, path+"/networkRuleSets"+at, "", 200, `"name":"default"`)
			want(t, http.MethodPut, strings.Replace(set, "default", "second", 1), rules("all", ""), 400, `"code":"BadRequest"`)
			want(t, http.MethodDelete, set, "", 405)
			for _, other := range []string{"Microsoft.ServiceBus", "Microsoft.EventHub"} {
				if other != provider { // both have their names in one zone
					want(t, http.MethodPut, strings.Replace(path, provider, other, 1)+at, `{"location":"westeurope"}`, 409)
				}
			}
			want(t, http.MethodDelete, path+at, "", 200)
			want(t, http.MethodGet, set, "", 404)
		})
	}
}

package all

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"postern/model"
	"postern/service/servicetest"
)

// Whatever a body says, it is taken or refused, and what is taken can be answered.
func FuzzDecode(f *testing.F) {
	for _, body := range []string{`{}`, `{"sku":{"name":"Premium"},"properties":{"networkRuleSet":{"ipRules":[{"value":"20.1.2.3"}],"virtualNetworkRules":[null]}}}`,
		`{"properties":{"customSubDomainName":"a1","networkAcls":{"defaultAction":"Deny","virtualNetworkRules":[{"id":"/s"}]}}}`,
		`{"properties":{"siteConfig":{"ipSecurityRestrictions":[{"ipAddress":"Any","priority":-1},{"vnetSubnetResourceId":"/s"}]}}}`,
		`{"properties":{"isVirtualNetworkFilterEnabled":true,"ipRules":[{"ipAddressOrRange":"0.0.0.0"}],"virtualNetworkRules":[{"id":"/s"},{"id":"/t"}]}}`,
		`{"properties":{"firewallRules":[{"name":"r","properties":{"startIpAddress":"0.0.0.0","endIpAddress":"255.255.255.255"}}],"virtualNetworkRules":[{"properties":{"subnetId":"/s"}}]}}`,
		`{"Properties":{"NETWORKACLS":{"ipRules":[null]}},"properties":{"networkAcls":null}}`, `{"properties":[]}`} {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body string) {
		var object map[string]any
		if json.Unmarshal([]byte(body), &object) != nil || object == nil {
			return // the door refuses what is no object
		}
		if ambiguous(object) {
			return // the door refuses a member that stands twice
		}
		written, err := json.Marshal(object)
		if err != nil {
			t.Fatal(err)
		}
		body = string(written)
		for _, s := range Services() {
			if _, refusal := servicetest.Decode(s, "kvname1", body); refusal == nil {
				servicetest.Render(t, s, "kvname1", body, model.DefaultSettings)
			}
		}
	})
}

// ambiguous tells whether a member stands twice in an object, whatever its case.
func ambiguous(value any) bool {
	switch value := value.(type) {
	case map[string]any:
		for name, inner := range value {
			for other := range value {
				if other != name && strings.EqualFold(other, name) {
					return true
				}
			}
			if ambiguous(inner) {
				return true
			}
		}
	case []any:
		return slices.ContainsFunc(value, ambiguous)
	}
	return false
}

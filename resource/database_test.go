package resource

import (
	"errors"
	"strings"
	"testing"

	"postern/model"
)

// The rules of a database server are resources of their own in it, and each stays with the subnet that it was written for.
func TestDatabaseRules(t *testing.T) {
	const (
		server = "Microsoft.Sql/servers/shop"
		rule   = server + "/virtualNetworkRules/app"
	)
	subnet := func(more string) string {
		return `put virtualNetworks/sqlnet/subnets/app {"properties":{"addressPrefix":"10.99.1.0/24"` + more + `}}`
	}
	const enabled = `,"serviceEndpoints":[{"service":"Microsoft.Sql"}]`
	id, _ := Expand("virtualNetworks/sqlnet/subnets/app")
	write := func(ignore string) string {
		return `put ` + rule + ` {"properties":{"virtualNetworkSubnetId":"` + id + `"` + ignore + `}}`
	}
	cloud := must(t, sample(t), `put virtualNetworks/sqlnet {"location":"westeurope","properties":{"addressSpace":{"addressPrefixes":["10.99.0.0/16"]}}}`,
		subnet(""), `put `+server+` {"location":"westeurope","properties":{"administratorLogin":"bob","administratorLoginPassword":"secret"}}`)
	identity := func(cloud *Cloud) model.Identity {
		t.Helper()
		for _, one := range cloud.Snapshot().Instances {
			if strings.HasSuffix(string(one.ID), server) && len(one.Rules.VirtualNetworkRules) == 1 {
				return one.Rules.VirtualNetworkRules[0].Identity
			}
		}
		t.Fatal("the server has no rule")
		return 0
	}
	t.Run("FW-6 the endpoint first, or ignoreMissingVnetServiceEndpoint", func(t *testing.T) {
		_, err := change(t, cloud, write(""))
		var refusal *Error
		if !errors.As(err, &refusal) || refusal.Code != "VirtualNetworkRuleBadRequest" || !strings.Contains(refusal.Target, "virtualNetworkSubnetId") {
			t.Errorf("got %v", err)
		}
		must(t, cloud, write(`,"ignoreMissingVnetServiceEndpoint":true`))
		must(t, must(t, cloud, subnet(enabled)), write(""))
	})
	t.Run("FW-7 other writes do not bring a deleted source to life", func(t *testing.T) {
		with := must(t, must(t, cloud, subnet(enabled)), write(""))
		if identity(with) == model.IdentityNone {
			t.Error("the rule is for nobody")
		}
		gone := must(t, with, "delete virtualNetworks/sqlnet/subnets/app")
		firewall := `put ` + server + `/firewallRules/office {"properties":{"startIpAddress":"203.0.113.1","endIpAddress":"203.0.113.1"}}`
		gone = must(t, gone, firewall)
		again := must(t, gone, subnet(enabled))
		again = must(t, again, firewall, `put `+server+` {"location":"westeurope","properties":{"administratorLogin":"bob"}}`)
		if got := identity(again); got != model.IdentityNone {
			t.Errorf("the rule is for subnet %d, want nobody", got)
		}
		if identity(must(t, again, write(""))) == model.IdentityNone {
			t.Error("the rule, written anew, is for nobody")
		}
	})
}

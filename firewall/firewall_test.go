package firewall

import (
	"net/netip"
	"testing"

	"postern/model"
)

const (
	tenant = "7e57ab1e-0000-4000-8000-000000000001"
	group  = "/subscriptions/s/resourceGroups/rg/providers/"
	vm     = model.ResourceID(group + "Microsoft.Compute/virtualMachines/vm")
	vault  = model.ResourceID(group + "Microsoft.KeyVault/vaults/v")
	app    = model.ResourceID(group + "Microsoft.Network/virtualNetworks/vnet/subnets/app")
)

func TestJudge(t *testing.T) {
	public := Caller{Kind: Public, Address: netip.MustParseAddr("20.1.2.3")}
	platform := Caller{Kind: Platform, Address: netip.MustParseAddr("100.64.0.7")}
	subnet := Caller{Kind: Endpoint, Address: netip.MustParseAddr("10.0.0.4"), Subnet: 4100, SubnetID: app}
	as := func(caller Caller, resource model.ResourceID, tenant string) Caller {
		caller.Managed = Managed{Tenant: tenant, Resource: resource}
		return caller
	}
	deny := model.NetworkRules{PublicNetworkAccess: true}
	with := func(change func(*model.NetworkRules)) model.NetworkRules {
		rules := deny
		change(&rules)
		return rules
	}
	access := func(resource model.ResourceID) model.NetworkRules {
		return with(func(r *model.NetworkRules) {
			r.ResourceAccessRules = []model.ResourceAccessRule{{Tenant: tenant, Resource: resource}}
		})
	}
	off := func(rules model.NetworkRules) model.NetworkRules {
		rules.PublicNetworkAccess = false
		return rules
	}
	trust := with(func(r *model.NetworkRules) { r.Bypass = []string{"AzureServices"} })
	ordered := with(func(r *model.NetworkRules) {
		r.Filters = []model.Filter{
			{Name: "ipSecurityRestrictions not-him", Prefixes: []netip.Prefix{netip.MustParsePrefix("20.1.2.3/32")}},
			{Name: "ipSecurityRestrictions office", Allow: true, Prefixes: []netip.Prefix{netip.MustParsePrefix("20.1.2.0/24"), netip.MustParsePrefix("100.64.0.0/10")}},
			{Name: "ipSecurityRestrictions app", Allow: true, Subnet: app, Identity: 4100},
			{Name: "ipSecurityRestrictions gone", Allow: true, Subnet: app, Identity: model.IdentityNone},
		}
		r.DefaultAllow = true
	})
	closed := ordered
	closed.Filters = append(append([]model.Filter{}, ordered.Filters...), model.Filter{Name: "Deny all", Any: true})
	for _, test := range []struct {
		name   string
		rules  model.NetworkRules
		caller Caller
		reason Reason
		rule   string
	}{
		{"FW-10 a resource's managed identity gets in", access(vm), as(public, vm, tenant), ReasonResourceAccess, "resourceAccessRules " + string(vm)},
		{"FW-10 by a rule for every resource of a type", access(group + "Microsoft.Compute/virtualMachines/*"), as(subnet, vm, tenant), ReasonResourceAccess, "resourceAccessRules " + group + "Microsoft.Compute/virtualMachines/*"},
		{"FW-10 of the same tenant alone", access(vm), as(public, vm, "another"), ReasonNoIPRule, ""},
		{"FW-10 not another resource", access(vm), as(public, vm+"2", tenant), ReasonNoIPRule, ""},
		{"FW-10 without an identity nothing matches", access(""), public, ReasonNoIPRule, ""},
		{"FW-8 it outranks publicNetworkAccess", off(access(vm)), as(public, vm, tenant), ReasonResourceAccess, "resourceAccessRules " + string(vm)},
		{"FW-9 a trusted service by its identity", trust, as(platform, vault, tenant), ReasonTrustedService, "bypass AzureServices " + string(vault)},
		{"FW-8 FW-9 it outranks publicNetworkAccess", off(trust), as(platform, vault, tenant), ReasonTrustedService, "bypass AzureServices " + string(vault)},
		{"FW-9 a VM is no trusted service", trust, as(platform, vm, tenant), ReasonSameRegion, ""},
		{"FW-9 without the bypass nobody is trusted", deny, as(platform, vault, tenant), ReasonSameRegion, ""},
		{"FW-9 an identity must be shown", trust, platform, ReasonSameRegion, ""},
		{"filters: the first that matches denies", ordered, public, ReasonFilter, ""},
		{"filters: a later one allows", ordered, Caller{Kind: Public, Address: netip.MustParseAddr("20.1.2.9")}, ReasonFilter, "ipSecurityRestrictions office"},
		{"FW-5 filters by address are for public callers", ordered, platform, ReasonDefaultAllow, "defaultAction Allow"},
		{"FW-6 filters by subnet", ordered, subnet, ReasonFilter, "ipSecurityRestrictions app"},
		{"FW-7 filters of a subnet that is gone match nobody", closed, Caller{Kind: Endpoint, SubnetID: app}, ReasonFilter, ""},
		{"filters: the last denies all", closed, platform, ReasonFilter, ""},
		{"FW-1 Azure's own addresses where they are allowed", with(func(r *model.NetworkRules) { r.AllowPlatform = true }), platform, ReasonPlatformAllowed, "allowed Azure services"},
		{"FW-1 not the Internet's", with(func(r *model.NetworkRules) { r.AllowPlatform = true }), public, ReasonNoIPRule, ""},
		{"FW-3 a caller of no kind", deny, Caller{}, ReasonUnknownIdentity, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := Judge(&test.rules, test.caller, []string{"Microsoft.KeyVault/vaults"})
			if got.Reason != test.reason || got.Rule != test.rule || got.Allow != (test.rule != "") || got.Allow != (got.Missing == "") {
				t.Errorf("got %+v, want %s %q", got, test.reason, test.rule)
			}
		})
	}
}

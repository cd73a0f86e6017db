// Package firewall judges the network rules of a service instance (FW-1 to FW-11). There is one form of rules for all
// services, model.NetworkRules, and one order in which they are asked. It is pure.
package firewall

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"postern/model"
)

// Kind says which way a caller came.
type Kind string

// The kinds of caller, as they stand in the access log.
const (
	Endpoint Kind = "endpoint" // by a service endpoint: the peer address names subnet and NIC
	Public   Kind = "public"   // from the Internet, by its public IPv4 address
	Platform Kind = "platform" // from the region itself, without an endpoint (FW-5)
	Unknown  Kind = "unknown"  // its address says nothing that may be believed (FW-3)
)

// Caller is who asks, as far as rules ask for it.
type Caller struct {
	Kind     Kind
	Address  netip.Addr       // public or platform IPv4
	Subnet   model.Identity   // of an endpoint caller
	SubnetID model.ResourceID // the same
	Managed  Managed          // the managed identity of a verified token; zero for none
}

// Managed is a managed identity, out of a token that was verified (ID-2).
type Managed struct {
	Tenant   string           // GUID
	Resource model.ResourceID // that the identity belongs to, such as a VM
}

// IsZero tells whether there is no identity.
func (m Managed) IsZero() bool { return m.Resource == "" }

// Decision is what is said about one caller and one instance.
type Decision struct {
	Allow   bool
	Rule    string // what admitted: "defaultAction Allow", "ipRules 20.1.2.3", "virtualNetworkRules <subnet id>"
	Missing string // what was missing, in words; "" when allowed
	Reason  Reason
}

// Deny makes a refusal. missing is formatted.
func Deny(reason Reason, missing string, args ...any) Decision {
	return Decision{Reason: reason, Missing: fmt.Sprintf(missing, args...)}
}

func allow(reason Reason, rule string) Decision {
	return Decision{Allow: true, Reason: reason, Rule: rule}
}

// Judge asks the rules in their order: the caller's managed identity (FW-10, FW-9); publicNetworkAccess, which outranks
// all that follows (FW-8); filters, the first that matches; defaultAction (FW-1); ipRules for public callers alone (FW-5,
// SE-4); virtualNetworkRules by identity (FW-6, FW-7); else no. trusted are the resource types whose managed identities
// the bypass AzureServices lets in, in any case.
func Judge(rules *model.NetworkRules, caller Caller, trusted []string) Decision {
	if !caller.Managed.IsZero() {
		if d, ok := byIdentity(rules, caller.Managed, trusted); ok {
			return d
		}
	}
	if !rules.PublicNetworkAccess {
		return Deny(ReasonPublicAccessOff, "publicNetworkAccess is Disabled, which no network rule overrides (FW-8)")
	}
	for i := range rules.Filters {
		filter := &rules.Filters[i]
		if !matches(filter, caller) {
			continue
		}
		if filter.Allow {
			return allow(ReasonFilter, filter.Name)
		}
		return Deny(ReasonFilter, "%s denies it", filter.Name)
	}
	if rules.DefaultAllow {
		return allow(ReasonDefaultAllow, "defaultAction Allow")
	}
	switch caller.Kind {
	case Public:
		return byAddress(rules.IPRules, caller.Address)
	case Platform:
		if rules.AllowPlatform {
			return allow(ReasonPlatformAllowed, "allowed Azure services")
		}
		return Deny(ReasonSameRegion, "ipRules do not match clients of the same region (FW-5)")
	case Endpoint:
		return bySubnet(rules.VirtualNetworkRules, caller)
	}
	return Deny(ReasonUnknownIdentity, "nobody knows who calls (FW-3)")
}

func byIdentity(rules *model.NetworkRules, managed Managed, trusted []string) (Decision, bool) {
	for _, rule := range rules.ResourceAccessRules {
		if (rule.Tenant == "" || strings.EqualFold(rule.Tenant, managed.Tenant)) && rule.Matches(managed.Resource) {
			return allow(ReasonResourceAccess, "resourceAccessRules "+string(rule.Resource)), true
		}
	}
	typ := managed.Resource.Type()
	isTrusted := slices.ContainsFunc(trusted, func(t string) bool { return strings.EqualFold(t, typ) })
	if isTrusted && slices.Contains(rules.Bypass, "AzureServices") {
		return allow(ReasonTrustedService, "bypass AzureServices "+string(managed.Resource)), true
	}
	return Decision{}, false
}

// matches tells whether a filter is about the caller. By address it is about public callers alone (FW-5).
func matches(filter *model.Filter, caller Caller) bool {
	switch {
	case filter.Any:
		return true
	case filter.Subnet != "":
		return caller.Kind == Endpoint && filter.Identity != model.IdentityNone && filter.Identity == caller.Subnet
	}
	return caller.Kind == Public && slices.ContainsFunc(filter.Prefixes, func(p netip.Prefix) bool { return p.Contains(caller.Address) })
}

func byAddress(rules []netip.Prefix, address netip.Addr) Decision {
	for _, rule := range rules {
		if rule.Contains(address) {
			text := rule.String()
			if rule.IsSingleIP() {
				text = rule.Addr().String()
			}
			return allow(ReasonIPRule, "ipRules "+text)
		}
	}
	return Deny(ReasonNoIPRule, "no ipRules entry for %s", address)
}

func bySubnet(rules []model.VirtualNetworkRule, caller Caller) Decision {
	namesake := false
	for _, rule := range rules {
		// The id alone proves nothing: it may be that of a deleted subnet, whose name another one has now (FW-7).
		if rule.Identity != model.IdentityNone && rule.Identity == caller.Subnet {
			return allow(ReasonVirtualNetworkRule, "virtualNetworkRules "+string(rule.Subnet))
		}
		namesake = namesake || rule.Subnet.Is(caller.SubnetID)
	}
	if namesake {
		return Deny(ReasonNetworkSourceGone,
			"the virtualNetworkRules entry for %s is of a deleted subnet of that name (networkSourceDeleted, FW-7)", caller.SubnetID)
	}
	return Deny(ReasonNoVirtualNetworkRule, "no virtualNetworkRules entry for %s", caller.SubnetID)
}

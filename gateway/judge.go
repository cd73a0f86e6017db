package gateway

import (
	"fmt"
	"strings"

	"postern/model"
	"postern/plan"
)

// Reason is why a request was let in or refused: a closed set, for tests and metrics. It is not model.Reason, whose
// numbers are shared with the packet programs; the service's side judges requests, not packets.
type Reason string

// The reasons, in the order in which they are judged.
const (
	ReasonUnsynced             Reason = "unsynced"                // no plan yet
	ReasonUnknownIdentity      Reason = "unknown-identity"        // the address names nobody
	ReasonEndpointNotEnabled   Reason = "endpoint-not-enabled"    // the subnet has not, or no longer, the endpoint
	ReasonUnknownAccount       Reason = "unknown-account"         // no such account in this region
	ReasonEndpointPolicy       Reason = "endpoint-policy"         // the subnet may not reach this account
	ReasonPublicAccessOff      Reason = "public-access-off"       // publicNetworkAccess is Disabled
	ReasonDefaultAllow         Reason = "default-allow"           // defaultAction is Allow
	ReasonIPRule               Reason = "ip-rule"                 // an entry of ipRules has the caller
	ReasonVirtualNetworkRule   Reason = "virtual-network-rule"    // an entry of virtualNetworkRules has the subnet
	ReasonNoIPRule             Reason = "no-ip-rule"              // a public caller that no entry has
	ReasonSameRegion           Reason = "same-region"             // ipRules do not apply to it
	ReasonNetworkSourceGone    Reason = "network-source-gone"     // an entry names the subnet's deleted namesake
	ReasonNoVirtualNetworkRule Reason = "no-virtual-network-rule" // an endpoint caller that no entry has
)

// RuleID names the rule of docs/semantics.md that the reason stands on.
func (r Reason) RuleID() string {
	switch r {
	case ReasonUnsynced, ReasonUnknownIdentity:
		return "FW-3"
	case ReasonEndpointNotEnabled:
		return "SE-1"
	case ReasonEndpointPolicy:
		return "SEP-2"
	case ReasonPublicAccessOff:
		return "FW-8"
	case ReasonDefaultAllow, ReasonIPRule, ReasonNoIPRule:
		return "FW-1"
	case ReasonSameRegion:
		return "FW-5"
	case ReasonVirtualNetworkRule, ReasonNoVirtualNetworkRule:
		return "FW-6"
	case ReasonNetworkSourceGone:
		return "FW-7"
	}
	return ""
}

// Decision is what Judge says about one caller and one account.
type Decision struct {
	Allow   bool
	Rule    string // what admitted: "defaultAction Allow", "ipRules 20.1.2.3", "virtualNetworkRules <subnet id>"
	Missing string // what was missing, in words; "" when allowed
	Reason  Reason
}

// Judge decides whether a caller may use an account, by its lower-case name. It is pure. The order is: a plan is there;
// the caller's identity is known and its subnet has the endpoint (FW-3); the account is of this region; the subnet's
// endpoint policies list it, restricted or not (SEP-2, SEP-6); publicNetworkAccess (FW-8); defaultAction (FW-1);
// ipRules for public callers alone (FW-5, SE-4); virtualNetworkRules by identity (FW-6, FW-7); else no.
func Judge(snapshot *Snapshot, caller Caller, accountName string) Decision {
	if snapshot == nil {
		return deny(ReasonUnsynced, "the gateway has no plan yet (FW-3)")
	}
	var subnet *plan.Subnet
	switch caller.Kind {
	case CallerEndpoint:
		known := false
		if subnet, known = snapshot.subnets[caller.Subnet]; !known {
			return deny(ReasonUnknownIdentity, fmt.Sprintf("no subnet has identity %d (FW-3)", caller.Subnet))
		}
		if subnet.EnabledServices&storageEndpoints == 0 {
			return deny(ReasonEndpointNotEnabled, fmt.Sprintf("no service endpoint %s on %s", storageService.Endpoint, subnet.ID))
		}
	case CallerPublic, CallerPlatform:
	default:
		return deny(ReasonUnknownIdentity, caller.Problem+" (FW-3)")
	}
	account, ok := snapshot.accounts[accountName]
	if !ok {
		return deny(ReasonUnknownAccount, fmt.Sprintf("no account %s in this region", accountName))
	}
	if subnet != nil && subnet.Policy != "" {
		if _, listed := snapshot.policies[subnet.Policy][account.key]; !listed {
			return deny(ReasonEndpointPolicy, fmt.Sprintf("no service endpoint policy definition of %s for %s (SEP-2)", subnet.ID, account.ID))
		}
	}
	if !account.PublicNetworkAccess {
		return deny(ReasonPublicAccessOff, "publicNetworkAccess is Disabled, which no network rule overrides (FW-8)")
	}
	acls := &account.NetworkACLs
	if acls.DefaultAllow {
		return Decision{Allow: true, Rule: "defaultAction Allow", Reason: ReasonDefaultAllow}
	}
	switch caller.Kind {
	case CallerPublic:
		return judgeIPRules(acls, caller)
	case CallerPlatform:
		return deny(ReasonSameRegion, "ipRules do not match clients of the same region (FW-5)")
	}
	return judgeVirtualNetworkRules(acls, subnet)
}

func judgeIPRules(acls *model.NetworkACLs, caller Caller) Decision {
	address := caller.Address.Addr()
	for _, rule := range acls.IPRules {
		if rule.Contains(address) {
			text := rule.String()
			if rule.IsSingleIP() {
				text = rule.Addr().String()
			}
			return Decision{Allow: true, Rule: "ipRules " + text, Reason: ReasonIPRule}
		}
	}
	return deny(ReasonNoIPRule, fmt.Sprintf("no ipRules entry for %s", address))
}

func judgeVirtualNetworkRules(acls *model.NetworkACLs, subnet *plan.Subnet) Decision {
	key, namesake := subnet.ID.Key(), false
	for _, rule := range acls.VirtualNetworkRules {
		// The id alone proves nothing: it may be that of a deleted subnet, whose name another one has now (FW-7).
		if rule.Identity != model.IdentityNone && rule.Identity == subnet.Identity {
			return Decision{Allow: true, Rule: "virtualNetworkRules " + string(rule.Subnet), Reason: ReasonVirtualNetworkRule}
		}
		namesake = namesake || strings.EqualFold(string(rule.Subnet), key)
	}
	if namesake {
		return deny(ReasonNetworkSourceGone,
			fmt.Sprintf("the virtualNetworkRules entry for %s is of a deleted subnet of that name (networkSourceDeleted, FW-7)", subnet.ID))
	}
	return deny(ReasonNoVirtualNetworkRule, fmt.Sprintf("no virtualNetworkRules entry for %s", subnet.ID))
}

func deny(reason Reason, missing string) Decision { return Decision{Reason: reason, Missing: missing} }

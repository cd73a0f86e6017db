package firewall

// Reason is why a caller was let in or refused: a closed set, for tests and metrics. It is not model.Reason, whose
// numbers are shared with the packet programs; the service's side judges requests and connections, not packets.
type Reason string

// The reasons, in the order in which they are judged. The first five are the gateway's, before any instance's rules.
const (
	ReasonUnsynced             Reason = "unsynced"                // no plan yet
	ReasonUnknownIdentity      Reason = "unknown-identity"        // the address names nobody
	ReasonEndpointNotEnabled   Reason = "endpoint-not-enabled"    // the subnet has not, or no longer, the endpoint
	ReasonUnknownAccount       Reason = "unknown-account"         // no such instance in this region
	ReasonEndpointPolicy       Reason = "endpoint-policy"         // the subnet may not reach this instance
	ReasonResourceAccess       Reason = "resource-access-rule"    // an entry of resourceAccessRules has the caller's identity
	ReasonTrustedService       Reason = "trusted-service"         // bypass has AzureServices, and the caller is one
	ReasonPublicAccessOff      Reason = "public-access-off"       // publicNetworkAccess is Disabled
	ReasonFilter               Reason = "filter"                  // a named rule in an order of its own
	ReasonDefaultAllow         Reason = "default-allow"           // defaultAction is Allow
	ReasonIPRule               Reason = "ip-rule"                 // an entry of ipRules has the caller
	ReasonVirtualNetworkRule   Reason = "virtual-network-rule"    // an entry of virtualNetworkRules has the subnet
	ReasonPlatformAllowed      Reason = "platform-allowed"        // the instance allows Azure's own addresses
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
	case ReasonResourceAccess:
		return "FW-10"
	case ReasonTrustedService:
		return "FW-9"
	case ReasonPublicAccessOff:
		return "FW-8"
	case ReasonDefaultAllow, ReasonIPRule, ReasonNoIPRule, ReasonFilter, ReasonPlatformAllowed:
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

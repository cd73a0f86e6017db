package gateway

import (
	"postern/firewall"
	"postern/plan"
)

// Decision is what Judge says about one caller and one instance.
type Decision = firewall.Decision

// Judge decides whether a caller may use an instance. It is pure. The order is: a plan is there; the caller's identity is
// known and its subnet has the endpoint (FW-3, SE-1); the instance is of this region, and of the service whose endpoint
// the caller took; the subnet's endpoint policies list it, restricted or not (SEP-2, SEP-6); then the instance's own
// rules, which package firewall asks (FW-1 to FW-10).
func Judge(snapshot *Snapshot, caller Caller, target Target) Decision {
	if snapshot == nil {
		return firewall.Deny(firewall.ReasonUnsynced, "the gateway has no plan yet (FW-3)")
	}
	var subnet *plan.Subnet
	switch caller.Kind {
	case firewall.Endpoint:
		known := false
		if subnet, known = snapshot.subnets[caller.Subnet]; !known {
			return firewall.Deny(firewall.ReasonUnknownIdentity, "no subnet has identity %d (FW-3)", caller.Subnet)
		}
		if at := snapshot.endpoints[caller.Service]; at == nil || subnet.EnabledServices&at.bits == 0 {
			name := "of that identity"
			if at != nil {
				name = at.name
			}
			return firewall.Deny(firewall.ReasonEndpointNotEnabled, "no service endpoint %s on %s", name, subnet.ID)
		}
	case firewall.Public, firewall.Platform:
	default:
		return firewall.Deny(firewall.ReasonUnknownIdentity, "%s (FW-3)", caller.Problem)
	}
	instance := target.Instance
	switch {
	case instance == nil:
		return firewall.Deny(firewall.ReasonUnknownAccount, "no account %s in this region", target.Name)
	case subnet != nil && instance.Endpoint.Identity != caller.Service:
		return firewall.Deny(firewall.ReasonUnknownAccount, "%s is not reached by the service endpoint %s", target.Name, snapshot.endpoints[caller.Service].name)
	}
	who := firewall.Caller{Kind: caller.Kind, Address: caller.Address.Addr(), Managed: caller.Managed}
	if subnet != nil {
		if subnet.Policy != "" {
			if _, listed := snapshot.policies[subnet.Policy][instance.key]; !listed {
				return firewall.Deny(firewall.ReasonEndpointPolicy, "no service endpoint policy definition of %s for %s (SEP-2)", subnet.ID, instance.ID)
			}
		}
		who.Subnet, who.SubnetID = subnet.Identity, subnet.ID
	}
	return firewall.Judge(&instance.Rules, who, instance.Described.Trusted)
}

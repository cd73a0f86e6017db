package explain

import (
	"fmt"
	"net/netip"

	"postern/firewall"
	"postern/gateway"
	"postern/model"
	"postern/plan"
	"postern/wire"
)

// call judges a connection at a service's gateway, as the gateway judges its requests: by the two addresses and the account
// that the client's Host header or server name means.
func (w *walk) call(node plan.Node, local, peer netip.AddrPort) error {
	snapshot, err := w.cloud.gateway(node)
	if err != nil {
		return err
	}
	caller := gateway.Identify(snapshot, local, peer)
	if w.protocol != model.ProtocolTCP || snapshot.Way(caller, local.Port()) == "" {
		w.deny(node.Node, StepListener, ReasonNoListener, "", fmt.Sprintf("nobody is served on %s port %d there",
			w.out.To.Protocol, local.Port()), "use a port of the service; 443 is that of most")
		return nil
	}
	w.step(node.Node, StepIdentity, identityRule(caller.Kind), "%s", w.whose(caller, peer))
	if snapshot.Way(caller, local.Port()) == model.WayDirect {
		return w.callDirect(node, snapshot, caller, local, peer)
	}
	target := w.targetOf(snapshot)
	decision := gateway.Judge(snapshot, caller, target)
	if !decision.Allow {
		w.deny(node.Node, StepNetworkRules, string(decision.Reason), decision.Reason.RuleID(), decision.Missing, ruleHint(decision.Reason))
		w.out.Verdict.Caller = caller.Address.String()
		return nil
	}
	w.step(node.Node, StepNetworkRules, decision.Reason.RuleID(), "account %s: %s", target.Name, decision.Rule)
	w.end(Verdict{Outcome: Service, At: node.Node, Reason: string(decision.Reason), Rule: decision.Reason.RuleID(),
		Detail: fmt.Sprintf("account %s lets it in by %s", target.Name, decision.Rule), Caller: caller.Address.String()})
	return nil
}

// targetOf is the instance that a name means or, without one, an address alone: a client that names another one is judged
// by that.
func (w *walk) targetOf(snapshot *gateway.Snapshot) gateway.Target {
	if w.name != "" {
		if target, err := snapshot.Find(w.name); err == nil {
			return target
		}
	}
	address := w.out.To.Address
	w.note("The account depends on the name that the client sends (Host header, TLS server name), not on the address.")
	target, ok := snapshot.At(address)
	if ok {
		w.note("Judged as %s, which has the address %v.", target.Name, address)
	} else {
		w.note("No account of the region has the address %v; a name would decide.", address)
	}
	return target
}

// whose is the caller in words.
func (w *walk) whose(caller gateway.Caller, peer netip.AddrPort) string {
	switch caller.Kind {
	case firewall.Endpoint:
		return fmt.Sprintf("by an endpoint, as %v of subnet %s (identity %d, from locator %v)",
			caller.Address.Addr(), w.cloud.subnetName(caller.Subnet), caller.Subnet, wire.Parse(peer.Addr()).Locator)
	case firewall.Public:
		return fmt.Sprintf("from the Internet, as %v", caller.Address.Addr())
	case firewall.Platform:
		return fmt.Sprintf("from the service's own region without an endpoint, as platform address %v", caller.Address.Addr())
	}
	return "unknown: " + caller.Problem
}

func identityRule(kind firewall.Kind) string {
	switch kind {
	case firewall.Endpoint:
		return "SE-2"
	case firewall.Platform:
		return "FW-5"
	case firewall.Public:
		return "OUT-1"
	}
	return "FW-3"
}

// ruleHint is what would let a caller in.
func ruleHint(reason firewall.Reason) string {
	switch reason {
	case firewall.ReasonSameRegion:
		return "enable Microsoft.Storage on the subnet and add the subnet to the account's virtualNetworkRules"
	case firewall.ReasonNoVirtualNetworkRule:
		return "add the subnet to the account's networkAcls.virtualNetworkRules"
	case firewall.ReasonNetworkSourceGone:
		return "remove the rule and add it again: it names a subnet that was deleted"
	case firewall.ReasonNoIPRule:
		return "add the address to the account's networkAcls.ipRules, or come by a service endpoint"
	case firewall.ReasonPublicAccessOff:
		return "set publicNetworkAccess to Enabled"
	case firewall.ReasonEndpointPolicy:
		return hint(model.ReasonEndpointPolicy)
	case firewall.ReasonUnknownAccount:
		return "use the name of an account of this region; postern get storageAccounts lists them"
	}
	return ""
}

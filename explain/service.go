package explain

import (
	"fmt"
	"net/netip"
	"slices"

	"postern/gateway"
	"postern/model"
	"postern/plan"
	"postern/wire"
)

// servicePorts are those that a storage gateway listens on, by TCP alone.
var servicePorts = []uint16{80, 443}

// call judges a connection at a service's gateway, as the gateway judges its requests: by the two addresses and the account
// that the client's Host header or server name means.
func (w *walk) call(node plan.Node, local, peer netip.AddrPort) error {
	snapshot, err := w.cloud.gateway(node)
	if err != nil {
		return err
	}
	if w.protocol != model.ProtocolTCP || !slices.Contains(servicePorts, local.Port()) {
		w.deny(node.Node, StepListener, ReasonNoListener, "", fmt.Sprintf("the gateway serves TCP ports 80 and 443, not %s port %d",
			w.out.To.Protocol, local.Port()), "use port 443 or 80")
		return nil
	}
	caller := gateway.Identify(snapshot, local, peer)
	w.step(node.Node, StepIdentity, identityRule(caller.Kind), "%s", w.whose(caller, peer))

	account := w.account
	if account == "" {
		account = w.accountAt(node)
	}
	decision := gateway.Judge(snapshot, caller, account)
	if !decision.Allow {
		w.deny(node.Node, StepNetworkRules, string(decision.Reason), decision.Reason.RuleID(), decision.Missing, ruleHint(decision.Reason))
		w.out.Verdict.Caller = caller.Address.String()
		return nil
	}
	w.step(node.Node, StepNetworkRules, decision.Reason.RuleID(), "account %s: %s", account, decision.Rule)
	w.end(Verdict{Outcome: Service, At: node.Node, Reason: string(decision.Reason), Rule: decision.Reason.RuleID(),
		Detail: fmt.Sprintf("account %s lets it in by %s", account, decision.Rule), Caller: caller.Address.String()})
	return nil
}

// accountAt is the account that an address alone means, "" for none: a client that names another one is judged by that.
func (w *walk) accountAt(node plan.Node) string {
	address := w.out.To.Address
	w.note("The account depends on the name that the client sends (Host header, TLS server name), not on the address.")
	for _, account := range node.Gateway.Accounts {
		if account.Address == address {
			w.note("Judged as %s, which has the address %v.", account.Name, address)
			return account.Name
		}
	}
	w.note("No account of the region has the address %v; a name would decide.", address)
	return ""
}

// whose is the caller in words.
func (w *walk) whose(caller gateway.Caller, peer netip.AddrPort) string {
	switch caller.Kind {
	case gateway.CallerEndpoint:
		return fmt.Sprintf("by an endpoint, as %v of subnet %s (identity %d, from locator %v)",
			caller.Address.Addr(), w.cloud.subnetName(caller.Subnet), caller.Subnet, wire.Parse(peer.Addr()).Locator)
	case gateway.CallerPublic:
		return fmt.Sprintf("from the Internet, as %v", caller.Address.Addr())
	case gateway.CallerPlatform:
		return fmt.Sprintf("from the service's own region without an endpoint, as platform address %v", caller.Address.Addr())
	}
	return "unknown: " + caller.Problem
}

func identityRule(kind gateway.CallerKind) string {
	switch kind {
	case gateway.CallerEndpoint:
		return "SE-2"
	case gateway.CallerPlatform:
		return "FW-5"
	case gateway.CallerPublic:
		return "OUT-1"
	}
	return "FW-3"
}

// ruleHint is what would let a caller in.
func ruleHint(reason gateway.Reason) string {
	switch reason {
	case gateway.ReasonSameRegion:
		return "enable Microsoft.Storage on the subnet and add the subnet to the account's virtualNetworkRules"
	case gateway.ReasonNoVirtualNetworkRule:
		return "add the subnet to the account's networkAcls.virtualNetworkRules"
	case gateway.ReasonNetworkSourceGone:
		return "remove the rule and add it again: it names a subnet that was deleted"
	case gateway.ReasonNoIPRule:
		return "add the address to the account's networkAcls.ipRules, or come by a service endpoint"
	case gateway.ReasonPublicAccessOff:
		return "set publicNetworkAccess to Enabled"
	case gateway.ReasonEndpointPolicy:
		return hint(model.ReasonEndpointPolicy)
	case gateway.ReasonUnknownAccount:
		return "use the name of an account of this region; postern get storageAccounts lists them"
	}
	return ""
}

package pipeline

import (
	"fmt"
	"net/netip"

	"postern/model"
)

// What each step tells the trace, in words. The steps call these only where there is a trace.

func (t *trace) frame(d *datagram, length int) {
	t.add(stepFrame, "", fmt.Sprintf("IPv4 %v to %v, protocol %d, %d bytes",
		netip.AddrFrom4(d.source), netip.AddrFrom4(d.destination), d.protocol, length))
}

func (t *trace) fabric(from, to *fabricParts, next model.Protocol) {
	t.add(stepFabric, "", fmt.Sprintf("from locator %v function %d identity %d IPv4 %v, to function %d identity %d IPv4 %v, next header %d",
		from.locator, from.function, from.identity, netip.AddrFrom4(from.ipv4),
		to.function, to.identity, netip.AddrFrom4(to.ipv4), next))
}

func (t *trace) sourceChecked(d *datagram, n *nic) {
	if d.source == n.ipv4 {
		t.add(stepSource, "SE-13", fmt.Sprintf("%v is the NIC's own address", netip.AddrFrom4(d.source)))
		return
	}
	t.add(stepSource, "SE-13", fmt.Sprintf("%v is not the NIC's address, but the NIC forwards", netip.AddrFrom4(d.source)))
}

func (t *trace) laterFragment(d *datagram) {
	t.add(stepFragment, "SE-13", fmt.Sprintf("later fragment at byte %d: ports %d and %d of its first one, which passed the security groups",
		d.offset, d.sourcePort, d.destinationPort))
}

func (t *trace) flowLooked(key flowKey, have flow, found bool) {
	detail := "no flow"
	if found {
		detail = "flow opened by the other side"
		if have.byVM {
			detail = "flow opened by the VM"
		}
		switch {
		case !have.viaKnown:
			detail += ", the VM has not answered yet"
		case have.via != model.IdentityNone:
			detail += fmt.Sprintf(", via identity %d", have.via)
		}
		if have.closing.closed() {
			detail += ", closed"
		}
	}
	t.add(stepFlow, "NSG-2", fmt.Sprintf("%s: protocol %d, local %v, remote %v", detail, key.protocol,
		netip.AddrPortFrom(netip.AddrFrom4(key.local), key.localPort),
		netip.AddrPortFrom(netip.AddrFrom4(key.remote), key.remotePort)))
}

// listName is whose list stands at an index: outgoing packets meet the NIC's first, incoming ones the subnet's (NSG-3).
func listName(index int, outgoing bool) string {
	if (index == 0) == outgoing {
		return "the NIC's security group"
	}
	return "the subnet's security group"
}

func (t *trace) noRules(index int, outgoing bool) {
	t.add(stepSecurity, "NSG-3", listName(index, outgoing)+": there is none, so it allows")
}

func (t *trace) ruleDecided(index int, outgoing bool, decided *rule) {
	if decided == nil {
		t.add(stepSecurity, "NSG-1", listName(index, outgoing)+": no rule matches, so it denies")
		return
	}
	word := "denies"
	if decided.allow {
		word = "allows"
	}
	t.add(stepSecurity, "NSG-1", fmt.Sprintf("%s: rule %q, priority %d, %s", listName(index, outgoing), decided.name, decided.priority, word))
	t.steps[len(t.steps)-1].Decided = &Decided{decided.name, decided.priority, decided.allow, (index == 0) != outgoing}
}

func (t *trace) platformExempt(denied bool) {
	if denied {
		t.add(stepSecurity, "NSG-5", "a platform address, and a rule with a platform tag denies it")
		return
	}
	t.add(stepSecurity, "NSG-5", "a platform address, exempt from security groups")
}

func (t *trace) platformRoute() {
	t.add(stepRoute, "NSG-5", "a platform address needs no route")
}

func (t *trace) wayFound(taken *way) {
	form := "encapsulated"
	if taken.translated {
		form = "translated"
	}
	t.add(stepNextHop, "", fmt.Sprintf("%v: %s to %v, function %d, identity %d, IPv4 %v", taken.reason, form,
		taken.locator, taken.function, taken.identity, netip.AddrFrom4(taken.ipv4)))
}

func (t *trace) policyLooked(listed bool) {
	if listed {
		t.add(stepPolicy, "SEP-2", "the subnet's endpoint policies list the destination")
		return
	}
	t.add(stepPolicy, "SEP-2", "the subnet has endpoint policies, and none lists the destination")
}

func (t *trace) size(length, mtu int) {
	t.add(stepSize, "", fmt.Sprintf("%d bytes on the fabric, whose MTU is %d", length, mtu))
}

package pipeline

import (
	"net/netip"

	"github.com/gaissmai/bart"

	"postern/model"
	"postern/packet"
)

// ruleList is a network security group's rules of one direction, in the order of their judging.
type ruleList struct{ rules []rule }

// rule is a plan.Rule with its sets resolved; a nil set is any address.
type rule struct {
	name                          string
	priority                      uint16
	allow                         bool
	protocol                      model.Protocol
	source, destination           *bart.Lite
	sourcePorts, destinationPorts model.PortRange
}

// first gives the first rule that matches, which decides (NSG-1), or nil. Ports are 0 but for TCP and UDP.
func (l *ruleList) first(d *datagram) *rule {
	source, destination := netip.AddrFrom4(d.source), netip.AddrFrom4(d.destination)
	sourcePort, destinationPort := d.sourcePort, d.destinationPort
	if d.protocol == model.ProtocolICMP {
		sourcePort, destinationPort = 0, 0
	}
	for i := range l.rules {
		r := &l.rules[i]
		if (r.protocol == model.ProtocolAny || r.protocol == d.protocol) &&
			destinationPort >= r.destinationPorts.First && destinationPort <= r.destinationPorts.Last &&
			sourcePort >= r.sourcePorts.First && sourcePort <= r.sourcePorts.Last &&
			(r.destination == nil || r.destination.Contains(destination)) &&
			(r.source == nil || r.source.Contains(source)) {
			return r
		}
	}
	return nil
}

// allowed tells whether both lists allow a packet (NSG-3). A nil list allows, a list without a match denies.
func (j *judge) allowed(lists *[2]*ruleList, d *datagram) bool {
	for i, list := range lists {
		if list == nil {
			if j.trace != nil {
				j.trace.noRules(i, lists == &j.nic.outgoing)
			}
			continue
		}
		decided := list.first(d)
		if j.trace != nil {
			j.trace.ruleDecided(i, lists == &j.nic.outgoing, decided)
		}
		if decided == nil || !decided.allow {
			return false
		}
	}
	return true
}

// isPlatform tells whether an address is one of the platform's two.
func isPlatform(address [4]byte) bool {
	return address == platformDNS || address == platformMetadata
}

var (
	platformDNS      = model.PlatformDNS.As4()
	platformMetadata = model.PlatformMetadata.As4()
)

// admitOutgoing is step 6 for a packet of the VM that is no later fragment.
func (j *judge) admitOutgoing(d *datagram) model.Reason {
	if d.icmpError {
		// The quoted packet came the other way: its source is the remote side.
		return j.admitError(d, incoming)
	}
	if _, ok := j.findFlow(d.outgoingKey(j.nic.number)); ok {
		return model.ReasonNone
	}
	if isPlatform(d.destination) {
		denied := j.nic.denyDNS
		if d.destination == platformMetadata {
			denied = j.nic.denyMetadata
		}
		if j.trace != nil {
			j.trace.platformExempt(denied)
		}
		if denied {
			return model.ReasonSecurityGroup
		}
		return model.ReasonNone
	}
	if !j.allowed(&j.nic.outgoing, d) {
		return model.ReasonSecurityGroup
	}
	return model.ReasonNone
}

// admitIncoming is the same for an encapsulated packet to the VM.
func (j *judge) admitIncoming(d *datagram) model.Reason {
	if d.icmpError {
		return j.admitError(d, outgoing)
	}
	if have, ok := j.findFlow(d.incomingKey(j.nic.number)); ok {
		if have.tunnelled() {
			return model.ReasonUnsolicited
		}
		return model.ReasonNone
	}
	if !j.allowed(&j.nic.incoming, d) {
		return model.ReasonSecurityGroup
	}
	return model.ReasonNone
}

// admitError lets an ICMP error pass by the flow of the packet that it quotes, which went the given way.
func (j *judge) admitError(d *datagram, quotedWay direction) model.Reason {
	about, ok := describeQuoted(d.layer4[packet.ICMPLen:])
	if !ok {
		return model.ReasonUnrelatedError
	}
	key := about.outgoingKey(j.nic.number)
	if quotedWay == incoming {
		key = about.incomingKey(j.nic.number)
	}
	have, ok := j.findFlow(key)
	if !ok || quotedWay == outgoing && have.tunnelled() {
		return model.ReasonUnrelatedError
	}
	return model.ReasonNone
}

// findFlow looks a flow up, and tells the trace.
func (j *judge) findFlow(key flowKey) (flow, bool) {
	have, ok := j.host.flows.find(key, j.now)
	if j.trace != nil {
		j.trace.flowLooked(key, have, ok)
	}
	return have, ok
}

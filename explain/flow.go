package explain

import (
	"fmt"
	"net/netip"

	"postern/model"
	"postern/packet"
	"postern/pipeline"
	"postern/plan"
	"postern/wire"
)

// FlowQuestion asks whether security groups let a packet of a NIC pass.
type FlowQuestion struct {
	NIC           *model.NetworkInterface
	Inbound       bool
	Protocol      model.Protocol // ProtocolTCP or ProtocolUDP
	Local, Remote netip.AddrPort // port 0 stands for any one that a client may use
}

// FlowAnswer is what the NIC's and the subnet's security groups say (NSG-1, NSG-3).
type FlowAnswer struct {
	Allowed bool
	Decided *pipeline.Decided // the rule that denied, or the last one that allowed; nil where no group has a word
}

// NotCarriedError tells that no host carries a NIC, so that none of its packets can be judged.
type NotCarriedError struct{ NIC model.ResourceID }

func (e *NotCarriedError) Error() string {
	return fmt.Sprintf("no host carries NIC %s: %s", e.NIC.Name(), hint(model.ReasonUnsynced))
}

// Flow lets the NIC's host judge the first packet of a connection, outbound as it comes from the VM, inbound as it comes
// from the fabric, and tells what the security groups said. Routes do not count here: see Packet for the whole way. A local
// address that the NIC may not use gives a *TargetError, a NIC without a host a *NotCarriedError.
func Flow(cloud *Cloud, question FlowQuestion) (FlowAnswer, error) {
	node, ok := cloud.plans[question.NIC.Node]
	if !ok || node.Host == nil {
		return FlowAnswer{}, &NotCarriedError{question.NIC.ID}
	}
	host, err := cloud.host(node)
	if err != nil {
		return FlowAnswer{}, err
	}
	local, remote := withPort(question.Local), withPort(question.Remote)
	var steps []pipeline.Step
	var result pipeline.Result
	if question.Inbound {
		steps, result = host.ExplainFromFabric(encapsulated(cloud, node, question.NIC, remote, local, question.Protocol))
	} else {
		steps, result = host.Explain(question.NIC.Number, firstFrame(question.NIC, local, remote, question.Protocol))
	}
	switch reason := result.Verdict.Reason; reason {
	case model.ReasonUnsynced, model.ReasonNoSuchNIC, model.ReasonNotOurs:
		return FlowAnswer{}, &NotCarriedError{question.NIC.ID}
	case model.ReasonSourceAddress, model.ReasonDestination, model.ReasonApplianceNotForwarding:
		return FlowAnswer{}, &TargetError{fmt.Sprintf("%v to %v is no flow of NIC %s, which has the address %v and forwards %v: %v",
			local.Addr(), remote.Addr(), question.NIC.ID.Name(), question.NIC.IPv4, question.NIC.EnableIPForwarding, reason)}
	}
	answer := FlowAnswer{Allowed: result.Verdict.Reason != model.ReasonSecurityGroup}
	for i := range steps {
		if steps[i].Decided != nil {
			answer.Decided = steps[i].Decided
		}
	}
	return answer, nil
}

func withPort(address netip.AddrPort) netip.AddrPort {
	if address.Port() == 0 {
		return netip.AddrPortFrom(address.Addr(), sourcePort)
	}
	return address
}

// encapsulated is a packet for a NIC as the fabric brings it: to the NIC's own address, or through it to one behind it.
func encapsulated(cloud *Cloud, node plan.Node, nic *model.NetworkInterface, from, to netip.AddrPort, protocol model.Protocol) []byte {
	inner := firstPacket(from, to, protocol)
	fields := packet.IPv6Fields{PayloadLen: uint16(len(inner)), NextHeader: model.ProtocolIPv4, HopLimit: 64}
	function := model.FunctionNIC
	if to.Addr() != nic.IPv4 {
		function = model.FunctionAppliance
	}
	// A host does not ask which node an encapsulated packet came from: only hosts and edges are on the fabric.
	wire.Put(&fields.Source, node.Locator, model.FunctionNIC, model.IdentityNone, from.Addr().As4())
	wire.Put(&fields.Destination, node.Locator, function, cloud.identity(nic.Subnet), nic.IPv4.As4())
	data := make([]byte, packet.IPv6Len, packet.IPv6Len+len(inner))
	packet.PutIPv6(data, fields)
	return append(data, inner...)
}

// identity is a subnet's, IdentityNone where it is not there.
func (c *Cloud) identity(id model.ResourceID) model.Identity {
	for i := range c.snapshot.VirtualNetworks {
		for j := range c.snapshot.VirtualNetworks[i].Subnets {
			if subnet := &c.snapshot.VirtualNetworks[i].Subnets[j]; subnet.ID.Is(id) {
				return subnet.Identity
			}
		}
	}
	return model.IdentityNone
}

// NextHop is where a NIC's packets to a destination go first.
type NextHop struct {
	Type    string     // model.NextHopType in words
	Address netip.Addr // of a virtual appliance
	User    bool       // the route is of the subnet's route table
}

// FindNextHop tells by which route a NIC's TCP packets to an address go, by the pipeline of the NIC's host; its security
// groups are not asked. Platform addresses, which no route decides about, and addresses that no route has, lead to the
// platform's Internet and to None. A NIC without a host gives a *NotCarriedError.
func FindNextHop(cloud *Cloud, nic *model.NetworkInterface, destination netip.Addr) (NextHop, error) {
	node, ok := cloud.plans[nic.Node]
	if !ok || node.Host == nil {
		return NextHop{}, &NotCarriedError{nic.ID}
	}
	host, err := cloud.host(node)
	if err != nil {
		return NextHop{}, err
	}
	step, carried := host.ExplainRoute(nic.Number, destination, model.ProtocolTCP)
	switch {
	case !carried:
		return NextHop{}, &NotCarriedError{nic.ID}
	case destination == model.PlatformDNS || destination == model.PlatformMetadata:
		return NextHop{Type: model.NextHopInternet.String()}, nil
	case len(step.Candidates) == 0 || !step.Candidates[0].Active:
		return NextHop{Type: model.NextHopNone.String()}, nil
	}
	winner := step.Candidates[0]
	return NextHop{winner.NextHopType, winner.NextHop, winner.Source == model.SourceUser.String()}, nil
}

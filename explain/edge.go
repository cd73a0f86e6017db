package explain

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"

	"postern/model"
	"postern/packet"
	"postern/pipeline"
	"postern/plan"
)

// goOut takes a packet through the edge to the Internet.
func (w *walk) goOut(node plan.Node, data []byte) error {
	edge, err := w.cloud.edge(node)
	if err != nil {
		return err
	}
	result := edge.FromFabric(data, make([]byte, len(data)+pipeline.Headroom))
	if result.Verdict.Action != model.ToInternet {
		w.denyAtEdge(node, result.Verdict.Reason)
		return nil
	}
	ip := packet.IPv4(result.Data)
	source := netip.AddrFrom4(ip.Source())
	shared := slices.IndexFunc(node.Edge.NICs, func(nic plan.EgressNIC) bool { return nic.PlatformAddress == source })
	switch {
	case result.Verdict.Reason == model.ReasonRegionalEgress:
		w.step(node.Node, StepEdge, "FW-5", "the destination is a service of the NIC's own region: the source becomes the platform address %v, which no ipRules entry matches", source)
	case result.Verdict.Reason == model.ReasonNATGateway:
		nic := node.Edge.NICs[shared]
		name := node.Edge.NATGateways[nic.NATGateway].ID.Name()
		w.step(node.Node, StepEdge, "OUT-1", "the subnet leaves by NAT gateway %s, which comes before public addresses and default outbound access: by the platform address %v", name, source)
		source = nic.NATAddress
		w.step(node.Node, StepNAT, "OUT-1", "the source becomes %v, a public address of NAT gateway %s", source, name)
	case shared >= 0:
		w.step(node.Node, StepEdge, "OUT-1", "the NIC has no public address: default outbound access, by the platform address %v", source)
		source = node.Edge.OutboundAddress
		w.step(node.Node, StepNAT, "OUT-1", "the source becomes the edge's outbound address %v, which many NICs share", source)
	default:
		w.step(node.Node, StepEdge, "OUT-1", "the source becomes the NIC's public address %v, one to one", source)
	}
	return w.onInternet(ip, netip.AddrPortFrom(source, sourcePort), node, result.Verdict.Reason)
}

func (w *walk) denyAtEdge(node plan.Node, reason model.Reason) {
	w.deny(node.Node, StepEdge, reason.String(), reason.Rule(), describe(reason), hint(reason))
}

// onInternet finds who has the destination: a gateway, a NIC behind an edge, or nobody of this cloud.
func (w *walk) onInternet(ip packet.IPv4, source netip.AddrPort, from plan.Node, reason model.Reason) error {
	destination := netip.AddrFrom4(ip.Destination())
	has := func(nic plan.EgressNIC) bool { return nic.Public == destination || nic.PlatformAddress == destination }
	for _, node := range w.cloud.nodes() {
		switch {
		case node.Gateway != nil && slices.Contains(node.Gateway.Addresses, destination):
			w.step("internet", StepInternet, "", "%v is a public address of gateway %s", destination, node.Node)
			return w.call(node, netip.AddrPortFrom(destination, w.out.To.Port), source)
		case node.Edge != nil && slices.ContainsFunc(node.Edge.NICs, has):
			return w.comeIn(node, ip, source)
		case node.Edge != nil && node.Edge.OutboundAddress == destination:
			w.deny(node.Node, StepNAT, ReasonNoListener, "OUT-1", fmt.Sprintf(
				"%v is edge %s's outbound address: only answers to connections from inside come in there", destination, node.Node),
				"use the NIC's private address, or give it a public one")
			return nil
		case node.Edge != nil && natGatewayAt(node.Edge, destination) != "":
			w.deny(node.Node, StepNAT, ReasonNoListener, "OUT-1", fmt.Sprintf(
				"%v is an address of NAT gateway %s: only answers to connections from inside come in there", destination, natGatewayAt(node.Edge, destination)),
				"use the NIC's private address, or give it a public one")
			return nil
		}
	}
	if from.Edge.PlatformPool.IsValid() && from.Edge.PlatformPool.Contains(source.Addr()) {
		w.deny("internet", StepInternet, ReasonNoSuchHost, "", fmt.Sprintf(
			"%v is in a service's prefix of this region, but no instance of the cloud has it", destination),
			"use the name of an account; postern get storageAccounts lists them")
		return nil
	}
	w.step("internet", StepInternet, "", "nobody of this cloud has %v", destination)
	w.end(Verdict{Outcome: Internet, At: from.Node, Reason: reason.String(), Rule: "OUT-1",
		Detail: fmt.Sprintf("leaves to the Internet as %v", source.Addr()), Caller: source.String()})
	return nil
}

// natGatewayAt is the name of the NAT gateway that has an address, "" for none.
func natGatewayAt(edge *plan.Edge, address netip.Addr) string {
	for _, gateway := range edge.NATGateways {
		if slices.Contains(gateway.Addresses, address) {
			return gateway.ID.Name()
		}
	}
	return ""
}

// comeIn takes a packet from the Internet through an edge to a NIC.
func (w *walk) comeIn(node plan.Node, ip packet.IPv4, source netip.AddrPort) error {
	edge, err := w.cloud.edge(node)
	if err != nil {
		return err
	}
	in := slices.Clone(ip)
	setSource(in, source.Addr())
	result := edge.ToFabric(in, make([]byte, len(in)+pipeline.Headroom))
	if result.Verdict.Action != model.ToFabric {
		w.denyAtEdge(node, result.Verdict.Reason)
		return nil
	}
	w.step(node.Node, StepEdge, "", "%v is a NIC's public address: in through the edge to its private one", netip.AddrFrom4(ip.Destination()))
	return w.cross(result.Data)
}

// setSource is what the NAT does to a header. The checksum behind it stays: nothing that judges reads it.
func setSource(ip packet.IPv4, source netip.Addr) {
	address := source.As4()
	copy(ip[12:16], address[:])
	binary.BigEndian.PutUint16(ip[10:], 0)
	binary.BigEndian.PutUint16(ip[10:], packet.Checksum(packet.Add(0, ip[:ip.HeaderLen()])))
}

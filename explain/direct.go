package explain

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"postern/gateway"
	"postern/model"
	"postern/packet"
	"postern/pipeline"
	"postern/plan"
)

// callDirect judges a connection to an instance's own address by its first packet, as the gateway's host does, and has the
// gateway say which rule that was.
func (w *walk) callDirect(node plan.Node, snapshot *gateway.Snapshot, caller gateway.Caller, local, peer netip.AddrPort) error {
	judge := pipeline.NewGateway(func() int64 { return 1 }, 0)
	if err := judge.Apply(snapshot.Direct(nil)); err != nil {
		return err
	}
	first := firstSegment(peer, local)
	out := make([]byte, len(first)+pipeline.Headroom)
	result := judge.FromFabric(first, out)
	if !local.Addr().Is6() {
		result = judge.FromInternet(first, out)
	}
	target, _ := snapshot.At(caller.Dialled)
	decision := gateway.Judge(snapshot, caller, target)
	switch reason := result.Verdict.Reason; {
	case reason == model.ReasonNetworkRules:
		w.deny(node.Node, StepOwnAddress, string(decision.Reason), decision.Reason.RuleID(),
			decision.Missing+"; the packet is answered with a reset", ruleHint(decision.Reason))
	case reason != model.ReasonOwnAddress:
		w.deny(node.Node, StepOwnAddress, reason.String(), reason.Rule(), describe(reason), hint(reason))
	default:
		backend := judge.Connections()[0].Backend
		w.step(node.Node, StepOwnAddress, decision.Reason.RuleID(), "%s lets it in by %s; its packets go to %s on their own, without a proxy",
			target.Name, decision.Rule, backend)
		w.end(Verdict{Outcome: Service, At: node.Node, Reason: string(decision.Reason), Rule: decision.Reason.RuleID(),
			Detail: fmt.Sprintf("%s lets it in by %s", target.Name, decision.Rule)})
	}
	w.out.Verdict.Caller = caller.Address.String()
	return nil
}

// firstSegment is the packet that opens a TCP connection.
func firstSegment(from, to netip.AddrPort) []byte {
	var data, addresses []byte
	if to.Addr().Is6() {
		data = make([]byte, packet.IPv6Len+packet.TCPLen)
		packet.PutIPv6(data, packet.IPv6Fields{PayloadLen: packet.TCPLen, NextHeader: model.ProtocolTCP, HopLimit: 64,
			Source: from.Addr().As16(), Destination: to.Addr().As16()})
		addresses = data[8:40]
	} else {
		data = make([]byte, packet.IPv4Len+packet.TCPLen)
		packet.PutIPv4(data, packet.IPv4Fields{TotalLen: uint16(len(data)), Fragment: packet.IPv4DontFragment, TTL: 64,
			Protocol: model.ProtocolTCP, Source: from.Addr().As4(), Destination: to.Addr().As4()})
		addresses = data[12:20]
	}
	tcp := data[len(data)-packet.TCPLen:]
	binary.BigEndian.PutUint16(tcp, from.Port())
	binary.BigEndian.PutUint16(tcp[2:], to.Port())
	tcp[12], tcp[13] = packet.TCPLen/4<<4, packet.TCPSyn
	sum := packet.Add(packet.PseudoHeader(addresses, model.ProtocolTCP, packet.TCPLen), tcp)
	binary.BigEndian.PutUint16(tcp[packet.TCPChecksumOffset:], packet.Checksum(sum))
	return data
}

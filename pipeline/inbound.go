package pipeline

import (
	"encoding/binary"

	"postern/model"
	"postern/packet"
	"postern/translate"
	"postern/wire"
)

// unnamedRouter is the source of an ICMP error whose sender has no IPv4 address (RFC 7600, section 4.8).
var unnamedRouter = [4]byte{192, 0, 0, 8}

// fabricParts is a fabric address taken apart without netip.
type fabricParts struct {
	locator  model.Locator
	function model.Function
	identity model.Identity
	ipv4     [4]byte
}

func partsOf(address [wire.AddressLen]byte) fabricParts {
	return fabricParts{
		locator:  model.Locator(address[:wire.OffsetFunction]),
		function: model.Function(address[wire.OffsetFunction]),
		identity: model.Identity(binary.BigEndian.Uint32(address[wire.OffsetIdentity:])),
		ipv4:     [4]byte(address[wire.OffsetIPv4:]),
	}
}

// fromFabric is "From the fabric" of docs/packet.md, step by step.
func (j *judge) fromFabric(bytes []byte) Result {
	if j.snapshot == nil {
		return j.drop(stepPlan, model.ReasonUnsynced)
	}
	j.now = j.host.now()
	if len(bytes) < packet.IPv6Len || bytes[0]>>4 != 6 {
		return j.result(model.Pass, model.ReasonNotOurs, nil)
	}
	to := partsOf(packet.IPv6(bytes).Destination())
	if to.locator != j.snapshot.locator || to.identity == model.IdentityNone ||
		to.function != model.FunctionNIC && to.function != model.FunctionAppliance {
		return j.result(model.Pass, model.ReasonNotOurs, nil)
	}
	ip, ok := packet.CheckIPv6(bytes)
	if !ok {
		return j.drop(stepFabric, model.ReasonMalformed)
	}
	j.nic = j.snapshot.addresses[nicAddress{to.identity, to.ipv4}]
	if j.nic == nil {
		return j.drop(stepFabric, model.ReasonNoSuchNIC)
	}
	from := partsOf(ip.Source())
	if j.trace != nil {
		j.trace.fabric(&from, &to, ip.NextHeader())
	}
	switch ip.NextHeader() {
	case model.ProtocolIPv4:
		return j.encapsulatedIn(ip, to.function)
	case model.ProtocolTCP, model.ProtocolUDP, model.ProtocolICMPv6, packet.NextHeaderFragment:
		if to.function != model.FunctionNIC {
			return j.drop(stepFabric, model.ReasonNoSuchNIC)
		}
		return j.translatedIn(ip, &from, &to)
	case packet.NextHeaderHopByHop, packet.NextHeaderRouting, packet.NextHeaderESP, packet.NextHeaderAH,
		packet.NextHeaderDestinations, packet.NextHeaderMobility:
		return j.drop(stepFabric, model.ReasonExtensionHeader)
	}
	return j.drop(stepFabric, model.ReasonUnsupportedProtocol)
}

// encapsulatedIn is step 3.
func (j *judge) encapsulatedIn(ip packet.IPv6, function model.Function) Result {
	inner, ok := packet.CheckIPv4(ip.Payload())
	if !ok {
		return j.drop(stepFabric, model.ReasonMalformed)
	}
	d := describeIPv4(inner)
	if j.trace != nil {
		j.trace.frame(&d, len(inner))
	}
	switch {
	case function == model.FunctionNIC && d.destination != j.nic.ipv4:
		return j.drop(stepFabric, model.ReasonDestination)
	case function == model.FunctionAppliance && !j.nic.forwarding:
		return j.drop(stepFabric, model.ReasonApplianceNotForwarding)
	case unusable(d.source):
		return j.drop(stepSource, model.ReasonSourceAddress)
	case unusable(d.destination):
		return j.drop(stepSource, model.ReasonDestination)
	}
	if reason := j.judgeFragment(&d, incoming, false); reason != model.ReasonNone {
		return j.drop(stepFragment, reason)
	}
	if d.piece != laterFragment {
		if reason := j.admitIncoming(&d); reason != model.ReasonNone {
			return j.drop(stepSecurity, reason)
		}
		j.rememberFragment(&d, incoming)
		if !d.icmpError {
			j.noteReceived(&d, true)
		}
	}
	frame := j.out[:packet.EthernetLen+len(inner)]
	copy(frame[packet.EthernetLen:], inner)
	return j.deliver(frame)
}

// translatedIn is step 4: answers of services and of the platform, and errors about what the VM sent.
func (j *judge) translatedIn(ip packet.IPv6, from, to *fabricParts) Result {
	d := datagram{source: from.ipv4, destination: to.ipv4, protocol: ip.NextHeader(), layer4: ip.Payload()}
	if d.protocol == packet.NextHeaderFragment {
		if len(d.layer4) < packet.FragmentLen {
			return j.drop(stepFragment, model.ReasonMalformed)
		}
		header := packet.Fragment(d.layer4)
		switch header.NextHeader() {
		case model.ProtocolTCP, model.ProtocolUDP, model.ProtocolICMPv6:
		default:
			return j.drop(stepFragment, model.ReasonExtensionHeader)
		}
		d.protocol, d.layer4 = header.NextHeader(), d.layer4[packet.FragmentLen:]
		d.piece, d.offset = pieceOf(header.Offset(), header.More()), header.Offset()
		d.identification = uint16(header.Identification())
	}
	if d.protocol == model.ProtocolICMPv6 {
		d.protocol = model.ProtocolICMP
	}
	if reason := j.judgeFragment(&d, translated, true); reason != model.ReasonNone {
		return j.drop(stepFragment, reason)
	}
	if d.piece != laterFragment {
		if d.protocol == model.ProtocolICMP && !packet.ICMP(d.layer4).IsEchoV6() {
			if !d.icmpError || d.piece != whole {
				return j.drop(stepTranslate, model.ReasonUnsupportedProtocol)
			}
			return j.errorIn(ip, from, &d)
		}
		key := d.incomingKey(j.nic.number)
		have, ok := j.findFlow(key)
		if !ok || !answers(from, &have) {
			return j.drop(stepFlow, model.ReasonUnsolicited)
		}
		j.rememberFragment(&d, translated)
		j.noteReceived(&d, false)
	}
	ipv4, reason := translate.To4(j.out[packet.EthernetLen:], ip, from.ipv4, to.ipv4)
	if reason != model.ReasonNone {
		return j.drop(stepTranslate, reason)
	}
	return j.deliver(j.out[:packet.EthernetLen+len(ipv4)])
}

// answers tells whether a fabric address is the one that a flow of the VM went to: a service or the platform, and no
// other than the flow's own (SE-14).
func answers(from *fabricParts, have *flow) bool {
	return (from.function == model.FunctionService || from.function == model.FunctionPlatform) &&
		have.viaKnown && have.via == from.identity
}

// errorIn is step 5: an ICMPv6 error about a packet of this NIC.
func (j *judge) errorIn(ip packet.IPv6, from *fabricParts, d *datagram) Result {
	if len(d.layer4) < packet.ICMPLen+packet.IPv6Len+packet.QuotedPayloadLen {
		return j.drop(stepTranslate, model.ReasonMalformed)
	}
	message := packet.ICMP(d.layer4)
	quoted := packet.IPv6(message.Quoted())
	if quoted.Source() != j.nic.fabricAddress {
		return j.drop(stepFlow, model.ReasonUnrelatedError)
	}
	if quoted.NextHeader() == model.ProtocolIPv4 {
		return j.tunnelError(message, quoted)
	}
	about := datagram{source: j.nic.ipv4, destination: [4]byte(quoted[36:40]), protocol: quoted.NextHeader()}
	switch about.protocol {
	case model.ProtocolTCP, model.ProtocolUDP:
	case model.ProtocolICMPv6:
		if !packet.ICMP(quoted.Payload()).IsEchoV6() {
			return j.drop(stepFlow, model.ReasonUnrelatedError)
		}
		about.protocol = model.ProtocolICMP
	default:
		return j.drop(stepFlow, model.ReasonUnrelatedError)
	}
	about.readQuotedPorts(quoted.Payload(), true)
	have, ok := j.findFlow(about.outgoingKey(j.nic.number))
	if !ok {
		return j.drop(stepFlow, model.ReasonUnrelatedError)
	}
	source := unnamedRouter
	if answers(from, &have) {
		source = from.ipv4
	}
	translated, reason := translate.To4(j.out[packet.EthernetLen:], ip, source, j.nic.ipv4)
	if reason != model.ReasonNone {
		return j.drop(stepTranslate, reason)
	}
	return j.deliver(j.out[:packet.EthernetLen+len(translated)])
}

// tunnelError turns Packet Too Big about an encapsulated packet into ICMP 3/4 about the packet inside.
func (j *judge) tunnelError(message packet.ICMP, quoted packet.IPv6) Result {
	inner, ok := packet.CheckQuotedIPv4(quoted.Payload())
	if !ok || message.Type() != packet.ICMPv6PacketTooBig {
		return j.drop(stepFlow, model.ReasonUnrelatedError)
	}
	about := datagram{source: inner.Source(), destination: inner.Destination(), protocol: inner.Protocol()}
	about.readQuotedPorts(inner.Payload(), false)
	if have, ok := j.findFlow(about.outgoingKey(j.nic.number)); !ok || have.tunnelled() {
		return j.drop(stepFlow, model.ReasonUnrelatedError)
	}
	mtu := min(max(message.Rest(), minFabricMTU)-packet.IPv6Len, 0xffff)
	frame := packet.FragmentationNeededFrame(j.out, inner, uint16(mtu), j.nic.mac)
	return j.result(model.Deliver, model.ReasonDelivered, frame)
}

// noteReceived refreshes the flow of a packet that was let in, and makes one if it may: an answer that crossed with the
// end of its flow makes none (SE-14).
func (j *judge) noteReceived(d *datagram, mayMake bool) {
	if j.trace == nil {
		j.host.flows.receive(d.incomingKey(j.nic.number), j.now, d.flags, mayMake)
	}
}

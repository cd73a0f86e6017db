package translate

import (
	"encoding/binary"

	"postern/model"
	"postern/packet"
)

// mayFragmentLen is the longest result of To4 that routers may still fragment, in bytes. A longer one has DF set. Its
// sender knows a path of 1280 bytes at least, less the difference of the headers (RFC 7915, section 5.1).
const mayFragmentLen = 1260

// layer4Of finds what an IPv6 packet carries: its layer-4 bytes, their protocol, and the Fragment header in front of
// them, nil if there is none or an atomic one.
func layer4Of(ip packet.IPv6) (layer4 []byte, next model.Protocol, fragment packet.Fragment, reason model.Reason) {
	layer4, next = ip.Payload(), ip.NextHeader()
	inFragment := next == packet.NextHeaderFragment
	if inFragment {
		if len(layer4) < packet.FragmentLen {
			return nil, 0, nil, model.ReasonMalformed
		}
		fragment = packet.Fragment(layer4[:packet.FragmentLen])
		layer4, next = layer4[packet.FragmentLen:], fragment.NextHeader()
		if fragment.Atomic() {
			fragment = nil
		}
	}
	switch next {
	case model.ProtocolTCP, model.ProtocolUDP, model.ProtocolICMPv6:
		return layer4, next, fragment, model.ReasonNone
	case packet.NextHeaderHopByHop, packet.NextHeaderRouting, packet.NextHeaderESP, packet.NextHeaderAH,
		packet.NextHeaderDestinations, packet.NextHeaderMobility:
		return nil, 0, nil, model.ReasonExtensionHeader
	}
	if inFragment {
		return nil, 0, nil, model.ReasonExtensionHeader
	}
	return nil, 0, nil, model.ReasonUnsupportedProtocol
}

// RefusalTo4 tells why To4 would drop an IPv6 packet, or model.ReasonNone:
//
//   - Malformed, FragmentTiny: a header is not whole, or the result would be longer than IPv4 can say (65,535 bytes).
//   - ExtensionHeader: an extension header other than Fragment (RFC 7915 would skip it), or a Fragment header in front
//     of anything but TCP, UDP and ICMPv6.
//   - UnsupportedProtocol: none of TCP, UDP, ICMPv6; a fragment of ICMPv6; an ICMPv6 type, code or pointer that ICMP has
//     no word for.
//   - UnrelatedError: an ICMPv6 error whose quoted packet is none of TCP, UDP and echo right behind a sound IPv6 header.
func RefusalTo4(in []byte) model.Reason {
	ip, ok := packet.CheckIPv6(in)
	if !ok {
		return model.ReasonMalformed
	}
	layer4, next, fragment, reason := layer4Of(ip)
	if reason != model.ReasonNone {
		return reason
	}
	if packet.IPv4Len+len(layer4) > 0xffff {
		return model.ReasonMalformed
	}
	need := packet.UDPLen // an ICMP header is as long
	if next == model.ProtocolTCP {
		need = packet.TCPLen
	}
	if fragment == nil && len(layer4) < need {
		return model.ReasonMalformed
	}
	if fragment != nil && fragment.Offset() == 0 && len(layer4) < need {
		return model.ReasonFragmentTiny
	}
	if next != model.ProtocolICMPv6 {
		return model.ReasonNone
	}
	if fragment != nil {
		return model.ReasonUnsupportedProtocol
	}
	message := packet.ICMP(layer4)
	switch {
	case message.IsEchoV6():
		return model.ReasonNone
	case !message.IsErrorV6():
		return model.ReasonUnsupportedProtocol
	case len(message) < packet.ICMPLen+packet.IPv6Len+packet.QuotedPayloadLen:
		return model.ReasonMalformed
	}
	if _, ok := errorTo4(message); !ok {
		return model.ReasonUnsupportedProtocol
	}
	if !quotableIPv6(message.Quoted()) {
		return model.ReasonUnrelatedError
	}
	return model.ReasonNone
}

// To4 translates the IPv6 packet in, which is whole (docs/packet.md, from the fabric, steps 1 and 4), and returns out[:n].
// Source and destination are the addresses of the result. A reason other than model.ReasonNone means: drop, for that
// reason, one of RefusalTo4; out is untouched then and the slice nil. Bytes of in behind its payload length count for
// nothing. Out needs a capacity of len(in) and must not overlap in; too little of it panics.
//
// The identification is 0 unless the packet is a fragment. UDP without a checksum, which IPv6 forbids but for tunnels
// (RFC 6935), stays without one.
func To4(out, in []byte, source, destination [4]byte) ([]byte, model.Reason) {
	if reason := RefusalTo4(in); reason != model.ReasonNone {
		return nil, reason
	}
	ip, _ := packet.CheckIPv6(in)
	payload, next, fragment, _ := layer4Of(ip)
	if next == model.ProtocolICMPv6 {
		if !packet.ICMP(payload).IsEchoV6() {
			return writeErrorTo4(out, ip, payload, source, destination), model.ReasonNone
		}
		next = model.ProtocolICMP
	}

	out = out[:packet.IPv4Len+len(payload)]
	fields := packet.IPv4Fields{
		TOS: ip.TrafficClass(), TotalLen: uint16(len(out)), Fragment: dontFragment(len(out)), TTL: ip.HopLimit(),
		Protocol: next, Source: source, Destination: destination,
	}
	first := true
	if fragment != nil {
		first = fragment.Offset() == 0
		fields.Identification = uint16(fragment.Identification())
		fields.Fragment = uint16(fragment.Offset() / 8)
		if fragment.More() {
			fields.Fragment |= packet.IPv4MoreFragments
		}
	}
	packet.PutIPv4(out, fields)
	layer4 := out[packet.IPv4Len:]
	copy(layer4, payload)
	if !first {
		return out, model.ReasonNone
	}
	switch addresses6, addresses4 := ip[8:40], out[12:20]; next {
	case model.ProtocolTCP:
		updateTCP(layer4, packet.Subtract(packet.Add(0, addresses4), packet.Add(0, addresses6)))
	case model.ProtocolUDP:
		updateUDP(layer4, packet.Subtract(packet.Add(0, addresses4), packet.Add(0, addresses6)))
	default:
		echoTo4(layer4, packet.PseudoHeader(addresses6, model.ProtocolICMPv6, len(layer4)))
	}
	return out, model.ReasonNone
}

// writeErrorTo4 translates an ICMPv6 error that RefusalTo4 has nothing against, and the packet that it quotes.
func writeErrorTo4(out []byte, ip packet.IPv6, message packet.ICMP, source, destination [4]byte) []byte {
	quoted := packet.IPv6(message.Quoted())
	head, _ := errorTo4(message)

	const length = packet.ICMPLen + packet.IPv4Len + packet.QuotedPayloadLen
	out = out[:packet.IPv4Len+length]
	packet.PutIPv4(out, packet.IPv4Fields{
		TOS: ip.TrafficClass(), TotalLen: uint16(len(out)), Fragment: dontFragment(len(out)), TTL: ip.HopLimit(),
		Protocol: model.ProtocolICMP, Source: source, Destination: destination,
	})
	result := out[packet.IPv4Len:]
	head.put(result)

	inner := result[packet.ICMPLen:]
	total := packet.IPv4Len + quoted.PayloadLen()
	fields := packet.IPv4Fields{
		TOS: quoted.TrafficClass(), TotalLen: uint16(total), Fragment: dontFragment(total), TTL: quoted.HopLimit(),
		Protocol: quoted.NextHeader(),
		Source:   [4]byte(quoted[20:24]), Destination: [4]byte(quoted[36:40]),
	}
	if fields.Protocol == model.ProtocolICMPv6 {
		fields.Protocol = model.ProtocolICMP
	}
	packet.PutIPv4(inner, fields)
	layer4 := inner[packet.IPv4Len:]
	copy(layer4, quoted.Payload()[:packet.QuotedPayloadLen])
	switch fields.Protocol {
	case model.ProtocolUDP:
		updateUDP(layer4, packet.Subtract(packet.Add(0, inner[12:20]), packet.Add(0, quoted[8:40])))
	case model.ProtocolICMP:
		echoTo4(layer4, packet.PseudoHeader(quoted[8:40], model.ProtocolICMPv6, quoted.PayloadLen()))
	}

	binary.BigEndian.PutUint16(result[packet.ICMPChecksumOffset:], packet.Checksum(packet.Add(0, result)))
	return out
}

// dontFragment is the DF bit of an unfragmented result of that length.
func dontFragment(total int) uint16 {
	if total <= mayFragmentLen {
		return 0
	}
	return packet.IPv4DontFragment
}

// quotableIPv6 tells whether quoted bytes, at least 48, are the start of a packet that can be translated: TCP, UDP or an
// echo right behind the IPv6 header, 8 bytes of it or more, and not longer than IPv4 can say. An error about an error is
// none: that would be more than one nested header.
func quotableIPv6(bytes []byte) bool {
	quoted := packet.IPv6(bytes)
	length := quoted.PayloadLen()
	if bytes[0]>>4 != 6 || length < packet.QuotedPayloadLen || packet.IPv4Len+length > 0xffff {
		return false
	}
	switch quoted.NextHeader() {
	case model.ProtocolTCP, model.ProtocolUDP:
		return true
	case model.ProtocolICMPv6:
		return packet.ICMP(quoted.Payload()).IsEchoV6()
	}
	return false
}

// Package translate turns IPv4 packets into IPv6 packets and back, without state (RFC 7915, which replaced RFC 6145). Who
// calls gives the addresses of the result, so any mapping of addresses will do: that of RFC 6052, SONiC-DASH's, or this
// project's own (package wire). Nothing allocates, nothing is remembered, and nothing but the result is written.
//
// Where this differs from RFC 7915, it is on purpose. TTL and hop limit are copied, not decremented: the NIC program is
// no hop. An ICMP error is always cut to the quoted header and 8 bytes behind it: that is all a receiver needs to find
// its flow, and it makes every translated error the same small size. Fragmented UDP without a checksum is dropped, and
// no ICMP error is sent about anything: who calls knows better what to say.
//
// Checksums of TCP, UDP and echoes are updated by the difference, so one that was wrong stays wrong. That of an ICMP
// error is computed anew, since most of what it covered is cut off.
package translate

import (
	"encoding/binary"

	"postern/model"
	"postern/packet"
)

// Growth is by how many bytes a result of To6 is longer than its input at most: an IPv6 header instead of an IPv4 header,
// twice in an ICMP error. A result of To4 is never longer than its input.
const Growth = 2 * (packet.IPv6Len - packet.IPv4Len)

// RefusalTo6 tells why To6 would drop an IPv4 packet, or model.ReasonNone. Reasons come in the order of docs/packet.md,
// step 8:
//
//   - Malformed, FragmentTiny: the IPv4 header, or the layer-4 header of the packet or first fragment, is not whole.
//   - UnsupportedProtocol: none of TCP, UDP, ICMP.
//   - SourceRoute: an unexpired source route, or options that cannot be walked.
//   - UDPZeroChecksum: a first fragment of UDP without a checksum, which cannot be computed from a part.
//   - Malformed: UDP without a checksum whose own length is not that of the payload, so nobody can say what to cover.
//   - UnsupportedProtocol: a fragment of ICMP (the ICMPv6 checksum covers the length of the whole), and an ICMP type,
//     code or pointer that ICMPv6 has no word for.
//   - UnrelatedError: an ICMP error whose quoted packet is not whole up to 8 bytes of payload, is a fragment, or is none
//     of TCP, UDP and echo.
func RefusalTo6(in []byte) model.Reason {
	ip, ok := packet.CheckIPv4(in)
	if !ok {
		return model.ReasonMalformed
	}
	protocol, payload, first := ip.Protocol(), ip.Payload(), ip.FragmentOffset() == 0
	short := model.ReasonMalformed
	if ip.Fragmented() {
		short = model.ReasonFragmentTiny
	}
	switch protocol {
	case model.ProtocolTCP:
		if first && len(payload) < packet.TCPLen {
			return short
		}
	case model.ProtocolUDP, model.ProtocolICMP:
		if first && len(payload) < packet.UDPLen { // an ICMP header is as long
			return short
		}
	default:
		return model.ReasonUnsupportedProtocol
	}
	if packet.UnexpiredSourceRoute(ip.Options()) {
		return model.ReasonSourceRoute
	}
	if protocol == model.ProtocolUDP && first && packet.UDP(payload).Checksum() == 0 {
		if ip.MoreFragments() {
			return model.ReasonUDPZeroChecksum
		}
		if packet.UDP(payload).Length() != len(payload) {
			return model.ReasonMalformed
		}
	}
	if protocol != model.ProtocolICMP {
		return model.ReasonNone
	}
	if ip.Fragmented() {
		return model.ReasonUnsupportedProtocol
	}
	message := packet.ICMP(payload)
	if message.IsEcho() {
		return model.ReasonNone
	}
	if _, ok := errorTo6(message); !ok {
		return model.ReasonUnsupportedProtocol
	}
	if quoted, ok := packet.CheckQuotedIPv4(message.Quoted()); !ok || !quotableIPv4(quoted) {
		return model.ReasonUnrelatedError
	}
	return model.ReasonNone
}

// To6 translates the IPv4 packet in, whose header and layer-4 header are sound (docs/packet.md, from the VM, steps 3 to
// 5), and returns out[:n]. Source and destination are the addresses of the result. A reason other than model.ReasonNone
// means: drop, for that reason, one of RefusalTo6; out is untouched then and the slice nil. Bytes of in behind its total
// length count for nothing. Out needs a capacity of len(in) + Growth and must not overlap in; too little of it panics.
func To6(out, in []byte, source, destination [16]byte) ([]byte, model.Reason) {
	if reason := RefusalTo6(in); reason != model.ReasonNone {
		return nil, reason
	}
	ip, _ := packet.CheckIPv4(in)
	payload, next := ip.Payload(), ip.Protocol()
	if next == model.ProtocolICMP {
		if !packet.ICMP(payload).IsEcho() {
			return writeErrorTo6(out, ip, source, destination), model.ReasonNone
		}
		next = model.ProtocolICMPv6
	}

	start := packet.IPv6Len
	if ip.Fragmented() {
		start += packet.FragmentLen
	}
	out = out[:start+len(payload)]
	fields := packet.IPv6Fields{
		TrafficClass: ip.TOS(), PayloadLen: uint16(len(out) - packet.IPv6Len), NextHeader: next, HopLimit: ip.TTL(),
		Source: source, Destination: destination,
	}
	if ip.Fragmented() {
		fields.NextHeader = packet.NextHeaderFragment
		packet.PutFragment(out[packet.IPv6Len:], next, ip.FragmentOffset(), ip.MoreFragments(), uint32(ip.Identification()))
	}
	packet.PutIPv6(out, fields)
	layer4 := out[start:]
	copy(layer4, payload)
	if ip.FragmentOffset() != 0 {
		return out, model.ReasonNone
	}
	switch addresses4, addresses6 := ip[12:20], out[8:40]; {
	case next == model.ProtocolUDP && packet.UDP(layer4).Checksum() == 0:
		sum := packet.PseudoHeader(addresses6, next, len(layer4))
		binary.BigEndian.PutUint16(layer4[packet.UDPChecksumOffset:], packet.ChecksumUDP(packet.Add(sum, layer4)))
	case next == model.ProtocolTCP:
		updateTCP(layer4, packet.Subtract(packet.Add(0, addresses6), packet.Add(0, addresses4)))
	case next == model.ProtocolUDP:
		updateUDP(layer4, packet.Subtract(packet.Add(0, addresses6), packet.Add(0, addresses4)))
	default:
		echoTo6(layer4, packet.PseudoHeader(addresses6, next, len(layer4)))
	}
	return out, model.ReasonNone
}

// writeErrorTo6 translates an ICMP error that RefusalTo6 has nothing against, and the packet that it quotes. The quoted
// packet ran the other way, so its source has the network of the error's destination, and its destination that of the
// error's source.
func writeErrorTo6(out []byte, ip packet.IPv4, source, destination [16]byte) []byte {
	message := packet.ICMP(ip.Payload())
	quoted := packet.IPv4(message.Quoted())
	head, _ := errorTo6(message)

	const length = packet.ICMPLen + packet.IPv6Len + packet.QuotedPayloadLen
	out = out[:packet.IPv6Len+length]
	packet.PutIPv6(out, packet.IPv6Fields{
		TrafficClass: ip.TOS(), PayloadLen: length, NextHeader: model.ProtocolICMPv6, HopLimit: ip.TTL(),
		Source: source, Destination: destination,
	})
	result := out[packet.IPv6Len:]
	head.put(result)

	inner := result[packet.ICMPLen:]
	fields := packet.IPv6Fields{
		TrafficClass: quoted.TOS(), PayloadLen: uint16(quoted.TotalLen() - quoted.HeaderLen()),
		NextHeader: quoted.Protocol(), HopLimit: quoted.TTL(),
		Source: withIPv4(destination, quoted.Source()), Destination: withIPv4(source, quoted.Destination()),
	}
	if fields.NextHeader == model.ProtocolICMP {
		fields.NextHeader = model.ProtocolICMPv6
	}
	packet.PutIPv6(inner, fields)
	layer4 := inner[packet.IPv6Len:]
	copy(layer4, quoted.Payload()[:packet.QuotedPayloadLen])
	switch fields.NextHeader {
	case model.ProtocolUDP:
		updateUDP(layer4, packet.Subtract(packet.Add(0, inner[8:40]), packet.Add(0, quoted[12:20])))
	case model.ProtocolICMPv6:
		echoTo6(layer4, packet.PseudoHeader(inner[8:40], fields.NextHeader, int(fields.PayloadLen)))
	}

	sum := packet.PseudoHeader(out[8:40], model.ProtocolICMPv6, length)
	binary.BigEndian.PutUint16(result[packet.ICMPChecksumOffset:], packet.Checksum(packet.Add(sum, result)))
	return out
}

// withIPv4 is an address with its low 32 bits replaced.
func withIPv4(address [16]byte, ipv4 [4]byte) [16]byte {
	copy(address[12:], ipv4[:])
	return address
}

// quotableIPv4 tells whether a quoted packet, whole up to 8 bytes of payload, is one that can be translated: no fragment,
// and TCP, UDP or an echo. An error about an error is none: that would be more than one nested header.
func quotableIPv4(quoted packet.IPv4) bool {
	if quoted.Fragmented() {
		return false
	}
	switch quoted.Protocol() {
	case model.ProtocolTCP, model.ProtocolUDP:
		return true
	case model.ProtocolICMP:
		return packet.ICMP(quoted.Payload()).IsEcho()
	}
	return false
}

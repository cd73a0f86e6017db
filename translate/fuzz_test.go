package translate

import (
	"bytes"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"postern/model"
	"postern/packet"
)

// seeds are one IPv4 packet of every kind.
func seeds(f *testing.F) [][]byte {
	plain := build(f, header4(layers.IPProtocolTCP), tcp(), data)
	datagram := build(f, header4(layers.IPProtocolUDP), udp(), data)
	about := build(f, reverse4(layers.IPProtocolUDP), udp(), data)
	message := func(kind, code uint8, about []byte) []byte {
		return build(f, header4(layers.IPProtocolICMPv4), &layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(kind, code)}, gopacket.Payload(about))
	}
	return [][]byte{
		plain, datagram, message(8, 0, data), message(0, 0, make([]byte, 4)),
		withOptions4(plain, []byte{7, 7, 4, 0, 0, 0, 0, 0}),
		mangle(bytes.Clone(plain), 6, packet.IPv4MoreFragments), mangle(bytes.Clone(datagram), 6, 100),
		mangle(bytes.Clone(datagram), 26, 0),
		message(3, 3, about), message(3, 4, about), message(11, 0, about), message(12, 0, about),
		message(3, 1, build(f, reverse4(layers.IPProtocolICMPv4), echo4(8), data)),
	}
}

// sameChecksum takes the two zeros of ones' complement as one.
func sameChecksum(a, b []byte, offset int) bool {
	word := func(bytes []byte) int { return (int(bytes[offset])<<8 | int(bytes[offset+1])) % 0xffff }
	return word(a) == word(b)
}

// sameLayer4 compares layer 4 of two packets, of which the one went through the translator twice.
func sameLayer4(t *testing.T, before, after []byte, checksum int) {
	t.Helper()
	if checksum >= 0 {
		if !sameChecksum(before, after, checksum) {
			t.Fatalf("checksum differs\nbefore %x\nafter  %x", before, after)
		}
		before = bytes.Clone(before)
		copy(before[checksum:checksum+2], after[checksum:checksum+2])
	}
	if !bytes.Equal(before, after) {
		t.Fatalf("layer 4 differs\nbefore %x\nafter  %x", before, after)
	}
}

// checksumOffset is where a protocol has its checksum, or -1 where a later fragment has none.
func checksumOffset(protocol model.Protocol, first bool) int {
	switch {
	case !first:
		return -1
	case protocol == model.ProtocolTCP:
		return packet.TCPChecksumOffset
	case protocol == model.ProtocolUDP:
		return packet.UDPChecksumOffset
	}
	return packet.ICMPChecksumOffset
}

func FuzzTo6(f *testing.F) {
	for _, seed := range seeds(f) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		six, reason := to6(t, in)
		if refusal := RefusalTo6(in); refusal != reason {
			t.Fatalf("To6 says %s, RefusalTo6 %s", reason, refusal)
		}
		if reason != model.ReasonNone {
			return
		}
		ip4, _ := packet.CheckIPv4(in)
		ip6, ok := packet.CheckIPv6(six)
		if !ok || len(ip6) != len(six) || ip6.TrafficClass() != ip4.TOS() || ip6.HopLimit() != ip4.TTL() || ip6.Source() != vm6 || ip6.Destination() != sv6 {
			t.Fatalf("header: %x → %x", in, six)
		}
		four, reason := to4(t, six)
		if reason != model.ReasonNone {
			t.Fatalf("the way back is refused: %s\n%x → %x", reason, in, six)
		}
		back, ok := packet.CheckIPv4(four)
		if !ok || len(back) != len(four) || packet.Checksum(packet.Add(0, back[:20])) != 0 {
			t.Fatalf("header: %x → %x", six, four)
		}
		if ip4.Protocol() == model.ProtocolICMP && !packet.ICMP(ip4.Payload()).IsEcho() {
			if len(six) != 96 || len(four) != 56 {
				t.Fatalf("an error has %d and %d bytes", len(six), len(four))
			}
			quoted4, _ := packet.CheckQuotedIPv4(packet.ICMP(ip4.Payload()).Quoted())
			quotedBack, ok := packet.CheckQuotedIPv4(packet.ICMP(back.Payload()).Quoted())
			if !ok || quotedBack.Source() != quoted4.Source() || quotedBack.Destination() != quoted4.Destination() ||
				quotedBack.TotalLen()-20 != quoted4.TotalLen()-quoted4.HeaderLen() || !bytes.Equal(quotedBack.Payload()[:2], quoted4.Payload()[:2]) {
				t.Fatalf("quotation: %x → %x → %x", in, six, four)
			}
			return
		}
		if back.FragmentOffset() != ip4.FragmentOffset() || back.MoreFragments() != ip4.MoreFragments() || back.Fragmented() && back.Identification() != ip4.Identification() {
			t.Fatalf("fragment: %x → %x", in, four)
		}
		first := ip4.FragmentOffset() == 0
		if ip4.Protocol() == model.ProtocolUDP && first && packet.UDP(ip4.Payload()).Checksum() == 0 {
			sum := packet.PseudoHeader(six[8:40], model.ProtocolUDP, len(six)-40)
			if packet.Checksum(packet.Add(sum, six[40:])) != 0 {
				t.Fatalf("computed checksum is wrong: %x", six)
			}
			copy(four[26:28], []byte{0, 0})
		}
		sameLayer4(t, ip4.Payload(), back.Payload(), checksumOffset(ip4.Protocol(), first))
	})
}

func FuzzTo4(f *testing.F) {
	for _, seed := range seeds(f) {
		f.Add(must(f, to6, seed))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		four, reason := to4(t, in)
		if refusal := RefusalTo4(in); refusal != reason {
			t.Fatalf("To4 says %s, RefusalTo4 %s", reason, refusal)
		}
		if reason != model.ReasonNone {
			return
		}
		ip6, _ := packet.CheckIPv6(in)
		ip4, ok := packet.CheckIPv4(four)
		if !ok || len(ip4) != len(four) || ip4.HeaderLen() != 20 || ip4.TOS() != ip6.TrafficClass() || ip4.TTL() != ip6.HopLimit() ||
			ip4.Source() != vm4 || ip4.Destination() != sv4 || packet.Checksum(packet.Add(0, ip4[:20])) != 0 {
			t.Fatalf("header: %x → %x", in, four)
		}
		layer4, next, fragment, _ := layer4Of(ip6)
		if ip4.Fragmented() != (fragment != nil) || ip4.DontFragment() != (fragment == nil && len(four) > 1260) {
			t.Fatalf("fragment: %x → %x", in, four)
		}
		first := fragment == nil || fragment.Offset() == 0
		six, reason := to6(t, four)
		if next == model.ProtocolUDP && first && packet.UDP(layer4).Checksum() == 0 {
			return // IPv6 without a checksum is as it is in IPv4, and may then be refused
		}
		if reason != model.ReasonNone {
			t.Fatalf("the way back is refused: %s\n%x → %x", reason, in, four)
		}
		if next == model.ProtocolICMPv6 && packet.ICMP(layer4).IsErrorV6() {
			if len(four) != 56 || len(six) != 96 {
				t.Fatalf("an error has %d and %d bytes", len(four), len(six))
			}
			return
		}
		back, _ := packet.CheckIPv6(six)
		layer4Back, _, fragmentBack, _ := layer4Of(back)
		if fragment != nil && (fragmentBack.Offset() != fragment.Offset() || fragmentBack.More() != fragment.More()) {
			t.Fatalf("fragment: %x → %x", in, six)
		}
		sameLayer4(t, layer4, layer4Back, checksumOffset(next, first))
	})
}

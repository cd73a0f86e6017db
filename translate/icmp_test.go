package translate

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"postern/model"
	"postern/packet"
)

// reverse4 and reverse6 are headers of packets from the service to the VM.
func reverse4(protocol layers.IPProtocol) *layers.IPv4 {
	header := header4(protocol)
	header.SrcIP, header.DstIP = sv4[:], vm4[:]
	return header
}

func reverse6(next layers.IPProtocol) *layers.IPv6 {
	header := header6(next)
	header.SrcIP, header.DstIP = sv6[:], vm6[:]
	return header
}

// error4 is an ICMP error from the VM to the service about a packet, and error6 an ICMPv6 error from the service to the VM.
func error4(t *testing.T, kind, code uint8, rest uint32, about []byte) []byte {
	message := &layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(kind, code), Id: uint16(rest >> 16), Seq: uint16(rest)}
	return build(t, header4(layers.IPProtocolICMPv4), message, gopacket.Payload(about))
}

func error6(t *testing.T, kind, code uint8, rest uint32, about []byte) []byte {
	body := append(binary.BigEndian.AppendUint32(nil, rest), about...)
	return build(t, reverse6(layers.IPProtocolICMPv6), &layers.ICMPv6{TypeCode: layers.CreateICMPv6TypeCode(kind, code)}, gopacket.Payload(body))
}

// toVM translates a packet from the service to the VM.
func toVM(t *testing.T, in []byte) ([]byte, model.Reason) {
	return guarded(t, in, 0, func(out []byte) ([]byte, model.Reason) { return To4(out, in, sv4, vm4) })
}

type head struct {
	kind, code uint8
	rest       uint32
}

// TestItem5ErrorsTo6 has every type and code of RFC 7915, section 4.2.
func TestItem5ErrorsTo6(t *testing.T) {
	about := build(t, reverse4(layers.IPProtocolUDP), udp(), data)
	tests := map[head]head{
		{3, 0, 0}: {1, 0, 0}, {3, 1, 0}: {1, 0, 0}, {3, 2, 0}: {4, 1, 6}, {3, 3, 0}: {1, 4, 0}, {3, 5, 0}: {1, 0, 0}, {3, 6, 0}: {1, 0, 0},
		{3, 7, 0}: {1, 0, 0}, {3, 8, 0}: {1, 0, 0}, {3, 9, 0}: {1, 1, 0}, {3, 10, 0}: {1, 1, 0}, {3, 11, 0}: {1, 0, 0}, {3, 12, 0}: {1, 0, 0},
		{3, 13, 0}: {1, 1, 0}, {3, 15, 0}: {1, 1, 0},
		{3, 4, 1400}: {2, 0, 1420}, {3, 4, 1260}: {2, 0, 1280}, {3, 4, 1261}: {2, 0, 1281}, {3, 4, 68}: {2, 0, 1280}, {3, 4, 0}: {2, 0, 1280},
		{3, 4, 65535}: {2, 0, 65555}, {3, 4, 0xabcd0000 + 1400}: {2, 0, 1420},
		{3, 3, 0x00050000}: {1, 4, 0}, // RFC 4884's length of the quotation is gone with the rest of it
		{11, 0, 0}:         {3, 0, 0}, {11, 1, 0}: {3, 1, 0}, {11, 0, 0x00050000}: {3, 0, 0},
	}
	for pointer, want := range map[uint32]uint32{0: 0, 1: 1, 2: 4, 3: 4, 8: 7, 9: 6, 12: 8, 13: 8, 14: 8, 15: 8, 16: 24, 17: 24, 18: 24, 19: 24} {
		tests[head{12, 0, pointer << 24}] = head{4, 0, want}
		tests[head{12, 2, pointer << 24}] = head{4, 0, want}
	}
	for kind := range 256 {
		for code := range 20 {
			for pointer := range uint32(24) {
				in := head{uint8(kind), uint8(code), pointer << 24}
				if _, ok := tests[in]; !ok && kind != 11 && (kind != 3 || in.rest == 0) && kind != 0 && kind != 8 {
					tests[in] = head{0xff, 0, 0}
				}
				if kind != 12 {
					break // others have no pointer
				}
			}
		}
	}
	for in, want := range tests {
		got, reason := to6(t, error4(t, in.kind, in.code, in.rest, about))
		if want.kind == 0xff {
			if reason != model.ReasonUnsupportedProtocol {
				t.Errorf("item 5 %v: %s", in, reason)
			}
			continue
		}
		if reason != model.ReasonNone {
			t.Errorf("item 5 %v: %s", in, reason)
			continue
		}
		message := packet.ICMP(got[40:])
		if (head{message.Type(), message.Code(), message.Rest()}) != want {
			t.Errorf("item 5 %v: got %d %d %#x, want %v", in, message.Type(), message.Code(), message.Rest(), want)
		}
		allRight(t, got, 1)
	}
}

// TestItem5ErrorsTo4 has every type and code of RFC 7915, section 5.2.
func TestItem5ErrorsTo4(t *testing.T) {
	about := build(t, header6(layers.IPProtocolUDP), udp(), data)
	tests := map[head]head{
		{1, 0, 0}: {3, 1, 0}, {1, 1, 0}: {3, 10, 0}, {1, 2, 0}: {3, 1, 0}, {1, 3, 0}: {3, 1, 0}, {1, 4, 0}: {3, 3, 0},
		{2, 0, 1400}: {3, 4, 1380}, {2, 0, 1280}: {3, 4, 1260}, {2, 0, 1281}: {3, 4, 1261}, {2, 0, 100}: {3, 4, 1260}, {2, 0, 0}: {3, 4, 1260},
		{2, 0, 65555}: {3, 4, 65535}, {2, 0, 65556}: {3, 4, 65535}, {2, 0, 0xffffffff}: {3, 4, 65535},
		{3, 0, 0}: {11, 0, 0}, {3, 1, 0}: {11, 1, 0}, {4, 1, 6}: {3, 2, 0}, {4, 1, 40}: {3, 2, 0},
		{1, 4, 0x05000000}: {3, 3, 0},
	}
	for pointer := range uint32(42) {
		want := head{12, 0, 0}
		switch {
		case pointer <= 1:
			want.rest = pointer << 24
		case pointer == 4 || pointer == 5:
			want.rest = 2 << 24
		case pointer == 6:
			want.rest = 9 << 24
		case pointer == 7:
			want.rest = 8 << 24
		case pointer >= 8 && pointer < 24:
			want.rest = 12 << 24
		case pointer >= 24 && pointer < 40:
			want.rest = 16 << 24
		default:
			want.kind = 0xff
		}
		tests[head{4, 0, pointer}] = want
	}
	for kind := range 256 {
		for code := range 10 {
			in := head{uint8(kind), uint8(code), 0}
			if _, ok := tests[in]; !ok && kind != 2 && kind != 3 && kind != 128 && kind != 129 && in != (head{4, 1, 0}) {
				tests[in] = head{0xff, 0, 0}
			}
		}
	}
	for in, want := range tests {
		got, reason := toVM(t, error6(t, in.kind, in.code, in.rest, about))
		if want.kind == 0xff {
			if reason != model.ReasonUnsupportedProtocol {
				t.Errorf("item 5 %v: %s", in, reason)
			}
			continue
		}
		if reason != model.ReasonNone {
			t.Errorf("item 5 %v: %s", in, reason)
			continue
		}
		message := packet.ICMP(got[20:])
		if (head{message.Type(), message.Code(), message.Rest()}) != want {
			t.Errorf("item 5 %v: got %d %d %#x, want %v", in, message.Type(), message.Code(), message.Rest(), want)
		}
		allRight(t, got, 2)
	}
}

// TestItem5QuotedPackets sends a packet through the translator, has the other side quote the result in an error, and
// expects the error to come back quoting the packet that was sent.
func TestItem5QuotedPackets(t *testing.T) {
	long := gopacket.Payload(bytes.Repeat([]byte("0123456789"), 200))
	sent := map[string][2][]byte{ // IPv4 and IPv6 forms from the VM to the service
		"TCP":       {build(t, header4(layers.IPProtocolTCP), tcp(), data), build(t, header6(layers.IPProtocolTCP), tcp(), data)},
		"TCP, long": {build(t, header4(layers.IPProtocolTCP), tcp(), long), build(t, header6(layers.IPProtocolTCP), tcp(), long)},
		"UDP":       {build(t, header4(layers.IPProtocolUDP), udp(), data), build(t, header6(layers.IPProtocolUDP), udp(), data)},
		"echo": {build(t, header4(layers.IPProtocolICMPv4), echo4(8), data),
			build(t, append([]gopacket.SerializableLayer{header6(layers.IPProtocolICMPv6)}, echo6(128, data)...)...)},
		"echo reply": {build(t, header4(layers.IPProtocolICMPv4), echo4(0), data),
			build(t, append([]gopacket.SerializableLayer{header6(layers.IPProtocolICMPv6)}, echo6(129, data)...)...)},
	}
	for name, forms := range sent {
		four, six := forms[0], forms[1]
		if len(four) > mayFragmentLen {
			four = mangle(four, 6, packet.IPv4DontFragment)
		}
		t.Run("item 5 to IPv4, quoting "+name, func(t *testing.T) {
			for _, cut := range []int{48, len(six)} {
				got, reason := toVM(t, error6(t, 1, 4, 0, six[:cut]))
				if reason != model.ReasonNone {
					t.Fatal(reason)
				}
				allRight(t, got, 2)
				if len(got) != 56 || !bytes.Equal(got[28:], four[:28]) {
					t.Errorf("quotes\n%x, sent was\n%x", got[28:], four[:28])
				}
				if ip := packet.IPv4(got); ip.Source() != sv4 || ip.Destination() != vm4 || ip.TOS() != 0xb9 || ip.TTL() != 61 || ip.DontFragment() {
					t.Errorf("outer header %x", got[:20])
				}
			}
		})
		t.Run("item 5 to IPv6, quoting "+name, func(t *testing.T) {
			// The error runs the other way: from the service to the VM, were the service the one with IPv4.
			for _, about := range [][]byte{four[:28], four, withOptions4(four, []byte{7, 7, 4, 0, 0, 0, 0, 0})} {
				in := build(t, reverse4(layers.IPProtocolICMPv4), &layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(3, 3)}, gopacket.Payload(about))
				got, reason := guarded(t, in, Growth, func(out []byte) ([]byte, model.Reason) { return To6(out, in, sv6, vm6) })
				if reason != model.ReasonNone {
					t.Fatal(reason)
				}
				allRight(t, got, 1)
				if len(got) != 96 || !bytes.Equal(got[48:], six[:48]) {
					t.Errorf("quotes\n%x, sent was\n%x", got[48:], six[:48])
				}
				if ip := packet.IPv6(got); ip.Source() != sv6 || ip.Destination() != vm6 || ip.TrafficClass() != 0xb9 || ip.HopLimit() != 61 {
					t.Errorf("outer header %x", got[:40])
				}
			}
		})
	}
}

func TestItem5QuotedUDPWithoutChecksum(t *testing.T) {
	about := mangle(build(t, reverse4(layers.IPProtocolUDP), udp(), data), 26, 0)
	got := must(t, to6, error4(t, 3, 3, 0, about))
	if sum := packet.UDP(got[88:]).Checksum(); sum != 0 {
		t.Errorf("quoted checksum %#04x", sum)
	}
}

func TestItem5QuotesThatCannotBeTranslated(t *testing.T) {
	about4 := build(t, reverse4(layers.IPProtocolUDP), udp(), data)
	nested4 := build(t, reverse4(layers.IPProtocolICMPv4), &layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(3, 3)}, gopacket.Payload(about4))
	for name, about := range map[string][]byte{
		"more than one nested header": nested4,
		"first fragment":              mangle(bytes.Clone(about4), 6, packet.IPv4MoreFragments),
		"later fragment":              mangle(bytes.Clone(about4), 6, 5),
		"other protocol":              mangle(bytes.Clone(about4), 8, 61<<8|47),
		"27 bytes":                    about4[:27],
		"35 bytes, 8 of options":      withOptions4(about4, make([]byte, 8))[:35],
		"nothing":                     {},
		"version 6":                   mangle(bytes.Clone(about4), 0, 0x6500),
		"header length 16":            append([]byte{0x44}, about4[1:]...),
		"total length 27":             mangle(bytes.Clone(about4), 2, 27),
	} {
		if _, reason := to6(t, error4(t, 3, 3, 0, about)); reason != model.ReasonUnrelatedError {
			t.Errorf("item 5 %s: %s", name, reason)
		}
	}

	about6 := build(t, header6(layers.IPProtocolUDP), udp(), data)
	nested6 := build(t, header6(layers.IPProtocolICMPv6), &layers.ICMPv6{TypeCode: layers.CreateICMPv6TypeCode(1, 4)}, gopacket.Payload(append(make([]byte, 4), about6...)))
	with := func(offset int, value uint16) []byte { return mangle(bytes.Clone(about6), offset, value) }
	for name, test := range map[string]struct {
		about []byte
		want  model.Reason
	}{
		"more than one nested header": {nested6, model.ReasonUnrelatedError},
		"Fragment header":             {with(6, 44<<8|61), model.ReasonUnrelatedError},
		"encapsulated":                {with(6, 4<<8|61), model.ReasonUnrelatedError},
		"version 4":                   {with(0, 0x4b90), model.ReasonUnrelatedError},
		"payload length 7":            {with(4, 7), model.ReasonUnrelatedError},
		"payload length 65516":        {with(4, 65516), model.ReasonUnrelatedError},
		"47 bytes":                    {about6[:47], model.ReasonMalformed},
		"nothing":                     {nil, model.ReasonMalformed},
	} {
		if _, reason := toVM(t, error6(t, 1, 4, 0, test.about)); reason != test.want {
			t.Errorf("item 5 %s: %s, want %s", name, reason, test.want)
		}
	}
}

package translate

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"postern/model"
	"postern/packet"
)

// The checklist of a 4 ↔ 6 translator (RFC 7915, 6145, 6052), item by item. Items 2 (packet too big, MSS) and 1's source
// routes are also tested in package packet, the state of fragments (3) and the addresses (8) in package pipeline.

// TestAddressFormula is item "RFC 6052, 2.2" with the rows of SONiC-DASH's high-level design, § 3.6.2: the low 32 bits of
// a /96 are the IPv4 address, which is how errors map the addresses of the packets that they quote.
func TestAddressFormula(t *testing.T) {
	network := [16]byte{0xfd, 0, 1, 8, 0, 0, 0xd2, 4, 0, 0, 2, 0, 9, 9, 9, 9}
	want := [16]byte{0xfd, 0, 1, 8, 0, 0, 0xd2, 4, 0, 0, 2, 0, 10, 1, 1, 1}
	if got := withIPv4(network, [4]byte{10, 1, 1, 1}); got != want {
		t.Errorf("got %x, want %x", got, want)
	}
}

func TestItem1Options(t *testing.T) {
	plain := build(t, header4(layers.IPProtocolTCP), tcp(), data)
	want := must(t, to6, plain)
	recordRoute := []byte{7, 7, 4, 0, 0, 0, 0, 0}
	if got := must(t, to6, withOptions4(plain, recordRoute)); !bytes.Equal(got, want) {
		t.Errorf("item 1: options are not ignored\ngot  %x\nwant %x", got, want)
	}
	if got := must(t, to6, append(bytes.Clone(plain), 1, 2, 3)); !bytes.Equal(got, want) {
		t.Errorf("bytes behind the total length are not ignored")
	}
	if got := must(t, to4, append(bytes.Clone(want), 1, 2, 3)); !bytes.Equal(got, must(t, to4, want)) {
		t.Errorf("bytes behind the payload length are not ignored")
	}
	if _, reason := to6(t, withOptions4(plain, []byte{131, 7, 4, 10, 0, 0, 1, 0})); reason != model.ReasonSourceRoute {
		t.Errorf("item 1: an unexpired source route: %s", reason)
	}
	if got := must(t, to6, withOptions4(plain, []byte{131, 7, 8, 10, 0, 0, 1, 0})); !bytes.Equal(got, want) {
		t.Errorf("item 1: an expired source route is not ignored")
	}
}

func TestItem3And4Fragments(t *testing.T) {
	whole := build(t, header4(layers.IPProtocolUDP), udp(), gopacket.Payload(bytes.Repeat([]byte("12345678"), 5)))
	first := mangle(mangle(mangle(bytes.Clone(whole[:20+24]), 2, 44), 4, 0xabcd), 6, packet.IPv4MoreFragments)
	later := append(bytes.Clone(whole[:20]), whole[44:]...)
	later = mangle(mangle(mangle(later, 2, uint16(len(later))), 4, 0xabcd), 6, 3)
	whole6 := must(t, to6, whole)

	t.Run("item 3 no Fragment header without a fragment", func(t *testing.T) {
		if len(whole6) != len(whole)+20 || packet.IPv6(whole6).NextHeader() != model.ProtocolUDP {
			t.Errorf("%x", whole6)
		}
		df := mangle(bytes.Clone(whole), 6, packet.IPv4DontFragment)
		if !bytes.Equal(must(t, to6, df), whole6) {
			t.Error("DF makes a difference")
		}
	})
	t.Run("item 3 fragments, put together again, are the translated whole", func(t *testing.T) {
		first6, later6 := must(t, to6, first), must(t, to6, later)
		for _, fragment := range []struct {
			bytes  []byte
			offset int
			more   bool
		}{{first6, 0, true}, {later6, 24, false}} {
			header := packet.Fragment(fragment.bytes[40:])
			if packet.IPv6(fragment.bytes).NextHeader() != packet.NextHeaderFragment || header.NextHeader() != model.ProtocolUDP ||
				header.Identification() != 0xabcd || header.Offset() != fragment.offset || header.More() != fragment.more || header[1] != 0 ||
				packet.IPv6(fragment.bytes).PayloadLen() != len(fragment.bytes)-40 {
				t.Errorf("%x", fragment.bytes)
			}
		}
		if got := append(bytes.Clone(first6[48:]), later6[48:]...); !bytes.Equal(got, whole6[40:]) {
			t.Errorf("layer 4\ngot  %x\nwant %x", got, whole6[40:])
		}
		// And back: item 4, a fragment has DF=0 and keeps its identification's low 16 bits.
		for _, pair := range [][2][]byte{{first6, first}, {later6, later}} {
			pair[0][44] = 0x77 // the high bits of the identification are lost
			if got := must(t, to4, pair[0]); !bytes.Equal(got, pair[1]) {
				t.Errorf("back\ngot  %x\nwant %x", got, pair[1])
			}
		}
	})
	t.Run("item 3 an atomic fragment is none", func(t *testing.T) {
		atomic := append(bytes.Clone(whole6[:40]), 17, 0, 0, 0, 1, 2, 3, 4)
		atomic = append(atomic, whole6[40:]...)
		binary.BigEndian.PutUint16(atomic[4:], uint16(len(atomic)-40))
		atomic[6] = byte(packet.NextHeaderFragment)
		if got := must(t, to4, atomic); !bytes.Equal(got, must(t, to4, whole6)) {
			t.Errorf("%x", got)
		}
	})
	t.Run("item 3 fragments of ICMP", func(t *testing.T) {
		ping := build(t, header4(layers.IPProtocolICMPv4), echo4(8), data)
		for _, fragment := range []uint16{packet.IPv4MoreFragments, 3} {
			if _, reason := to6(t, mangle(bytes.Clone(ping), 6, fragment)); reason != model.ReasonUnsupportedProtocol {
				t.Errorf("%#x: %s", fragment, reason)
			}
			ping6 := append(bytes.Clone(must(t, to6, first)), 0, 0, 0, 0)[:len(first)+28]
			ping6[40], ping6[43] = byte(model.ProtocolICMPv6), byte(fragment&1|fragment>>13)
			if _, reason := to4(t, ping6); reason != model.ReasonUnsupportedProtocol {
				t.Errorf("back, %#x: %s", fragment, reason)
			}
		}
	})
	t.Run("item 4 DF by the length of the result", func(t *testing.T) {
		for length, want := range map[int]bool{1259: false, 1260: false, 1261: true, 65535: true} {
			in := build(t, header6(layers.IPProtocolTCP), tcp(), gopacket.Payload(make([]byte, length-40)))
			got := packet.IPv4(must(t, to4, in))
			if got.TotalLen() != length || got.DontFragment() != want || got.Identification() != 0 || got.Fragmented() {
				t.Errorf("%d bytes: DF %v, id %d", got.TotalLen(), got.DontFragment(), got.Identification())
			}
		}
	})
	t.Run("a result longer than IPv4 can say", func(t *testing.T) {
		in := build(t, header6(layers.IPProtocolTCP), tcp(), gopacket.Payload(make([]byte, 65535-40+1)))
		if _, reason := to4(t, in); reason != model.ReasonMalformed {
			t.Error(reason)
		}
	})
}

func TestItem5Echo(t *testing.T) {
	for kind4, kind6 := range map[uint8]uint8{8: 128, 0: 129} {
		in4 := build(t, header4(layers.IPProtocolICMPv4), echo4(kind4), data)
		in6 := build(t, append([]gopacket.SerializableLayer{header6(layers.IPProtocolICMPv6)}, echo6(kind6, data)...)...)
		if got := must(t, to6, in4); !bytes.Equal(got, in6) {
			t.Errorf("item 5 echo %d\ngot  %x\nwant %x", kind4, got, in6)
		}
		if got := must(t, to4, in6); !bytes.Equal(got, in4) {
			t.Errorf("item 5 echo %d\ngot  %x\nwant %x", kind6, got, in4)
		}
	}
	t.Run("a reply of zeros keeps a checksum that receivers take", func(t *testing.T) {
		zeros := build(t, header4(layers.IPProtocolICMPv4), &layers.ICMPv4{}, gopacket.Payload(make([]byte, 6)))
		if got := must(t, to4, must(t, to6, zeros)); !bytes.Equal(got, zeros) {
			t.Errorf("got  %x\nwant %x", got, zeros)
		}
	})
}

func TestItem6UDPWithoutChecksum(t *testing.T) {
	in := build(t, header4(layers.IPProtocolUDP), udp(), data)
	want := must(t, to6, in)
	in[26], in[27] = 0, 0
	if got := must(t, to6, in); !bytes.Equal(got, want) {
		t.Errorf("item 6: computed\ngot  %x\nwant %x", got, want)
	}
	allRight(t, want, 1)
	// A word of data that makes the sum come out as 0: it must be written 0xffff.
	sum := packet.UDP(want[40:]).Checksum()
	word := packet.Update(^binary.BigEndian.Uint16(in[28:]), uint64(sum))
	in = mangle(in, 28, ^word)
	if got := must(t, to6, in); packet.UDP(got[40:]).Checksum() != 0xffff {
		t.Errorf("item 6: a sum of 0 is written %#04x", packet.UDP(got[40:]).Checksum())
	} else {
		allRight(t, got, 1)
	}
	if _, reason := to6(t, mangle(bytes.Clone(in), 6, packet.IPv4MoreFragments)); reason != model.ReasonUDPZeroChecksum {
		t.Errorf("item 6: first fragment: %s", reason)
	}
	if _, reason := to6(t, mangle(bytes.Clone(in), 6, 9)); reason != model.ReasonNone {
		t.Errorf("item 6: later fragment: %s", reason)
	}
	for _, length := range []uint16{0, 7, 18, 20} {
		if _, reason := to6(t, mangle(bytes.Clone(in), 24, length)); reason != model.ReasonMalformed {
			t.Errorf("UDP length %d of 19 without a checksum: %s", length, reason)
		}
	}
	want[46], want[47] = 0, 0
	if got := must(t, to4, want); packet.UDP(got[20:]).Checksum() != 0 {
		t.Errorf("no checksum became %#04x", packet.UDP(got[20:]).Checksum())
	}
}

func TestItem7Protocols(t *testing.T) {
	for tos := range 256 {
		in := build(t, header4(layers.IPProtocolTCP), tcp())
		in = mangle(in, 0, 0x4500|uint16(tos))
		got := must(t, to6, in)
		if label := binary.BigEndian.Uint32(got); label != 6<<28|uint32(tos)<<20 || got[7] != 61 {
			t.Fatalf("item 7: TOS %#x gives %#x, hop limit %d", tos, label, got[7])
		}
		if back := packet.IPv4(must(t, to4, got)); back.TOS() != uint8(tos) || back.TTL() != 61 {
			t.Fatalf("item 7: TOS %#x comes back as %#x, TTL %d", tos, back.TOS(), back.TTL())
		}
	}
	plain4 := build(t, header4(layers.IPProtocolTCP), tcp())
	plain6 := build(t, header6(layers.IPProtocolTCP), tcp())
	inFragment := append(append(bytes.Clone(plain6[:40]), 6, 0, 0, 1, 0, 0, 0, 9), plain6[40:]...)
	binary.BigEndian.PutUint16(inFragment[4:], uint16(len(inFragment)-40))
	inFragment[6] = byte(packet.NextHeaderFragment)
	extension := map[int]bool{0: true, 43: true, 50: true, 51: true, 60: true, 135: true}
	for protocol := range 256 {
		want4, want6, wantFragment := model.ReasonUnsupportedProtocol, model.ReasonUnsupportedProtocol, model.ReasonExtensionHeader
		if extension[protocol] {
			want6 = model.ReasonExtensionHeader
		}
		switch protocol {
		case 6, 17:
			want4, want6, wantFragment = model.ReasonNone, model.ReasonNone, model.ReasonNone
		case 1, 58, 44:
			continue // ICMP has tests of its own, and 44 is what inFragment is
		}
		if _, reason := to6(t, mangle(bytes.Clone(plain4), 8, 61<<8|uint16(protocol))); reason != want4 {
			t.Errorf("item 7: protocol %d: %s, want %s", protocol, reason, want4)
		}
		changed := bytes.Clone(plain6)
		changed[6] = byte(protocol)
		if _, reason := to4(t, changed); reason != want6 {
			t.Errorf("item 7: next header %d: %s, want %s", protocol, reason, want6)
		}
		changed = bytes.Clone(inFragment)
		changed[40] = byte(protocol)
		if _, reason := to4(t, changed); reason != wantFragment {
			t.Errorf("item 7: next header %d behind a Fragment header: %s, want %s", protocol, reason, wantFragment)
		}
	}
}

func TestHeadersThatAreNotWhole(t *testing.T) {
	for name, test := range map[string]struct {
		protocol4, protocol6 layers.IPProtocol
		need                 int
	}{
		"TCP": {layers.IPProtocolTCP, layers.IPProtocolTCP, 20}, "UDP": {layers.IPProtocolUDP, layers.IPProtocolUDP, 8},
		"ICMP": {layers.IPProtocolICMPv4, layers.IPProtocolICMPv6, 8},
	} {
		for length := range test.need {
			t.Run(fmt.Sprintf("%s %d", name, length), func(t *testing.T) {
				in := build(t, header4(test.protocol4), gopacket.Payload(make([]byte, length)))
				if _, reason := to6(t, in); reason != model.ReasonMalformed {
					t.Error(reason)
				}
				if _, reason := to6(t, mangle(in, 6, packet.IPv4MoreFragments)); reason != model.ReasonFragmentTiny {
					t.Error(reason)
				}
				in = build(t, header6(test.protocol6), gopacket.Payload(make([]byte, length)))
				if _, reason := to4(t, in); reason != model.ReasonMalformed {
					t.Error(reason)
				}
				header := []byte{byte(test.protocol6), 0, 0, 1, 0, 0, 0, 9}
				in = build(t, header6(44), gopacket.Payload(append(header, make([]byte, length)...)))
				if _, reason := to4(t, in); reason != model.ReasonFragmentTiny {
					t.Error(reason)
				}
			})
		}
	}
	whole4, whole6 := build(t, header4(layers.IPProtocolTCP), tcp()), build(t, header6(layers.IPProtocolTCP), tcp())
	for length := range whole4 {
		if _, reason := to6(t, whole4[:length]); reason != model.ReasonMalformed {
			t.Errorf("%d bytes of IPv4: %s", length, reason)
		}
	}
	for length := range whole6 {
		if _, reason := to4(t, whole6[:length]); reason != model.ReasonMalformed {
			t.Errorf("%d bytes of IPv6: %s", length, reason)
		}
	}
	short := build(t, header6(44), gopacket.Payload(make([]byte, 7)))
	if _, reason := to4(t, short); reason != model.ReasonMalformed {
		t.Errorf("7 bytes of a Fragment header: %s", reason)
	}
}

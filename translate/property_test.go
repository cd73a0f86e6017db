package translate

import (
	"bytes"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"pgregory.net/rapid"

	"postern/model"
	"postern/packet"
)

// drawPacket is a sound IPv4 packet from the VM to the service, without options, no fragment, with the DF and the
// identification that To4 gives.
func drawPacket(t *rapid.T) []byte {
	header := header4(layers.IPProtocolTCP)
	header.TOS, header.TTL = rapid.Uint8().Draw(t, "TOS"), rapid.Uint8().Draw(t, "TTL")
	payload := gopacket.Payload(rapid.SliceOfN(rapid.Byte(), 0, 64).Draw(t, "payload"))
	if rapid.IntRange(0, 9).Draw(t, "long") == 0 {
		payload = append(payload, make([]byte, rapid.IntRange(1200, 1240).Draw(t, "more"))...)
	}
	var layer gopacket.SerializableLayer
	// Ports from 20000 on: gopacket takes payloads behind well-known ones apart.
	source, destination := rapid.Uint16Min(20000).Draw(t, "source port"), rapid.Uint16Min(20000).Draw(t, "destination port")
	switch rapid.SampledFrom([]string{"TCP", "UDP", "echo", "echo reply"}).Draw(t, "protocol") {
	case "TCP":
		layer = &layers.TCP{SrcPort: layers.TCPPort(source), DstPort: layers.TCPPort(destination), Seq: rapid.Uint32().Draw(t, "seq"), Window: rapid.Uint16().Draw(t, "window"), SYN: rapid.Bool().Draw(t, "SYN")}
	case "UDP":
		header.Protocol = layers.IPProtocolUDP
		layer = &layers.UDP{SrcPort: layers.UDPPort(source), DstPort: layers.UDPPort(destination)}
	case "echo":
		header.Protocol = layers.IPProtocolICMPv4
		layer = &layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(8, 0), Id: source, Seq: destination}
	case "echo reply":
		header.Protocol = layers.IPProtocolICMPv4
		layer = &layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(0, 0), Id: source, Seq: destination}
	}
	ip := build(t, header, layer, payload)
	return mangle(ip, 6, dontFragment(len(ip)))
}

func drawAddresses(t *rapid.T) (source, destination [16]byte) {
	draw := func(name string, ipv4 [4]byte) [16]byte {
		return withIPv4([16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, name)), ipv4)
	}
	return draw("source", vm4), draw("destination", sv4)
}

func TestThereAndBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := drawPacket(t)
		allRight(t, in, 2)
		source, destination := drawAddresses(t)
		six, reason := To6(make([]byte, len(in)+Growth), in, source, destination)
		if reason != model.ReasonNone {
			t.Fatalf("to IPv6: %s", reason)
		}
		allRight(t, six, 1)
		back, reason := To4(make([]byte, len(six)), six, vm4, sv4)
		if reason != model.ReasonNone {
			t.Fatalf("to IPv4: %s", reason)
		}
		if !bytes.Equal(back, in) {
			t.Fatalf("there and back\ngot  %x\nwant %x", back, in)
		}
	})
}

func TestWrongChecksumsStayWrong(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := drawPacket(t)
		source, destination := drawAddresses(t)
		// Any byte behind the ICMP or UDP length fields: data, or for TCP anything that is no port.
		last := len(in) - 1
		if in[9] == byte(model.ProtocolUDP) && last < 28 {
			return // no data to change
		}
		at := rapid.IntRange(min(28, last), last).Draw(t, "at")
		if in[9] == byte(model.ProtocolTCP) && (at == 32 || at == 33) {
			return // data offset and flags
		}
		in[at] ^= byte(rapid.IntRange(1, 255).Draw(t, "bits"))
		if _, wrong := checksums(t, in); wrong != 1 {
			return // the same sum modulo 65535
		}
		six, reason := To6(make([]byte, len(in)+Growth), in, source, destination)
		if reason != model.ReasonNone {
			t.Fatalf("to IPv6: %s", reason)
		}
		if _, wrong := checksums(t, six); wrong != 1 {
			t.Fatalf("repaired: %x → %x", in, six)
		}
		back, reason := To4(make([]byte, len(six)), six, vm4, sv4)
		if reason != model.ReasonNone {
			t.Fatalf("to IPv4: %s", reason)
		}
		if right, wrong := checksums(t, back); right != 1 || wrong != 1 {
			t.Fatalf("repaired: %x → %x", six, back)
		}
	})
}

// TestChecksumIsThatOfItsSlowTwin compares the updates with a checksum computed anew by adding 16-bit words one by one.
func TestChecksumIsThatOfItsSlowTwin(t *testing.T) {
	slow := func(parts ...[]byte) uint16 {
		sum := 0
		for _, part := range parts {
			for i, b := range part {
				sum += int(b) << (8 * (1 - i%2))
			}
		}
		return ^uint16(sum%0xffff + map[bool]int{true: 0xffff}[sum > 0 && sum%0xffff == 0])
	}
	rapid.Check(t, func(t *rapid.T) {
		in := drawPacket(t)
		source, destination := drawAddresses(t)
		six, _ := To6(make([]byte, len(in)+Growth), in, source, destination)
		layer4, next := bytes.Clone(six[40:]), six[6]
		offset := map[byte]int{6: packet.TCPChecksumOffset, 17: packet.UDPChecksumOffset, 58: packet.ICMPChecksumOffset}[next]
		got := uint16(layer4[offset])<<8 | uint16(layer4[offset+1])
		layer4[offset], layer4[offset+1] = 0, 0
		want := slow(source[:], destination[:], []byte{byte(len(layer4) >> 8), byte(len(layer4)), 0, next}, layer4)
		if next == 17 && want == 0 {
			want = 0xffff
		}
		if got != want {
			t.Fatalf("checksum %#04x, slow twin %#04x", got, want)
		}
	})
}

func TestNothingAllocates(t *testing.T) {
	fragment := mangle(build(t, header4(layers.IPProtocolTCP), tcp(), data), 6, packet.IPv4MoreFragments)
	noChecksum := mangle(build(t, header4(layers.IPProtocolUDP), udp(), data), 26, 0)
	ping := build(t, header4(layers.IPProtocolICMPv4), echo4(8), data)
	about := build(t, reverse4(layers.IPProtocolUDP), udp(), data)
	out4, out6 := make([]byte, 200), make([]byte, 200)
	for name, in := range map[string][]byte{
		"TCP fragment": fragment, "UDP": noChecksum, "echo": ping, "error": error4(t, 3, 3, 0, about),
		"refused": mangle(bytes.Clone(ping), 6, 9),
	} {
		if n := testing.AllocsPerRun(100, func() {
			if six, reason := To6(out6, in, vm6, sv6); reason == model.ReasonNone {
				if _, reason := To4(out4, six, vm4, sv4); reason != model.ReasonNone {
					t.Error(reason)
				}
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func BenchmarkTo6(b *testing.B) {
	for name, in := range map[string][]byte{
		"TCP-1400":          build(b, header4(layers.IPProtocolTCP), tcp(), gopacket.Payload(make([]byte, 1360))),
		"UDP-1400-computed": mangle(build(b, header4(layers.IPProtocolUDP), udp(), gopacket.Payload(make([]byte, 1372))), 26, 0),
	} {
		b.Run(name, func(b *testing.B) {
			out := make([]byte, len(in)+Growth)
			b.SetBytes(int64(len(in)))
			for b.Loop() {
				To6(out, in, vm6, sv6)
			}
		})
	}
}

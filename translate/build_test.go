package translate

import (
	"bytes"
	"encoding/hex"
	"net/netip"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"postern/model"
	"postern/packet"
)

// The cloud of these tests: a VM and a service, each with its IPv4 address and the one it has on the fabric.
var (
	vm4, vm6 = [4]byte{10, 13, 76, 36}, netip.MustParseAddr("fd00:1:1:100:0:1000:a0d:4c24").As16()
	sv4, sv6 = [4]byte{20, 150, 8, 1}, netip.MustParseAddr("fd00:1:2:102:0:2:1496:801").As16()
)

// fail is what a test and a rapid property have in common.
type fail interface {
	Helper()
	Fatalf(format string, args ...any)
}

// build writes layers with gopacket, which computes all lengths and checksums.
func build(t fail, stack ...gopacket.SerializableLayer) []byte {
	t.Helper()
	var network gopacket.NetworkLayer
	for _, layer := range stack {
		var err error
		switch layer := layer.(type) {
		case *layers.IPv4:
			network = layer
		case *layers.IPv6:
			network = layer
		case *layers.TCP:
			err = layer.SetNetworkLayerForChecksum(network)
		case *layers.UDP:
			err = layer.SetNetworkLayerForChecksum(network)
		case *layers.ICMPv6:
			err = layer.SetNetworkLayerForChecksum(network)
		}
		if err != nil {
			t.Fatalf("build: %v", err)
		}
	}
	buffer := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(buffer, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, stack...); err != nil {
		t.Fatalf("build: %v", err)
	}
	return bytes.Clone(buffer.Bytes())
}

// header4 is the IPv4 header of a packet from the VM to the service; header6 the IPv6 header of its translation.
func header4(protocol layers.IPProtocol) *layers.IPv4 {
	return &layers.IPv4{Version: 4, TOS: 0xb9, TTL: 61, Protocol: protocol, SrcIP: vm4[:], DstIP: sv4[:]}
}

func header6(next layers.IPProtocol) *layers.IPv6 {
	return &layers.IPv6{Version: 6, TrafficClass: 0xb9, HopLimit: 61, NextHeader: next, SrcIP: vm6[:], DstIP: sv6[:]}
}

func tcp() *layers.TCP {
	return &layers.TCP{SrcPort: 40000, DstPort: 4443, Seq: 0x01020304, Ack: 7, ACK: true, PSH: true, Window: 500}
}

func udp() *layers.UDP { return &layers.UDP{SrcPort: 40000, DstPort: 4443} }

func echo4(kind uint8) *layers.ICMPv4 {
	return &layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(kind, 0), Id: 0x1234, Seq: 9}
}

// echo6 is an ICMPv6 echo with the same identifier and sequence number, and data behind them.
func echo6(kind uint8, data []byte) []gopacket.SerializableLayer {
	return []gopacket.SerializableLayer{
		&layers.ICMPv6{TypeCode: layers.CreateICMPv6TypeCode(kind, 0)},
		&layers.ICMPv6Echo{Identifier: 0x1234, SeqNumber: 9}, gopacket.Payload(data),
	}
}

var data = gopacket.Payload("eleven byte")

// mangle changes 16 bits of a packet, and repairs the checksum of an IPv4 header.
func mangle(bytes []byte, offset int, value uint16) []byte {
	bytes[offset], bytes[offset+1] = byte(value>>8), byte(value)
	if bytes[0]>>4 == 4 && offset < 20 {
		length := packet.IPv4(bytes).HeaderLen()
		bytes[10], bytes[11] = 0, 0
		sum := packet.Checksum(packet.Add(0, bytes[:length]))
		bytes[10], bytes[11] = byte(sum>>8), byte(sum)
	}
	return bytes
}

// withOptions4 puts options into an IPv4 packet.
func withOptions4(ip, options []byte) []byte {
	result := append(append(append([]byte{}, ip[:20]...), options...), ip[20:]...)
	result[0] += byte(len(options) / 4)
	return mangle(result, 2, uint16(len(result)))
}

// canary stands around every output, and must stay.
const canary = 0xcd

// to6 and to4 translate between the VM's and the service's addresses and see that nothing else is written.
func to6(t fail, in []byte) ([]byte, model.Reason) {
	t.Helper()
	return guarded(t, in, Growth, func(out []byte) ([]byte, model.Reason) { return To6(out, in, vm6, sv6) })
}

func to4(t fail, in []byte) ([]byte, model.Reason) {
	t.Helper()
	return guarded(t, in, 0, func(out []byte) ([]byte, model.Reason) { return To4(out, in, vm4, sv4) })
}

func guarded(t fail, in []byte, growth int, translate func(out []byte) ([]byte, model.Reason)) ([]byte, model.Reason) {
	t.Helper()
	const margin = 16
	memory := bytes.Repeat([]byte{canary}, margin+len(in)+growth+margin)
	before := bytes.Clone(in)
	result, reason := translate(memory[margin : margin : margin+len(in)+growth])
	if !bytes.Equal(before, in) {
		t.Fatalf("the input was changed")
	}
	if (reason == model.ReasonNone) != (result != nil) {
		t.Fatalf("%d bytes and %s", len(result), reason)
	}
	if result != nil && &result[0] != &memory[margin] {
		t.Fatalf("the result is not in out")
	}
	for i, b := range memory {
		if (i < margin || i >= margin+len(result)) && b != canary {
			t.Fatalf("byte %d behind the result's start was written", i-margin)
		}
	}
	return result, reason
}

// must is the result of a translation that may not be refused.
func must(t fail, translate func(fail, []byte) ([]byte, model.Reason), in []byte) []byte {
	t.Helper()
	result, reason := translate(t, in)
	if reason != model.ReasonNone {
		t.Fatalf("refused: %s\n%x", reason, in)
	}
	return result
}

// checksums reads a packet with gopacket and tells how many checksums of it are right and how many wrong, and that each
// right one is also what a computation anew would write.
func checksums(t fail, ip []byte) (right, wrong int) {
	t.Helper()
	first := gopacket.LayerType(layers.LayerTypeIPv4)
	if ip[0]>>4 == 6 {
		first = layers.LayerTypeIPv6
	}
	decoded := gopacket.NewPacket(ip, first, gopacket.Default)
	for _, layer := range decoded.Layers() {
		switch layer := layer.(type) {
		case *layers.TCP:
			_ = layer.SetNetworkLayerForChecksum(decoded.NetworkLayer())
		case *layers.UDP:
			_ = layer.SetNetworkLayerForChecksum(decoded.NetworkLayer())
		case *layers.ICMPv6:
			_ = layer.SetNetworkLayerForChecksum(decoded.NetworkLayer())
		}
		verifiable, ok := layer.(gopacket.LayerWithChecksum)
		if !ok {
			continue
		}
		err, result := verifiable.VerifyChecksum()
		switch {
		case err != nil:
			t.Fatalf("%s: %v", layer.LayerType(), err)
		case !result.Valid:
			wrong++
		case result.Correct != result.Actual:
			t.Fatalf("%s: checksum %#04x is valid, but a computation anew gives %#04x", layer.LayerType(), result.Actual, result.Correct)
		default:
			right++
		}
	}
	return right, wrong
}

// allRight fails unless gopacket finds that many checksums, and all of them right.
func allRight(t fail, ip []byte, count int) {
	t.Helper()
	if right, wrong := checksums(t, ip); right != count || wrong != 0 {
		t.Fatalf("%d checksums right, %d wrong; want %d right\n%x", right, wrong, count, ip)
	}
}

func fromHex(t *testing.T, text string) []byte {
	t.Helper()
	result, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

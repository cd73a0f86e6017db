package packet

import (
	"bytes"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"postern/model"
)

func TestCheckIPv4(t *testing.T) {
	sound := make([]byte, 30)
	PutIPv4(sound, IPv4Fields{TotalLen: 24, Protocol: model.ProtocolUDP})
	with := func(offset int, value byte) []byte {
		changed := bytes.Clone(sound)
		changed[offset] = value
		return changed
	}
	tests := []struct {
		name  string
		bytes []byte
		want  int // length of what is given back, -1 for malformed
	}{
		{"padding is cut off", sound, 24},
		{"exact", sound[:24], 24},
		{"cut in the payload", sound[:23], -1},
		{"cut in the header", sound[:19], -1},
		{"nothing", nil, -1},
		{"version", with(0, 0x65), -1},
		{"header length 16", with(0, 0x44), -1},
		{"header length 24 with options", with(0, 0x46), 24},
		{"header longer than total", with(0, 0x47), -1},
		{"total below header", with(3, 19), -1},
		{"no payload", with(3, 20), 20},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			ip, ok := CheckIPv4(test.bytes)
			if ok != (test.want >= 0) || ok && len(ip) != test.want {
				t.Errorf("got %d bytes, %v; want %d", len(ip), ok, test.want)
			}
		})
	}
}

func TestCheckIPv6(t *testing.T) {
	sound := make([]byte, 50)
	PutIPv6(sound, IPv6Fields{PayloadLen: 8, NextHeader: model.ProtocolUDP})
	if ip, ok := CheckIPv6(sound); !ok || len(ip) != 48 {
		t.Errorf("padding: %d bytes, %v", len(ip), ok)
	}
	for name, bytes := range map[string][]byte{"payload cut": sound[:47], "header cut": sound[:39], "nothing": nil, "version": make([]byte, 60)} {
		if _, ok := CheckIPv6(bytes); ok {
			t.Errorf("%s: taken as sound", name)
		}
	}
}

// What is written here must read the same to gopacket, and to the getters.
func TestPutIPv4(t *testing.T) {
	fields := IPv4Fields{TOS: 0xb9, TotalLen: 20, Identification: 0x1234, Fragment: IPv4MoreFragments | 185, TTL: 7,
		Protocol: model.ProtocolUDP, Source: [4]byte{10, 1, 1, 1}, Destination: [4]byte{50, 1, 2, 1}}
	out := bytes.Repeat([]byte{0xee}, 21)
	PutIPv4(out, fields)
	var theirs layers.IPv4
	if err := theirs.DecodeFromBytes(out[:20], gopacket.NilDecodeFeedback); err != nil {
		t.Fatal(err)
	}
	if err, result := theirs.VerifyChecksum(); err != nil || !result.Valid {
		t.Errorf("checksum: %v %+v", err, result)
	}
	ip := IPv4(out)
	if ip.TOS() != theirs.TOS || ip.TotalLen() != int(theirs.Length) || ip.Identification() != theirs.Id ||
		ip.FragmentOffset() != int(theirs.FragOffset)*8 || ip.MoreFragments() != (theirs.Flags&layers.IPv4MoreFragments != 0) ||
		ip.DontFragment() != (theirs.Flags&layers.IPv4DontFragment != 0) || ip.TTL() != theirs.TTL ||
		byte(ip.Protocol()) != byte(theirs.Protocol) || ip.Checksum() != theirs.Checksum || ip.HeaderLen() != 20 {
		t.Errorf("read back differently: %x, gopacket %+v", out, theirs)
	}
	if ip.Source() != fields.Source || ip.Destination() != fields.Destination || ip.TOS() != 0xb9 || ip.FragmentOffset() != 1480 || !ip.Fragmented() {
		t.Errorf("read back differently: %x", out)
	}
	if out[20] != 0xee {
		t.Error("wrote behind the header")
	}
}

func TestPutIPv6(t *testing.T) {
	fields := IPv6Fields{TrafficClass: 0xb9, PayloadLen: 8, NextHeader: NextHeaderFragment, HopLimit: 7}
	for i := range fields.Source {
		fields.Source[i], fields.Destination[i] = byte(i), byte(0xf0+i)
	}
	out := make([]byte, 48)
	PutIPv6(out, fields)
	PutFragment(out[40:], model.ProtocolUDP, 1480, true, 0x12345678)
	var theirs layers.IPv6
	if err := theirs.DecodeFromBytes(out, gopacket.NilDecodeFeedback); err != nil {
		t.Fatal(err)
	}
	ip := IPv6(out)
	if theirs.TrafficClass != 0xb9 || theirs.FlowLabel != 0 || ip.TrafficClass() != 0xb9 || ip.PayloadLen() != int(theirs.Length) ||
		byte(ip.NextHeader()) != byte(theirs.NextHeader) || ip.HopLimit() != theirs.HopLimit ||
		ip.Source() != fields.Source || ip.Destination() != fields.Destination || !bytes.Equal(theirs.SrcIP, fields.Source[:]) {
		t.Errorf("read back differently: %x, gopacket %+v", out, theirs)
	}
	decoded := gopacket.NewPacket(out, layers.LayerTypeIPv6, gopacket.Default).Layer(layers.LayerTypeIPv6Fragment)
	fragment, ok := decoded.(*layers.IPv6Fragment)
	if !ok {
		t.Fatal("gopacket sees no Fragment header")
	}
	ours := Fragment(ip.Payload())
	if int(fragment.FragmentOffset)*8 != ours.Offset() || fragment.MoreFragments != ours.More() || ours.Offset() != 1480 || !ours.More() ||
		fragment.Identification != ours.Identification() || ours.NextHeader() != model.ProtocolUDP || ours.Atomic() {
		t.Errorf("Fragment header read back differently: %x, gopacket %+v", out[40:], fragment)
	}
}

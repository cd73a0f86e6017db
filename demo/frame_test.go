package demo

import (
	"net/netip"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"postern/model"
	"postern/packet"
)

// TestFrames reads the forgeries with somebody else's parser: they are to be dropped for what they claim, not because
// they are broken.
func TestFrames(t *testing.T) {
	mac := model.MAC{2, 0x50, 0, 0, 0, 1}
	from, to := netip.MustParseAddr("10.13.76.36"), netip.MustParseAddr("10.13.77.4")
	from6, to6 := netip.MustParseAddr("fd00:1:1:100::1"), netip.MustParseAddr("fd00:1:1:200::2")
	v4 := packet4{from: from, to: to, protocol: model.ProtocolTCP, payload: syn(from, to, 1000, 8080, 1, 2, 3, 4)}
	for name, story := range map[string]struct {
		frame []byte
		kinds []gopacket.LayerType
	}{
		"ipv4": {frame(mac, packet.EtherTypeIPv4, v4.bytes()), []gopacket.LayerType{layers.LayerTypeEthernet, layers.LayerTypeIPv4, layers.LayerTypeTCP}},
		"vlan": {tagged(mac, 77, packet.EtherTypeIPv4, v4.bytes()), []gopacket.LayerType{layers.LayerTypeEthernet, layers.LayerTypeDot1Q, layers.LayerTypeIPv4, layers.LayerTypeTCP}},
		"ipv6": {frame(mac, packet.EtherTypeIPv6, packet6(from6, to6, model.ProtocolTCP, syn(from6, to6, 1000, 443))),
			[]gopacket.LayerType{layers.LayerTypeEthernet, layers.LayerTypeIPv6, layers.LayerTypeTCP}},
		"ipv4 in ipv6": {frame(mac, packet.EtherTypeIPv6, packet6(from6, to6, model.ProtocolIPv4, v4.bytes())),
			[]gopacket.LayerType{layers.LayerTypeEthernet, layers.LayerTypeIPv6, layers.LayerTypeIPv4, layers.LayerTypeTCP}},
	} {
		t.Run(name, func(t *testing.T) {
			read := gopacket.NewPacket(story.frame, layers.LayerTypeEthernet, gopacket.Default)
			if failure := read.ErrorLayer(); failure != nil {
				t.Fatal(failure.Error())
			}
			for i, kind := range story.kinds {
				if i >= len(read.Layers()) || read.Layers()[i].LayerType() != kind {
					t.Fatalf("layers %v, want %v", read.Layers(), story.kinds)
				}
			}
			var network gopacket.NetworkLayer
			for _, layer := range read.Layers() {
				if outer, ok := layer.(gopacket.NetworkLayer); ok {
					network = outer
				}
				if tcp, ok := layer.(*layers.TCP); ok {
					if err := tcp.SetNetworkLayerForChecksum(network); err != nil {
						t.Fatal(err)
					}
				}
			}
			if err, mismatches := read.VerifyChecksums(); err != nil || len(mismatches) > 0 {
				t.Errorf("checksums: %v, %v", mismatches, err)
			}
		})
	}
	fragment := packet.IPv4(packet4{from: from, to: to, protocol: model.ProtocolTCP, identification: 7, offset: 8, more: true, payload: make([]byte, 16)}.bytes())
	if _, ok := packet.CheckIPv4(fragment); !ok || fragment.FragmentOffset() != 8 || !fragment.MoreFragments() || fragment.Identification() != 7 {
		t.Errorf("a fragment: % x", []byte(fragment))
	}
}

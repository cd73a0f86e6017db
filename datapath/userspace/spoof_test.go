package userspace

import (
	"encoding/binary"
	"net"
	"net/netip"
	"testing"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"

	"postern/model"
)

// frame is an Ethernet frame with a UDP datagram in IPv4; change may spoil it before the checksum of the header is made.
func frame(from model.MAC, source, destination string, etherType uint16, change func(ip header.IPv4)) []byte {
	payload := []byte("forged")
	udpLength := header.UDPMinimumSize + len(payload)
	data := make([]byte, header.EthernetMinimumSize+header.IPv4MinimumSize+udpLength)
	copy(data, model.RouterMAC[:])
	copy(data[6:], from[:])
	binary.BigEndian.PutUint16(data[12:], etherType)
	ip := header.IPv4(data[header.EthernetMinimumSize:])
	src, dst := tcpip.AddrFrom4(netip.MustParseAddr(source).As4()), tcpip.AddrFrom4(netip.MustParseAddr(destination).As4())
	ip.Encode(&header.IPv4Fields{
		TotalLength: uint16(header.IPv4MinimumSize + udpLength), TTL: 64, Protocol: uint8(header.UDPProtocolNumber), SrcAddr: src, DstAddr: dst,
	})
	u := header.UDP(ip.Payload())
	u.Encode(&header.UDPFields{SrcPort: 4000, DstPort: 7, Length: uint16(udpLength)})
	copy(u.Payload(), payload)
	sum := header.PseudoHeaderChecksum(header.UDPProtocolNumber, src, dst, uint16(udpLength))
	u.SetChecksum(^u.CalculateChecksum(checksum.Checksum(payload, sum)))
	if change != nil {
		change(ip)
	}
	ip.SetChecksum(0)
	ip.SetChecksum(^ip.CalculateChecksum())
	return data
}

func TestSpoofedFrames(t *testing.T) {
	c := newCloud(t, app(), neighbour(), remote())
	arrived, err := c.vm("vm-far").ListenPacket("udp", ":7")
	if err != nil {
		t.Fatal(err)
	}
	defer arrived.Close()
	own, other := app().nic().MAC, neighbour().nic().MAC
	const me, target = "10.13.76.36", "10.13.76.50"
	for _, story := range []struct {
		name   string
		frame  []byte
		reason model.Reason
	}{
		{"SE-13 another source address", frame(own, "10.13.77.4", target, 0x0800, nil), model.ReasonSourceAddress},
		{"SE-13 another MAC", frame(other, me, target, 0x0800, nil), model.ReasonSourceMAC},
		{"SE-13 IPv6 into the fabric", frame(own, me, target, 0x86dd, nil), model.ReasonIPv6},
		{"SE-13 a VLAN tag", frame(own, me, target, 0x8100, nil), model.ReasonVLAN},
		{"SE-13 another EtherType", frame(own, me, target, 0x88cc, nil), model.ReasonEtherType},
		{"SE-13 a later fragment without a first", frame(own, me, target, 0x0800, func(ip header.IPv4) {
			ip.SetFlagsFragmentOffset(0, 1024)
		}), model.ReasonFragmentFirstMissing},
		{"SE-13 a first fragment that hides its ports", frame(own, me, target, 0x0800, func(ip header.IPv4) {
			ip.SetTotalLength(header.IPv4MinimumSize + 4)
			ip.SetFlagsFragmentOffset(header.IPv4FlagMoreFragments, 0)
		}), model.ReasonFragmentTiny},
		{"SE-13 an outer packet of its own making", frame(own, "10.13.77.4", target, 0x0800, func(ip header.IPv4) {
			ip[9] = 4
		}), model.ReasonSourceAddress},
	} {
		t.Run(story.name, func(t *testing.T) {
			before := c.counted(1, story.reason)
			verdict, err := c.hosts[0].InjectFrame(1, story.frame)
			if err != nil {
				t.Fatal(err)
			}
			if verdict != (model.Verdict{Action: model.Drop, Reason: story.reason}) {
				t.Errorf("the verdict is %v, %v; want a drop, %v", verdict.Action, verdict.Reason, story.reason)
			}
			if c.counted(1, story.reason) != before+1 {
				t.Error("the frame was not counted")
			}
		})
	}
	t.Run("SE-13 the first datagram to arrive is an honest one", func(t *testing.T) {
		// Packets between two NICs keep their order, so a forged one would have come before.
		verdict, err := c.hosts[0].InjectFrame(1, frame(own, me, target, 0x0800, nil))
		if err != nil || verdict.Denied() {
			t.Fatalf("the honest frame met %v, %v", verdict.Reason, err)
		}
		buffer := make([]byte, 100)
		_, peer, err := arrived.ReadFrom(buffer)
		if err != nil {
			t.Fatal(err)
		}
		if got := peer.(*net.UDPAddr).AddrPort().Addr(); got != netip.MustParseAddr(me) {
			t.Errorf("a datagram arrived from %s", got)
		}
		delivered := uint64(0)
		for _, counter := range c.hosts[1].Counters() {
			if counter.Reason == model.ReasonDelivered {
				delivered += counter.Packets
			}
		}
		if delivered != 1 {
			t.Errorf("%d packets were delivered; want the honest one alone", delivered)
		}
	})
	if _, err := c.hosts[0].InjectFrame(99, nil); err == nil {
		t.Error("a NIC that is not there sent a frame")
	}
}

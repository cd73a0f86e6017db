package cloud

import (
	"context"
	"net"
	"net/netip"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"postern/model"
)

// echoRequest is an ICMP echo request of a NIC, as a frame.
func (s *stage) echoRequest(nic string, to netip.Addr) []byte {
	s.t.Helper()
	info, err := s.NIC(s.ctx, nic)
	if err != nil {
		s.t.Fatal(err)
	}
	buffer := gopacket.NewSerializeBuffer()
	err = gopacket.SerializeLayers(buffer, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true},
		&layers.Ethernet{SrcMAC: info.MAC[:], DstMAC: model.RouterMAC[:], EthernetType: layers.EthernetTypeIPv4},
		&layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolICMPv4, SrcIP: info.IPv4.AsSlice(), DstIP: to.AsSlice()},
		&layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(layers.ICMPv4TypeEchoRequest, 0), Id: 77, Seq: 1},
		gopacket.Payload("postern"))
	if err != nil {
		s.t.Fatal(err)
	}
	return buffer.Bytes()
}

// dialFromGateway connects from a fabric address of a gateway's.
func (s *stage) dialFromGateway(ctx context.Context, node string, from, to netip.AddrPort) (net.Conn, error) {
	if world, ok := s.world.(*userspaceWorld); ok {
		world.mu.Lock()
		gateway := world.nodes[node].gateway
		world.mu.Unlock()
		return gateway.DialFrom(ctx, from, to)
	}
	return s.dialFromGatewayNamespace(ctx, node, from, to)
}

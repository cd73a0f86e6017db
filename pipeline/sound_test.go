package pipeline

import (
	"fmt"
	"testing"

	"postern/model"
	"postern/packet"
)

// mustSound fails unless what a verdict sends is a whole packet of the right kind. Checksums of IPv4 headers that the
// pipeline writes are looked at; those of a packet that it passes on as it is are its sender's.
func mustSound(t testing.TB, r Result, edge bool) {
	t.Helper()
	if err := sound(r, edge); err != nil {
		t.Fatalf("%v, %v: %v", r.Verdict.Action, r.Verdict.Reason, err)
	}
}

func sound(r Result, edge bool) error {
	data := r.Data
	switch r.Verdict.Action {
	case model.Drop, model.Pass:
		if data != nil {
			return fmt.Errorf("has data")
		}
		return nil
	case model.ToFabric:
		ip, ok := packet.CheckIPv6(data)
		if !ok || len(ip) != len(data) {
			return fmt.Errorf("is no IPv6 packet: %x", data)
		}
		if len(data) > 1600 {
			return fmt.Errorf("%d bytes are more than the fabric carries", len(data))
		}
		if ip.NextHeader() != model.ProtocolIPv4 {
			return nil
		}
		data = ip.Payload()
	case model.Reply, model.Deliver:
		if edge {
			break
		}
		if len(data) < packet.EthernetLen || packet.Ethernet(data).Source() != model.RouterMAC {
			return fmt.Errorf("is no frame of the router: %x", data)
		}
		if packet.Ethernet(data).Type() == packet.EtherTypeARP {
			if len(data) != arpReplyFrame {
				return fmt.Errorf("ARP of %d bytes", len(data))
			}
			return nil
		}
		data = data[packet.EthernetLen:]
	}
	ip, ok := packet.CheckIPv4(data)
	if !ok || len(ip) != len(data) {
		return fmt.Errorf("is no IPv4 packet: %x", data)
	}
	if r.Verdict.Action == model.Reply && (slowChecksum(ip[:ip.HeaderLen()]) != 0 || !layer4Sound(ip.Payload(), byte(ip.Protocol()), ip[12:20])) {
		return fmt.Errorf("has a wrong checksum: %x", data)
	}
	return nil
}

// mustCheck fails unless every checksum of an IPv4 packet is right.
func mustCheck(t testing.TB, data []byte) packet.IPv4 {
	t.Helper()
	ip, ok := packet.CheckIPv4(data)
	if !ok {
		t.Fatalf("no IPv4 packet: %x", data)
	}
	if slowChecksum(ip[:ip.HeaderLen()]) != 0 {
		t.Fatalf("wrong header checksum: %x", data)
	}
	if !ip.Fragmented() && !layer4Sound(ip.Payload(), byte(ip.Protocol()), ip[12:20]) {
		t.Fatalf("wrong layer-4 checksum: %x", data)
	}
	return ip
}

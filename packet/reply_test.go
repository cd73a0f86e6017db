package packet

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"postern/model"
)

var nic = model.MAC{2, 0, 0, 0, 0, 9}

// vmPacket is an IPv4 packet from 10.1.1.1 to 50.1.2.1, with options, and bytes behind the header.
func vmPacket(protocol model.Protocol, options, payload []byte) IPv4 {
	out := make([]byte, IPv4Len+len(options)+len(payload))
	PutIPv4(out, IPv4Fields{TotalLen: uint16(len(out)), Identification: 77, Fragment: IPv4DontFragment, TTL: 64, Protocol: protocol,
		Source: [4]byte{10, 1, 1, 1}, Destination: [4]byte{50, 1, 2, 1}})
	out[0] += byte(len(options) / 4)
	copy(out[IPv4Len:], options)
	copy(out[IPv4Len+len(options):], payload)
	return out
}

// decode reads a frame with gopacket and checks every checksum in it.
func decode(t *testing.T, frame []byte) gopacket.Packet {
	t.Helper()
	decoded := gopacket.NewPacket(frame, layers.LayerTypeEthernet, gopacket.Default)
	if decoded.ErrorLayer() != nil {
		t.Fatal(decoded.ErrorLayer().Error())
	}
	if tcp, ok := decoded.TransportLayer().(*layers.TCP); ok {
		if err := tcp.SetNetworkLayerForChecksum(decoded.NetworkLayer()); err != nil {
			t.Fatal(err)
		}
	}
	if err, mismatches := decoded.VerifyChecksums(); err != nil || len(mismatches) != 0 {
		t.Errorf("checksums: %v %+v", err, mismatches)
	}
	ethernet := decoded.LinkLayer().(*layers.Ethernet)
	if !bytes.Equal(ethernet.DstMAC, nic[:]) || !bytes.Equal(ethernet.SrcMAC, model.RouterMAC[:]) {
		t.Errorf("Ethernet %s → %s", ethernet.SrcMAC, ethernet.DstMAC)
	}
	ip := decoded.NetworkLayer().(*layers.IPv4)
	if ip.SrcIP.String() != "50.1.2.1" || ip.DstIP.String() != "10.1.1.1" || ip.TTL != 64 || ip.Id != 0 || ip.TOS != 0 ||
		ip.Flags != layers.IPv4DontFragment || ip.IHL != 5 {
		t.Errorf("IPv4 header %+v", ip)
	}
	return decoded
}

func TestResetFrame(t *testing.T) {
	tests := []struct {
		name             string
		flags            uint8
		data             int
		wantSeq, wantAck uint32
		wantACKFlag      bool
	}{
		{"SYN", TCPSyn, 0, 0, 1001, true},
		{"SYN with data", TCPSyn, 5, 0, 1006, true},
		{"FIN with data", TCPFin, 5, 0, 1006, true},
		{"SYN FIN", TCPSyn | TCPFin, 0, 0, 1002, true},
		{"nothing", 0, 3, 0, 1003, true},
		{"ACK", TCPAck, 9, 5000, 0, false},
		{"SYN ACK", TCPAck | TCPSyn, 0, 5000, 0, false},
	}
	for _, test := range tests {
		t.Run("SE-3 "+test.name, func(t *testing.T) {
			tcp := make([]byte, 24+test.data)
			binary.BigEndian.PutUint16(tcp, 40000)
			binary.BigEndian.PutUint16(tcp[2:], 443)
			binary.BigEndian.PutUint32(tcp[4:], 1000)
			binary.BigEndian.PutUint32(tcp[8:], 5000)
			tcp[12], tcp[13] = 6<<4, test.flags
			out := bytes.Repeat([]byte{0xee}, 100)
			frame := ResetFrame(out, vmPacket(model.ProtocolTCP, []byte{1, 1, 1, 0}, tcp), nic)
			if len(frame) != 54 || out[54] != 0xee {
				t.Fatalf("%d bytes, then %#x", len(frame), out[54])
			}
			reply := decode(t, frame).TransportLayer().(*layers.TCP)
			if reply.SrcPort != 443 || reply.DstPort != 40000 || reply.Seq != test.wantSeq || reply.Ack != test.wantAck ||
				!reply.RST || reply.ACK != test.wantACKFlag || reply.SYN || reply.FIN || reply.Window != 0 || len(reply.Options) != 0 {
				t.Errorf("got %+v", reply)
			}
		})
	}
}

func TestFragmentationNeededFrame(t *testing.T) {
	payload := []byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}
	for name, options := range map[string][]byte{"item 2": nil, "item 2, with options": {7, 7, 4, 0, 0, 0, 0, 0}} {
		t.Run(name, func(t *testing.T) {
			about := vmPacket(model.ProtocolUDP, options, payload)
			out := bytes.Repeat([]byte{0xee}, 100)
			frame := FragmentationNeededFrame(out, about, 1430, nic)
			if len(frame) != 70 || out[70] != 0xee {
				t.Fatalf("%d bytes, then %#x", len(frame), out[70])
			}
			message := decode(t, frame).Layer(layers.LayerTypeICMPv4).(*layers.ICMPv4)
			if message.TypeCode.Type() != 3 || message.TypeCode.Code() != 4 || message.Id != 0 || message.Seq != 1430 {
				t.Errorf("got %+v", message)
			}
			want := append(bytes.Clone(about[:20]), payload[:8]...)
			want[0] = 0x45
			if !bytes.Equal(message.Payload, want) {
				t.Errorf("quoted %x\nwant   %x", message.Payload, want)
			}
			if again := FragmentationNeededFrame(make([]byte, 70), about[:20+len(options)+8], 1430, nic); !bytes.Equal(again, frame) {
				t.Errorf("about the same packet, cut: %x", again)
			}
			if FragmentationNeeded(make([]byte, 70), about[:20+len(options)+7], 1430) != nil {
				t.Error("wrote about a packet whose first 8 bytes are not there")
			}
		})
	}
}

func TestRepliesDoNotAllocate(t *testing.T) {
	out := make([]byte, 100)
	tcp := vmPacket(model.ProtocolTCP, nil, segment(TCPSyn, 2, 4, 0xff, 0xff))
	if n := testing.AllocsPerRun(100, func() {
		ResetFrame(out, tcp, nic)
		FragmentationNeededFrame(out, tcp, 1400, nic)
		ClampMSS(tcp.Payload(), 1200)
		UnexpiredSourceRoute(tcp.Options())
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

package translate

import (
	"bytes"
	"net/netip"
	"testing"

	"postern/model"
)

// Published vectors: bytes that other people's translators gave.
func TestVectors(t *testing.T) {
	const (
		dashVM, dashService = "fd00:108:0:d204:0:200:a01:101", "2603:10e1:100:2::3201:201"
		jool                = "2001:db8:1c6:3364:2::"
		joolDestination     = "2001:db8:1c0:2:21::"
	)
	tests := []struct {
		name                string
		source, destination string
		in, out             string
	}{
		{"SONiC-DASH service tunnel, TCP SYN", dashVM, dashService,
			"4500002c000040004006fbc80a01010132010201df7c005000000001000000006002faf07e640000020405b4",
			"6000000000180640fd0001080000d204000002000a010101260310e1010000020000000032010201df7c005000000001000000006002faf074700000020405b4"},
		{"SONiC-DASH service tunnel, ICMP echo", dashVM, dashService,
			"45000024000040004001fbd50a0101013201020108005435123400016162636465666768",
			"6000000000103a40fd0001080000d204000002000a010101260310e1010000020000000032010201800092f2123400016162636465666768"},
		// Jool decrements the TTL, as a router does: its vector has hop limit 3f for a TTL of 40. We are no hop and keep
		// 40, so byte 7 differs from the published vector; the checksum does not cover it.
		{"item 6: Jool eat1 to ebe1, UDP without checksum, hop limit 40 for 3f", jool, joolDestination,
			"450000200000400040114e76c6336402c000022107d00fa0000c000000010203",
			"60000000000c114020010db801c63364000200000000000020010db801c00002002100000000000007d00fa0000c53e100010203"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			packet := fromHex(t, test.in)
			allRight(t, packet[:20], 1) // the header: a slip of the pen in the vector would show here
			out := make([]byte, len(packet)+Growth)
			got, reason := To6(out, packet, netip.MustParseAddr(test.source).As16(), netip.MustParseAddr(test.destination).As16())
			if want := fromHex(t, test.out); reason != model.ReasonNone || !bytes.Equal(got, want) {
				t.Errorf("%s\ngot  %x\nwant %x", reason, got, want)
			}
			allRight(t, got, 1)

			// And back, where everything but DF (item 4) and the UDP checksum that was not there must be as it was.
			back, reason := To4(make([]byte, len(got)), got, [4]byte(packet[12:16]), [4]byte(packet[16:20]))
			if reason != model.ReasonNone {
				t.Fatal(reason)
			}
			allRight(t, back, 2)
			if packet[9] == byte(model.ProtocolUDP) {
				copy(back[26:28], packet[26:28])
			}
			if want := mangle(packet, 6, 0); !bytes.Equal(back, want) {
				t.Errorf("back\ngot  %x\nwant %x", back, want)
			}
		})
	}
}

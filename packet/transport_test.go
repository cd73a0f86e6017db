package packet

import (
	"bytes"
	"encoding/binary"
	"testing"

	"pgregory.net/rapid"

	"postern/model"
)

// segment is a TCP header with flags, options (padded to a multiple of 4 with zeros) and a data byte, and a checksum that
// is right under an empty pseudo-header.
func segment(flags uint8, options ...byte) []byte {
	for len(options)%4 != 0 {
		options = append(options, 0)
	}
	tcp := make([]byte, TCPLen, TCPLen+len(options)+1)
	tcp[12], tcp[13] = byte(TCPLen+len(options))/4<<4, flags
	tcp = append(append(tcp, options...), 0xda)
	binary.BigEndian.PutUint16(tcp[TCPChecksumOffset:], Checksum(Add(PseudoHeader(nil, model.ProtocolTCP, len(tcp)), tcp)))
	return tcp
}

func TestClampMSS(t *testing.T) {
	tests := []struct {
		name    string
		flags   uint8
		options []byte
		want    []byte // nil: unchanged
	}{
		{"item 2: SYN above", TCPSyn, []byte{2, 4, 0x05, 0xb4}, []byte{2, 4, 0x05, 0x78}},
		{"SYN ACK above", TCPSyn | TCPAck, []byte{2, 4, 0x05, 0xb4}, []byte{2, 4, 0x05, 0x78}},
		{"equal", TCPSyn, []byte{2, 4, 0x05, 0x78}, nil},
		{"below", TCPSyn, []byte{2, 4, 0x05, 0x77}, nil},
		{"no SYN", TCPAck, []byte{2, 4, 0x05, 0xb4}, nil},
		{"no options", TCPSyn, nil, nil},
		{"behind others, at an even offset", TCPSyn, []byte{1, 1, 2, 4, 0xff, 0xff}, []byte{1, 1, 2, 4, 0x05, 0x78}},
		{"at an odd offset", TCPSyn, []byte{1, 2, 4, 0x05, 0xb4}, []byte{1, 2, 4, 0x05, 0x78}},
		{"behind timestamps", TCPSyn, []byte{8, 10, 1, 2, 3, 4, 0, 0, 0, 0, 2, 4, 9, 9}, []byte{8, 10, 1, 2, 3, 4, 0, 0, 0, 0, 2, 4, 5, 0x78}},
		{"twice", TCPSyn, []byte{2, 4, 9, 9, 2, 4, 8, 8}, []byte{2, 4, 5, 0x78, 2, 4, 5, 0x78}},
		{"behind the end of options", TCPSyn, []byte{0, 2, 4, 9, 9}, nil},
		{"behind a length of 0", TCPSyn, []byte{8, 0, 2, 4, 9, 9}, nil},
		{"behind a length of 1", TCPSyn, []byte{8, 1, 2, 4, 9, 9}, nil},
		{"behind a length beyond the header", TCPSyn, []byte{8, 9, 2, 4, 9, 9}, nil},
		{"cut off behind its length", TCPSyn, []byte{1, 1, 2, 4}, nil},
		{"cut off behind its kind", TCPSyn, []byte{1, 1, 1, 2}, nil},
		{"of another length", TCPSyn, []byte{2, 3, 9, 2, 4, 9, 9}, []byte{2, 3, 9, 2, 4, 5, 0x78}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			tcp := segment(test.flags, test.options...)
			want := tcp
			if test.want != nil {
				want = segment(test.flags, test.want...)
			}
			want = bytes.Clone(want)
			if changed := ClampMSS(tcp, 1400); changed != (test.want != nil) {
				t.Errorf("changed: %v", changed)
			}
			if !bytes.Equal(tcp, want) {
				t.Errorf("got  %x\nwant %x", tcp, want)
			}
		})
	}
}

func TestClampMSSKeepsAWrongChecksumWrong(t *testing.T) {
	tcp := segment(TCPSyn, 2, 4, 0x05, 0xb4)
	tcp[TCPChecksumOffset]++
	ClampMSS(tcp, 1000)
	if Checksum(Add(PseudoHeader(nil, model.ProtocolTCP, len(tcp)), tcp)) == 0 {
		t.Error("the checksum was repaired")
	}
}

func FuzzClampMSS(f *testing.F) {
	f.Add(segment(TCPSyn, 1, 2, 4, 0xff, 0xff), uint16(1400))
	f.Add(segment(TCPSyn|TCPAck, 8, 0, 2, 4, 9, 9), uint16(0))
	f.Add([]byte{1, 2, 3}, uint16(1))
	f.Fuzz(func(t *testing.T, tcp []byte, limit uint16) {
		before := Checksum(Add(0, tcp))
		original := bytes.Clone(tcp)
		changed := ClampMSS(tcp, limit)
		if changed == bytes.Equal(original, tcp) {
			// A value and the checksum cannot both stay: the clamped value is lower.
			t.Fatalf("says changed %v: %x → %x", changed, original, tcp)
		}
		if len(tcp) >= TCPLen && !bytes.Equal(original[:TCPChecksumOffset], tcp[:TCPChecksumOffset]) {
			t.Fatal("the fixed header was changed")
		}
		if after := Checksum(Add(0, tcp)); after%0xffff != before%0xffff {
			t.Fatalf("sum over all was %#04x, is %#04x", before, after)
		}
	})
}

func TestUnexpiredSourceRoute(t *testing.T) {
	tests := []struct {
		name    string
		options []byte
		want    bool
	}{
		{"none", nil, false},
		{"no operation and end", []byte{1, 1, 0, 0}, false},
		{"item 1: loose, unexpired", []byte{131, 7, 4, 10, 0, 0, 1, 0}, true},
		{"item 1: strict, unexpired", []byte{1, 137, 7, 4, 10, 0, 0, 1}, true},
		{"loose, expired", []byte{131, 7, 8, 10, 0, 0, 1, 0}, false},
		{"pointer at its last byte", []byte{131, 7, 7, 10, 0, 0, 1, 0}, true},
		{"record route", []byte{7, 7, 4, 0, 0, 0, 0, 0}, false},
		{"behind record route", []byte{7, 3, 4, 131, 3, 3, 0, 0}, true},
		{"behind the end", []byte{0, 131, 3, 3}, false},
		{"length 0", []byte{7, 0, 0, 0}, true},
		{"length 1", []byte{7, 1, 0, 0}, true},
		{"length beyond", []byte{7, 5, 0, 0}, true},
		{"no length", []byte{1, 1, 1, 7}, true},
		{"source route without pointer", []byte{131, 2, 0, 0}, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := UnexpiredSourceRoute(test.options); got != test.want {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}

func TestWalksEndOnAnyOptions(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		options := rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, "options")
		harmless := !UnexpiredSourceRoute(options)
		if harmless && len(options) > 0 && (options[0] == 131 || options[0] == 137) && options[2] <= options[1] {
			t.Fatal("an unexpired source route in front was not seen")
		}
	})
}

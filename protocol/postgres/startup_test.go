package postgres

import (
	"bytes"
	"encoding/binary"
	"io"
	"testing"
	"testing/iotest"
)

// start is the start-up message of psql -U bob@contoso.
func start(parameters ...Parameter) []byte {
	return (&Message{Parameters: parameters}).Marshal()
}

func TestRead(t *testing.T) {
	raw := start(Parameter{"user", "bob@contoso"}, Parameter{"database", "shop"})
	t.Run("byte by byte, and no byte more", func(t *testing.T) {
		r := bytes.NewReader(append(bytes.Clone(raw), "more"...))
		m, err := Read(iotest.OneByteReader(r))
		if err != nil || m.Kind != Startup || m.Value("user") != "bob@contoso" || m.Value("database") != "shop" || r.Len() != 4 || !bytes.Equal(m.Raw(), raw) {
			t.Errorf("got %+v, %v, %d bytes left", m, err, r.Len())
		}
	})
	t.Run("requests", func(t *testing.T) {
		for _, kind := range []Kind{SSLRequest, GSSRequest} {
			if m, err := Parse(Request(kind)); err != nil || m.Kind != kind {
				t.Errorf("%d: got %+v, %v", kind, m, err)
			}
		}
		cancel := append(Request(Cancel), 0, 0, 0, 7, 1, 2, 3, 4)
		cancel[3] = 16
		if m, err := Parse(cancel); err != nil || m.Kind != Cancel {
			t.Errorf("cancel: got %+v, %v", m, err)
		}
	})
	t.Run("a newer minor version is kept", func(t *testing.T) {
		newer := bytes.Clone(raw)
		newer[7] = 2
		m, err := Parse(newer)
		if err != nil || m.Minor != 2 || !bytes.Equal(m.Marshal(), newer) {
			t.Errorf("got %+v, %v", m, err)
		}
	})
	t.Run("refused", func(t *testing.T) {
		for name, bad := range map[string][]byte{
			"nothing": {}, "cut off": raw[:len(raw)-1], "HTTP": []byte("GET / HTTP/1.1\r\n\r\n"), "protocol 2": {0, 0, 0, 9, 0, 2, 0, 0, 0},
			"no end": {0, 0, 0, 12, 0, 3, 0, 0, 'u', 's', 'e', 'r'}, "name without value": {0, 0, 0, 10, 0, 3, 0, 0, 'u', 0},
			"more behind the end": {0, 0, 0, 10, 0, 3, 0, 0, 0, 0}, "SSLRequest with a body": {0, 0, 0, 9, 0x04, 0xd2, 0x16, 0x2f, 0},
			"four gigabytes": {0xff, 0xff, 0xff, 0xff, 0, 3, 0, 0},
		} {
			if m, err := Read(bytes.NewReader(bad)); err == nil {
				t.Errorf("%s: got %+v", name, m)
			}
		}
	})
}

func TestErrorResponse(t *testing.T) {
	got := ErrorResponse("28000", "no\x00 entry")
	if got[0] != 'E' || binary.BigEndian.Uint32(got[1:]) != uint32(len(got)-1) || !bytes.Equal(got[5:], []byte("SFATAL\x00VFATAL\x00C28000\x00Mno entry\x00\x00")) {
		t.Errorf("got %q", got)
	}
}

func FuzzRead(f *testing.F) {
	f.Add(start(Parameter{"user", "bob@contoso"}))
	f.Add(Request(SSLRequest))
	f.Add([]byte{0, 0, 0, 16, 4, 210, 22, 46, 0, 0, 0, 1, 0, 0, 0, 2})
	f.Fuzz(func(t *testing.T, data []byte) {
		r := bytes.NewReader(data)
		m, err := Read(r)
		if err != nil {
			return
		}
		if taken := len(data) - r.Len(); taken != len(m.Raw()) || taken > maxLength {
			t.Fatalf("took %d bytes, the message has %d", taken, len(m.Raw()))
		}
		if m.Kind == Startup && !bytes.Equal(m.Marshal(), m.Raw()) {
			t.Fatalf("%q is written as %q", m.Raw(), m.Marshal())
		}
		if _, err := io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	})
}

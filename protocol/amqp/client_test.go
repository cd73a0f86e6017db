package amqp

import (
	"bytes"
	"testing"
)

func body(t testing.TB, raw []byte) []byte {
	t.Helper()
	frame, err := ReadFrame(bytes.NewReader(raw))
	if err != nil || frame.What != PerformClose {
		t.Fatalf("got %+v, %v", frame, err)
	}
	return frame.Body
}

func TestReadClose(t *testing.T) {
	got, err := ReadClose(body(t, Close(UnauthorizedAccess, "not you")))
	if err != nil || got == nil || got.Error() != "amqp:unauthorized-access: not you" {
		t.Errorf("got %v, %v", got, err)
	}
	// As other peers write it: small lists, and no description.
	got, err = ReadClose([]byte{0xc0, 12, 1, 0, 0x53, 0x1d, 0xc0, 6, 2, 0xa3, 2, 'a', 'b', 0x40})
	if err != nil || got == nil || *got != (PeerError{Condition: "ab"}) {
		t.Errorf("got %v, %v", got, err)
	}
	for name, peaceful := range map[string][]byte{"no fields": {0x45}, "a null": {0xc0, 2, 1, 0x40}, "ours": body(t, Bye())} {
		if got, err := ReadClose(peaceful); err != nil || got != nil {
			t.Errorf("%s: got %v, %v", name, got, err)
		}
	}
	for name, bad := range map[string][]byte{"nothing": {}, "no list": {0x40}, "cut off": {0xc0, 9, 1}, "another type": {0xc0, 5, 1, 0, 0x53, 0x10, 0x45},
		"a number": {0xc0, 9, 1, 0, 0x53, 0x1d, 0xc0, 3, 1, 0x52, 1}, "a text outside": {0xc0, 10, 1, 0, 0x53, 0x1d, 0xc0, 4, 1, 0xa3, 9, 'a'}} {
		if got, err := ReadClose(bad); err == nil {
			t.Errorf("%s: got %v", name, got)
		}
	}
}

func TestBegin(t *testing.T) {
	for _, raw := range [][]byte{Begin(true), Begin(false), Init("ANONYMOUS"), OpenTo("vm", "shop.example")} {
		r := bytes.NewReader(raw)
		if frame, err := ReadFrame(r); err != nil || r.Len() != 0 {
			t.Errorf("%x: got %+v, %v", raw, frame, err)
		}
	}
}

func FuzzReadClose(f *testing.F) {
	f.Add(body(f, Close(UnauthorizedAccess, "not you")))
	f.Add([]byte{0xc0, 12, 1, 0, 0x53, 0x1d, 0xc0, 6, 2, 0xa3, 2, 'a', 'b', 0x40})
	f.Fuzz(func(t *testing.T, data []byte) {
		if got, err := ReadClose(data); err == nil && got != nil && len(got.Condition)+len(got.Description) > len(data) {
			t.Fatalf("%v out of %x", got, data)
		}
	})
}

package amqp

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
)

func TestReadHeader(t *testing.T) {
	for _, id := range []ID{Plain, SASL} {
		r := bytes.NewReader(append(Header(id), "more"...))
		if got, err := ReadHeader(r); err != nil || got != id || r.Len() != 4 {
			t.Errorf("%d: got %d, %v, %d bytes left", id, got, err, r.Len())
		}
	}
	for name, raw := range map[string]string{"0-9-1": "AMQP\x00\x00\x09\x01", "TLS inside": "AMQP\x02\x01\x00\x00", "1.0.1": "AMQP\x00\x01\x00\x01"} {
		if _, err := ReadHeader(strings.NewReader(raw)); !errors.Is(err, ErrVersion) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	for _, raw := range []string{"", "AMQP\x00\x01\x00", "GET / HT", "amqp\x00\x01\x00\x00"} {
		if id, err := ReadHeader(strings.NewReader(raw)); err == nil || errors.Is(err, ErrVersion) {
			t.Errorf("%q: got %d, %v", raw, id, err)
		}
	}
}

func TestReadFrame(t *testing.T) {
	for what, raw := range map[Performative][]byte{
		PerformOpen: Open("here"), PerformClose: Close(NotFound, "nobody"), SASLMechanism: Mechanisms("ANONYMOUS", "PLAIN"), SASLOutcome: Welcome(),
		Heartbeat: {0, 0, 0, 8, 2, 0, 0, 0},
	} {
		got, err := ReadFrame(bytes.NewReader(raw))
		if err != nil || got.What != what {
			t.Errorf("% x: got %+v, %v", raw, got, err)
		}
	}
	t.Run("a performative by its name, by eight bytes, behind an extended header", func(t *testing.T) {
		named := frame(FrameAMQP, append([]byte{0, 0xa3, 14}, "amqp:open:list\x45"...))
		long := frame(FrameAMQP, []byte{0, 0x80, 0, 0, 0, 0, 0, 0, 0, 0x10, 0x45})
		extended := []byte{0, 0, 0, 16, 3, 0, 0, 0, 9, 9, 9, 9, 0, 0x53, 0x10, 0x45}
		for _, raw := range [][]byte{named, long, extended} {
			if got, err := ReadFrame(bytes.NewReader(raw)); err != nil || got.What != PerformOpen || !bytes.Equal(got.Body, []byte{0x45}) {
				t.Errorf("% x: got %+v, %v", raw, got, err)
			}
		}
	})
	for name, raw := range map[string][]byte{
		"nothing": {}, "cut off": Open("here")[:12], "too small": {0, 0, 0, 7, 2, 0, 0, 0}, "four gigabytes": {0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0},
		"a body before the header's end": {0, 0, 0, 8, 1, 0, 0, 0}, "a body behind the end": {0, 0, 0, 8, 3, 0, 0, 0},
		"no described type": frame(FrameAMQP, []byte{0x45, 0x45, 0x45}), "a name without end": frame(FrameAMQP, []byte{0, 0xa3, 200, 'a'}),
	} {
		if got, err := ReadFrame(bytes.NewReader(raw)); err == nil {
			t.Errorf("%s: got %+v", name, got)
		}
	}
}

// No frame that is written is longer than what a peer must take before open: 512 bytes.
func TestClose(t *testing.T) {
	raw := Close(UnauthorizedAccess, strings.Repeat("ü", 1000))
	if len(raw) > 512 || !bytes.Contains(raw, []byte(UnauthorizedAccess)) {
		t.Errorf("got %d bytes: %q", len(raw), raw)
	}
}

func FuzzReadFrame(f *testing.F) {
	f.Add(Open("here"))
	f.Add(Close(NotFound, "nobody"))
	f.Add(append(Header(SASL), Welcome()...))
	f.Fuzz(func(t *testing.T, data []byte) {
		r := bytes.NewReader(data)
		if id, err := ReadHeader(r); err == nil && !bytes.Equal(Header(id), data[:8]) {
			t.Fatalf("%q is read as %d", data[:8], id)
		}
		for r = bytes.NewReader(data); ; {
			before := r.Len()
			frame, err := ReadFrame(r)
			if err != nil {
				break
			}
			if taken := before - r.Len(); taken < 8 || taken > MaxFrame || len(frame.Body) > taken-8 {
				t.Fatalf("a frame of %d bytes has a body of %d", taken, len(frame.Body))
			}
		}
		if _, err := io.Copy(io.Discard, r); err != nil {
			t.Fatal(err)
		}
	})
}

package postgres

import (
	"bytes"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

func TestReply(t *testing.T) {
	t.Run("an error, byte by byte, and no byte more", func(t *testing.T) {
		r := bytes.NewReader(append(ErrorResponse("28000", "no entry for you"), "more"...))
		reply, err := ReadReply(iotest.OneByteReader(r))
		if err != nil || r.Len() != 4 {
			t.Fatalf("got %+v, %v, %d bytes left", reply, err, r.Len())
		}
		got, err := reply.ServerError()
		if diff := cmp.Diff(&ServerError{"FATAL", "28000", "no entry for you"}, got); err != nil || diff != "" {
			t.Errorf("%v %s", err, diff)
		}
		if got.Error() != "FATAL:  no entry for you" {
			t.Errorf("it says %q", got)
		}
	})
	t.Run("a parameter, there and back", func(t *testing.T) {
		sent := Reply{TypeParameterStatus, []byte("server_version\x0015.14\x00")}
		reply, err := ReadReply(bytes.NewReader(sent.Marshal()))
		if err != nil || !cmp.Equal(reply, sent) {
			t.Fatalf("got %+v, %v", reply, err)
		}
		if got, err := reply.Parameter(); err != nil || got != (Parameter{"server_version", "15.14"}) {
			t.Errorf("got %+v, %v", got, err)
		}
	})
	t.Run("refused", func(t *testing.T) {
		for name, bad := range map[string][]byte{"nothing": {}, "too short": {'E', 0, 0, 0, 3}, "too long": {'E', 0xff, 0, 0, 0}, "cut off": {'E', 0, 0, 0, 9, 'S'}} {
			if reply, err := ReadReply(bytes.NewReader(bad)); err == nil {
				t.Errorf("%s: got %+v", name, reply)
			}
		}
		for name, bad := range map[string]Reply{"no end": {TypeError, []byte("SFATAL\x00")}, "another type": {TypeReadyForQuery, []byte{0}}, "empty": {TypeError, nil}} {
			if got, err := bad.ServerError(); err == nil {
				t.Errorf("%s: got %+v", name, got)
			}
			if got, err := bad.Parameter(); err == nil {
				t.Errorf("%s: got %+v", name, got)
			}
		}
	})
}

func FuzzReadReply(f *testing.F) {
	f.Add(ErrorResponse("28000", "no"))
	f.Add(Reply{TypeParameterStatus, []byte("a\x00b\x00")}.Marshal())
	f.Fuzz(func(t *testing.T, data []byte) {
		r := bytes.NewReader(data)
		reply, err := ReadReply(r)
		if err != nil {
			return
		}
		if raw := reply.Marshal(); !bytes.Equal(raw, data[:len(data)-r.Len()]) {
			t.Fatalf("read %x as %+v", data, reply)
		}
		if e, err := reply.ServerError(); err == nil && len(e.Text) > len(reply.Body) {
			t.Fatalf("the text is longer than its message")
		}
		_, _ = reply.Parameter()
	})
}

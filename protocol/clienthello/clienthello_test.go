package clienthello

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

// recorded is what Go's own client sends first.
func recorded(t testing.TB, config *tls.Config) []byte {
	t.Helper()
	near, far := net.Pipe()
	defer near.Close()
	if err := far.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	go func() { _ = tls.Client(near, config).Handshake() }()
	_, raw, err := Read(far)
	if err != nil {
		t.Fatal(err)
	}
	far.Close()
	return raw
}

func TestRead(t *testing.T) {
	raw := recorded(t, &tls.Config{ServerName: "redis.services.internal", NextProtos: []string{"h2", "http/1.1"}})
	want := Hello{ServerName: "redis.services.internal", ALPN: []string{"h2", "http/1.1"}}
	t.Run("a real client", func(t *testing.T) {
		hello, again, err := Read(io.MultiReader(bytes.NewReader(raw), bytes.NewReader([]byte("more"))))
		if err != nil || !reflect.DeepEqual(hello, want) || !bytes.Equal(again, raw) {
			t.Errorf("got %+v, %d bytes, %v; want %+v, %d bytes", hello, len(again), err, want, len(raw))
		}
	})
	t.Run("byte by byte", func(t *testing.T) {
		hello, again, err := Read(iotest.OneByteReader(bytes.NewReader(raw)))
		if err != nil || !reflect.DeepEqual(hello, want) || !bytes.Equal(again, raw) {
			t.Errorf("got %+v, %v", hello, err)
		}
	})
	t.Run("in records of one byte", func(t *testing.T) {
		var pieces []byte
		for _, b := range raw[5:] {
			pieces = append(pieces, 22, 3, 1, 0, 1, b)
		}
		hello, again, err := Read(bytes.NewReader(pieces))
		if err != nil || !reflect.DeepEqual(hello, want) || !bytes.Equal(again, pieces) {
			t.Errorf("got %+v, %v", hello, err)
		}
	})
	t.Run("no server name", func(t *testing.T) {
		hello, _, err := Read(bytes.NewReader(recorded(t, &tls.Config{InsecureSkipVerify: true})))
		if err != nil || hello.ServerName != "" {
			t.Errorf("got %+v, %v", hello, err)
		}
	})
	t.Run("garbage", func(t *testing.T) {
		for _, text := range []string{"GET / HTTP/1.1\r\n", "\x16\x02\x01\x00\x05", "\x16\x03\x01\x00\x01\x02", "\x80\x2e\x01\x03\x01"} {
			if _, _, err := Read(bytes.NewReader([]byte(text))); !errors.Is(err, ErrNotTLS) {
				t.Errorf("%q: got %v", text, err)
			}
		}
	})
	t.Run("cut off", func(t *testing.T) {
		for n := range raw {
			if _, got, err := Read(bytes.NewReader(raw[:n])); err == nil || len(got) != n {
				t.Fatalf("%d bytes: got %d, %v", n, len(got), err)
			}
		}
	})
	t.Run("endless", func(t *testing.T) {
		record := append([]byte{22, 3, 1, 0x40, 0}, bytes.Repeat([]byte{1}, 16<<10)...)
		endless := bytes.Repeat(record, 8)
		if _, got, err := Read(bytes.NewReader(endless)); err == nil || len(got) > maxMessage+maxRecord {
			t.Errorf("got %d bytes, %v", len(got), err)
		}
	})
}

// body makes the body of a ClientHello with extensions.
func body(extensions ...[]byte) []byte {
	b := append([]byte{3, 3}, make([]byte, 32)...)
	b = append(b, 0, 0, 2, 0x13, 1, 1, 0)
	all := bytes.Join(extensions, nil)
	return append(append(b, byte(len(all)>>8), byte(len(all))), all...)
}

func TestParse(t *testing.T) {
	name := []byte{0, 0, 0, 6, 0, 4, 0, 0, 1, 'a'}
	hidden := []byte{0xfe, 0x0d, 0, 1, 1}
	for _, test := range []struct {
		name string
		body []byte
		want Hello
		bad  bool
	}{
		{"a name", body(name), Hello{ServerName: "a"}, false},
		{"an encrypted one behind it", body(name, hidden), Hello{ServerName: "a", Encrypted: true}, false},
		{"no extensions", append(append([]byte{3, 3}, make([]byte, 32)...), 0, 0, 2, 0x13, 1, 1, 0), Hello{}, false},
		{"an extension twice", body(name, name), Hello{}, true},
		{"two names", body([]byte{0, 0, 0, 10, 0, 8, 0, 0, 1, 'a', 0, 0, 1, 'b'}), Hello{}, true},
		{"more behind the extensions", append(body(name), 0), Hello{}, true},
		{"a length behind the end", body(name[:9]), Hello{}, true},
		{"nothing", nil, Hello{}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := Parse(test.body)
			if (err != nil) != test.bad || !test.bad && !reflect.DeepEqual(got, test.want) {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
}

// The alerts are what Go's client understands.
func TestAlerts(t *testing.T) {
	near, far := net.Pipe()
	go func() {
		_, _, _ = Read(far)
		_, _ = far.Write(AccessDenied)
		far.Close()
	}()
	err := tls.Client(near, &tls.Config{ServerName: "a"}).Handshake()
	if err == nil || !strings.Contains(err.Error(), "access denied") {
		t.Errorf("got %v, want access denied", err)
	}
}

// FuzzRead: what is taken was read wholly and nothing beside it, and reads the same again.
func FuzzRead(f *testing.F) {
	f.Add(recorded(f, &tls.Config{ServerName: "redis.services.internal"}))
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"))
	f.Add([]byte{22, 3, 1, 0, 4, 1, 0, 0, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		hello, raw, err := Read(bytes.NewReader(data))
		if !bytes.HasPrefix(data, raw) {
			t.Fatal("raw is not what was read")
		}
		if err != nil {
			return
		}
		again, all, err := Read(iotest.OneByteReader(bytes.NewReader(raw)))
		if err != nil || !reflect.DeepEqual(again, hello) || !bytes.Equal(all, raw) {
			t.Fatalf("got %+v, then %+v, %v", hello, again, err)
		}
	})
}

package tds

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"postern/certificate"
)

func TestRead(t *testing.T) {
	one := Packet(PreLogin, MarshalPreLogin(EncryptionRequired))
	two := slices.Concat([]byte{0x12, 0, 0, 9, 0, 0, 1, 0, 'a'}, []byte{0x12, 1, 0, 10, 0, 0, 2, 0, 'b', 'c'})
	t.Run("one packet, byte by byte, and no byte more", func(t *testing.T) {
		r := bytes.NewReader(append(bytes.Clone(one), "more"...))
		m, err := Read(iotest.OneByteReader(r), PreLogin)
		if err != nil || !bytes.Equal(m.Raw, one) || r.Len() != 4 {
			t.Fatalf("got %+v, %v", m, err)
		}
		if got, err := ReadPreLogin(m.Content); err != nil || got != EncryptionRequired {
			t.Errorf("got %d, %v", got, err)
		}
	})
	t.Run("several packets", func(t *testing.T) {
		if m, err := Read(bytes.NewReader(two), PreLogin); err != nil || string(m.Content) != "abc" || !bytes.Equal(m.Raw, two) {
			t.Errorf("got %+v, %v", m, err)
		}
	})
	t.Run("refused", func(t *testing.T) {
		endless := bytes.Repeat(slices.Concat([]byte{0x12, 0, 0x7f, 0xff, 0, 0, 1, 0}, make([]byte, 0x7fff-8)), 8)
		for name, bad := range map[string][]byte{"nothing": {}, "HTTP": []byte("GET / HTTP/1.1\r\n"), "a login first": {0x10, 1, 0, 9, 0, 0, 1, 0, 0},
			"cut off": one[:len(one)-1], "empty packets": {0x12, 0, 0, 8, 0, 0, 1, 0}, "endless": endless} {
			if m, err := Read(bytes.NewReader(bad), PreLogin); err == nil {
				t.Errorf("%s: got %d bytes", name, len(m.Raw))
			}
		}
		if _, err := Read(strings.NewReader("GET"), PreLogin); !errors.Is(err, ErrNotTDS) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("PRELOGIN", func(t *testing.T) {
		if got, err := ReadPreLogin([]byte{0, 0, 6, 0, 0, 0xff}); err != nil || got != EncryptionOff {
			t.Errorf("silent: got %d, %v", got, err)
		}
		for _, bad := range [][]byte{{}, {1, 0, 6, 0, 1}, {1, 0, 6, 0, 1, 0xff}, {1, 0, 0, 0, 2, 0xff}, {0, 0xff, 0xff, 0xff, 0xff, 0xff}} {
			if got, err := ReadPreLogin(bad); err == nil {
				t.Errorf("%x: got %d", bad, got)
			}
		}
	})
}

func TestRefusal(t *testing.T) {
	got := Refusal(Error{Number: 40914, State: 1, Class: 14, Text: "Nö", Server: "shop"})
	want := slices.Concat([]byte{4, 1, 0, 0, 0, 0, 1, 0, 0xaa, 26, 0, 0xd2, 0x9f, 0, 0, 1, 14, 2, 0, 'N', 0, 0xf6, 0, 4, 's', 0, 'h', 0, 'o', 0, 'p', 0, 0, 1, 0, 0, 0,
		0xfd, 2, 0}, make([]byte, 10))
	binary.BigEndian.PutUint16(want[2:], uint16(len(want)))
	if !bytes.Equal(got, want) {
		t.Errorf("got  %x\nwant %x", got, want)
	}
	if long := Refusal(Error{Text: strings.Repeat("x", 5000), Server: strings.Repeat("y", 500)}); len(long) > 4096 {
		t.Errorf("a long text takes %d bytes", len(long))
	}
}

// The handshake goes in packets both ways, and what follows does not.
func TestWrapped(t *testing.T) {
	authority, err := certificate.NewAuthority("test", nil, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := authority.Issue([]string{"shop.example"}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	near, far := net.Pipe()
	for _, end := range []net.Conn{near, far} {
		if err := end.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
			t.Fatal(err)
		}
		defer end.Close()
	}
	go func() {
		wrapped := Wrap(far)
		client := tls.Client(wrapped, &tls.Config{ServerName: "shop.example", RootCAs: authority.Pool(), MaxVersion: tls.VersionTLS12})
		if client.Handshake() != nil {
			return
		}
		wrapped.HandshakeDone()
		_, _ = client.Write([]byte("hello"))
	}()
	wrapped := Wrap(near)
	server := tls.Server(wrapped, &tls.Config{Certificates: []tls.Certificate{*leaf}, MaxVersion: tls.VersionTLS12, SessionTicketsDisabled: true})
	if err := server.Handshake(); err != nil {
		t.Fatal(err)
	}
	wrapped.HandshakeDone()
	got := make([]byte, 5)
	if _, err := io.ReadFull(server, got); err != nil || string(got) != "hello" {
		t.Errorf("got %q, %v", got, err)
	}
}

func FuzzRead(f *testing.F) {
	f.Add(Packet(PreLogin, MarshalPreLogin(EncryptionOn)))
	f.Add([]byte{0x12, 0, 0, 9, 0, 0, 1, 0, 'a', 0x12, 1, 0, 10, 0, 0, 2, 0, 'b', 'c'})
	f.Fuzz(func(t *testing.T, data []byte) {
		r := bytes.NewReader(data)
		m, err := Read(r, PreLogin)
		if err != nil {
			return
		}
		if taken := len(data) - r.Len(); taken != len(m.Raw) || !bytes.Equal(m.Raw, data[:taken]) || len(m.Content) >= len(m.Raw) || taken > maxMessage {
			t.Fatalf("took %d bytes, the message has %d", taken, len(m.Raw))
		}
		_, _ = ReadPreLogin(m.Content)
	})
}

package socks

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

func TestRequest(t *testing.T) {
	for _, test := range []struct {
		name, bytes, want string
		refused           reply // 0: an error without an answer, if want is ""
	}{
		{"IPv4", "\x05\x01\x00\x01\x0a\x01\x00\x04\x01\xbb", "10.1.0.4:443", 0},
		{"IPv6", "\x05\x01\x00\x04\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x50", "[2001:db8::1]:80", 0},
		{"IPv4 inside IPv6", "\x05\x01\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\x01\x02\x03\x04\x00\x50", "1.2.3.4:80", 0},
		{"name", "\x05\x01\x00\x03\x04a.io\x00\x50", "a.io:80", 0},
		{"BIND", "\x05\x02\x00\x01\x0a\x01\x00\x04\x01\xbb", "", replyCommand},
		{"UDP ASSOCIATE", "\x05\x03\x00\x01\x00\x00\x00\x00\x00\x00", "", replyCommand},
		{"address type 2", "\x05\x01\x00\x02\x0a\x01\x00\x04\x01\xbb", "", replyAddressType},
		{"empty name", "\x05\x01\x00\x03\x00\x00\x50", "", replyHostUnreachable},
		{"name with a colon", "\x05\x01\x00\x03\x03a:b\x00\x50", "", replyHostUnreachable},
		{"name with a zero byte", "\x05\x01\x00\x03\x03a\x00b\x00\x50", "", replyHostUnreachable},
		{"SOCKS4", "\x04\x01\x00\x50\x0a\x01\x00\x04\x00", "", 0},
		{"cut off", "\x05\x01\x00\x01\x0a\x01", "", 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := readRequest(strings.NewReader(test.bytes))
			if got != test.want || (err == nil) != (test.want != "") {
				t.Fatalf("read %q, %v; want %q", got, err, test.want)
			}
			var refused *requestError
			if errors.As(err, &refused) != (test.refused != 0) || refused != nil && refused.reply != test.refused {
				t.Errorf("the refusal is %v; want reply %d", err, test.refused)
			}
		})
	}
}

func FuzzGreeting(f *testing.F) {
	f.Add([]byte("\x05\x01\x00"))
	f.Add([]byte("\x05\x02\x02\x01"))
	f.Add([]byte("\x04\x01"))
	f.Fuzz(func(t *testing.T, data []byte) {
		r := bytes.NewReader(data)
		if err := readGreeting(r); err != nil {
			return
		}
		// Accepted: the bytes say SOCKS5 with the method that was chosen, and no more of them were taken.
		taken := len(data) - r.Len()
		if data[0] != 5 || taken != 2+int(data[1]) || !bytes.Contains(data[2:taken], []byte{methodNone}) {
			t.Errorf("took %d bytes of %x", taken, data)
		}
	})
}

func FuzzRequest(f *testing.F) {
	f.Add([]byte("\x05\x01\x00\x01\x0a\x01\x00\x04\x01\xbb"))
	f.Add([]byte("\x05\x01\x00\x03\x04a.io\x00\x50"))
	f.Add([]byte("\x05\x01\x00\x04\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x50"))
	f.Fuzz(func(t *testing.T, data []byte) {
		r := bytes.NewReader(data)
		address, err := readRequest(r)
		if err != nil {
			return
		}
		host, port, err := net.SplitHostPort(address)
		if err != nil || host == "" || port == "" {
			t.Errorf("%x gives %q: %v", data, address, err)
		}
		if taken := len(data) - r.Len(); taken > 4+1+255+2 {
			t.Errorf("took %d bytes", taken)
		}
	})
}

func TestServer(t *testing.T) {
	backend, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer backend.Close()
	go func() {
		for {
			conn, err := backend.Accept()
			if err != nil {
				return
			}
			go func() { defer conn.Close(); _, _ = io.Copy(conn, conn) }()
		}
	}()
	var dials atomic.Int32
	server, err := Listen(func(ctx context.Context, network, address string) (net.Conn, error) {
		dials.Add(1)
		switch address {
		case "echo.example:7":
			return (&net.Dialer{}).DialContext(ctx, network, backend.Addr().String())
		case "refused.example:7":
			return nil, &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
		case "silent.example:7":
			return nil, context.DeadlineExceeded
		}
		return nil, &net.DNSError{Err: "no such host", Name: address, IsNotFound: true}
	})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	exchange := func(t *testing.T, sent string, answer int) (net.Conn, []byte) {
		conn, err := net.Dial("tcp", server.Addr())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
		if _, err := io.WriteString(conn, sent); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, answer)
		if _, err := io.ReadFull(conn, got); err != nil {
			t.Fatalf("read the answer: %v", err)
		}
		return conn, got
	}
	name := func(host string) string {
		return "\x05\x01\x00" + "\x05\x01\x00\x03" + string([]byte{byte(len(host))}) + host + "\x00\x07"
	}
	t.Run("connect by name", func(t *testing.T) {
		conn, got := exchange(t, name("echo.example"), 2+10)
		if got[0] != 5 || got[1] != 0 || got[2] != 5 || got[3] != 0 {
			t.Fatalf("the answers are %x", got)
		}
		_, _ = io.WriteString(conn, "hello")
		_ = conn.(*net.TCPConn).CloseWrite()
		if back, err := io.ReadAll(conn); err != nil || string(back) != "hello" {
			t.Errorf("%q came back, %v", back, err)
		}
	})
	for host, want := range map[string]reply{
		"refused.example": replyRefused, "silent.example": replyTimeout, "none.example": replyHostUnreachable,
	} {
		t.Run(host, func(t *testing.T) {
			if _, got := exchange(t, name(host), 2+10); reply(got[3]) != want {
				t.Errorf("the reply is %d; want %d", got[3], want)
			}
		})
	}
	t.Run("a client that wants authentication alone", func(t *testing.T) {
		before := dials.Load()
		if _, got := exchange(t, "\x05\x01\x02", 2); got[1] != methodRefused {
			t.Errorf("the answer is %x; want that no method fits", got)
		}
		if dials.Load() != before {
			t.Error("something was dialled")
		}
	})
	t.Run("Close resets what is open", func(t *testing.T) {
		conn, _ := exchange(t, name("echo.example"), 2+10)
		if err := server.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Read(make([]byte, 1)); err == nil {
			t.Error("the connection is still open")
		}
	})
}

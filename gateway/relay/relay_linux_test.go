package relay

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience bounds what must happen at once.
const patience = 60 * time.Second

// stage is a relay between a listener and a backend.
type stage struct {
	t        *testing.T
	relay    *Relay
	listener *Listener
	backend  net.Listener
	limit    time.Duration
	await    bool // the client speaks first
}

func newStage(t *testing.T) *stage {
	t.Helper()
	s := &stage{t: t, limit: patience}
	var err error
	if s.relay, err = New(2); err != nil {
		t.Fatal(err)
	}
	front, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.listener = Listen(front).(*Listener)
	if s.backend, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.listener.Close()
		s.backend.Close()
		s.relay.Close()
	})
	return s
}

// heard is a Handler that notes what it hears, and connects as it was told.
type heard struct {
	stage  *stage
	link   *Link
	joined chan struct{}
	failed chan error
	late   chan error
	ended  chan [2]int64
}

func (h *heard) Spoke(first []byte, err error) {
	if err != nil {
		h.late <- err
		return
	}
	h.connect(bytes.Clone(first))
}

func (h *heard) connect(first []byte) {
	to := h.stage.backend.Addr().(*net.TCPAddr).AddrPort()
	if err := h.link.Connect(h, to, first, h.stage.limit); err != nil {
		h.failed <- err
	}
}

func (h *heard) Joined()                         { close(h.joined) }
func (h *heard) Unconnected(err error)           { h.failed <- err }
func (h *heard) Ended(toClient, toBackend int64) { h.ended <- [2]int64{toClient, toBackend} }

// dial connects a client, whose link begins.
func (s *stage) dial() (client *net.TCPConn, h *heard) {
	s.t.Helper()
	conn, err := net.Dial("tcp", s.listener.Addr().String())
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	h = &heard{stage: s, joined: make(chan struct{}), failed: make(chan error, 1), late: make(chan error, 1), ended: make(chan [2]int64, 2)}
	if h.link, err = s.relay.Accept(s.listener, nil); err != nil {
		s.t.Fatal(err)
	}
	if got, want := h.link.RemoteAddr().String(), conn.LocalAddr().String(); got != want {
		s.t.Errorf("the peer is %s, want %s", got, want)
	}
	if got, want := h.link.LocalAddr().String(), conn.RemoteAddr().String(); got != want {
		s.t.Errorf("the own address is %s, want %s", got, want)
	}
	if s.await {
		h.link.Await(h, s.limit)
	} else {
		h.connect(nil)
	}
	return conn.(*net.TCPConn), h
}

// accept takes the backend's end.
func (s *stage) accept() *net.TCPConn {
	s.t.Helper()
	conn, err := s.backend.Accept()
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	return conn.(*net.TCPConn)
}

func wait[T any](t *testing.T, from <-chan T, what string) (got T) {
	t.Helper()
	select {
	case got = <-from:
	case <-time.After(patience):
		t.Fatalf("%s: not within %s", what, patience)
	}
	return got
}

func say(t *testing.T, conn net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
}

func hear(t *testing.T, conn net.Conn, want string) {
	t.Helper()
	got := make([]byte, len(want))
	if _, err := io.ReadFull(conn, got); err != nil || string(got) != want {
		t.Fatalf("got %q, %v, want %q", got, err, want)
	}
}

func wantReset(t *testing.T, conn net.Conn, who string) {
	t.Helper()
	if _, err := io.Copy(io.Discard, conn); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the %s ends with %v, want a reset", who, err)
	}
}

func TestRelay(t *testing.T) {
	t.Run("an end of one direction leaves the other open", func(t *testing.T) {
		s := newStage(t)
		client, h := s.dial()
		server := s.accept()
		say(t, client, "question")
		_ = client.CloseWrite()
		if got, err := io.ReadAll(server); err != nil || string(got) != "question" {
			t.Fatalf("the server read %q, %v", got, err)
		}
		say(t, server, "an")
		hear(t, client, "an")
		say(t, server, "swer")
		_ = server.CloseWrite()
		if got, err := io.ReadAll(client); err != nil || string(got) != "swer" {
			t.Fatalf("the client read %q, %v", got, err)
		}
		if got := wait(t, h.ended, "the end"); got != [2]int64{6, 8} {
			t.Errorf("bytes %d, want 6 to the client and 8 to the backend", got)
		}
	})
	t.Run("the first bytes come first, and once", func(t *testing.T) {
		s := newStage(t)
		s.await = true
		client, h := s.dial()
		say(t, client, "hello")
		server := s.accept()
		hear(t, server, "hello")
		wait(t, h.joined, "joined")
		say(t, client, " world")
		hear(t, server, " world")
		say(t, server, "back")
		hear(t, client, "back")
		server.Close()
		client.Close()
		if got := wait(t, h.ended, "the end"); got != [2]int64{4, 11} {
			t.Errorf("bytes %d", got)
		}
	})
	t.Run("a reset of either end is passed on", func(t *testing.T) {
		for _, first := range []string{"client", "server"} {
			s := newStage(t)
			client, h := s.dial()
			server := s.accept()
			say(t, client, "x")
			hear(t, server, "x")
			one, other := client, server
			if first == "server" {
				one, other = server, client
			}
			_ = one.SetLinger(0)
			one.Close()
			wantReset(t, other, "other end of the "+first)
			wait(t, h.ended, "the end")
		}
	})
	t.Run("Reset resets both ends, once", func(t *testing.T) {
		s := newStage(t)
		client, h := s.dial()
		server := s.accept()
		say(t, client, "12345")
		hear(t, server, "12345")
		_ = h.link.Reset()
		_ = h.link.Close()
		wantReset(t, client, "client")
		wantReset(t, server, "server")
		if got := wait(t, h.ended, "the end"); got != [2]int64{0, 5} {
			t.Errorf("bytes %d", got)
		}
		s.relay.Close()
		if len(h.ended) > 0 {
			t.Error("it ended twice")
		}
	})
	t.Run("a client that says nothing in time", func(t *testing.T) {
		s := newStage(t)
		s.await, s.limit = true, 10*time.Millisecond
		client, h := s.dial()
		if err := wait(t, h.late, "late"); !errors.Is(err, ErrLate) {
			t.Errorf("got %v", err)
		}
		if _, err := h.link.Write([]byte("no")); err != nil {
			t.Error(err)
		}
		h.link.Close()
		if got, err := io.ReadAll(client); string(got) != "no" || err != nil {
			t.Errorf("got %q, %v", got, err)
		}
	})
	t.Run("a client that ends before it says anything", func(t *testing.T) {
		s := newStage(t)
		s.await = true
		client, h := s.dial()
		_ = client.CloseWrite()
		if err := wait(t, h.late, "its end"); !errors.Is(err, ErrEnded) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("a backend that refuses, and the client goes on as an ordinary connection", func(t *testing.T) {
		s := newStage(t)
		s.await = true
		s.backend.Close()
		client, h := s.dial()
		say(t, client, "abc")
		if err := wait(t, h.failed, "refused"); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("got %v", err)
		}
		conn, err := h.link.Leave([]byte("abc"))
		if err != nil {
			t.Fatal(err)
		}
		say(t, client, "def")
		hear(t, conn, "abcdef")
		say(t, h.link, "yes")
		hear(t, client, "yes")
		_ = h.link.Reset()
		wantReset(t, client, "client")
	})
}

func TestCloseOfListener(t *testing.T) {
	s := newStage(t)
	ended := make(chan error, 1)
	go func() {
		_, err := s.relay.Accept(s.listener, nil)
		ended <- err
	}()
	s.listener.Close()
	if err := wait(t, ended, "Accept"); !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v", err)
	}
}

// TestStreams sends much in both directions at once, to readers that pause: all must arrive in order, and what nobody
// reads must be held back.
func TestStreams(t *testing.T) {
	s := newStage(t)
	const connections, size = 4, 16 << 20
	noise := make([]byte, 1<<20)
	for i := range noise {
		noise[i] = byte(rand.Uint32())
	}
	var work sync.WaitGroup
	for range connections {
		client, h := s.dial()
		server := s.accept()
		for _, pair := range [][2]*net.TCPConn{{client, server}, {server, client}} {
			sum := make(chan [32]byte, 1)
			work.Go(func() { // some writes are small, some are not
				source, random := sha256.New(), rand.New(rand.NewPCG(rand.Uint64(), 2))
				for left := size; left > 0; {
					piece := noise[random.IntN(len(noise)-100<<10):]
					piece = piece[:min(left, 1+random.IntN(100<<10))]
					if _, err := pair[0].Write(piece); err != nil {
						t.Error(err)
						break
					}
					source.Write(piece)
					left -= len(piece)
				}
				_ = pair[0].CloseWrite()
				sum <- [32]byte(source.Sum(nil))
			})
			work.Go(func() {
				got := sha256.New()
				n, err := io.CopyBuffer(struct{ io.Writer }{got}, struct{ io.Reader }{pair[1]}, make([]byte, 20_001))
				if err != nil || n != size || [32]byte(got.Sum(nil)) != <-sum {
					t.Errorf("%d bytes, %v; or they differ", n, err)
				}
			})
		}
		work.Go(func() {
			if got := wait(t, h.ended, "the end"); got != [2]int64{size, size} {
				t.Errorf("bytes %d", got)
			}
		})
	}
	work.Wait()
}

func TestWhatNobodyReadsIsHeldBack(t *testing.T) {
	s := newStage(t)
	client, h := s.dial()
	server := s.accept()
	sent, buffer := 0, make([]byte, 1<<20)
	for { // until it takes no more for a while
		_ = client.SetWriteDeadline(time.Now().Add(500 * time.Millisecond))
		n, err := client.Write(buffer)
		if sent += n; errors.Is(err, os.ErrDeadlineExceeded) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if sent > 256<<20 {
			t.Fatalf("%d bytes were taken, and nobody reads them", sent)
		}
	}
	_ = client.CloseWrite()
	if n, err := io.Copy(io.Discard, server); err != nil || n != int64(sent) {
		t.Errorf("%d of %d bytes, %v", n, sent, err)
	}
	server.Close()
	wait(t, h.ended, "the end")
}

// TestIdle: connections that say nothing hold two descriptors each, after they have carried much, too.
func TestIdle(t *testing.T) {
	descriptors := func() int {
		entries, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	s := newStage(t)
	const connections = 50
	before := descriptors()
	for range connections {
		client, _ := s.dial()
		server := s.accept()
		go func() { _, _ = client.Write(make([]byte, 256<<10)) }()
		if _, err := io.CopyN(io.Discard, server, 256<<10); err != nil {
			t.Fatal(err)
		}
	}
	// Two of the relay's, one of the client and one of the server, and a few pipes for the next stream.
	if grown := descriptors() - before; grown > 4*connections+2*2*idlePipes {
		t.Errorf("%d descriptors for %d connections", grown, connections)
	}
}

func TestAddresses(t *testing.T) {
	for _, text := range []string{"192.0.2.1:80", "[2001:db8::1]:443"} {
		want := netip.MustParseAddrPort(text)
		var bytes [28]byte
		putAddress(bytes[:], want)
		if got := getAddress(bytes[:]); got != want {
			t.Errorf("%s became %s", want, got)
		}
	}
}

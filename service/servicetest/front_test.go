package servicetest_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"postern/certificate"
	"postern/firewall"
	"postern/gateway"
	"postern/model"
	"postern/plan"
)

// patience bounds what a busy machine may take for anything here.
const patience = 60 * time.Second

// front is a gateway that runs by a world's plans, on loopback; its connections claim the addresses that they would have.
type front struct {
	*gateway.Gateway
	t    testing.TB
	log  *gateway.AccessLog
	pool *x509.CertPool // trusts the certificates of all names

	mu     sync.Mutex
	buffer bytes.Buffer
	dials  func(ctx context.Context, address string) error // asked before each dial; nil: nobody is
}

func (f *front) Write(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.buffer.Write(p)
}

func newFront(t testing.TB) *front {
	t.Helper()
	authority, err := certificate.NewAuthority("conformance", nil, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	f := &front{t: t, pool: authority.Pool()}
	f.log = gateway.NewAccessLog(f, 0)
	f.Gateway, err = gateway.New(gateway.Config{AccessLog: f.log, Logger: slog.New(slog.DiscardHandler),
		HeaderTimeout: patience, StallTimeout: patience,
		GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			return authority.Issue([]string{hello.ServerName}, time.Now())
		},
		Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			f.mu.Lock()
			asked := f.dials
			f.mu.Unlock()
			if asked != nil {
				if err := asked(ctx, address); err != nil {
					return nil, err
				}
			}
			return new(net.Dialer).DialContext(ctx, network, address)
		},
		// The token of a resource is its id: who signs it is told elsewhere (ID-2).
		Tokens: func(raw string, audiences []string) (firewall.Managed, error) {
			if len(audiences) == 0 {
				return firewall.Managed{}, errors.New("the service names no audience")
			}
			return firewall.Managed{Tenant: tenant, Resource: model.ResourceID(raw)}, nil
		}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := errors.Join(f.Close(), f.log.Close(ctx)); err != nil {
			t.Error(err)
		}
	})
	return f
}

// apply puts a world's plan in force.
func (f *front) apply(node plan.Node) {
	f.t.Helper()
	if err := f.Apply(node); err != nil {
		f.t.Fatal(err)
	}
}

// claimed is a connection with the addresses that it would have in a cloud.
type claimed struct {
	*net.TCPConn
	local, peer netip.AddrPort
}

func (c claimed) LocalAddr() net.Addr  { return net.TCPAddrFromAddrPort(c.local) }
func (c claimed) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(c.peer) }

// one is a listener with one connection to give.
type one struct {
	conn chan net.Conn
	done chan struct{}
	once sync.Once
}

func (l *one) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conn:
		return conn, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}
func (l *one) Close() error   { l.once.Do(func() { close(l.done) }); return nil }
func (l *one) Addr() net.Addr { return &net.TCPAddr{} }

// connect is a connection of a caller to a port of an instance.
func (f *front) connect(w *world, s *subject, from caller, port uint16) *net.TCPConn {
	f.t.Helper()
	near, far := loopback(f.t)
	local, peer := w.addresses(s, from, port)
	// The real port parts the callers in the log.
	peer = netip.AddrPortFrom(peer.Addr(), near.LocalAddr().(*net.TCPAddr).AddrPort().Port())
	listener := &one{conn: make(chan net.Conn, 1), done: make(chan struct{})}
	listener.conn <- claimed{far, local, peer}
	go func() { _ = f.Serve(listener, port) }()
	f.t.Cleanup(func() { listener.Close() })
	return near
}

// loopback is the two ends of a connection of TCP.
func loopback(t testing.TB) (near, far *net.TCPConn) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	conn, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	accepted, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	return conn.(*net.TCPConn), accepted.(*net.TCPConn)
}

// lines waits for the log to have count lines of one caller's port, and answers them.
func (f *front) lines(of *net.TCPConn, count int) []gateway.Entry {
	f.t.Helper()
	port := of.LocalAddr().(*net.TCPAddr).AddrPort().Port()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		if err := f.log.Sync(ctx); err != nil {
			f.t.Fatal(err)
		}
		f.mu.Lock()
		entries, err := gateway.ReadLog(bytes.NewReader(f.buffer.Bytes()))
		f.mu.Unlock()
		if err != nil {
			f.t.Fatal(err)
		}
		var own []gateway.Entry
		for _, entry := range entries {
			if from, err := netip.ParseAddrPort(entry.CallerIPAddress); err == nil && from.Port() == port {
				own = append(own, entry)
			}
		}
		if len(own) >= count {
			return own
		}
		select {
		case <-ctx.Done():
			f.t.Fatalf("the log has %d lines of the caller, want %d: %+v", len(own), count, own)
		case <-time.After(time.Millisecond): // between looks; the deadline decides
		}
	}
}

// server is a backend of any protocol: it says "welcome" to whoever comes, as HTTP to who asks in HTTP, and keeps what it
// accepted.
type server struct {
	listener net.Listener
	accepted chan *net.TCPConn
}

const welcome = "welcome"

func newServer(t testing.TB, way model.Way) *server {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &server{listener, make(chan *net.TCPConn, 64)}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_ = conn.SetDeadline(time.Now().Add(patience))
			b.accepted <- conn.(*net.TCPConn)
			go answerAs(conn, way)
		}
	}()
	return b
}

// answerAs speaks for a backend. It leaves the connection open.
func answerAs(conn net.Conn, way model.Way) {
	if way == model.WayHTTP || way == model.WayHTTPS {
		if readHeader(conn) == nil { // the answer has no end: the request stays under way
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"+welcome+strings.Repeat(".", 64<<10))
		}
		return
	}
	_, _ = io.WriteString(conn, welcome)
}

// readHeader reads up to an empty line, and not a byte more.
func readHeader(conn net.Conn) error {
	var last [4]byte
	for string(last[:]) != "\r\n\r\n" {
		copy(last[:], last[1:])
		if _, err := io.ReadFull(conn, last[3:]); err != nil {
			return err
		}
	}
	return nil
}

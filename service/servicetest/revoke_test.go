package servicetest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"testing"
	"time"

	"postern/gateway"
	"postern/model"
	"postern/protocol/postgres"
)

// taken are the three things that can be taken away from a subnet that was let in.
var taken = []struct {
	what string
	take func(w *world, s *subject)
}{
	{"a rule", func(w *world, s *subject) { w.write(s, rules{}) }},
	{"an endpoint", func(w *world, s *subject) { w.put(w.subnet(s, "app", false)) }},
	{"a place in a policy", func(w *world, s *subject) {
		w.put(policy("p", s.endpoint(), s.id()+"-of-nobody"), w.subnet(s, "app", true, "p"))
	}},
}

// servedBy is a subject whose instance has a backend and lets app and limited in, and the world of that.
func servedBy(t *testing.T, base *world, s *subject, backend *server) (*world, *subject) {
	t.Helper()
	served, w := *s, base.derive(t)
	served.backend = backend.listener.Addr().String()
	letIn(w, &served)
	return w, &served
}

// wasReset tells whether a connection's other end reset it.
func wasReset(conn io.Reader) error {
	if _, err := io.Copy(io.Discard, conn); !errors.Is(err, syscall.ECONNRESET) {
		return fmt.Errorf("ended with %v; want a reset", err)
	}
	return nil
}

// revokedLines are those of a caller that say so, once there are as many as there must be: of a connection one, and one of the
// request that was under way on it.
func (f *front) revokedLines(t *testing.T, c *client) {
	t.Helper()
	want := 1
	if c.way == model.WayHTTP || c.way == model.WayHTTPS {
		want = 2
	}
	for _, entry := range f.lines(c.TCPConn, want) {
		if entry.StatusText != gateway.StatusConnectionRevoked || entry.MissingRule == "" || entry.Subnet != subnetID("app") || entry.Account == "" {
			t.Errorf("the line is %+v", entry)
		}
	}
}

// Revocation: what was taken away closes what it had let in, in every way of every service (FW-3, SE-3, SEP-2). Client and
// backend both get a reset, and the log a line; who is still let in stays.
func TestRevoke(t *testing.T) {
	for _, s := range subjects {
		base := newWorld(t, s)
		for _, port := range base.instance(s).Ports {
			for _, change := range taken {
				t.Run(fmt.Sprintf("SE-3 %s, %s: %s", s.service(), port.Way, change.what), func(t *testing.T) {
					backend := newServer(t, port.Way)
					w, served := servedBy(t, base, s, backend)
					f := newFront(t)
					f.apply(w.plan())
					behind := map[*client]*net.TCPConn{}
					called := func(from caller) *client { // one after the other: some are joined before they say a word
						c := f.call(w, served, from, port)
						if told, err := c.ask(); told != "" || err != nil {
							t.Fatalf("told %q, %v", told, err)
						}
						behind[c] = <-backend.accepted
						return c
					}
					goes, stays := called(app), called(limited)
					letLimitedIn := *served
					change.take(w, &letLimitedIn)
					if change.what == "a rule" {
						w.write(served, rules{subnets: []string{subnetID("limited")}})
					}
					f.apply(w.plan())
					if err := wasReset(goes.TCPConn); err != nil {
						t.Errorf("the client's connection %v", err)
					}
					if err := wasReset(behind[goes]); err != nil {
						t.Errorf("the backend's connection %v", err)
					}
					f.revokedLines(t, goes)
					for what, conn := range map[string]*net.TCPConn{"client": stays.TCPConn, "backend": behind[stays]} {
						_ = conn.SetReadDeadline(time.Now().Add(time.Millisecond))
						if _, err := io.Copy(io.Discard, conn); !errors.Is(err, context.DeadlineExceeded) && !isTimeout(err) {
							t.Errorf("the %s of who is still let in: %v", what, err)
						}
					}
				})
			}
		}
	}
}

func isTimeout(err error) bool {
	var failure net.Error
	return errors.As(err, &failure) && failure.Timeout()
}

// A rule can be taken away while a connection begins.
func TestRevokeInTheMiddleOfAStart(t *testing.T) {
	for _, s := range subjects {
		base := newWorld(t, s)
		for _, port := range base.instance(s).Ports {
			name := fmt.Sprintf("%s, %s", s.service(), port.Way)
			t.Run(name+": while the backend is dialled", func(t *testing.T) {
				backend := newServer(t, port.Way)
				w, served := servedBy(t, base, s, backend)
				f := newFront(t)
				f.apply(w.plan())
				dialling := make(chan struct{}, 1)
				f.dials = func(ctx context.Context, _ string) error {
					dialling <- struct{}{}
					<-ctx.Done()
					return ctx.Err()
				}
				c := f.call(w, served, app, port)
				ended := make(chan error, 1)
				go func() {
					told, err := c.ask()
					if err == nil {
						err = fmt.Errorf("told %q", told)
					}
					ended <- err
				}()
				<-dialling
				w.write(served, rules{})
				f.apply(w.plan())
				if err := <-ended; !errors.Is(err, syscall.ECONNRESET) {
					t.Errorf("the client's connection ended with %v; want a reset", err)
				}
				f.revokedLines(t, c)
				if len(backend.accepted) > 0 {
					t.Error("the backend was asked")
				}
			})
			t.Run(name+": before it has said whom it wants", func(t *testing.T) {
				backend := newServer(t, port.Way)
				w, served := servedBy(t, base, s, backend)
				f := newFront(t)
				f.apply(w.plan())
				c := f.call(w, served, app, port)
				if told, err := c.ask(); told != "" || err != nil { // the gateway runs, and reads such connections
					t.Fatalf("told %q, %v", told, err)
				}
				<-backend.accepted
				late := f.call(w, served, app, port)
				byAddress := port.Way == model.WayTCP || port.Way == "mysql" // such are judged, and let in, at once
				if byAddress {
					<-backend.accepted
				}
				w.write(served, rules{})
				f.apply(w.plan())
				if byAddress {
					if err := wasReset(late.TCPConn); err != nil {
						t.Error(err)
					}
				} else if told, err := late.ask(); told == "" && err == nil {
					t.Error("it is let in by a rule that was taken away")
				}
				if len(backend.accepted) > 0 {
					t.Error("the backend was asked")
				}
			})
		}
	}
}

// PostgreSQL asks its backend for TLS before the client goes on: a backend that does not answer is reset too.
func TestRevokeWhileABackendIsGreeted(t *testing.T) {
	s := subjectOf(t, "Microsoft.DBforPostgreSQL/servers")
	base := newWorld(t, s)
	backend := &server{accepted: make(chan *net.TCPConn, 1)}
	var err error
	if backend.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	defer backend.listener.Close()
	w, served := servedBy(t, base, s, backend)
	f := newFront(t)
	f.apply(w.plan())
	c := f.call(w, served, app, w.instance(served).Ports[0])
	if _, err := c.Write(postgres.Request(postgres.SSLRequest)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write(hello(c.host)); err != nil {
		t.Fatal(err)
	}
	behind, err := backend.listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer behind.Close()
	_ = behind.SetDeadline(time.Now().Add(patience))
	if message, err := postgres.Read(behind); err != nil || message.Kind != postgres.SSLRequest {
		t.Fatalf("the backend got %+v, %v", message, err)
	}
	w.write(served, rules{})
	f.apply(w.plan())
	if err := wasReset(c); err != nil {
		t.Errorf("the client's connection %v", err)
	}
	if err := wasReset(behind); err != nil {
		t.Errorf("the backend's connection %v", err)
	}
	f.revokedLines(t, c)
}

func subjectOf(t *testing.T, typ string) *subject {
	t.Helper()
	for _, s := range subjects {
		if s.typ == typ {
			return s
		}
	}
	t.Fatalf("%s is no subject", typ)
	return nil
}

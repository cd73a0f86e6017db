package postgresql

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"postern/certificate"
	"postern/firewall"
	"postern/protocol/postgres"
	"postern/service"
)

const host = "shop." + Suffix

// identity is a TLS configuration as the gateway's, and the pool that trusts it.
func identity(t *testing.T) (*tls.Config, *x509.CertPool) {
	t.Helper()
	authority, err := certificate.NewAuthority("test", nil, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := authority.Issue([]string{host}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{*leaf}, NextProtos: []string{"http/1.1"}}, authority.Pool()
}

// pair is two ends of a connection with a deadline.
func pair(t *testing.T) (near, far net.Conn) {
	t.Helper()
	near, far = net.Pipe()
	for _, end := range []net.Conn{near, far} {
		if err := end.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { end.Close() })
	}
	return near, far
}

func login(user string) []byte {
	return (&postgres.Message{Parameters: []postgres.Parameter{{Name: "user", Value: user}, {Name: "database", Value: "db"}}}).Marshal()
}

// opened runs a client against open and answers the session.
func opened(t *testing.T, config *tls.Config, client func(net.Conn) error) (*service.Session, <-chan error) {
	t.Helper()
	near, far := pair(t)
	ended := make(chan error, 1)
	go func() { ended <- client(far) }()
	session, err := open(context.Background(), near, config)
	if err != nil {
		t.Fatal(err)
	}
	return session, ended
}

// startTLS asks for TLS after a request for GSS, as libpq does, and takes it.
func startTLS(conn net.Conn, pool *x509.CertPool) (*tls.Conn, error) {
	for _, step := range []struct {
		kind postgres.Kind
		want byte
	}{{postgres.GSSRequest, postgres.Reject}, {postgres.SSLRequest, postgres.Accept}} {
		if _, err := conn.Write(postgres.Request(step.kind)); err != nil {
			return nil, err
		}
		var answer [1]byte
		if _, err := io.ReadFull(conn, answer[:]); err != nil || answer[0] != step.want {
			return nil, io.ErrUnexpectedEOF
		}
	}
	return tls.Client(conn, &tls.Config{ServerName: host, RootCAs: pool}), nil
}

func TestOpen(t *testing.T) {
	config, pool := identity(t)
	for _, test := range []struct{ user, host string }{
		{"bob@shop", host}, {"bob@SHOP." + Suffix, host}, {"bob", ""}, {"bob@example.com", ""}, {"bob@example.com@shop", host}, {"@shop", ""}, {"bob@", ""},
	} {
		session, ended := opened(t, config, func(conn net.Conn) error { _, err := conn.Write(login(test.user)); return err })
		if err := <-ended; err != nil || session.Host != test.host || session.Operation != "Login" {
			t.Errorf("%s: got %+v, %v", test.user, session, err)
		}
	}
	t.Run("SNI after SSLRequest, and TLS from the first byte", func(t *testing.T) {
		for name, client := range map[string]func(net.Conn) error{
			"SSLRequest": func(conn net.Conn) error {
				secured, err := startTLS(conn, pool)
				if err == nil {
					_ = secured.Handshake() // nobody ends it here
				}
				return err
			},
			"direct": func(conn net.Conn) error {
				_ = tls.Client(conn, &tls.Config{ServerName: host, NextProtos: []string{alpn}}).Handshake()
				return nil
			},
		} {
			session, _ := opened(t, config, client)
			if session.Host != host {
				t.Errorf("%s: got %+v", name, session)
			}
		}
	})
	t.Run("garbage", func(t *testing.T) {
		for _, bytes := range []string{"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "\x16\x03\x01\x00\x01\x02", strings.Repeat(string(postgres.Request(postgres.GSSRequest)), 4)} {
			near, far := pair(t)
			go func() {
				_, _ = io.WriteString(far, bytes)
				far.Close()
			}()
			go func() { _, _ = io.Copy(io.Discard, far) }()
			if session, err := open(context.Background(), near, config); err == nil {
				t.Errorf("%q: got %+v", bytes, session)
			}
		}
	})
}

// A backend without TLS: the gateway ends the client's, and the backend is told of bob alone.
func TestGreetEndsTLS(t *testing.T) {
	config, pool := identity(t)
	session, ended := opened(t, config, func(conn net.Conn) error {
		secured, err := startTLS(conn, pool)
		if err == nil {
			_, err = secured.Write(login("bob@shop"))
		}
		return err
	})
	near, far := pair(t)
	told := make(chan string, 1)
	go func() {
		if request, err := postgres.Read(far); err != nil || request.Kind != postgres.SSLRequest {
			told <- "no request for TLS"
			return
		}
		_, _ = far.Write([]byte{postgres.Reject})
		message, err := postgres.Read(far)
		if err != nil {
			told <- err.Error()
			return
		}
		told <- message.Value("user") + " " + message.Value("database")
	}()
	if _, err := session.Greet(context.Background(), near); err != nil {
		t.Fatal(err)
	}
	if _, secured := session.Client.(*tls.Conn); !secured {
		t.Error("the client's TLS was not ended")
	}
	if got, err := <-told, <-ended; got != "bob db" || err != nil {
		t.Errorf("the backend was told %q, %v", got, err)
	}
}

func TestRefuse(t *testing.T) {
	config, pool := identity(t)
	for _, test := range []struct {
		name   string
		denial service.Denial
		want   string
	}{
		{"FW-12 by address", service.Denial{Kind: firewall.Public}, `C28000|Mno pg_hba.conf entry for host "203.0.113.9", user "bob", database "db", SSL on`},
		{"FW-12 by subnet", service.Denial{Kind: firewall.Endpoint}, "C28000|MClient from Azure Virtual Networks is not allowed"},
		{"no backend", service.Denial{Fault: service.BackendDown}, "C57P03|"},
		{"nobody", service.Denial{Fault: service.NoSuchInstance, Host: host}, "C08004|MThere is no server"},
	} {
		t.Run(test.name, func(t *testing.T) {
			answer := make(chan string, 1)
			session, ended := opened(t, config, func(conn net.Conn) error {
				secured, err := startTLS(conn, pool)
				if err != nil {
					return err
				}
				if _, err := secured.Write(login("bob@shop")); err != nil {
					return err
				}
				var head [5]byte
				if _, err := io.ReadFull(secured, head[:]); err != nil {
					return err
				}
				body := make([]byte, binary.BigEndian.Uint32(head[1:])-4)
				_, err = io.ReadFull(secured, body)
				answer <- string(head[:1]) + strings.ReplaceAll(string(body), "\x00", "|")
				return err
			})
			test.denial.Caller = netip.MustParseAddrPort("203.0.113.9:5")
			if err := session.Refuse(&test.denial); err != nil {
				t.Fatal(err)
			}
			if err := <-ended; err != nil {
				t.Fatal(err)
			}
			if got := <-answer; !strings.HasPrefix(got, "ESFATAL|VFATAL|") || !strings.Contains(got, test.want) {
				t.Errorf("got %q, want %q in it", got, test.want)
			}
		})
	}
}

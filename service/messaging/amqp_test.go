package messaging

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	azureamqp "github.com/Azure/go-amqp"

	"postern/certificate"
	"postern/protocol/amqp"
	"postern/service"
)

const host = "bus-shop." + Suffix

// opened runs OpenAMQP against a client, over a connection of TCP: pipes have no buffer for what nobody reads.
func opened(t *testing.T, client func(net.Conn, *x509.CertPool)) (*service.Session, error) {
	t.Helper()
	authority, err := certificate.NewAuthority("test", nil, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := authority.Issue([]string{host}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	far, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	near, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	for _, end := range []net.Conn{near, far} {
		_ = end.SetDeadline(time.Now().Add(20 * time.Second))
		t.Cleanup(func() { end.Close() })
	}
	go client(far, authority.Pool())
	return OpenAMQP(context.Background(), near, &tls.Config{Certificates: []tls.Certificate{*leaf}, NextProtos: []string{"http/1.1"}})
}

// FW-12: Azure's own client is told why, with SASL and without.
func TestRefuse(t *testing.T) {
	for name, sasl := range map[string]azureamqp.SASLType{"anonymous": azureamqp.SASLTypeAnonymous(), "plain": azureamqp.SASLTypePlain("user", "key"), "without SASL": nil} {
		for fault, condition := range map[service.Fault]azureamqp.ErrCond{service.Forbidden: amqp.UnauthorizedAccess, service.NoSuchInstance: amqp.NotFound,
			service.BackendDown: amqp.InternalError} {
			t.Run(name+" "+fault.String(), func(t *testing.T) {
				told := make(chan error, 1)
				session, err := opened(t, func(conn net.Conn, pool *x509.CertPool) {
					ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
					defer cancel()
					client, err := azureamqp.NewConn(ctx, tls.Client(conn, &tls.Config{ServerName: host, RootCAs: pool, NextProtos: []string{"amqp"}}),
						&azureamqp.ConnOptions{HostName: host, SASLType: sasl})
					if err == nil {
						_, err = client.NewSession(ctx, nil)
					}
					told <- err
				})
				if err != nil {
					t.Fatal(err)
				}
				if session.Host != host || session.Part != AMQP {
					t.Errorf("got %+v", session)
				}
				if err := session.Refuse(&service.Denial{Fault: fault, RequestID: "7", Time: time.Now()}); err != nil {
					t.Error(err)
				}
				_ = session.Client.Close()
				var gone *azureamqp.ConnError
				if err := <-told; !errors.As(err, &gone) || gone.RemoteErr == nil || gone.RemoteErr.Condition != condition || !strings.Contains(gone.RemoteErr.Description, "TrackingId:7, ") {
					t.Errorf("the client got %v", err)
				}
			})
		}
	}
}

func TestOpenAMQP(t *testing.T) {
	t.Run("another version is told the right one", func(t *testing.T) {
		told := make(chan []byte, 1)
		session, err := opened(t, func(conn net.Conn, pool *x509.CertPool) {
			secured := tls.Client(conn, &tls.Config{ServerName: host, RootCAs: pool})
			_, _ = io.WriteString(secured, "AMQP\x00\x00\x09\x01")
			answer := make([]byte, 8)
			_, _ = io.ReadFull(secured, answer)
			told <- answer
		})
		if !errors.Is(err, amqp.ErrVersion) {
			t.Errorf("got %+v, %v", session, err)
		}
		if answer := <-told; string(answer) != string(amqp.Header(amqp.SASL)) {
			t.Errorf("got %q", answer)
		}
	})
	t.Run("garbage, in TLS and before it", func(t *testing.T) {
		for _, secure := range []bool{true, false} {
			_, err := opened(t, func(conn net.Conn, pool *x509.CertPool) {
				if secure {
					conn = tls.Client(conn, &tls.Config{ServerName: host, RootCAs: pool})
				}
				_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
			})
			if err == nil {
				t.Errorf("in TLS %t: it is taken", secure)
			}
		}
	})
	t.Run("the backend gets the header that was read", func(t *testing.T) {
		session, err := opened(t, func(conn net.Conn, pool *x509.CertPool) {
			_, _ = tls.Client(conn, &tls.Config{ServerName: host, RootCAs: pool}).Write(amqp.Header(amqp.SASL))
		})
		if err != nil {
			t.Fatal(err)
		}
		near, far := net.Pipe()
		defer far.Close()
		go func() {
			_, _ = session.Greet(context.Background(), near)
			near.Close()
		}()
		if got, err := io.ReadAll(far); err != nil || string(got) != string(amqp.Header(amqp.SASL)) {
			t.Errorf("got %q, %v", got, err)
		}
	})
}

package visit

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"postern/certificate"
	"postern/demo/application"
	"postern/demo/backend"
	"postern/protocol/amqp"
	"postern/protocol/mysql"
	"postern/protocol/postgres"
	"postern/protocol/tds"
)

const host = "shop.example"

// stage is a server of one protocol, and a visitor whose every connection leads to it.
func stage(t *testing.T, serve func(config *tls.Config) func(net.Conn) error) *Visitor {
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
	t.Cleanup(func() { listener.Close() })
	go backend.Each(listener, serve(&tls.Config{Certificates: []tls.Certificate{*leaf}}))
	return &Visitor{Roots: authority.Pool(), Timeout: time.Minute, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, listener.Addr().String())
	}}
}

// inTLS is a server behind TLS.
func inTLS(serve func(net.Conn) error) func(*tls.Config) func(net.Conn) error {
	return func(config *tls.Config) func(net.Conn) error {
		return func(conn net.Conn) error {
			secured := tls.Server(conn, config)
			defer secured.Close()
			return serve(secured)
		}
	}
}

func plainly(serve func(net.Conn) error) func(*tls.Config) func(net.Conn) error {
	return func(*tls.Config) func(net.Conn) error { return serve }
}

// behindTLS is a PostgreSQL that takes the request for TLS, as a gateway does for a backend without.
func behindTLS(serve func(net.Conn) error) func(*tls.Config) func(net.Conn) error {
	return func(config *tls.Config) func(net.Conn) error {
		return func(conn net.Conn) error {
			if _, err := postgres.Read(conn); err != nil {
				return err
			}
			if _, err := conn.Write([]byte{postgres.Accept}); err != nil {
				return err
			}
			return inTLS(serve)(config)(conn)
		}
	}
}

// refuseSQL is a server that takes TLS and a login, and says no.
func refuseSQL(config *tls.Config) func(net.Conn) error {
	config.MaxVersion, config.SessionTicketsDisabled = tls.VersionTLS12, true
	return func(raw net.Conn) error {
		if _, err := tds.Read(raw, tds.PreLogin); err != nil {
			return err
		}
		if _, err := raw.Write(tds.Packet(tds.Reply, tds.MarshalPreLogin(tds.EncryptionOn))); err != nil {
			return err
		}
		wrapped := tds.Wrap(raw)
		conn := tls.Server(wrapped, config)
		if err := conn.Handshake(); err != nil {
			return err
		}
		wrapped.HandshakeDone()
		if _, err := tds.Read(conn, tds.Login); err != nil {
			return err
		}
		_, err := conn.Write(tds.Refusal(tds.Error{Number: 40615, State: 1, Class: 14, Text: "not you", Server: "shop"}))
		return err
	}
}

// refuseAMQP opens and closes in one breath, as the gateway does.
func refuseAMQP(conn net.Conn) error {
	for _, answer := range [][]byte{append(amqp.Header(amqp.SASL), append(amqp.Mechanisms("ANONYMOUS"), amqp.Welcome()...)...),
		append(amqp.Header(amqp.Plain), append(amqp.Open("gateway"), amqp.Close(amqp.UnauthorizedAccess, "not you")...)...)} {
		if _, err := amqp.ReadHeader(conn); err != nil {
			return err
		}
		if len(answer) > 0 {
			if _, err := conn.Write(answer); err != nil {
				return err
			}
		}
		if _, err := amqp.ReadFrame(conn); err != nil {
			return err
		}
	}
	_, err := io.Copy(io.Discard, conn)
	return err
}

// write is a server that says one thing.
func write(raw []byte) func(net.Conn) error {
	return func(conn net.Conn) error {
		_, err := conn.Write(raw)
		return err
	}
}

// afterOne is a server that says one thing when a client has sent something.
func afterOne(raw []byte) func(net.Conn) error {
	return func(conn net.Conn) error {
		if _, err := conn.Read(make([]byte, 4096)); err != nil {
			return err
		}
		return write(raw)(conn)
	}
}

func alert(conn net.Conn) error {
	if _, err := conn.Read(make([]byte, 4096)); err != nil {
		return err
	}
	_, err := conn.Write([]byte{21, 3, 3, 0, 2, 2, 49}) // fatal, access_denied: RFC 8446 section 6
	return err
}

func reset(conn net.Conn) error { return conn.(*net.TCPConn).SetLinger(0) }

func TestVisits(t *testing.T) {
	postgreSQL := func(ctx context.Context, v *Visitor) (string, error) { return v.PostgreSQL(ctx, host, "bob", "shop") }
	mySQL := func(ctx context.Context, v *Visitor) (string, error) { return v.MySQL(ctx, host, "bob") }
	sql := func(ctx context.Context, v *Visitor) (string, error) { return v.SQL(ctx, host, "bob") }
	messages := func(ctx context.Context, v *Visitor) (string, error) { return v.AMQP(ctx, host) }
	kafka := func(ctx context.Context, v *Visitor) (string, error) { return v.Kafka(ctx, host) }
	redis := func(ctx context.Context, v *Visitor) (string, error) { return v.Redis(ctx, host, "6379") }
	web := func(ctx context.Context, v *Visitor) (string, error) {
		return v.HTTP(ctx, Request{Method: http.MethodGet, URL: "http://" + host + "/"})
	}
	for _, one := range []struct {
		name  string
		serve func(*tls.Config) func(net.Conn) error
		visit func(context.Context, *Visitor) (string, error)
		want  string // of the answer, or of the error
		fails bool
	}{
		{"PostgreSQL", behindTLS(backend.PostgreSQL()), postgreSQL, "logged in, PostgreSQL 16.0 (demo)", false},
		{"PostgreSQL refused", behindTLS(afterOne(postgres.ErrorResponse("28000", "no entry"))), postgreSQL, "FATAL:  no entry", true},
		{"PostgreSQL without TLS", plainly(backend.PostgreSQL()), postgreSQL, "answers 'N' to a request for TLS", true},
		{"MySQL", plainly(backend.MySQL("8.0.36")), mySQL, "logged in, MySQL 8.0.36", false},
		{"MySQL refused", plainly(write(mysql.Error(9000, "not you"))), mySQL, "ERROR 9000 (HY000): not you", true},
		{"SQL", backend.SQL, sql, "logged in, Postern's demo", false},
		{"SQL refused", refuseSQL, sql, "Msg 40615, Level 14, State 1, Server shop: not you", true},
		{"AMQP", inTLS(backend.AMQP()), messages, "session opened, AMQP 1.0", false},
		{"AMQP refused", inTLS(refuseAMQP), messages, "amqp:unauthorized-access: not you", true},
		{"Kafka", backend.Kafka, kafka, "broker speaks 1 API", false},
		{"Kafka refused", plainly(alert), kafka, "remote error: tls: access denied", true},
		{"Redis", plainly(backend.Redis), redis, "+PONG", false},
		{"Redis refused", plainly(reset), redis, "connection reset by peer", true},
		{"HTTP", plainly(afterOne([]byte("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"))), web, "200 OK hello", false},
		{"HTTP refused", plainly(afterOne([]byte("HTTP/1.1 403 Forbidden\r\nContent-Length: 7\r\n\r\nnot you"))), web, "403 Forbidden not you", true},
	} {
		t.Run(one.name, func(t *testing.T) {
			got, err := one.visit(t.Context(), stage(t, one.serve))
			if err != nil {
				got = err.Error()
			}
			if (err != nil) != one.fails || !strings.Contains(got, one.want) {
				t.Errorf("got %q, %v; want %q", got, err, one.want)
			}
		})
	}
}

// Secrets, objects and fixed answers, as HTTP has them.
func TestHTTPBackends(t *testing.T) {
	for _, one := range []struct {
		name     string
		handler  http.Handler
		requests []Request
		want     []string // of the answers or errors
	}{
		{"objects", backend.Objects(), []Request{{Method: "GET", URL: "/a/b"}, {Method: "PUT", URL: "/a/b", Body: "hello"}, {Method: "GET", URL: "/a/b"}, {Method: "POST", URL: "/a/b"}},
			[]string{"404 Not Found", "201 Created", "200 OK hello", "405 Method"}},
		{"secrets", backend.Secrets(), []Request{{Method: "GET", URL: "/secrets/db/"}, {Method: "GET", URL: "/secrets/db/", Header: http.Header{"Authorization": {"Bearer any"}}},
			{Method: "PUT", URL: "/secrets/db", Body: `{"value":"hush"}`, Header: http.Header{"Authorization": {"Bearer any"}}}},
			[]string{"401 Unauthorized", "404 Not Found", `"value":"hush"`}},
		{"one answer", backend.Answer("GET", "/there", "text/plain", "hello"), []Request{{Method: "GET", URL: "/there"}, {Method: "GET", URL: "/here"}}, []string{"200 OK hello", "404"}},
	} {
		t.Run(one.name, func(t *testing.T) {
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			server := backend.HTTP(listener, one.handler)
			defer server.Close()
			v := &Visitor{Dial: new(net.Dialer).DialContext, Timeout: time.Minute}
			for i, request := range one.requests {
				request.URL = "http://" + listener.Addr().String() + request.URL
				got, err := v.HTTP(t.Context(), request)
				if err != nil {
					got = err.Error()
				}
				if !strings.Contains(got, one.want[i]) {
					t.Errorf("%s %s: got %q, %v; want %q", request.Method, request.URL, got, err, one.want[i])
				}
			}
		})
	}
}

func TestHTTPError(t *testing.T) {
	for _, one := range []struct{ body, code, message string }{
		{`{"odata.error":{"code":"AuthorizationFailure","message":{"lang":"en-US","value":"Not authorized.\nRequestId:1"}}}`, "AuthorizationFailure", "Not authorized.\nRequestId:1"},
		{`{"error":{"code":"Forbidden","message":"Client address","innererror":{"code":"ForbiddenByFirewall"}}}`, "ForbiddenByFirewall", "Client address"},
		{`{"errors":[{"code":"DENIED","message":"client with IP"}]}`, "DENIED", "client with IP"},
		{`{"RemoteException":{"exception":"AccessDenied","message":"no"}}`, "AccessDenied", "no"},
		{`<?xml version="1.0" encoding="utf-8"?><Error><Code>AuthorizationFailure</Code><Message>no</Message></Error>`, "AuthorizationFailure", "no"},
		{`<Error><Code>401</Code><Detail>Ip has been prevented</Detail></Error>`, "401", "Ip has been prevented"},
		{"<!DOCTYPE html><body><h1 id=\"x\">\n Error 403 </h1>", "", "Error 403"},
		{`{"error":`, "", ""},
		{`<?xml no`, "", "<?xml no"},
	} {
		got := readError(&application.Answer{Status: 403, Body: []byte(one.body)})
		if got.Code != one.code || got.Message != one.message {
			t.Errorf("%s: got %q, %q", one.body, got.Code, got.Message)
		}
	}
}

package all

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"postern/certificate"
	"postern/firewall"
	"postern/protocol/amqp"
	"postern/protocol/postgres"
	"postern/protocol/tds"
	"postern/service"
)

// recorded is a connection whose client has sent all that it will ever send, and hears nothing.
type recorded struct {
	from    *bytes.Reader
	written int
}

func (c *recorded) Read(p []byte) (int, error)  { return c.from.Read(p) }
func (c *recorded) Write(p []byte) (int, error) { c.written += len(p); return len(p), nil }
func (c *recorded) Close() error                { return nil }
func (c *recorded) LocalAddr() net.Addr         { return &net.TCPAddr{} }
func (c *recorded) RemoteAddr() net.Addr        { return &net.TCPAddr{} }

func (c *recorded) SetDeadline(time.Time) error      { return nil }
func (c *recorded) SetReadDeadline(time.Time) error  { return nil }
func (c *recorded) SetWriteDeadline(time.Time) error { return nil }

// FuzzStartups gives every start-up protocol of every service what a client might send, up to the refusal's last word: it
// ends, says something to nobody whom it does not understand at length, and a host that it tells is one that a client said.
func FuzzStartups(f *testing.F) {
	login := tds.Packet(tds.Login, make([]byte, 94))
	for _, seed := range [][]byte{
		nil, []byte("GET / HTTP/1.1\r\n\r\n"), clientHello(f),
		append(tds.Packet(tds.PreLogin, tds.MarshalPreLogin(tds.EncryptionNotSupported)), login...),
		append(tds.Packet(tds.PreLogin, tds.MarshalPreLogin(tds.EncryptionOn)), tds.Packet(tds.PreLogin, clientHello(f))...),
		(&postgres.Message{Parameters: []postgres.Parameter{{Name: "user", Value: "bob@shop"}, {Name: "database", Value: "db"}}}).Marshal(),
		append(append(postgres.Request(postgres.GSSRequest), postgres.Request(postgres.SSLRequest)...), clientHello(f)...),
		append(amqp.Header(amqp.Plain), amqp.Open("client")...),
	} {
		f.Add(seed)
	}
	authority, err := certificate.NewAuthority("fuzz", nil, time.Now())
	if err != nil {
		f.Fatal(err)
	}
	leaf, err := authority.Issue([]string{"shop.example"}, time.Now())
	if err != nil {
		f.Fatal(err)
	}
	config := &tls.Config{Certificates: []tls.Certificate{*leaf}}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, described := range Services() {
			for way, open := range described.Startups {
				conn := &recorded{from: bytes.NewReader(data)}
				session, err := open(context.Background(), conn, config)
				if err != nil {
					if conn.written > 16<<10 {
						t.Fatalf("%s, %s: %d bytes are said to who is not understood", described.Name, way, conn.written)
					}
					continue
				}
				if session.Client == nil || session.Refuse == nil {
					t.Fatalf("%s, %s: the session is not whole: %+v", described.Name, way, session)
				}
				_ = session.Refuse(&service.Denial{Kind: firewall.Public, Caller: netip.MustParseAddrPort("203.0.113.9:5"), Host: session.Host, RequestID: "7",
					Decision: firewall.Deny(firewall.ReasonNoIPRule, "no rule")})
			}
		}
	})
}

// clientHello is a ClientHello in its record.
func clientHello(f *testing.F) []byte {
	f.Helper()
	heard := &recorder{}
	_ = tls.Client(heard, &tls.Config{ServerName: "shop.postgres.database.azure.com"}).Handshake()
	return heard.said
}

// recorder keeps the first that a client says.
type recorder struct {
	recorded
	said []byte
}

func (c *recorder) Read([]byte) (int, error) { return 0, errors.New("nobody answers") }

func (c *recorder) Write(p []byte) (int, error) {
	if c.said == nil {
		c.said = bytes.Clone(p)
	}
	return len(p), nil
}

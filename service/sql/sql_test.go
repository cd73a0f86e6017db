package sql

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"postern/firewall"
	"postern/protocol/tds"
	"postern/service"
)

func TestWords(t *testing.T) {
	for _, test := range []struct {
		denial service.Denial
		number uint32
		text   string
	}{
		{service.Denial{Kind: firewall.Endpoint}, 40914, "Cannot open server 'shop' requested by the login. Client is not allowed"},
		{service.Denial{Kind: firewall.Public}, 40615, "Client with IP address '203.0.113.9' is not allowed"},
		{service.Denial{Kind: firewall.Platform}, 40615, "sp_set_firewall_rule"},
		{service.Denial{Kind: firewall.Endpoint, Decision: firewall.Deny(firewall.ReasonPublicAccessOff, "off")}, 47073, "Deny Public Network Access"},
		{service.Denial{Fault: service.BackendDown}, 40613, "not currently available"},
		{service.Denial{Fault: service.NoSuchInstance}, 40532, "The login failed"},
	} {
		test.denial.Instance, test.denial.Caller = "shop", netip.MustParseAddrPort("203.0.113.9:1433")
		if got := words(&test.denial); got.Number != test.number || !strings.Contains(got.Text, test.text) {
			t.Errorf("FW-12 %+v: got %d %q", test.denial, got.Number, got.Text)
		}
	}
}

func TestOpen(t *testing.T) {
	opened := func(t *testing.T, client func(net.Conn)) (*service.Session, error) {
		t.Helper()
		near, far := net.Pipe()
		t.Cleanup(func() { near.Close(); far.Close() })
		if err := near.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
			t.Fatal(err)
		}
		go client(far)
		return open(context.Background(), near, &tls.Config{})
	}
	t.Run("TDS 8 names the server in TLS", func(t *testing.T) {
		session, err := opened(t, func(conn net.Conn) {
			_ = tls.Client(conn, &tls.Config{ServerName: "shop." + Suffix, NextProtos: []string{alpn}}).Handshake()
		})
		if err != nil || session.Host != "shop."+Suffix {
			t.Errorf("got %+v, %v", session, err)
		}
	})
	t.Run("TDS 7 names nobody, and its PRELOGIN goes to the backend as it came", func(t *testing.T) {
		hello := tds.Packet(tds.PreLogin, tds.MarshalPreLogin(tds.EncryptionOff))
		session, err := opened(t, func(conn net.Conn) { _, _ = conn.Write(hello) })
		if err != nil || session.Host != "" {
			t.Fatalf("got %+v, %v", session, err)
		}
		near, far := net.Pipe()
		defer near.Close()
		go func() {
			_, _ = session.Greet(context.Background(), far)
			far.Close()
		}()
		if got, err := io.ReadAll(near); err != nil || string(got) != string(hello) {
			t.Errorf("got %x, %v", got, err)
		}
	})
	t.Run("garbage", func(t *testing.T) {
		for _, text := range []string{"GET / HTTP/1.1\r\n\r\n", "\x12\x01\x00\x09\x00\x00\x01\x00\x01", "\x10\x01\x00\x09\x00\x00\x01\x00\x01"} {
			if session, err := opened(t, func(conn net.Conn) { _, _ = io.WriteString(conn, text); conn.Close() }); err == nil {
				t.Errorf("%q: got %+v", text, session)
			}
		}
	})
}

// A workspace's second name is its own too, so no other may have a label that ends like it.
func TestWorkspaceNames(t *testing.T) {
	for name, want := range map[string]bool{"shop": true, "shop-ondemand": false, "ab": false, strings.Repeat("a", 50): true, strings.Repeat("a", 51): false} {
		if got := Synapse.NameIsValid(name); got != want {
			t.Errorf("%s: got %v", name, got)
		}
	}
}

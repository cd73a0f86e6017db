package gateway

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"postern/model"
	"postern/protocol/clienthello"
)

// faultRig is a gateway whose account lets everybody in, so that what is refused is refused for its form.
func faultRig(t *testing.T, change func(*Config)) (r *rig, served *atomic.Int64) {
	t.Helper()
	certificate, _ := selfSigned(t, tableHost)
	served = new(atomic.Int64)
	r = newRig(t, func(c *Config) {
		c.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return certificate, nil }
		c.BuiltIn["storage/table"] = http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
			served.Add(1)
			_, _ = io.Copy(io.Discard, q.Body)
		})
		if change != nil {
			change(c)
		}
	})
	r.apply(cloud(storageAccount("sta", model.NetworkRules{DefaultAllow: true})))
	return r, served
}

// send opens a connection that fails the test if it hangs.
func send(t *testing.T, address string, text string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	return conn
}

// statuses reads answers until the gateway ends the connection.
func statuses(t *testing.T, conn net.Conn) (list []int) {
	t.Helper()
	reader := bufio.NewReader(conn)
	for {
		response, err := http.ReadResponse(reader, nil)
		if err != nil {
			var late net.Error
			if errors.As(err, &late) && late.Timeout() {
				t.Fatalf("the gateway hangs after %v", list)
			}
			return list
		}
		_, _ = io.Copy(io.Discard, response.Body)
		_ = response.Body.Close()
		list = append(list, response.StatusCode)
	}
}

// Clients that are slow or silent lose their connection after HeaderTimeout, and cost the others nothing.
func TestSlowAndSilentClients(t *testing.T) {
	const limit = 200 * time.Millisecond
	r, _ := faultRig(t, func(c *Config) { c.HeaderTimeout = limit })
	plain, secure := r.listen(byInternet("20.1.2.3"), r.plain), r.listen(byInternet("20.1.2.4"), r.secure)
	// ended waits for the gateway to end a connection, and tells what it said before.
	ended := func(t *testing.T, conn net.Conn) string {
		t.Helper()
		said, err := io.ReadAll(conn)
		var late net.Error
		if errors.As(err, &late) && late.Timeout() {
			t.Fatal("the gateway keeps the connection")
		}
		return string(said)
	}
	t.Run("slow-loris: a header byte by byte", func(t *testing.T) {
		conn := send(t, plain, "GET /t HTTP/1.1\r\nHost: "+tableHost+"\r\n")
		began := time.Now()
		for err := error(nil); err == nil && time.Since(began) < 10*time.Second; time.Sleep(limit / 10) { // the client's own slowness
			_, err = io.WriteString(conn, "X: y\r\n")
		}
		if took := time.Since(began); took >= 10*time.Second {
			t.Errorf("after %s it is still read", took)
		}
		if entry := r.last(1); entry.StatusText != StatusNotUnderstood {
			t.Errorf("the log has %+v", entry)
		}
	})
	for name, test := range map[string]struct{ address, sent, want string }{
		"half-open: nothing is sent":              {plain, "", ""},
		"half a request":                          {plain, "GET /t HT", ""},
		"half-open TLS: nothing is sent":          {secure, "", ""},
		"half a ClientHello":                      {secure, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03", ""},
		"garbage where a ClientHello should be":   {secure, "SSH-2.0-OpenSSH_9.2\r\n", ""},
		"plain HTTP where a ClientHello ought be": {secure, "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.0 400 Bad Request"},
	} {
		t.Run(name, func(t *testing.T) {
			before := len(r.entries())
			if said := ended(t, send(t, test.address, test.sent)); test.want == "" && strings.Contains(said, "200 OK") || !strings.HasPrefix(said, test.want) {
				t.Errorf("got %q, want %q", said, test.want)
			}
			if test.sent != "" {
				if entry := r.last(before + 1); entry.StatusText != StatusNotUnderstood {
					t.Errorf("the log has %+v", entry)
				}
			}
		})
	}
	t.Run("the others are served", func(t *testing.T) {
		for range 50 {
			send(t, plain, "GET /t HT") // closed with the test
		}
		if status, err := dialKeepAlive(t, plain, nil).get(tableHost); status != 200 {
			t.Errorf("got %d, %v", status, err)
		}
	})
}

// TLS that is passed through: what names nobody is refused by an alert, however it is cut into pieces.
func TestPassedThroughHandshakes(t *testing.T) {
	backendCertificate, pool := selfSigned(t, tableHost)
	backend, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{*backendCertificate}})
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") })}
	go func() { _ = server.Serve(backend) }()
	t.Cleanup(func() { _ = server.Close() })
	account := storageAccount("sta", model.NetworkRules{DefaultAllow: true})
	account.Backends = backendAt(backend.Addr().String())
	account.Ports = []model.ServicePort{{Number: 443, Way: model.WayTLS}}
	r := newRig(t, func(c *Config) { c.HeaderTimeout = 300 * time.Millisecond })
	r.apply(cloud(account))
	address := r.listen(byInternet("20.1.2.3"), r.secure)
	dial := func(t *testing.T) net.Conn { return send(t, address, "") }

	t.Run("a ClientHello in pieces of a few bytes", func(t *testing.T) {
		conn := tls.Client(&pieces{Conn: dial(t), size: 7}, &tls.Config{RootCAs: pool, ServerName: tableHost})
		k := &keepAlive{conn, bufio.NewReader(conn)}
		if status, err := k.get(tableHost); status != 200 {
			t.Errorf("got %d, %v", status, err)
		}
		_ = conn.Close()
		r.last(1) // a connection that is passed through is logged when it ends: before the others begin
	})
	for name, test := range map[string]struct {
		talk func(conn net.Conn) error
		said []byte // the gateway's last words; nil: none
		text string // of the log
	}{
		"no server name": {func(conn net.Conn) error {
			return tls.Client(conn, &tls.Config{InsecureSkipVerify: true}).Handshake() // the names are not the matter here
		}, clienthello.AccessDenied, ""},
		"a name of nobody": {func(conn net.Conn) error {
			return tls.Client(conn, &tls.Config{ServerName: "example.org"}).Handshake()
		}, clienthello.AccessDenied, ""},
		"garbage": {func(conn net.Conn) error { _, err := conn.Write([]byte("\x00\x01garbage")); return err }, nil, StatusNetworkError},
		"a handshake that is no ClientHello": {func(conn net.Conn) error {
			_, err := conn.Write([]byte{22, 3, 1, 0, 4, 2, 0, 0, 0})
			return err
		}, nil, StatusNetworkError},
		"half a ClientHello and silence": {func(conn net.Conn) error {
			_, err := conn.Write([]byte{22, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3})
			return err
		}, nil, StatusNetworkError},
	} {
		t.Run(name, func(t *testing.T) {
			before := len(r.entries())
			heard := &hearing{Conn: dial(t)}
			_ = test.talk(heard)
			if _, err := io.ReadAll(heard); err != nil {
				var late net.Error
				if errors.As(err, &late) && late.Timeout() {
					t.Fatal("the gateway hangs")
				}
			}
			if test.said != nil && !bytes.Equal(heard.said.Bytes(), test.said) {
				t.Errorf("the gateway said %x, want %x", heard.said.Bytes(), test.said)
			}
			entry := r.last(before + 1)
			if test.text != "" && entry.StatusText != test.text || entry.StatusText == StatusSuccess || entry.Protocol != "tls" {
				t.Errorf("the log has %+v", entry)
			}
		})
	}
}

// pieces writes a few bytes at a time.
type pieces struct {
	net.Conn
	size int
}

func (p *pieces) Write(data []byte) (written int, err error) {
	for err == nil && written < len(data) {
		var n int
		n, err = p.Conn.Write(data[written:min(len(data), written+p.size)])
		written += n
	}
	return written, err
}

// hearing remembers what it reads.
type hearing struct {
	net.Conn
	said bytes.Buffer
}

func (h *hearing) Read(p []byte) (int, error) {
	n, err := h.Conn.Read(p)
	h.said.Write(p[:n])
	return n, err
}

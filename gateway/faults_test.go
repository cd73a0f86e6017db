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

// Each request has two meanings, or none: it is refused, the connection is ended, and what stands behind it is not taken for
// a request. "SMUGGLED" behind them would be served if any byte of them were read otherwise than the gateway reads it.
func TestRequestsOfTwoMeanings(t *testing.T) {
	const smuggled = "GET /SMUGGLED HTTP/1.1\r\nHost: " + tableHost + "\r\n\r\n"
	start := func(line string) string { return line + "\r\nHost: " + tableHost + "\r\n" }
	for name, test := range map[string]struct {
		request string
		status  int
	}{
		"two Content-Lengths that differ":        {start("POST /t HTTP/1.1") + "Content-Length: 5\r\nContent-Length: 0\r\n\r\nabcde", 400},
		"a list as Content-Length":               {start("POST /t HTTP/1.1") + "Content-Length: 5, 0\r\n\r\nabcde", 400},
		"a Content-Length with a sign":           {start("POST /t HTTP/1.1") + "Content-Length: +5\r\n\r\nabcde", 400},
		"a negative Content-Length":              {start("POST /t HTTP/1.1") + "Content-Length: -1\r\n\r\n", 400},
		"an unknown Transfer-Encoding":           {start("POST /t HTTP/1.1") + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 501},
		"two Transfer-Encodings":                 {start("POST /t HTTP/1.1") + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n", 501},
		"Transfer-Encoding with a tab in it":     {start("POST /t HTTP/1.1") + "Transfer-Encoding: chun\tked\r\n\r\n0\r\n\r\n", 501},
		"a space before the colon":               {start("POST /t HTTP/1.1") + "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", 400},
		"a header that begins with a fold":       {"GET /t HTTP/1.1\r\n Host: " + tableHost + "\r\n\r\n", 400},
		"two Hosts":                              {start("GET /t HTTP/1.1") + "Host: stb.table.core.windows.net\r\n\r\n", 400},
		"no Host":                                {"GET /t HTTP/1.1\r\n\r\n", 400},
		"a Host with a path":                     {"GET /t HTTP/1.1\r\nHost: " + tableHost + "/x\r\n\r\n", 400},
		"a carriage return in a value":           {start("GET /t HTTP/1.1") + "X-A: b\rX-B: c\r\n\r\n", 400},
		"a zero byte in a value":                 {start("GET /t HTTP/1.1") + "X-A: b\x00c\r\n\r\n", 400},
		"a request line of three spaces":         {start("GET /t /u HTTP/1.1") + "\r\n", 400},
		"an unknown version":                     {start("GET /t HTTP/3.1") + "\r\n", 505},
		"bytes that are no request":              {"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400},
		"headers of more than 64 KiB":            {start("GET /t HTTP/1.1") + "X-A: " + strings.Repeat("a", 80<<10) + "\r\n\r\n", 431},
		"a thousand headers of more than 64 KiB": {start("GET /t HTTP/1.1") + strings.Repeat("X-Something: "+strings.Repeat("b", 80)+"\r\n", 1000) + "\r\n", 431},
		"a request line of more than 64 KiB":     {start("GET /"+strings.Repeat("a", 80<<10)+" HTTP/1.1") + "\r\n", 431},
	} {
		t.Run(name, func(t *testing.T) {
			r, served := faultRig(t, nil)
			got := statuses(t, send(t, r.listen(byInternet("20.1.2.3"), r.plain), test.request+smuggled))
			if len(got) != 1 || got[0] != test.status || served.Load() != 0 {
				t.Errorf("answers %v, %d served, want %d and none", got, served.Load(), test.status)
			}
			if entry := r.last(1); entry.StatusText != StatusNotUnderstood || entry.CallerIPAddress[:9] != "20.1.2.3:" || entry.Protocol != "http" {
				t.Errorf("the log has %+v", entry)
			}
		})
	}
}

// What RFC 9112 lets a server repair has one meaning here, and the backend gets that one alone, written anew. Section 6.1
// asks for the connection to be ended after Content-Length beside chunked: net/http, which tells no handler, keeps it.
func TestRepairedRequestsReachTheBackendInOneForm(t *testing.T) {
	const host = "\r\nHost: " + tableHost + "\r\n"
	for name, test := range map[string]struct {
		request string
		want    []string // what the backend's copy has
		never   []string // what it must not have
	}{
		"section 6.1: Content-Length beside chunked": {
			"POST /t HTTP/1.1" + host + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
			[]string{"Transfer-Encoding: chunked", "5\r\nhello\r\n0\r\n\r\n"}, []string{"Content-Length"}},
		"section 5.2: a folded value": {
			"GET /t HTTP/1.1" + host + "X-A: b\r\n c\r\n\r\n", []string{"X-A: b c\r\n"}, []string{"b\r\n c"}},
		"section 2.2: bare line feeds": {
			"GET /t HTTP/1.1\nHost: " + tableHost + "\nX-A: b\n\n", []string{"X-A: b\r\n"}, []string{"b\n\n"}},
		"equal Content-Lengths": {
			"POST /t HTTP/1.1" + host + "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", []string{"Content-Length: 5\r\n", "\r\n\r\nhello"}, []string{"5\r\nContent-Length"}},
	} {
		t.Run(name, func(t *testing.T) {
			backend, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer backend.Close()
			arrived := make(chan string, 10)
			go func() {
				for {
					conn, err := backend.Accept()
					if err != nil {
						return
					}
					go func() {
						defer conn.Close()
						var copied bytes.Buffer
						reader := bufio.NewReader(io.TeeReader(conn, &copied))
						for {
							request, err := http.ReadRequest(reader)
							if err != nil {
								return
							}
							_, _ = io.Copy(io.Discard, request.Body)
							arrived <- copied.String()
							copied.Reset()
							if _, err := io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"); err != nil {
								return
							}
						}
					}()
				}
			}()
			account := storageAccount("sta", model.NetworkRules{DefaultAllow: true})
			account.Backends = backendAt(backend.Addr().String())
			r := newRig(t, nil)
			r.apply(cloud(account))
			const last = "GET /LAST HTTP/1.1\r\nHost: " + tableHost + "\r\nConnection: close\r\n\r\n"
			got := statuses(t, send(t, r.listen(byInternet("20.1.2.3"), r.plain), test.request+last))
			if len(got) != 2 || got[0] != 200 || got[1] != 200 {
				t.Fatalf("answers %v, want one to each of the two requests", got)
			}
			text := <-arrived
			for _, want := range test.want {
				if !strings.Contains(text, want) {
					t.Errorf("the backend got %q without %q", text, want)
				}
			}
			if next := <-arrived; !strings.HasPrefix(next, "GET /LAST ") {
				t.Errorf("behind it came %q", next)
			}
			for _, never := range test.never {
				if strings.Contains(text, never) {
					t.Errorf("the backend got %q with %q", text, never)
				}
			}
		})
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

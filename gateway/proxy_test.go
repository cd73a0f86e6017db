package gateway

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"postern/model"
)

// raw sends bytes as they are and answers what comes back until the other side closes.
func raw(t *testing.T, address, text string) string {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	return string(answer)
}

func TestBackendGetsWhatTheClientSigned(t *testing.T) {
	// A backend that reads the request line and header byte by byte, since net/http would tidy them up.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	heads := make(chan string, 1)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			reader, head := bufio.NewReader(conn), ""
			for !strings.HasSuffix(head, "\r\n\r\n") {
				line, err := reader.ReadString('\n')
				if err != nil {
					break
				}
				head += line
			}
			heads <- head
			_, _ = io.WriteString(conn, "HTTP/1.1 204 No Content\r\nx-ms-request-id: of-the-backend\r\n\r\n")
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() { _ = l.Close(); <-done })
	dialled := make(chan string, 1)
	r := newRig(t, func(c *Config) {
		c.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			dialled <- address
			return (&net.Dialer{}).DialContext(ctx, network, l.Addr().String())
		}
	})
	account := storageAccount("sta", model.NetworkRules{DefaultAllow: true})
	account.Backends = backendAt("minio.internal:9000")
	r.apply(cloud(account))
	address := r.listen(byInternet("20.1.2.3"), r.plain)

	const target = "/devstoreaccount1//a%2Fb%20(c='d')/e?comp=list&bad=%zz;x&sig=a%2Bb"
	answer := raw(t, address, "GET "+target+" HTTP/1.1\r\nHost: StA.Table.core.windows.net:10002\r\nAuthorization: SharedKey sta:abc=\r\n"+
		"Date: Sun, 01 Mar 2026 12:00:00 GMT\r\nX-Forwarded-For: 10.0.0.1\r\nX-Forwarded-Anything: x\r\nForwarded: for=10.0.0.1\r\nX-Real-IP: 10.0.0.1\r\n"+
		"Upgrade: h2c\r\nConnection: Upgrade, close\r\n\r\n")
	if !strings.HasPrefix(answer, "HTTP/1.1 204 ") || !strings.Contains(answer, "of-the-backend") {
		t.Errorf("got %s", answer)
	}
	if got := <-dialled; got != account.Backends[0].Address {
		t.Errorf("dialled %q", got)
	}
	head := <-heads
	if !strings.HasPrefix(head, "GET "+target+" HTTP/1.1\r\nHost: StA.Table.core.windows.net:10002\r\n") {
		t.Errorf("the backend got\n%s", head)
	}
	for _, want := range []string{"Authorization: SharedKey sta:abc=\r\n", "Date: Sun, 01 Mar 2026 12:00:00 GMT\r\n"} {
		if !strings.Contains(head, want) {
			t.Errorf("no %q in\n%s", want, head)
		}
	}
	for _, name := range []string{"forwarded", "real-ip", "upgrade", "accept-encoding", "user-agent"} {
		if strings.Contains(strings.ToLower(head), name) {
			t.Errorf("%s in\n%s", name, head)
		}
	}
	got := r.last(1)
	if got.RequestID != "of-the-backend" || got.URI != "/devstoreaccount1//a%2Fb%20(c='d')/e" || got.StatusText != StatusSuccess || got.StatusCode != 204 {
		t.Errorf("got %+v", got)
	}
}

func TestLogOfBackendsThatFail(t *testing.T) {
	var mode atomic.Value
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		switch mode.Load() {
		case "code":
			w.Header().Set("x-ms-error-code", "TableNotFound")
			w.WriteHeader(404)
		case "404":
			w.WriteHeader(404)
		case "500":
			w.WriteHeader(500)
		case "cut":
			w.Header().Set("Content-Length", "100")
			_, _ = w.Write([]byte("half"))
		}
	}))
	t.Cleanup(backend.Close)
	account, gone := storageAccount("sta", model.NetworkRules{DefaultAllow: true}), storageAccount("gone", model.NetworkRules{DefaultAllow: true})
	account.Backends, gone.Backends = backendAt(backend.Listener.Addr().String()), backendAt("127.0.0.1:1")
	r := newRig(t, nil)
	r.apply(cloud(account, gone))
	client := r.client(byInternet("20.1.2.3"))
	lines := 0
	for _, test := range []struct {
		mode   string
		status int
		text   string
	}{{"code", 404, "TableNotFound"}, {"404", 404, StatusClientOtherError}, {"500", 500, StatusServerOtherError}} {
		mode.Store(test.mode)
		response, _ := ask(t, client, "GET", tableHost, "/t", nil, "")
		lines++
		if got := r.last(lines); response.StatusCode != test.status || got.StatusCode != test.status || got.StatusText != test.text {
			t.Errorf("%s: got %d, %+v", test.mode, response.StatusCode, got)
		}
	}
	response, _ := ask(t, client, "GET", "gone.table.core.windows.net", "/t", nil, "")
	lines++
	if got := r.last(lines); response.StatusCode != 503 || got.StatusText != "ServerBusy" || got.Rule != "defaultAction Allow" {
		t.Errorf("no backend: got %d, %+v", response.StatusCode, got)
	}
	mode.Store("cut")
	request, err := http.NewRequest("GET", "http://"+tableHost+"/t", nil)
	if err != nil {
		t.Fatal(err)
	}
	if response, err := client.Do(request); err == nil {
		_, err = io.ReadAll(response.Body)
		_ = response.Body.Close()
		if err == nil {
			t.Error("half an answer looks whole")
		}
	}
	lines++
	if got := r.last(lines); got.StatusText != StatusNetworkError || got.ResponseBytes != 4 {
		t.Errorf("half an answer: got %+v", got)
	}
}

func TestNothingTakesTheConnectionOver(t *testing.T) {
	var hijacked atomic.Bool
	r := newRig(t, func(c *Config) {
		c.BuiltIn["storage/table"] = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if _, _, err := http.NewResponseController(w).Hijack(); err == nil {
				hijacked.Store(true)
			}
			w.(http.Flusher).Flush()
		})
	})
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, buffer, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		_, _ = buffer.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n")
		_ = buffer.Flush()
	}))
	t.Cleanup(backend.Close)
	other := storageAccount("stb", model.NetworkRules{DefaultAllow: true})
	other.Backends = backendAt(backend.Listener.Addr().String())
	r.apply(cloud(storageAccount("sta", model.NetworkRules{DefaultAllow: true}), other))
	address := r.listen(byInternet("20.1.2.3"), r.plain)
	if answer := raw(t, address, "GET /t HTTP/1.1\r\nHost: "+tableHost+"\r\nConnection: close\r\n\r\n"); !strings.HasPrefix(answer, "HTTP/1.1 200") || hijacked.Load() {
		t.Errorf("got %q, hijacked %v", answer, hijacked.Load())
	}
	if answer := raw(t, address, "GET /t HTTP/1.1\r\nHost: stb.table.core.windows.net\r\nConnection: Upgrade, close\r\nUpgrade: h2c\r\n\r\n"); !strings.HasPrefix(answer, "HTTP/1.1 503") {
		t.Errorf("got %q for an upgrade", answer)
	}
	if answer := raw(t, address, "CONNECT sta.table.core.windows.net:443 HTTP/1.1\r\nHost: "+tableHost+"\r\nConnection: close\r\n\r\n"); !strings.HasPrefix(answer, "HTTP/1.1 405") {
		t.Errorf("got %q for CONNECT", answer)
	}
	// The target of an absolute request line outranks Host (RFC 9112 section 3.2.2): judged and forwarded is the same name.
	if answer := raw(t, address, "GET http://stnobody.table.core.windows.net/t HTTP/1.1\r\nHost: "+tableHost+"\r\nConnection: close\r\n\r\n"); !strings.HasPrefix(answer, "HTTP/1.1 404") {
		t.Errorf("got %q for an absolute target", answer)
	}
	if answer := raw(t, address, "OPTIONS * HTTP/1.1\r\nHost: "+tableHost+"\r\nConnection: close\r\n\r\n"); !strings.HasPrefix(answer, "HTTP/1.1 200") {
		t.Errorf("got %q for OPTIONS *", answer)
	}
	t.Run("FW-13 OPTIONS * is logged too", func(t *testing.T) {
		if got := r.last(5); got.Operation != "PreflightRequest" || got.URI != "*" {
			t.Errorf("got %+v", got)
		}
	})
}

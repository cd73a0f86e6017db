package gateway

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"postern/model"
)

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
		"two Hosts that are equal":               {start("GET /t HTTP/1.1") + "Host: " + tableHost + "\r\n\r\n", 400},
		"a Host with a comma":                    {"GET /t HTTP/1.1\r\nHost: " + tableHost + ", stb.table.core.windows.net\r\n\r\n", 400},
		"a fold behind Transfer-Encoding":        {start("POST /t HTTP/1.1") + "Transfer-Encoding:\r\n chunked\r\n , identity\r\n\r\n0\r\n\r\n", 501},
		"a vertical tab behind chunked":          {start("POST /t HTTP/1.1") + "Transfer-Encoding: chunked\x0b\r\n\r\n0\r\n\r\n", 400},
		"a hexadecimal Content-Length":           {start("POST /t HTTP/1.1") + "Content-Length: 0x5\r\n\r\nabcde", 400},
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

// What RFC 9112 lets a server repair has one meaning here, and the backend gets that one alone, written anew. Behind a chunked
// body, beside which a Content-Length may have stood, the connection is ended, and nothing of it is taken for a request
// (section 6.1).
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
		"section 6.1: chunked beside Content-Length": {
			"POST /t HTTP/1.1" + host + "Transfer-Encoding: Chunked\r\nContent-Length: 14\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
			[]string{"Transfer-Encoding: chunked"}, []string{"Content-Length"}},
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
			answers := 2
			if strings.HasPrefix(name, "section 6.1") {
				answers = 1
			}
			if len(got) != answers || got[0] != 200 || got[answers-1] != 200 {
				t.Fatalf("answers %v, want %d", got, answers)
			}
			text := <-arrived
			for _, want := range test.want {
				if !strings.Contains(text, want) {
					t.Errorf("the backend got %q without %q", text, want)
				}
			}
			if answers == 1 {
				if len(arrived) > 0 {
					t.Errorf("behind it came %q", <-arrived)
				}
			} else if next := <-arrived; !strings.HasPrefix(next, "GET /LAST ") {
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

// A name in any spelling that DNS has is the same instance; what no name has is refused, and never cut to what would be one.
func TestFormsOfHost(t *testing.T) {
	for _, test := range []struct {
		request string // its line and Host
		status  int
	}{
		{"GET /t HTTP/1.1\r\nHost: STA.Table.Core.Windows.NET", 200},
		{"GET /t HTTP/1.1\r\nHost: " + tableHost + ".", 200},
		{"GET /t HTTP/1.1\r\nHost: " + tableHost + ":65535", 200},
		{"GET /t HTTP/1.1\r\nHost: " + tableHost + ".:80", 200},
		{"GET http://" + tableHost + "/t HTTP/1.1\r\nHost: stb.table.core.windows.net", 200}, // the line outranks Host (section 3.2.2)
		{"GET http://stb.table.core.windows.net/t HTTP/1.1\r\nHost: " + tableHost, 404},
		{"GET http://" + tableHost + "@stb.table.core.windows.net/t HTTP/1.1\r\nHost: " + tableHost, 404},
		{"GET /t HTTP/1.1\r\nHost: user@" + tableHost, 400},
		{"GET /t HTTP/1.1\r\nHost: user:80@" + tableHost, 400},
		{"GET /t HTTP/1.1\r\nHost: stb.table.core.windows.net#" + tableHost, 400},
		{"GET /t HTTP/1.1\r\nHost: " + tableHost + ":http", 400},
		{"GET /t HTTP/1.1\r\nHost: " + tableHost + ":80:80", 400},
		{"GET /t HTTP/1.1\r\nHost: " + tableHost + "..", 400},
		{"GET /t HTTP/1.1\r\nHost: ſta.table.core.windows.net", 400},
		{"GET /t HTTP/1.1\r\nHost: xn--sta-1234.table.core.windows.net", 400},
		{"GET /t HTTP/1.1\r\nHost: sta%2etable.core.windows.net", 400},
		{"GET /t HTTP/1.1\r\nHost: [::1]", 400},
		{"GET /t HTTP/1.1\r\nHost:", 400},
		{"GET " + tableHost + "/t HTTP/1.1\r\nHost: " + tableHost, 400},
		{"PRI * HTTP/2.0\r\nHost: " + tableHost, 405}, // HTTP/2 is not spoken
	} {
		r, served := faultRig(t, nil)
		got := statuses(t, send(t, r.listen(byInternet("20.1.2.3"), r.plain), test.request+"\r\nConnection: close\r\n\r\n"))
		if len(got) != 1 || got[0] != test.status || (served.Load() == 1) != (test.status == 200) {
			t.Errorf("%q: answers %v, %d served; want %d", test.request, got, served.Load(), test.status)
		}
		r.last(1)
	}
}

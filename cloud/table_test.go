package cloud

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"sync/atomic"
)

// client is an HTTP client on a machine that trusts the cloud's CA. With an address, all connections go there.
func (s *stage) client(from Machine, address string) *http.Client {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(s.CA())
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots},
		DialContext: func(ctx context.Context, network, to string) (net.Conn, error) {
			if address != "" {
				_, port, _ := net.SplitHostPort(to)
				to = net.JoinHostPort(address, port)
			}
			return from.DialContext(ctx, network, to)
		},
	}
	s.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: patience}
}

// answer is what a service said.
type answer struct {
	status int
	code   string // of its error
	body   string
}

func (s *stage) ask(client *http.Client, method, url, token string, body any) (answer, error) {
	var content io.Reader
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			return answer{}, err
		}
		content = bytes.NewReader(data)
	}
	request, err := http.NewRequestWithContext(s.ctx, method, url, content)
	if err != nil {
		return answer{}, err
	}
	request.Header.Set("Accept", "application/json;odata=nometadata")
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("x-ms-version", "2023-11-03")
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := client.Do(request)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return answer{response.StatusCode, response.Header.Get("x-ms-error-code"), string(text)}, err
}

// token asks for a managed-identity token for storage, as the machine.
func (s *stage) token(from Machine) string {
	s.t.Helper()
	token, err := s.askToken(from)
	if err != nil {
		s.t.Fatal(err)
	}
	return token
}

func (s *stage) askToken(from Machine) (string, error) {
	request, err := http.NewRequestWithContext(s.ctx, http.MethodGet,
		"http://169.254.169.254/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https%3A%2F%2Fstorage.azure.com%2F", nil)
	if err != nil {
		return "", err
	}
	request.Header.Set("Metadata", "true")
	response, err := s.client(from, "").Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	var granted struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.NewDecoder(response.Body).Decode(&granted); err != nil || granted.AccessToken == "" {
		return "", fmt.Errorf("no token: %s %w", response.Status, err)
	}
	return granted.AccessToken, nil
}

func tableHost(account string) string { return account + ".table.core.windows.net" }

// makeTable makes the table that insert writes to.
func (s *stage) makeTable(client *http.Client, account, token string) {
	s.t.Helper()
	got, err := s.ask(client, http.MethodPost, "http://"+tableHost(account)+"/Tables", token, map[string]string{"TableName": "operations"})
	if err != nil || got.status != http.StatusCreated && got.status != http.StatusConflict {
		s.t.Fatalf("make table in %s: %+v, %v", account, got, err)
	}
}

// allRows numbers rows over all stages, so that no two have one key.
var allRows atomic.Int64

func (s *stage) insert(client *http.Client, account, token string) (answer, error) {
	return s.ask(client, http.MethodPost, "http://"+tableHost(account)+"/operations", token, map[string]any{
		"PartitionKey": "p", "RowKey": fmt.Sprint(allRows.Add(1)), "Message": "hello", "MessageNumber": 1,
	})
}

// wantInsert checks the answer to an insertion over a new connection: 201, or a status with an error code.
func (s *stage) wantInsert(from Machine, address, account, token string, status int, code string) {
	s.t.Helper()
	got, err := s.insert(s.client(from, address), account, token)
	if err != nil {
		s.t.Fatalf("insert into %s: %v", account, err)
	}
	if got.status != status || got.code != code {
		s.t.Errorf("insert into %s: %d %q %s, want %d %q", account, got.status, got.code, got.body, status, code)
	}
}

// wantCaller waits until the newest line of the access log about an account has a caller's address.
func (s *stage) wantCaller(account, address string) {
	s.t.Helper()
	s.wantCallerIn(account, address+"/32")
}

// wantCallerIn is wantCaller for any address of a prefix.
func (s *stage) wantCallerIn(account, prefix string) {
	s.t.Helper()
	wanted := netip.MustParsePrefix(prefix)
	s.eventually("wait for caller "+prefix+" in the access log of "+account, func() error {
		entries, err := s.AccessLog(s.ctx)
		if err != nil {
			return err
		}
		var last string
		for _, entry := range entries {
			if entry.Account == account {
				last = entry.CallerIPAddress
			}
		}
		if caller, err := netip.ParseAddrPort(last); err != nil || !wanted.Contains(caller.Addr()) {
			return fmt.Errorf("the last caller is %q", last)
		}
		return nil
	})
}

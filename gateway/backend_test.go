package gateway

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pires/go-proxyproto"

	"postern/firewall"
	"postern/model"
	"postern/plan"
)

func answering(t *testing.T, text string, requests *atomic.Int64) string {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/health" {
			return
		}
		requests.Add(1)
		body, _ := io.ReadAll(r.Body)
		_, _ = io.WriteString(w, text+string(body))
	}))
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

// deadAddress is one where nobody listens.
func deadAddress(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func TestBackends(t *testing.T) {
	with := func(backends ...model.Backend) plan.Instance {
		account := storageAccount("sta", model.NetworkRules{DefaultAllow: true})
		account.Backends = backends
		return account
	}
	var one, two atomic.Int64
	first, second := answering(t, "first ", &one), answering(t, "second ", &two)
	t.Run("a dead backend costs no request, whatever its body", func(t *testing.T) {
		r := newRig(t, nil)
		r.apply(cloud(with(model.Backend{Address: deadAddress(t), Weight: 256}, model.Backend{Address: first, Weight: 1})))
		client := r.client(byInternet("20.1.2.3"))
		for range 10 {
			if response, body := ask(t, client, "POST", tableHost, "/t", nil, "body"); response.StatusCode != 200 || body != "first body" {
				t.Fatalf("got %d %q", response.StatusCode, body)
			}
		}
		if got := r.last(10); got.Backend != first {
			t.Errorf("logged %q, want %s", got.Backend, first)
		}
	})
	t.Run("none alive: the service's own words, at once, and a line", func(t *testing.T) {
		r := newRig(t, nil)
		r.apply(cloud(with(model.Backend{Address: deadAddress(t)}, model.Backend{Address: deadAddress(t)})))
		start := time.Now()
		response, body := ask(t, r.client(byInternet("20.1.2.3")), "GET", tableHost, "/t", nil, "")
		if response.StatusCode != 503 || !strings.Contains(body, "ServerBusy") || time.Since(start) > 5*time.Second {
			t.Errorf("got %d %q after %s", response.StatusCode, body, time.Since(start))
		}
		if got := r.last(1); got.StatusText != "ServerBusy" {
			t.Errorf("logged %+v", got)
		}
	})
	t.Run("by weight", func(t *testing.T) {
		one.Store(0)
		two.Store(0)
		r := newRig(t, nil)
		r.apply(cloud(with(model.Backend{Address: first, Weight: 3}, model.Backend{Address: second, Weight: 1})))
		client := r.client(byInternet("20.1.2.3"))
		for range 200 {
			ask(t, client, "GET", tableHost, "/t", nil, "")
		}
		// Of 200 with probability 3/4: 150, with a standard deviation of 6.
		if n := one.Load(); n < 110 || n > 190 || one.Load()+two.Load() != 200 {
			t.Errorf("%d and %d requests", one.Load(), two.Load())
		}
	})
	t.Run("one of a sub-service is for that alone", func(t *testing.T) {
		r := newRig(t, nil)
		r.apply(cloud(with(model.Backend{Address: first, Weight: 1}, model.Backend{Part: "blob", Address: second, Weight: 1})))
		client := r.client(byInternet("20.1.2.3"))
		for host, want := range map[string]string{tableHost: "first ", "sta.blob.core.windows.net": "second "} {
			if _, body := ask(t, client, "GET", host, "/t", nil, ""); body != want {
				t.Errorf("%s: got %q", host, body)
			}
		}
	})
	t.Run("a PROXY header says who calls", func(t *testing.T) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.RemoteAddr) })}
		go func() {
			_ = server.Serve(&proxyproto.Listener{Listener: l, ConnPolicy: func(proxyproto.ConnPolicyOptions) (proxyproto.Policy, error) { return proxyproto.REQUIRE, nil }})
		}()
		t.Cleanup(func() { server.Close() })
		r := newRig(t, nil)
		account := with(model.Backend{Address: l.Addr().String(), Weight: 1})
		account.Delivery.ProxyProtocol = true
		r.apply(cloud(account))
		for way, want := range map[string]string{"10.13.76.36": "10.13.76.36:", "10.13.76.40": "10.13.76.40:"} {
			if response, body := ask(t, r.client(byEndpoint(identityApp, way)), "GET", tableHost, "/t", nil, ""); response.StatusCode != 200 || !strings.HasPrefix(body, want) {
				t.Errorf("got %d %q", response.StatusCode, body)
			}
		}
	})
}

func TestManagedIdentity(t *testing.T) {
	const vm = "/subscriptions/s/resourceGroups/rg/providers/Microsoft.Compute/virtualMachines/vm"
	r := newRig(t, func(c *Config) {
		c.Tokens = func(raw string, audiences []string) (firewall.Managed, error) {
			if raw != "good" || len(audiences) == 0 || audiences[0] != "https://storage.azure.com" {
				return firewall.Managed{}, errors.New("no token")
			}
			return firewall.Managed{Tenant: "t", Resource: vm}, nil
		}
	})
	r.apply(cloud(storageAccount("sta", model.NetworkRules{ResourceAccessRules: []model.ResourceAccessRule{{Tenant: "t", Resource: vm}}})))
	client := r.client(byInternet("20.1.2.3"))
	for _, test := range []struct {
		name, token string
		status      int
	}{
		{"FW-10 without a token no", "", 403},
		{"FW-10 ID-2 with a VM's token yes", "Bearer good", 200},
		{"FW-10 on the same connection, without one again no", "", 403},
		{"ID-2 nor with another's", "Bearer bad", 403},
	} {
		t.Run(test.name, func(t *testing.T) {
			header := http.Header{}
			if test.token != "" {
				header.Set("Authorization", test.token)
			}
			if response, _ := ask(t, client, "GET", tableHost, "/t", header, ""); response.StatusCode != test.status {
				t.Errorf("got %d, want %d", response.StatusCode, test.status)
			}
		})
	}
}

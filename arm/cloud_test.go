package arm_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"postern/api"
	"postern/control"
	"postern/node"
	"postern/resource"
)

// fixture is a control plane in this process with its door open on loopback, and agents that apply nothing and say that
// they have.
type fixture struct {
	ctx    context.Context
	plane  *control.Plane
	door   *control.Door
	ca     []byte
	client *http.Client
}

// fabric are the nodes that NICs and accounts need.
const fabric = `
type: nodes
name: host-a
location: westeurope
properties: {role: host, locator: "fd00:1:1:100::/56"}
---
type: nodes
name: gateway-we
location: westeurope
properties: {role: gateway, locator: "fd00:1:1:300::/56", serviceLocator: "fd00:1:a:100::/56", platformLocator: "fd00:1:b:100::/56"}
`

func start(t *testing.T) *fixture {
	t.Helper()
	dir, err := os.MkdirTemp("", "pt-arm-") // t.TempDir is too long for the path of a socket
	if err != nil {
		t.Fatal(err)
	}
	plane, err := control.Start(dir, slog.New(slog.DiscardHandler), control.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	var agents sync.WaitGroup
	t.Cleanup(func() {
		cancel()
		agents.Wait()
		if err := plane.Close(); err != nil {
			t.Error(err)
		}
		os.RemoveAll(dir)
	})
	agents.Go(func() { applyAll(ctx, plane, &agents) })
	items, err := resource.Load("fabric.yaml", []byte(fabric))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := plane.API.Apply(ctx, api.Batch{Resources: items}); err != nil {
		t.Fatal(err)
	}
	f := &fixture{ctx: ctx, plane: plane}
	if f.door, err = plane.OpenDoor(ctx, "localhost:0", nil); err != nil {
		t.Fatal(err)
	}
	authority, err := node.Authority(ctx, plane.Store.Store)
	if err != nil {
		t.Fatal(err)
	}
	f.ca = authority.CertificatePEM()
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(f.ca)
	f.client = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}
	t.Cleanup(f.client.CloseIdleConnections)
	return f
}

// applyAll reports every plan of every node as applied.
func applyAll(ctx context.Context, plane *control.Plane, agents *sync.WaitGroup) {
	known := map[string]bool{}
	for range plane.Store.Watch(ctx) {
		cloud, err := plane.Cache.Current(ctx)
		if err != nil {
			continue
		}
		for _, node := range cloud.Snapshot().Nodes {
			if known[node.Name] {
				continue
			}
			known[node.Name] = true
			agents.Go(func() {
				for update := range plane.Store.WatchPlan(ctx, node.Name) {
					if update.Plan != nil {
						_ = plane.Store.ReportApplied(ctx, node.Name, update.Revision, nil) // the context has ended
					}
				}
			})
		}
	}
}

// answered is an answer of the door.
type answered struct {
	status int
	header http.Header
	body   string
}

// send sends a request as it is, with a bearer token if one is given.
func (f *fixture) send(t *testing.T, method, path, token, body string, headers ...string) answered {
	t.Helper()
	request, err := http.NewRequestWithContext(f.ctx, method, f.door.URL, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	// The path goes out as written: clients send what url.Parse would clean.
	path, query, _ := strings.Cut(path, "?")
	request.URL.Opaque = strings.Replace(f.door.URL, "https:", "", 1) + path
	request.URL.RawQuery = query
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	answer, err := f.client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	data, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answered{answer.StatusCode, answer.Header, string(data)}
}

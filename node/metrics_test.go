package node

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"

	"postern/gateway"
)

func TestMetricsAreServed(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	group, ctx := errgroup.WithContext(ctx)
	dir, err := os.MkdirTemp("", "") // t.TempDir's names are too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	socket := filepath.Join(dir, "gw.prom")
	registry := newMetrics()
	log := gateway.NewAccessLog(io.Discard, 0)
	defer log.Close(t.Context())
	g, err := gateway.New(gateway.Config{AccessLog: log, Metrics: registry})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	if err := os.WriteFile(socket, nil, 0o600); err != nil { // what a killed one has left
		t.Fatal(err)
	}
	if err := serveMetrics(ctx, group, registry, socket, "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}}
	response, err := client.Get("http://gateway/metrics")
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(response.Body)
	response.Body.Close()
	for _, name := range []string{"postern_gateway_connections 0\n", "postern_gateway_access_log_lost_lines_total 0\n", "go_goroutines"} {
		if err != nil || !strings.Contains(string(text), name) {
			t.Errorf("%s is not in %s, %v", name, text, err)
		}
	}
	if info, err := os.Stat(socket); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the socket: %v, %v", info, err)
	}
	if err := serveMetrics(ctx, group, registry, filepath.Join(dir, "other.prom"), "nowhere:-1"); err == nil {
		t.Error("an address that is none was taken")
	}
	client.CloseIdleConnections()
	stop()
	if err := group.Wait(); err != nil {
		t.Error(err)
	}
}

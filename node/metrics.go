package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/sync/errgroup"
)

// MetricsSocket is where a gateway of a cloud in a state folder answers GET /metrics in the Prometheus text format. The
// owner alone can connect.
func MetricsSocket(dir, name string) string { return filepath.Join(AgentDir(dir), name+".prom") }

// newMetrics is a registry with what every Go process has; the gateway adds its own.
func newMetrics() *prometheus.Registry {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return registry
}

// serveMetrics answers at a socket and, where one is given, at a TCP address, until the context ends.
func serveMetrics(ctx context.Context, group *errgroup.Group, registry *prometheus.Registry, socket, address string) error {
	if err := os.Remove(socket); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("serve metrics at %s: %w", socket, err)
	}
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return fmt.Errorf("serve metrics at %s: %w", socket, err)
	}
	listeners := []net.Listener{listener}
	if err = os.Chmod(socket, 0o600); err == nil && address != "" {
		if listener, err = net.Listen("tcp", address); err == nil {
			listeners = append(listeners, listener)
		}
	}
	if err != nil {
		for _, one := range listeners {
			err = errors.Join(err, one.Close())
		}
		return fmt.Errorf("serve metrics: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	context.AfterFunc(ctx, func() { server.Close() })
	for _, one := range listeners {
		group.Go(func() error {
			if err := server.Serve(one); !errors.Is(err, http.ErrServerClosed) {
				return fmt.Errorf("serve metrics at %s: %w", one.Addr(), err)
			}
			return nil
		})
	}
	return nil
}

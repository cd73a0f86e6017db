// Package gateway is the services' side of the network: it reads who calls from the peer address of each connection, finds
// the instance by Host, server name, the service's own start-up protocol or address, judges the instance's network rules and
// the caller's endpoint policy, logs, and hands the request or the connection to a backend. It knows no service: what is one
// service's stands in its folder of service/. It is a plain Go server on listeners that it is given, kernel sockets or a
// userspace stack's alike.
//
// The way of a connection: serve.go (accept, register, which way) → name.go (which instance) → judge.go (who may) →
// http.go, or passthrough.go (answer or forward) → backend.go (where to) → accesslog.go (one line). The kernel's connections
// that are passed on go by passlink.go and package relay. Apply replaces the plan at once and asks every open connection
// again.
package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"postern/firewall"
	"postern/gateway/relay"
	"postern/plan"
)

// Config is everything that a gateway gets from outside. AccessLog is needed, the rest has a meaning when zero.
type Config struct {
	// AccessLog takes one entry a request. The gateway does not close it.
	AccessLog *AccessLog

	// BuiltIn serve instances without a backend, by SERVICE/PART: "storage/table". Host, path and query are as the client
	// sent them; RequestFrom tells instance and caller. Requests that none is for are answered 501.
	BuiltIn map[string]http.Handler

	// Tokens verifies a bearer token that is made for one of the audiences, and tells whose it is (ID-2). nil: no managed
	// identity is known.
	Tokens func(raw string, audiences []string) (firewall.Managed, error)

	// Dial opens connections to backends; nil: net.Dialer's, and package relay's for what is passed through.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)

	// Direct judges packets to instances' own addresses; nil: their connections are passed through here, as those of the way
	// tcp are.
	Direct DirectPath

	// GetCertificate gives the certificate for a server name; needed for ServeTLS.
	GetCertificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)

	Metrics prometheus.Registerer // nil: no metrics
	Logger  *slog.Logger          // nil: slog.Default()

	HeaderTimeout time.Duration // for the TLS handshake and for a request's header; 0: 10 s
	IdleTimeout   time.Duration // between requests; 0: 120 s
	StallTimeout  time.Duration // for the next bytes of a body, either way; 0: 60 s
}

// Limits that no client of the services needs more of.
const (
	defaultHeaderTimeout = 10 * time.Second
	defaultIdleTimeout   = 120 * time.Second
	defaultStallTimeout  = 60 * time.Second
	maxHeaderBytes       = 64 << 10
)

// Gateway answers for the instances of one region. All methods may be called at the same time.
type Gateway struct {
	config      Config
	server      *http.Server
	tls         *tls.Config
	proxy       *httputil.ReverseProxy
	transport   *transport
	health      *health
	handoff     *handoff     // connections for server
	relay       *relay.Relay // passes the kernel's connections on; nil where backends are dialled by others, or there is none
	connections registry
	metrics     *metrics

	serving   sync.WaitGroup // connections that are passed through
	listening listeners

	applying sync.Mutex // one Apply at a time

	// snapshot is what judges. A request reads it, judges and registers its admission under admission's read lock, and
	// Apply replaces it under the write lock: so every admission by an older snapshot is registered before Apply looks
	// at the connections, and none escapes.
	admission sync.RWMutex
	snapshot  atomic.Pointer[Snapshot]
	before    atomic.Pointer[Snapshot] // the one that snapshot replaced
}

// New makes a gateway without a plan: it denies everything until the first Apply (FW-3).
func New(config Config) (*Gateway, error) {
	if config.AccessLog == nil {
		return nil, errors.New("make gateway: there is no access log: give Config.AccessLog")
	}
	if config.Logger == nil {
		config.Logger = slog.Default()
	}
	ownDial := config.Dial != nil
	if config.Dial == nil {
		config.Dial = (&net.Dialer{Timeout: defaultHeaderTimeout}).DialContext
	}
	orDefault(&config.HeaderTimeout, defaultHeaderTimeout)
	orDefault(&config.IdleTimeout, defaultIdleTimeout)
	orDefault(&config.StallTimeout, defaultStallTimeout)
	g := &Gateway{config: config, handoff: newHandoff()}
	g.health = newHealth(config.Dial, config.Logger, g.backendsChanged)
	var err error
	if g.metrics, err = newMetrics(config.Metrics, &g.connections, config.AccessLog); err != nil {
		return nil, err
	}
	if !ownDial {
		if g.relay, err = relay.New(runtime.GOMAXPROCS(0)); err != nil {
			config.Logger.Debug("connections are passed on in goroutines", "reason", err)
		}
	}
	g.transport = newTransport(g)
	g.proxy = newProxy(g.transport, config.Logger)
	g.tls = &tls.Config{GetCertificate: config.GetCertificate, NextProtos: []string{"http/1.1"}, MinVersion: tls.VersionTLS12}
	// HTTP/1.1 alone: one request at a time is what connection bookkeeping relies on.
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	g.server = &http.Server{
		Handler:                      http.HandlerFunc(g.serve),
		DisableGeneralOptionsHandler: true, // every request is judged and logged
		ReadHeaderTimeout:            config.HeaderTimeout,
		IdleTimeout:                  config.IdleTimeout,
		MaxHeaderBytes:               maxHeaderBytes,
		ConnContext:                  withConnection,
		ConnState:                    g.notUnderstood,
		ErrorLog:                     slog.NewLogLogger(config.Logger.Handler(), slog.LevelDebug),
		Protocols:                    protocols,
	}
	go func() { _ = g.server.Serve(g.handoff) }() // until Close or Shutdown
	return g, nil
}

func orDefault(value *time.Duration, otherwise time.Duration) {
	if *value <= 0 {
		*value = otherwise
	}
}

// Apply puts a node's plan in force, wholly or, with an error, not at all. When it returns, every request is judged by
// the new plan, and every open connection that the new plan does not admit to an instance it has used has been reset; its
// line is on its way to the log. Applying the same plan twice is safe.
func (g *Gateway) Apply(node plan.Node) error {
	snapshot, err := NewSnapshot(node)
	if err != nil {
		return err
	}
	g.applying.Lock()
	defer g.applying.Unlock()
	g.admission.Lock()
	g.before.Store(g.snapshot.Swap(snapshot))
	g.admission.Unlock()
	g.health.watch(snapshot)
	err = g.applyDirect(snapshot)
	g.revoke(snapshot) // in any case: requests are judged by the new plan already
	return err
}

// Snapshot is the plan in force; nil before the first Apply.
func (g *Gateway) Snapshot() *Snapshot { return g.snapshot.Load() }

// Shutdown stops accepting and waits for the requests and connections under way, at most as long as the context allows.
func (g *Gateway) Shutdown(ctx context.Context) error {
	defer g.transport.close()
	defer g.health.close()
	g.listening.close()
	if err := g.server.Shutdown(ctx); err != nil {
		return fmt.Errorf("shut gateway down: %w", err)
	}
	done := make(chan struct{})
	go func() { g.serving.Wait(); close(done) }()
	select {
	case <-done:
		g.endRelay()
		return nil
	case <-ctx.Done():
		return fmt.Errorf("shut gateway down: %w", ctx.Err())
	}
}

// Close ends all listeners and connections at once.
func (g *Gateway) Close() error {
	defer g.transport.close()
	defer g.health.close()
	g.listening.close()
	err := g.server.Close()
	g.handoff.Close()
	for _, c := range g.connections.all() {
		err = errors.Join(err, c.Close())
	}
	g.serving.Wait()
	g.endRelay()
	if err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("close gateway: %w", err)
	}
	return nil
}

func (g *Gateway) endRelay() {
	if g.relay != nil {
		g.relay.Close()
	}
}

type connectionKey struct{}

// withConnection lets a request find its connection.
func withConnection(ctx context.Context, conn net.Conn) context.Context {
	if secured, ok := conn.(*tls.Conn); ok {
		conn = secured.NetConn()
	}
	return conn.(*connection).context(ctx)
}

// Package gateway is the service's side of the network: it reads who calls from the peer address of each connection,
// finds the account by Host and server name, judges the account's network rules and the caller's endpoint policy, logs
// the request, and hands it to the backend. It is a plain Go server on listeners that it is given, kernel sockets or a
// userspace stack's alike.
//
// The way of a request: connections.go (accept, register) → account.go (which account) → judge.go (who may) →
// http.go (answer or forward) → accesslog.go (one line). Apply replaces the plan at once and asks every open connection
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
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"postern/plan"
)

// Config is everything that a gateway gets from outside. AccessLog is needed, the rest has a meaning when zero.
type Config struct {
	// AccessLog takes one entry a request. The gateway does not close it.
	AccessLog *AccessLog

	// Table serves the table service of accounts without a backend of their own. Host, path and query are as the client
	// sent them; RequestFrom tells account and caller. nil: such requests are answered 501.
	Table http.Handler

	// Dial opens connections to the accounts' backends; nil: net.Dialer's.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)

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
	transport   *http.Transport
	connections registry
	metrics     *metrics

	applying sync.Mutex // one Apply at a time

	// snapshot is what judges. A request reads it, judges and registers its admission under admission's read lock, and
	// Apply replaces it under the write lock: so every admission by an older snapshot is registered before Apply looks
	// at the connections, and none escapes.
	admission sync.RWMutex
	snapshot  atomic.Pointer[Snapshot]
}

// New makes a gateway without a plan: it denies everything until the first Apply (FW-3).
func New(config Config) (*Gateway, error) {
	if config.AccessLog == nil {
		return nil, errors.New("make gateway: there is no access log: give Config.AccessLog")
	}
	if config.Logger == nil {
		config.Logger = slog.Default()
	}
	if config.Dial == nil {
		config.Dial = (&net.Dialer{Timeout: defaultHeaderTimeout}).DialContext
	}
	orDefault(&config.HeaderTimeout, defaultHeaderTimeout)
	orDefault(&config.IdleTimeout, defaultIdleTimeout)
	orDefault(&config.StallTimeout, defaultStallTimeout)
	g := &Gateway{config: config}
	var err error
	if g.metrics, err = newMetrics(config.Metrics, &g.connections, config.AccessLog); err != nil {
		return nil, err
	}
	g.transport = newTransport(config.Dial, config.StallTimeout)
	g.proxy = newProxy(g.transport, config.Logger)
	g.tls = &tls.Config{GetCertificate: config.GetCertificate, NextProtos: []string{"http/1.1"}, MinVersion: tls.VersionTLS12}
	// The storage services speak HTTP/1.1 alone, and one request at a time is what connection bookkeeping relies on.
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	g.server = &http.Server{
		Handler:                      http.HandlerFunc(g.serve),
		DisableGeneralOptionsHandler: true, // every request is judged and logged
		ReadHeaderTimeout:            config.HeaderTimeout,
		IdleTimeout:                  config.IdleTimeout,
		MaxHeaderBytes:               maxHeaderBytes,
		ConnContext:                  withConnection,
		ErrorLog:                     slog.NewLogLogger(config.Logger.Handler(), slog.LevelDebug),
		Protocols:                    protocols,
	}
	return g, nil
}

func orDefault(value *time.Duration, otherwise time.Duration) {
	if *value <= 0 {
		*value = otherwise
	}
}

// Apply puts a node's plan in force, wholly or, with an error, not at all. When it returns, every request is judged by
// the new plan, and every open connection that the new plan does not admit to an account it has used has been reset and
// logged. Applying the same plan twice is safe.
func (g *Gateway) Apply(node plan.Node) error {
	snapshot, err := NewSnapshot(node)
	if err != nil {
		return err
	}
	g.applying.Lock()
	defer g.applying.Unlock()
	g.admission.Lock()
	g.snapshot.Store(snapshot)
	g.admission.Unlock()
	for _, c := range g.connections.all() {
		revoked := c.rejudge(snapshot)
		if len(revoked) == 0 {
			continue
		}
		c.reset()
		g.metrics.revoked.Inc()
		for _, r := range revoked {
			g.config.AccessLog.Record(r.entry())
		}
	}
	return nil
}

// entry is the log line of a revoked connection: whom the connection was, and which rule it misses now.
func (r revocation) entry() Entry {
	now := time.Now()
	entry := Entry{
		Time: now.UTC(), Account: r.account, Service: r.was.service, StatusText: StatusConnectionRevoked,
		DurationMs: milliseconds(now.Sub(r.connection.since)), Rule: r.was.decision.Rule, MissingRule: r.now.Missing,
	}
	entry.setCaller(r.was.caller, r.was.snapshot)
	return entry
}

// Snapshot is the plan in force; nil before the first Apply.
func (g *Gateway) Snapshot() *Snapshot { return g.snapshot.Load() }

// ServePlain serves HTTP on a listener until Close or Shutdown, when it returns nil, or until the listener fails.
func (g *Gateway) ServePlain(l net.Listener) error {
	return g.serveOn(&listener{Listener: l, gateway: g})
}

// ServeTLS serves HTTPS on a listener, which must not speak TLS itself, as ServePlain does.
func (g *Gateway) ServeTLS(l net.Listener) error {
	if g.config.GetCertificate == nil {
		return errors.New("serve TLS: there is no certificate: give Config.GetCertificate")
	}
	return g.serveOn(&listener{Listener: l, gateway: g, tls: g.tls})
}

func (g *Gateway) serveOn(l *listener) error {
	if err := g.server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve on %s: %w", l.Addr(), err)
	}
	return nil
}

// Shutdown stops accepting and waits for the requests under way, at most as long as the context allows.
func (g *Gateway) Shutdown(ctx context.Context) error {
	defer g.transport.CloseIdleConnections()
	if err := g.server.Shutdown(ctx); err != nil {
		return fmt.Errorf("shut gateway down: %w", err)
	}
	return nil
}

// Close ends all listeners and connections at once.
func (g *Gateway) Close() error {
	defer g.transport.CloseIdleConnections()
	if err := g.server.Close(); err != nil {
		return fmt.Errorf("close gateway: %w", err)
	}
	return nil
}

// listener registers what it accepts, and puts TLS above it.
type listener struct {
	net.Listener
	gateway *Gateway
	tls     *tls.Config // nil: plain
}

func (l *listener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err // net/http tells temporary errors apart by their own type
	}
	c := l.gateway.connections.accept(conn, l.gateway.config.StallTimeout)
	if l.tls == nil {
		return c, nil
	}
	return tls.Server(c, l.tls), nil
}

type connectionKey struct{}

// withConnection lets a request find its connection.
func withConnection(ctx context.Context, conn net.Conn) context.Context {
	if secured, ok := conn.(*tls.Conn); ok {
		conn = secured.NetConn()
	}
	return conn.(*connection).context(ctx)
}

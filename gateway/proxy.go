package gateway

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/http/httputil"
	"strings"
	"sync"
	"time"

	"postern/service"
)

// Limits of the connections to backends.
const (
	maxIdleBackendConnections = 64 // to one backend
	backendIdleTimeout        = 90 * time.Second
	copyBufferBytes           = 32 << 10
)

// transport sends requests to backends: in the order of health.order, the next one where one takes no connection.
type transport struct {
	gateway *Gateway
	pooled  *http.Transport // connections serve all callers, one after another
}

// dialError is a failure before any byte of a request was sent.
type dialError struct{ error }

func (e dialError) Unwrap() error { return e.error }

func newTransport(g *Gateway) *transport {
	return &transport{gateway: g, pooled: newPool(g, g.config.Dial, maxIdleBackendConnections)}
}

// newPool makes a pool of connections to backends, with so many idle ones to each.
func newPool(g *Gateway, dial func(ctx context.Context, network, address string) (net.Conn, error), idle int) *http.Transport {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return &http.Transport{
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := dial(ctx, network, address)
			if err != nil {
				return nil, dialError{err}
			}
			return conn, nil
		},
		DisableCompression:    true, // an Accept-Encoding of ours would change what the client gets
		MaxIdleConnsPerHost:   idle,
		IdleConnTimeout:       backendIdleTimeout,
		ResponseHeaderTimeout: g.config.StallTimeout,
		ExpectContinueTimeout: time.Second,
		Protocols:             protocols,
	}
}

// poolOf is the pool of one client's connection, for backends that are told who calls: what stands in the PROXY header, the
// client's address and port and what it dialled, is true of all its requests and of nobody else's. It ends with the
// client's connection.
func (g *Gateway) poolOf(c *connection) *http.Transport {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.own == nil {
		c.own = newPool(g, func(ctx context.Context, _, address string) (net.Conn, error) {
			request, _ := RequestFrom(ctx)
			return g.dial(ctx, request.Instance, address, request.Caller)
		}, 1)
	}
	return c.own
}

// RoundTrip implements http.RoundTripper.
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	request, _ := RequestFrom(r.Context())
	client := r.Context().Value(connectionKey{}).(*connection)
	chosen := t.pooled
	if request.Instance.Delivery.ProxyProtocol {
		chosen = t.gateway.poolOf(client)
	}
	ctx := httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{GotConn: func(got httptrace.GotConnInfo) { client.use(got.Conn) }})
	err := errNoBackend
	for _, address := range t.gateway.health.order(request.Instance, request.Part) {
		request.entry.Backend = address
		attempt := r.Clone(ctx)
		attempt.URL.Host = address
		if r.Body != nil {
			attempt.Body = io.NopCloser(r.Body) // the next attempt needs it; the server closes it
		}
		var response *http.Response
		var unreached dialError
		if response, err = chosen.RoundTrip(attempt); !errors.As(err, &unreached) || r.Context().Err() != nil {
			return response, err
		}
		t.gateway.health.failed(probe{address, request.Instance.Delivery.HealthPath})
	}
	return nil, err
}

func (t *transport) close() {
	t.pooled.CloseIdleConnections()
}

// newProxy forwards a judged request to a backend. Host, path and query stay as the client wrote them, since
// SharedKey signs them.
func newProxy(transport http.RoundTripper, logger *slog.Logger) *httputil.ReverseProxy {
	return &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host = "http", r.In.Host // transport chooses where to
			r.Out.URL.RawQuery = r.In.URL.RawQuery               // ReverseProxy drops what it cannot parse
			r.Out.Host = r.In.Host
			// A client's word about who it is must not reach a backend beside ours, and an upgraded connection would
			// carry requests that nobody judges.
			for name := range r.Out.Header {
				if strings.HasPrefix(name, "X-Forwarded-") {
					delete(r.Out.Header, name)
				}
			}
			for _, name := range []string{"Forwarded", "X-Real-Ip", "Connection", "Upgrade"} {
				delete(r.Out.Header, name)
			}
		},
		Transport:  transport,
		BufferPool: &bufferPool{},
		ErrorLog:   slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			answer := w.(*response)
			if r.Context().Err() != nil { // the client is gone, and that is why
				answer.statusText = StatusNetworkError
			}
			request, _ := RequestFrom(r.Context())
			logger.Warn("backend did not answer", "instance", request.Instance.ID, "backend", request.entry.Backend, "error", err)
			answer.refuse(&service.Denial{Fault: service.BackendDown, Host: r.Host, Instance: request.Instance.Name, Part: request.Part,
				Request: r, RequestID: request.ID, Time: time.Now()})
		},
	}
}

// bufferPool keeps the proxy's copy buffers.
type bufferPool struct{ pool sync.Pool }

func (p *bufferPool) Get() []byte {
	if buffer, ok := p.pool.Get().(*[]byte); ok {
		return *buffer
	}
	return make([]byte, copyBufferBytes)
}

func (p *bufferPool) Put(buffer []byte) { p.pool.Put(&buffer) }

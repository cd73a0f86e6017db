package gateway

import (
	"context"
	"log/slog"
	"net"
	"net/http"
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

func newTransport(dial func(ctx context.Context, network, address string) (net.Conn, error), answer time.Duration) *http.Transport {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return &http.Transport{
		DialContext:           dial,
		DisableCompression:    true, // an Accept-Encoding of ours would change what the client gets
		MaxIdleConnsPerHost:   maxIdleBackendConnections,
		IdleConnTimeout:       backendIdleTimeout,
		ResponseHeaderTimeout: answer,
		ExpectContinueTimeout: time.Second,
		Protocols:             protocols,
	}
}

// newProxy forwards a judged request to the backend that was chosen. Host, path and query stay as the client wrote them, since
// SharedKey signs them.
func newProxy(transport http.RoundTripper, logger *slog.Logger) *httputil.ReverseProxy {
	return &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			request, _ := RequestFrom(r.In.Context())
			r.Out.URL.Scheme, r.Out.URL.Host = "http", request.backend
			r.Out.URL.RawQuery = r.In.URL.RawQuery // ReverseProxy drops what it cannot parse
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
			logger.Warn("backend did not answer", "instance", request.Instance.ID, "backend", request.backend, "error", err)
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

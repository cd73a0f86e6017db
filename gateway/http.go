package gateway

import (
	"context"
	"errors"
	"io"
	"math"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"postern/plan"
)

// Request is what the gateway knows of an admitted request: for Config.Table.
type Request struct {
	Account  plan.Account
	Service  string // one of the Service constants
	Caller   Caller
	Decision Decision
	ID       string // what the log has as requestId, unless the answer sets x-ms-request-id itself
}

type requestKey struct{}

// RequestFrom finds the gateway's knowledge in the context of an admitted request.
func RequestFrom(ctx context.Context) (Request, bool) {
	request, ok := ctx.Value(requestKey{}).(Request)
	return request, ok
}

// serve answers one request and logs it, whatever becomes of it.
func (g *Gateway) serve(w http.ResponseWriter, r *http.Request) {
	c := r.Context().Value(connectionKey{}).(*connection)
	start := time.Now()
	body := watchBody(w, r, g.config.StallTimeout)
	answer := &response{ResponseWriter: w}
	exchange := &exchange{
		decision: decisionReject,
		entry: Entry{
			Time: start.UTC(), Operation: unknownOperation, Method: r.Method, URI: r.URL.EscapedPath(),
			RequestID: uuid.NewString(), UserAgent: r.UserAgent(),
		},
	}
	finished := false
	defer func() {
		// Not recovered: net/http knows http.ErrAbortHandler, and prints the others.
		entry := &exchange.entry
		duration := time.Since(start)
		entry.DurationMs = milliseconds(duration)
		entry.RequestBytes, entry.ResponseBytes = body.bytes.Load(), answer.bytes
		if entry.StatusCode = answer.status; finished {
			entry.StatusCode = answer.code()
		}
		if id := answer.Header().Get(headerRequestID); id != "" {
			entry.RequestID = id
		}
		switch {
		case c.isRevoked():
			entry.StatusText = StatusConnectionRevoked
		case !finished || body.failed.Load():
			entry.StatusText = StatusNetworkError
		default:
			entry.StatusText = answer.text()
		}
		g.config.AccessLog.Record(*entry)
		g.metrics.request(entry.Service, entry.StatusCode, exchange.decision, duration)
	}()
	g.answer(answer, r, c, exchange)
	finished = true
}

// exchange is what is known of a request so far.
type exchange struct {
	entry    Entry
	decision string
}

// answer finds the account, judges, and forwards or refuses.
func (g *Gateway) answer(w *response, r *http.Request, c *connection, x *exchange) {
	refuse := func(e storageError) { e.write(w, r, x.entry.Service, x.entry.RequestID, time.Now()) }
	snapshot := g.snapshot.Load()
	caller := Identify(snapshot, c.local, c.peer)
	x.entry.setCaller(caller, snapshot)

	serverName := ""
	if r.TLS != nil {
		serverName = r.TLS.ServerName
	}
	endpoint, err := endpointOf(r.Host, serverName, snapshot.Suffix())
	x.entry.Account, x.entry.Service = endpoint.Account, endpoint.Service
	x.entry.Operation = Operation(endpoint.Service, r.Method, r.URL.Path, r.URL.Query(), r.Header)
	switch {
	case snapshot == nil: // nobody is told anything, not even what is wrong with the host
		if x.entry.Service == "" {
			x.entry.Service = serviceGuess(r.Host)
		}
		x.decision, x.entry.MissingRule = decisionDeny, Judge(nil, caller, "").Missing
		refuse(errAuthorizationFailure)
		return
	case errors.Is(err, errMisdirected):
		refuse(errOtherAccount)
		return
	case err != nil:
		x.entry.Service = serviceGuess(r.Host)
		refuse(errInvalidHost)
		return
	case r.Method == http.MethodConnect:
		refuse(errMethodNotAllowed)
		return
	}

	admitted, ok := g.admit(c, endpoint)
	if !ok { // the connection is being reset: there is nobody to answer
		x.decision, x.entry.MissingRule = decisionDeny, "the connection was revoked"
		panic(http.ErrAbortHandler)
	}
	x.entry.setCaller(admitted.caller, admitted.snapshot)
	x.entry.Rule, x.entry.MissingRule = admitted.decision.Rule, admitted.decision.Missing
	if !admitted.decision.Allow {
		x.decision = decisionDeny
		switch {
		case admitted.decision.Reason != ReasonUnknownAccount:
			refuse(errAuthorizationFailure)
		case admitted.snapshot.Elsewhere(endpoint.Account):
			refuse(errOtherAccount)
		default:
			refuse(errUnknownAccount)
		}
		return
	}
	x.decision = decisionAllow
	account, _ := admitted.snapshot.Account(endpoint.Account)
	r = r.WithContext(context.WithValue(r.Context(), requestKey{}, Request{
		Account: account, Service: endpoint.Service, Caller: admitted.caller, Decision: admitted.decision, ID: x.entry.RequestID,
	}))
	switch {
	case account.Backend != "":
		g.proxy.ServeHTTP(w, r)
	case endpoint.Service == ServiceTable && g.config.Table != nil:
		g.config.Table.ServeHTTP(w, r)
	default:
		refuse(errNotImplemented)
	}
}

// admit judges, and registers an admission with the connection so that no Apply misses it (see Gateway.admission). A
// refusal is an admission whose decision does not allow; false means that the connection is revoked already.
func (g *Gateway) admit(c *connection, endpoint Endpoint) (admission, bool) {
	if a, ok := c.known(g.snapshot.Load(), endpoint.Account); ok {
		return a, true
	}
	g.admission.RLock()
	defer g.admission.RUnlock()
	snapshot := g.snapshot.Load()
	caller := Identify(snapshot, c.local, c.peer)
	a := admission{snapshot: snapshot, caller: caller, decision: Judge(snapshot, caller, endpoint.Account), service: endpoint.Service}
	if !a.decision.Allow {
		return a, !c.isRevoked()
	}
	return a, c.remember(endpoint.Account, a)
}

// setCaller fills in who called, with the names that a snapshot knows for it.
func (e *Entry) setCaller(caller Caller, snapshot *Snapshot) {
	e.CallerKind, e.CallerIPAddress = caller.Kind, ""
	if caller.Address.IsValid() {
		e.CallerIPAddress = caller.Address.String()
	}
	e.VirtualNetwork, e.Subnet = "", ""
	if caller.Kind != CallerEndpoint {
		return
	}
	if subnet, ok := snapshot.Subnet(caller.Subnet); ok {
		e.VirtualNetwork, e.Subnet = string(subnet.VNet), string(subnet.ID)
	}
}

// milliseconds has three digits behind the point.
func milliseconds(d time.Duration) float64 {
	return math.Round(float64(d)/float64(time.Microsecond)) / 1000
}

// response counts an answer. It offers Flush and nothing else of the connection: no handler or backend may take the
// connection over, since requests on it would not be judged.
type response struct {
	http.ResponseWriter
	status     int
	bytes      int64
	statusText string // set by whoever knows better than the status
}

func (w *response) WriteHeader(status int) {
	if w.status == 0 && status >= 200 { // 1xx are no answers yet
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *response) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	n, err := w.ResponseWriter.Write(p)
	w.bytes += int64(n)
	return n, err
}

// FlushError sends what is buffered; http.ResponseController asks for it.
func (w *response) FlushError() error { return http.NewResponseController(w.ResponseWriter).Flush() }

// Flush is FlushError for handlers that ask for an http.Flusher.
func (w *response) Flush() { _ = w.FlushError() }

// code is the status that was answered; a handler that writes nothing answers 200.
func (w *response) code() int {
	if w.status == 0 {
		return http.StatusOK
	}
	return w.status
}

// text is the service's error code, or the class of the status.
func (w *response) text() string {
	switch code := w.Header().Get(headerErrorCode); {
	case w.statusText != "":
		return w.statusText
	case w.code() < 400:
		return StatusSuccess
	case code != "":
		return cut(strings.TrimSpace(code))
	case w.code() < 500:
		return StatusClientOtherError
	}
	return StatusServerOtherError
}

// watchedBody counts a request's body and bounds how long the client may pause in it.
type watchedBody struct {
	io.ReadCloser
	deadline *http.ResponseController
	stall    time.Duration
	bytes    atomic.Int64 // a proxy's transport may read on after the handler's return
	failed   atomic.Bool  // the client broke off, or paused for too long
}

func watchBody(w http.ResponseWriter, r *http.Request, stall time.Duration) *watchedBody {
	body := &watchedBody{ReadCloser: r.Body, deadline: http.NewResponseController(w), stall: stall}
	if r.Body != http.NoBody {
		// Set even if nobody reads: net/http reads the rest of a body before it answers.
		body.extend()
		r.Body = body
	}
	return body
}

func (b *watchedBody) Read(p []byte) (int, error) {
	b.extend()
	n, err := b.ReadCloser.Read(p)
	b.bytes.Add(int64(n))
	if err != nil && err != io.EOF {
		b.failed.Store(true)
	}
	if err == io.EOF {
		// From here on net/http reads to see the client go; a deadline would look like that.
		_ = b.deadline.SetReadDeadline(time.Time{})
	}
	return n, err
}

// extend gives the client time for the next bytes. A connection without deadlines is broken, and the read will tell.
func (b *watchedBody) extend() { _ = b.deadline.SetReadDeadline(time.Now().Add(b.stall)) }

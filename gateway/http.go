package gateway

import (
	"context"
	"errors"
	"io"
	"math"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"postern/firewall"
	"postern/model"
	"postern/service"
)

// Request is what the gateway knows of an admitted request: for Config.BuiltIn.
type Request struct {
	Instance *Instance
	Part     string // sub-service
	Root     string // what the path begins with where it names the instance: "/sta"; "" where the Host does
	Caller   Caller
	Decision Decision
	ID       string // what the log has as requestId, unless the answer sets the service's own header for it
	entry    *Entry // of the log
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
	c.asked.Add(-1)
	start := time.Now()
	if len(r.TransferEncoding) > 0 {
		// A Content-Length may have stood beside it, which net/http takes away: then the connection must end after the answer,
		// since whoever is in front of us may have read another end of the request (RFC 9112 section 6.1).
		w.Header().Set("Connection", "close")
	}
	body := watchBody(w, r, g.config.StallTimeout)
	answer := &response{ResponseWriter: w, spoken: &service.DefaultHTTP}
	exchange := &exchange{
		decision: decisionReject,
		entry: Entry{
			Time: start.UTC(), Operation: unknownOperation, Protocol: protocolOf(r), Method: r.Method, URI: r.URL.EscapedPath(),
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
		if id := answer.Header().Get(answer.spoken.RequestID); id != "" {
			entry.RequestID = id
		}
		missing, revoked := c.revokedFor()
		switch {
		case revoked:
			entry.StatusText, entry.MissingRule = StatusConnectionRevoked, missing
		case !finished || body.failed.Load():
			entry.StatusText = StatusNetworkError
		default:
			entry.StatusText = answer.text()
		}
		g.config.AccessLog.Record(*entry)
		g.metrics.request(exchange.label, entry.StatusCode, exchange.decision, duration)
	}()
	g.answer(answer, r, c, exchange)
	finished = true
}

// exchange is what is known of a request so far.
type exchange struct {
	entry    Entry
	decision string
	label    string // of metrics
}

// asks notes who was asked for.
func (x *exchange) asks(target Target) {
	x.entry.setTarget(target)
	x.label = labelOf(target)
}

// unknownOperation stands for a request whose meaning is not known. The backend still judges it.
const unknownOperation = "Unknown"

func protocolOf(r *http.Request) string {
	if r.TLS != nil {
		return string(model.WayHTTPS)
	}
	return string(model.WayHTTP)
}

// answer finds the instance, judges, and forwards or refuses.
func (g *Gateway) answer(w *response, r *http.Request, c *connection, x *exchange) {
	snapshot := g.snapshot.Load()
	caller := Identify(snapshot, c.local, c.peer)
	x.entry.setCaller(caller, snapshot)

	target, root, err := snapshot.askedBy(r, caller)
	if err != nil && target.Service == nil {
		target.Service, target.Part = snapshot.zonesInForce().guess(r.Host)
	}
	x.asks(target)
	if target.Service == nil {
		target.Service = snapshot.serviceFor(caller)
	}
	denial := &service.Denial{Kind: caller.Kind, Caller: caller.Address, Host: r.Host, Instance: target.Name, Part: target.Part,
		Request: r, RequestID: x.entry.RequestID}
	if target.Service != nil {
		w.spoken = target.Service.Spoken()
	}
	if name := w.spoken.Operation; name != nil {
		x.entry.Operation = name(target.Part, below(root, r))
	}
	refuse := func(fault service.Fault) {
		denial.Fault, denial.Time, denial.Subnet = fault, time.Now(), model.ResourceID(x.entry.Subnet)
		w.refuse(denial)
	}
	switch {
	case snapshot == nil: // nobody is told anything, not even what is wrong with the host
		denial.Decision = Judge(nil, caller, target)
		x.decision, x.entry.MissingRule = decisionDeny, denial.Decision.Missing
		refuse(service.Forbidden)
		return
	case errors.Is(err, errMisdirected):
		refuse(service.Misdirected)
		return
	case err != nil:
		refuse(service.NoSuchName)
		return
	case r.Method == http.MethodConnect || r.ProtoMajor != 1: // net/http hands over HTTP/2's preface, PRI, too
		refuse(service.BadMethod)
		return
	}

	admitted, ok := g.admit(c, target, g.managed(r, target))
	if !ok { // the connection is being reset: there is nobody to answer
		x.decision, x.entry.MissingRule = decisionDeny, "the connection was revoked"
		panic(http.ErrAbortHandler)
	}
	x.entry.setCaller(admitted.caller, admitted.snapshot)
	x.entry.Rule, x.entry.MissingRule = admitted.decision.Rule, admitted.decision.Missing
	denial.Decision = admitted.decision
	if !admitted.decision.Allow {
		x.decision = decisionDeny
		switch {
		case admitted.decision.Reason != firewall.ReasonUnknownAccount:
			refuse(service.Forbidden)
		case target.Elsewhere || admitted.target.Instance != nil:
			refuse(service.Misdirected)
		default:
			refuse(service.NoSuchInstance)
		}
		return
	}
	x.decision = decisionAllow
	instance := admitted.target.Instance
	request := Request{Instance: instance, Part: target.Part, Root: root, Caller: admitted.caller, Decision: admitted.decision,
		ID: x.entry.RequestID, entry: &x.entry}
	handler := g.config.BuiltIn[instance.Service+"/"+target.Part]
	switch {
	case len(backendsOf(instance, target.Part)) > 0:
		handler = g.proxy
	case handler == nil:
		refuse(service.NotServed)
		return
	}
	handler.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), requestKey{}, request)))
}

// serviceFor is the service that a caller came to, by its address alone; nil where that says nothing.
func (s *Snapshot) serviceFor(caller Caller) *service.Service {
	if target, ok := s.At(caller.Dialled); ok {
		return target.Service
	}
	if s != nil && s.endpoints[caller.Service] != nil {
		return s.endpoints[caller.Service].service
	}
	return nil
}

// managed is the managed identity of a request's token, where the instance's rules may let one in (FW-9, FW-10).
func (g *Gateway) managed(r *http.Request, target Target) firewall.Managed {
	raw, bearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if target.Instance == nil || !bearer || g.config.Tokens == nil {
		return firewall.Managed{}
	}
	if rules := &target.Instance.Rules; len(rules.ResourceAccessRules) == 0 && len(rules.Bypass) == 0 {
		return firewall.Managed{}
	}
	managed, err := g.config.Tokens(raw, target.Service.Audiences)
	if err != nil {
		return firewall.Managed{} // the backend says what it thinks of the token; here it proves nothing
	}
	return managed
}

// admit judges, and registers an admission with the connection so that no Apply misses it (see Gateway.admission). A
// refusal is an admission whose decision does not allow; false means that the connection is revoked already.
func (g *Gateway) admit(c *connection, target Target, managed firewall.Managed) (admission, bool) {
	if a, ok := c.known(g.snapshot.Load(), target, managed); ok {
		return a, true
	}
	g.admission.RLock()
	defer g.admission.RUnlock()
	snapshot := g.snapshot.Load()
	caller := Identify(snapshot, c.local, c.peer)
	caller.Managed = managed
	if target.Instance != nil {
		target = snapshot.again(target) // a newer plan may have come since it was found
	}
	a := admission{snapshot: snapshot, caller: caller, target: target, decision: Judge(snapshot, caller, target)}
	if !a.decision.Allow {
		return a, !c.isRevoked()
	}
	return a, c.remember(a)
}

// setTarget fills in who was asked for.
func (e *Entry) setTarget(target Target) {
	e.Account, e.Service = target.Name, target.Part
	if target.Service != nil && e.Service == "" {
		e.Service = target.Service.Name
	}
	if target.Instance != nil {
		e.ResourceID = string(target.Instance.ID)
	}
}

// setCaller fills in who called, with the names that a snapshot knows for it.
func (e *Entry) setCaller(caller Caller, snapshot *Snapshot) {
	e.CallerKind, e.CallerIPAddress = caller.Kind, ""
	if caller.Address.IsValid() {
		e.CallerIPAddress = caller.Address.String()
	}
	e.VirtualNetwork, e.Subnet = "", ""
	if caller.Kind != firewall.Endpoint {
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
	spoken     *service.HTTP
}

// refuse answers as the service itself would (FW-12).
func (w *response) refuse(d *service.Denial) {
	answer := w.spoken.Refuse(d)
	header := w.Header()
	for name, values := range answer.Header {
		header[name] = values
	}
	header.Set("Content-Length", strconv.Itoa(len(answer.Body)))
	header.Set("Server", "Postern")
	if w.spoken.RequestID != "" {
		header.Set(w.spoken.RequestID, d.RequestID)
	}
	if w.spoken.ErrorCode == "" && w.statusText == "" {
		w.statusText = d.Fault.String()
	}
	w.WriteHeader(answer.Status)
	_, _ = w.Write(answer.Body) // a client that is gone has no answer to give
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
	switch code := w.Header().Get(w.spoken.ErrorCode); {
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

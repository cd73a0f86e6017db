// Package arm is the Resource Manager's door: the requests that az, the Azure SDKs, Terraform and postern itself send,
// answered by package api. It knows paths, versions, tokens, headers and limits; what a resource is and when a write is
// done it does not know.
package arm

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"

	"github.com/google/uuid"

	"postern/activity"
	"postern/api"
	"postern/compile"
	"postern/deployment"
	"postern/inspect"
	"postern/resource"
	"postern/server"
	"postern/servicetag"
	"postern/signin"
	"postern/store"
	"postern/token"
)

// Options are what a door stands before. All but SignIn, Routes, Probe, Activity, Authorize, Rate and Log must be set.
type Options struct {
	API       *api.API
	Cache     *server.Cache
	Compiler  *compile.Compiler
	Catalogue func(context.Context) (*servicetag.Catalogue, error)
	Inspector *inspect.Inspector
	Tenant    string       // GUID
	Store     *store.Store // where deployments are kept

	// SignIn gives tokens. nil: nobody can sign in yet, and requests come from the local owner alone: see Door.LetIn.
	SignIn *signin.Service

	Routes []Route // what other packages answer

	Access *server.Access // who may do what

	Activity *activity.Log // what was done

	// Principal tells whether there is a principal with an object id, who can be given a role.
	Principal func(ctx context.Context, objectID string) (bool, error)

	// Probe opens connections from machines, for connectivityCheck. nil where they are not within reach: then it answers by the
	// pipeline's verdict alone.
	Probe Probe

	// Authorize judges every request that has a valid token: action is Azure's ("Microsoft.Network/virtualNetworks/write"),
	// scope an id. nil for the roles of Access.
	Authorize func(ctx context.Context, caller signin.Caller, action, scope string) error

	Rate Rate // zero for DefaultRate
	Log  *slog.Logger
}

// Door answers requests. It is an http.Handler, safe for concurrent use.
type Door struct {
	Options
	limits *limits
	added  map[string]methods // of Options.Routes, by path in lower case
	signIn atomic.Pointer[signin.Service]

	deployments *deployment.Service
	ends        ends
}

// New makes a door.
func New(options Options) *Door {
	if options.Authorize == nil {
		options.Authorize = byRoles(options.Access)
	}
	if options.Rate == (Rate{}) {
		options.Rate = DefaultRate
	}
	if options.Log == nil {
		options.Log = slog.New(slog.DiscardHandler)
	}
	d := &Door{Options: options, limits: newLimits(options.Rate), added: map[string]methods{}}
	for _, one := range options.Routes {
		path := strings.ToLower(strings.Trim(one.Path, "/"))
		if d.added[path] == nil {
			d.added[path] = methods{}
		}
		d.added[path][one.Method] = route{one.Action, func(r *request) (int, any, error) { return one.Answer(r.Request) }}
	}
	d.signIn.Store(options.SignIn)
	d.deployments = deployment.New(deployment.Options{Store: options.Store, API: options.API, Tenant: options.Tenant, Do: d.do, Allow: d.allow, Log: options.Log})
	return d
}

// Run works on what the door has accepted and not answered yet, deployments of templates, until the context ends.
func (d *Door) Run(ctx context.Context) error { return d.deployments.Run(ctx) }

// LetIn lets those in who have a token of a service, from now on.
func (d *Door) LetIn(service *signin.Service) { d.signIn.Store(service) }

// request is an HTTP request with what the door found out about it.
type request struct {
	*http.Request
	door     *Door
	header   http.Header // of the answer
	base     string      // the address that the client sees the door under: "https://localhost:8443"
	segments []string    // of the path
	at       target
	version  string // api-version
	caller   signin.Caller
	async    string // id of the operation that goes on behind the answer
}

// ServeHTTP answers one request.
func (d *Door) ServeHTTP(w http.ResponseWriter, raw *http.Request) {
	r := &request{Request: raw, door: d, header: w.Header(), base: baseOf(raw)}
	r.name()
	var err error
	if r.segments, err = split(raw.URL); err != nil {
		respond(w, 0, nil, err)
		return
	}
	_, isOwner := r.localOwner()
	if !isOwner && !takesToken(r.segments) && !d.limits.signIn.allow(limitKey(raw.RemoteAddr)) {
		d.tooMany(w)
		return
	}
	if service := d.signIn.Load(); service != nil && service.Handle(w, raw, r.base, r.segments, d.storageSuffix(raw.Context())) {
		return
	}
	status, body, err := r.answer(w)
	var slow *limitError
	if errors.As(err, &slow) {
		d.tooMany(w)
		return
	}
	if err != nil {
		var refusal *resource.Error
		if !errors.As(err, &refusal) && raw.Context().Err() == nil {
			d.Log.Error("answer a request", "method", raw.Method, "path", raw.URL.Path, "error", err)
		}
	}
	respond(w, status, body, err)
}

// answer goes through the checks in their order: who asks, how often, what for, in which version, and may they.
func (r *request) answer(w http.ResponseWriter) (int, any, error) {
	var err error
	if r.caller, err = r.authenticate(); err != nil {
		if takesToken(r.segments) && !r.door.limits.signIn.allow(limitKey(r.RemoteAddr)) {
			return 0, nil, &limitError{}
		}
		return 0, nil, err
	}
	if _, isOwner := r.localOwner(); !isOwner && !r.door.limits.requests.allow(r.caller.ObjectID) {
		return 0, nil, &limitError{}
	}
	if isGraph(r.segments) {
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		return graph(r)
	}
	if err := checkNames(r.segments); err != nil {
		return 0, nil, err
	}
	route, at, err := r.door.find(r.Method, r.segments)
	if err != nil {
		return 0, nil, err
	}
	r.at = at
	if r.version, err = versionOf(r.URL.Query()); err != nil {
		return 0, nil, err
	}
	if err := r.checkSubscription(); err != nil {
		return 0, nil, err
	}
	action, scope := route.action(r.Method, at), at.scope()
	if operation, ok := r.operationOf(); ok && operation != nil {
		action, scope = operationRights(operation)
	}
	if err := r.door.Authorize(r.Context(), r.caller, action, scope); err != nil && !r.listsWhatIsVisible(route) {
		if r.writes(action) {
			r.door.Record(Ended(r.entry(action, scope), 0, err))
		}
		return 0, nil, err
	}
	limit := int64(maxBody)
	if isFabric(r.segments) {
		limit = maxBatch
	}
	r.Body = http.MaxBytesReader(w, r.Body, limit)
	return r.recorded(action, scope, func() (int, any, error) { return route.answer(r) })
}

// name gives the request its ids, in the answer's headers.
func (r *request) name() {
	id := uuid.NewString()
	r.header.Set("X-Ms-Request-Id", id)
	correlation := r.Header.Get("X-Ms-Correlation-Request-Id")
	if uuid.Validate(correlation) != nil {
		correlation = id
	}
	r.header.Set("X-Ms-Correlation-Request-Id", correlation)
	r.header.Set("X-Ms-Routing-Request-Id", "POSTERN:"+id)
	if given := r.Header.Get("X-Ms-Client-Request-Id"); uuid.Validate(given) == nil && strings.EqualFold(r.Header.Get("X-Ms-Return-Client-Request-Id"), "true") {
		r.header.Set("X-Ms-Client-Request-Id", given)
	}
	r.header.Set("Cache-Control", "no-cache")
	r.header.Set("X-Content-Type-Options", "nosniff")
	if r.TLS != nil {
		r.header.Set("Strict-Transport-Security", "max-age=31536000; includeSubDomains")
	}
}

// baseOf is the address under which a client sees the door.
func baseOf(r *http.Request) string {
	if r.TLS != nil {
		return "https://" + r.Host
	}
	return "http://" + r.Host
}

// authenticate finds out who asks: the owner of the listener, or who has the token. The answer's header tells a client without one where to get it (RFC 6750 section 3).
func (r *request) authenticate() (signin.Caller, error) {
	if owner, ok := r.localOwner(); ok {
		return owner, nil
	}
	refuse := func(code, reason string) (signin.Caller, error) {
		r.header.Set("WWW-Authenticate", fmt.Sprintf(`Bearer authorization_uri="%s/%s", error="invalid_token", error_description="%s"`,
			r.base, r.door.Tenant, reason))
		return signin.Caller{}, &resource.Error{Code: code, Status: http.StatusUnauthorized, Message: "Authentication failed. " + reason}
	}
	kind, raw, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if raw == "" || !strings.EqualFold(kind, "Bearer") {
		return refuse("AuthenticationFailed", "The 'Authorization' header is missing or has no bearer token.")
	}
	service := r.door.signIn.Load()
	if service == nil {
		return refuse("InvalidAuthenticationToken", "Nobody can sign in here.")
	}
	caller, err := service.Verify(r.Context(), strings.TrimSpace(raw), []string{r.base})
	switch {
	case errors.Is(err, signin.ErrUnknown):
		return signin.Caller{}, &resource.Error{Code: "AuthorizationFailed", Status: http.StatusForbidden, Message: err.Error() + "."}
	case errors.Is(err, token.ErrInvalid) && strings.Contains(err.Error(), "expired"):
		return refuse("ExpiredAuthenticationToken", "The access token has expired.")
	case err != nil && !errors.Is(err, token.ErrInvalid):
		return signin.Caller{}, err
	case err != nil:
		return refuse("InvalidAuthenticationToken", "The access token is not valid for "+r.base+".")
	}
	return caller, nil
}

// checkSubscription refuses what lies in a subscription that is not there.
func (r *request) checkSubscription() error {
	if r.at.subscription == "" {
		return nil
	}
	cloud, err := r.door.Cache.Current(r.Context())
	if err != nil {
		return err
	}
	if !cloud.HasSubscription(r.at.subscription) {
		return &resource.Error{Code: "SubscriptionNotFound", Status: http.StatusNotFound, Target: r.at.subscription,
			Message: fmt.Sprintf("The subscription '%s' could not be found.", r.at.subscription)}
	}
	return nil
}

func (d *Door) storageSuffix(ctx context.Context) string {
	cloud, err := d.Cache.Current(ctx)
	if err != nil {
		return ""
	}
	return cloud.Snapshot().Settings.StorageSuffix
}

// takesToken tells whether a path is one of resources; everything else is signing in.
func takesToken(segments []string) bool {
	return len(segments) > 0 && (strings.EqualFold(segments[0], "subscriptions") || isFabric(segments))
}

// isFabric tells whether a path is one that Azure does not have.
func isFabric(segments []string) bool {
	return len(segments) > 0 && strings.EqualFold(segments[0], "postern")
}

// Package deployment runs deployments of templates (package template) and keeps what became of them. Every resource of a
// template is written as if its caller had sent the request: by the same way, with the same checks and rights, and the next
// one waits until it is enforced. A deployment is on disk when it is accepted; one that was cut off goes on at the next start.
package deployment

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"

	"postern/api"
	"postern/resource"
	"postern/signin"
	"postern/store"
)

// Type is the type of deployments.
const Type = "Microsoft.Resources/deployments"

// Options are what deployments stand on. All but Log must be set.
type Options struct {
	Store  *store.Store
	API    *api.API
	Tenant string // GUID

	// Do answers a request as the API's door would. It returns when the request is done, however long it runs.
	Do func(context.Context, Call) (status int, answer json.RawMessage, err error)

	// Allow refuses what Do would refuse by the path, the version or the caller's rights, those to what the body refers to too,
	// and does nothing else. Without a body it says what is known without.
	Allow func(context.Context, Call) error

	Log *slog.Logger
}

// Call is a request that a deployment makes in the name of its caller.
type Call struct {
	Caller        signin.Caller
	Method, Path  string // the path may have a query, without the version
	Version       string // api-version
	Body          []byte
	CorrelationID string // the deployment's; "" for a new one
}

// Service runs deployments. It is safe for concurrent use.
type Service struct {
	Options
	born string // when the service was made, as a stamp

	mu      sync.Mutex         // guards what follows
	ctx     context.Context    // of Run; nil outside it
	waiting []*job             // accepted before Run
	running map[string]running // by id in lower case
	work    sync.WaitGroup     // of running deployments
}

// running is a deployment that is being worked on.
type running struct{ cancel context.CancelCauseFunc }

// New makes a service. What it accepts is worked on while Run runs.
func New(options Options) *Service {
	if options.Log == nil {
		options.Log = slog.New(slog.DiscardHandler)
	}
	return &Service{Options: options, born: stamp(now()), running: map[string]running{}}
}

// Scope is where a deployment goes to.
type Scope struct {
	Subscription  string
	ResourceGroup string // "" for the subscription itself
}

// Path is the scope as an id.
func (s Scope) Path() string {
	if s.ResourceGroup == "" {
		return "/subscriptions/" + s.Subscription
	}
	return "/subscriptions/" + s.Subscription + "/resourceGroups/" + s.ResourceGroup
}

// ID is the id of a deployment of a name.
func (s Scope) ID(name string) string { return s.Path() + "/providers/" + Type + "/" + name }

// Request is what a client asks about a deployment.
type Request struct {
	Caller      signin.Caller
	Scope       Scope
	Name        string
	Body        []byte         // as it was sent
	Cloud       map[string]any // what environment() answers
	Correlation string         // a GUID that belongs to the request
}

// invalid makes a refusal.
func invalid(code, target, format string, args ...any) *resource.Error {
	return &resource.Error{Code: code, Target: target, Status: http.StatusBadRequest, Message: fmt.Sprintf(format, args...)}
}

// notFound is the answer about a deployment that is not there.
func notFound(name string) error {
	err := invalid("DeploymentNotFound", name, "Deployment '%s' could not be found.", name)
	err.Status = http.StatusNotFound
	return err
}

// maxName is the longest name of a deployment.
const maxName = 64

// checkName judges a deployment's name.
func checkName(name string) error {
	ok := name != "" && len(name) <= maxName && !strings.HasSuffix(name, ".")
	for _, c := range []byte(name) {
		ok = ok && ('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-_.()", c) >= 0)
	}
	if !ok {
		return invalid("InvalidDeploymentName", name, "The deployment name '%.80s' is invalid: it must have 1 to %d letters, digits, '-', '_', '.', '(' and ')', "+
			"and not end in '.'.", name, maxName)
	}
	return nil
}

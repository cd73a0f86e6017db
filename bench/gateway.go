package bench

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// GatewayOptions of Gateway; the zero value measures as the promises want it.
type GatewayOptions struct {
	Pairs       int           // rounds of a row; 0 is 5, less than 5 is refused
	Duration    time.Duration // of one measurement of traffic; 0 is 500 ms
	Connections int           // idle ones of the rows of memory; 0 is 10,000

	// Rows are beginnings of the ids to be measured: "passed-bulk", "http"; none is all.
	Rows []string

	// Program is the command that runs GatewayProcess; nil is this process's own executable with "bench gateway-process".
	Program []string

	Progress func(step string) // is told what is being measured; nil: nobody is

	counted func(gatewayCounts) // is told at the end what each way has counted itself; nil: nobody is
}

// gatewayCounts are connections, as those who carried them counted them.
type gatewayCounts struct {
	backend map[string]passages // as the backend saw them, by way
	haproxy int                 // by HAProxy's statistics
	logged  int                 // lines of our access log with a backend
	judged  int                 // of them those of the kernel's
}

// passages are connections that reached the backend by one way: from the gateway host's address, or from elsewhere.
type passages struct{ fromGateway, fromElsewhere int }

func (o GatewayOptions) settled() (GatewayOptions, error) {
	if o.Pairs == 0 {
		o.Pairs = leastPairs
	}
	if o.Duration == 0 {
		o.Duration = 500 * time.Millisecond
	}
	if o.Connections == 0 {
		o.Connections = 10_000
	}
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
	switch {
	case o.Pairs < leastPairs:
		return o, fmt.Errorf("benchmark: %d pairs: a median needs at least %d", o.Pairs, leastPairs)
	case o.Duration < 0:
		return o, fmt.Errorf("benchmark: duration %s is negative: give a time above 0, or 0 for 500 ms", o.Duration)
	case o.Connections < 1 || o.Connections > maxIdleConnections:
		return o, fmt.Errorf("benchmark: %d connections: give a number from 1 to %d", o.Connections, maxIdleConnections)
	}
	for _, prefix := range o.Rows {
		if !slices.ContainsFunc(GatewayRows, func(id string) bool { return strings.HasPrefix(id, prefix) }) {
			return o, fmt.Errorf("benchmark: no row begins with %q: the rows are %s", prefix, strings.Join(GatewayRows, ", "))
		}
	}
	return o, nil
}

// wants tells whether a row is to be measured.
func (o GatewayOptions) wants(id string) bool {
	return len(o.Rows) == 0 || slices.ContainsFunc(o.Rows, func(prefix string) bool { return strings.HasPrefix(id, prefix) })
}

// maxIdleConnections is what one client address has ports for, with room for others.
const maxIdleConnections = 20_000

// The ways from client to backend.
const (
	byNobody     = "direct"  // the gateway's host routes
	byHAProxy    = "haproxy" // TCP mode with splicing, two threads
	byNginx      = "nginx"   // stream, two workers
	byPassing    = "passed"  // way (b): passed through, by address or by server name
	byTerminator = "http"    // way (a): HTTP terminated
	byKernel     = "kernel"  // way (c): an own address on the gateway's host, judged in the kernel
	byHost       = "host"    // its rival: an address of the host's that nobody judges
)

// contest is one kind of traffic and those who carry it in turn: the first is ours.
type contest struct {
	kind, unit string
	ours       string
	rivals     []rival
	atMost     bool
}

// rival is a counterpart and what we owe it; 0 is nothing.
type rival struct {
	name   string
	target float64
}

// What issue 4 promises: passing through at least as well as HAProxy, and judging in the kernel at little cost.
const (
	passedTarget = 1
	kernelTarget = 0.95
)

var (
	passedRivals = []rival{{byHAProxy, passedTarget}, {byNginx, 0}, {byNobody, 0}}
	httpRivals   = []rival{{byHAProxy, 0}, {byNobody, 0}}
	kernelRivals = []rival{{byHost, kernelTarget}}
)

// contests are what Gateway measures, in its order.
var contests = []contest{
	{"bulk", "Gbit/s", byPassing, passedRivals, false},
	{"bulk-back", "Gbit/s", byPassing, passedRivals, false},
	{"request-response", "1/s", byPassing, passedRivals, false},
	{"request-response-64", "1/s", byPassing, passedRivals, false},
	{"new-connections", "1/s", byPassing, passedRivals, false},
	{"tls-handshakes", "1/s", byPassing, passedRivals, false},
	{"memory", "MB", byPassing, []rival{{byHAProxy, passedTarget}, {byNginx, 0}}, true},
	{"bulk-back", "Gbit/s", byTerminator, httpRivals, false},
	{"request-response", "1/s", byTerminator, httpRivals, false},
	{"request-response-64", "1/s", byTerminator, httpRivals, false},
	{"new-connections", "1/s", byTerminator, httpRivals, false},
	{"tls-handshakes", "1/s", byTerminator, httpRivals, false},
	{"memory", "MB", byTerminator, []rival{{byHAProxy, 0}}, true},
	{"bulk", "Gbit/s", byKernel, kernelRivals, false},
	{"bulk-back", "Gbit/s", byKernel, kernelRivals, false},
	{"request-response", "1/s", byKernel, kernelRivals, false},
	{"request-response-64", "1/s", byKernel, kernelRivals, false},
	{"new-connections", "1/s", byKernel, kernelRivals, false},
	{"tls-handshakes", "1/s", byKernel, kernelRivals, false},
}

// id names the row of a contest with one rival.
func (c contest) id(against string) string { return c.ours + "-" + c.kind + "-" + against }

// GatewayRows are the ids of what Gateway measures, in its order: way, traffic, rival.
var GatewayRows = func() (ids []string) {
	for _, one := range contests {
		for _, rival := range one.rivals {
			ids = append(ids, one.id(rival.name))
		}
	}
	return ids
}()

// Gateway measures the services' side beside HAProxy (TCP mode, splicing, two threads), nginx (stream, two workers) and
// plain routing: the same client and the same backend, the same cables, all of them where our gateway stands and in turn.
// Way (b), passed, is by address or, for TLS, by server name; way (a), http, ends HTTP and asks a backend, where its
// rivals pass the same bytes on; way (c), kernel, is a server on the gateway's host behind an own address, beside the same
// server at an address that nobody judges. The traffic:
//   - bulk, bulk-back: one connection, from the client and to it;
//   - request-response: one byte each way (of http: a short GET), on one connection, and on 64 at once;
//   - new-connections: 32 at once, each of one byte, or one GET;
//   - tls-handshakes: 8 at once, TLS 1.3, ECDSA P-256;
//   - memory: what the process's memory (PSS) grows by for idle connections, each of which has carried a byte or a GET.
//
// A proxy that is not installed makes its rows skipped ones. The error is a *lab.PrerequisiteError where namespaces cannot
// be had, or the context's.
func Gateway(ctx context.Context, options GatewayOptions) (Report, error) {
	options, err := options.settled()
	if err != nil {
		return Report{}, err
	}
	return measureGateway(ctx, options)
}

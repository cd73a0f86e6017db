package gateway

import (
	"cmp"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are the gateway's counters. Their labels are closed sets, so that no caller can make series.
type metrics struct {
	requests    *prometheus.CounterVec
	connections *prometheus.CounterVec
	seconds     *prometheus.HistogramVec
	revoked     prometheus.Counter
}

// Decisions as the label of requests_total.
const (
	decisionAllow  = "allow"
	decisionDeny   = "deny"
	decisionReject = "reject" // the request named nothing that could be judged
)

// newMetrics registers the gateway's metrics; a nil registerer keeps them private.
func newMetrics(registerer prometheus.Registerer, connections *registry, log *AccessLog) (*metrics, error) {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "postern_gateway_requests_total", Help: "Requests, by sub-service, status class and decision.",
		}, []string{"service", "status_class", "decision"}),
		connections: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "postern_gateway_passed_connections_total", Help: "Connections that are not HTTP, by service and decision, at their end.",
		}, []string{"service", "decision"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "postern_gateway_request_duration_seconds", Help: "From a request's header to the end of its answer, or from a connection's first byte to its last.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 4, 8),
		}, []string{"decision"}),
		revoked: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "postern_gateway_connections_revoked_total", Help: "Connections that a change of rules closed.",
		}),
	}
	if registerer == nil {
		return m, nil
	}
	open := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "postern_gateway_connections", Help: "Open connections.",
	}, func() float64 { return float64(connections.len()) })
	lost := prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "postern_gateway_access_log_lost_lines_total", Help: "Access log lines that were not written.",
	}, func() float64 { return float64(log.Lost()) })
	var problems []error
	for _, collector := range []prometheus.Collector{m.requests, m.connections, m.seconds, m.revoked, open, lost} {
		problems = append(problems, registerer.Register(collector))
	}
	if err := errors.Join(problems...); err != nil {
		return nil, fmt.Errorf("register gateway metrics: %w: give every gateway of a process a registerer of its own", err)
	}
	return m, nil
}

// labelOf is the label "service" of who is asked for: a sub-service of an account, another service's name, the endpoint of a
// service of the operator's own, or none. A cloud has 48 endpoints of one's own at most.
func labelOf(target Target) string {
	switch {
	case target.Instance != nil && target.Instance.Endpoint.IsOwn():
		return target.Instance.Endpoint.Endpoint
	case target.Part != "" && target.Service != nil && len(target.Service.Startups) == 0:
		return target.Part
	case target.Service != nil:
		return target.Service.Name
	}
	return "none"
}

// connection counts one that was passed through.
func (m *metrics) connection(service, decision string, duration time.Duration) {
	m.connections.WithLabelValues(cmp.Or(service, "none"), decision).Inc()
	m.seconds.WithLabelValues(decision).Observe(duration.Seconds())
}

func (m *metrics) request(service string, status int, decision string, duration time.Duration) {
	m.requests.WithLabelValues(cmp.Or(service, "none"), strconv.Itoa(status/100)+"xx", decision).Inc()
	m.seconds.WithLabelValues(decision).Observe(duration.Seconds())
}

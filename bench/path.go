package bench

import (
	"context"
	"fmt"
	"time"
)

// Options of Path; the zero value measures as the promises want it.
type Options struct {
	Pairs    int           // pairs a row; 0 is 5, less than 5 is refused
	Duration time.Duration // of one measurement of traffic; 0 is one second
	Runs     int           // packets of one measurement of the NIC program; 0 is 20,000

	// Progress is told what is being measured, before each row; nil: nobody is.
	Progress func(row string)
}

// settled fills in what is not set.
func (o Options) settled() (Options, error) {
	if o.Pairs == 0 {
		o.Pairs = leastPairs
	}
	if o.Duration == 0 {
		o.Duration = time.Second
	}
	if o.Runs == 0 {
		o.Runs = 20_000
	}
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
	switch {
	case o.Pairs < leastPairs:
		return o, fmt.Errorf("benchmark: %d pairs: a median needs at least %d", o.Pairs, leastPairs)
	case o.Duration < 0:
		return o, fmt.Errorf("benchmark: duration %s is negative: give a time above 0, or 0 for one second", o.Duration)
	case o.Runs < 0:
		return o, fmt.Errorf("benchmark: %d packets: give a number above 0, or 0 for 20,000", o.Runs)
	}
	return o, nil
}

// Rows are the ids of what Path measures, in its order.
var Rows = []string{
	"endpoint-bulk-out", "endpoint-bulk-in", "endpoint-request-response", "endpoint-new-connections",
	"nic-to-nic-bulk",
	"program-routes-100", "program-routes-10000", "program-service-prefixes-100", "program-service-prefixes-10000",
	"program-services-13", "program-policies-1000",
}

// Path measures, each beside its rival:
//   - the endpoint path against plain routed IPv4 over the same machines and cables (endpoint-…): TCP throughput both
//     ways, transactions of one byte each way on one connection, connections that carry one byte;
//   - NIC to NIC against the kernel's VXLAN over IPv6 (nic-to-nic-bulk);
//   - the NIC program's time a packet with a large plan against a small one (program-…).
//
// It takes about a minute. The error is a *lab.PrerequisiteError where namespaces or eBPF cannot be had, or the context's;
// a single row that fails is reported as skipped.
func Path(ctx context.Context, options Options) (Report, error) {
	options, err := options.settled()
	if err != nil {
		return Report{}, err
	}
	return path(ctx, options)
}

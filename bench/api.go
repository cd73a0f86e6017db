package bench

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"postern/cloud"
)

// APIOptions of API; the zero value measures as the promises want it.
type APIOptions struct {
	Subnets  int // present while it is measured; 0 is 10,000
	Requests int // of each kind; 0 is 200

	DataPath string // cloud.Kernel, cloud.Userspace, or "" for the kernel's where it can run
	Program  string // the postern executable for the kernel data path's nodes; "" for this process's own

	// Progress is told what is being done; nil: nobody is.
	Progress func(step string)
	Log      *slog.Logger // of the cloud; nil: nowhere
}

// largestVNet is how many subnets a virtual network may have: Azure's limit.
const largestVNet = 3000

// apiLimit bounds the whole of API.
const apiLimit = 15 * time.Minute

func (o APIOptions) settled() (APIOptions, error) {
	if o.Subnets == 0 {
		o.Subnets = 10_000
	}
	if o.Requests == 0 {
		o.Requests = 200
	}
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
	switch {
	case o.Subnets < 2*smallVNets:
		return o, fmt.Errorf("benchmark: %d subnets: give at least %d", o.Subnets, 2*smallVNets)
	case o.Subnets > smallVNets*maxSmallVNet:
		return o, fmt.Errorf("benchmark: %d subnets: %d is the most", o.Subnets, smallVNets*maxSmallVNet)
	case o.Requests < 1:
		return o, fmt.Errorf("benchmark: %d requests of each kind: give a number above 0", o.Requests)
	}
	return o, nil
}

// APIRows are the ids of what API measures, in its order.
var APIRows = []string{
	"get-subnet-p50", "get-subnet-p99", "put-subnet-p50", "put-subnet-p99", "put-account-p50", "put-account-p99",
	"list-subnets", "list-subnets-page", "list-resources", "list-resources-page",
	"get-subnet-large-p50", "get-subnet-large-p99", "put-subnet-large-p50", "put-subnet-large-p99", "list-large", "list-large-page",
}

// API measures the Resource Manager's door as its clients see it, over HTTPS with a token, one request after the other. It
// starts a cloud of its own with two hosts, a gateway, an edge and some VMs, and fills it: the subnets in 20 virtual
// networks, and as many other resources. The rows:
//   - get-subnet: a GET of a subnet;
//   - put-subnet: a PUT that gives a subnet an endpoint or takes it, until it is answered and every node has applied it;
//   - put-account: the same of a storage account's network rules;
//   - list-…: all subnets by their networks, and all resources of the subscription: the whole list by its nextLinks, and a page;
//   - …-large: the same in a network of 3,000 subnets, which is Azure's limit, beside all the others.
//
// Rows have no counterpart: see Row. The error is the context's or the cloud's; a row that fails is reported as skipped.
func API(ctx context.Context, options APIOptions) (report Report, err error) {
	options, err = options.settled()
	if err != nil {
		return report, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, apiLimit, fmt.Errorf("it has taken more than %s", apiLimit))
	defer cancel()
	options.Progress("starting a cloud")
	running, err := cloud.Start(ctx, cloud.Options{DataPath: options.DataPath, Program: options.Program, Log: options.Log})
	if err != nil {
		return report, fmt.Errorf("benchmark: %w", err)
	}
	defer func() { err = errors.Join(err, running.Close()) }()
	world := apiWorld{subnets: options.Subnets}
	if err := world.fill(ctx, running, options.Progress); err != nil {
		return report, fmt.Errorf("benchmark: fill the cloud: %w", err)
	}
	door, err := openDoor(ctx, running)
	if err != nil {
		return report, fmt.Errorf("benchmark: %w", err)
	}
	defer door.close()
	m := apiMeter{options: options, door: door, report: &report}
	small, large := world.small(), world.large()
	m.timed(ctx, "get-subnet", getTarget, options.Requests, func(i int) error { return door.get(ctx, small.subnet(i)) })
	m.timed(ctx, "put-subnet", putTarget, options.Requests, func(i int) error { return door.put(ctx, small.subnet(i), small.toggled(i)) })
	m.timed(ctx, "put-account", putTarget, options.Requests, func(i int) error { return door.put(ctx, world.account(i), world.accountBody(i)) })
	m.listed(ctx, "list-subnets", options.Subnets, small.lists())
	m.listed(ctx, "list-resources", world.resources(), []string{subscriptionPath + "/resources"})
	if err := world.fillLarge(ctx, running, options.Progress); err != nil {
		return report, fmt.Errorf("benchmark: fill the cloud: %w", err)
	}
	m.timed(ctx, "get-subnet-large", getTarget, options.Requests, func(i int) error { return door.get(ctx, large.subnet(i)) })
	m.timed(ctx, "put-subnet-large", putTarget, options.Requests, func(i int) error { return door.put(ctx, large.subnet(i), large.toggled(i)) })
	m.listed(ctx, "list-large", large.perNetwork, large.lists())
	if ctx.Err() != nil {
		return report, fmt.Errorf("benchmark: %w", context.Cause(ctx))
	}
	return report, nil
}

// What issue 3 promises, in milliseconds.
const (
	getTarget = 2
	putTarget = 50
)

// apiMeter makes rows.
type apiMeter struct {
	options APIOptions
	door    *door
	report  *Report
}

// warmup is how many requests of a kind are made before they are timed: connections open, plans settle.
const warmup = 5

// timed makes the rows of one kind of request: the median, which has a target in milliseconds, and the 99th percentile.
func (m *apiMeter) timed(ctx context.Context, id string, target float64, requests int, request func(i int) error) {
	if ctx.Err() != nil {
		return
	}
	m.options.Progress("measuring " + id)
	var times []float64
	for i := -warmup; i < requests; i++ {
		began := time.Now()
		if err := request(i + warmup); err != nil {
			m.skip(err, id+"-p50", id+"-p99")
			return
		}
		if i >= 0 {
			times = append(times, milliseconds(time.Since(began)))
		}
	}
	m.add(bound(id+"-p50", "ms", 0.50, times, target), bound(id+"-p99", "ms", 0.99, times, 0))
}

// lists is how many times a whole list is read.
const lists = 3

// listed makes the rows of a list: the time to its end, and that of one page.
func (m *apiMeter) listed(ctx context.Context, id string, want int, paths []string) {
	if ctx.Err() != nil {
		return
	}
	m.options.Progress("measuring " + id)
	var whole, pages []float64
	for range lists {
		began, found := time.Now(), 0
		for _, path := range paths {
			count, times, err := m.door.list(ctx, path)
			if err != nil {
				m.skip(err, id, id+"-page")
				return
			}
			found, pages = found+count, append(pages, times...)
		}
		if found < want {
			m.skip(fmt.Errorf("the list has %d resources of %d", found, want), id, id+"-page")
			return
		}
		whole = append(whole, milliseconds(time.Since(began)))
	}
	m.add(bound(id, "ms", 0.50, whole, 0), bound(id+"-page", "ms", 0.50, pages, 0))
}

func (m *apiMeter) add(rows ...Row) { m.report.Rows = append(m.report.Rows, rows...) }

func (m *apiMeter) skip(err error, ids ...string) {
	for _, id := range ids {
		m.add(Row{ID: id, Unit: "ms", AtMost: true, Skipped: err.Error()})
	}
}

// bound is a row without a counterpart: a percentile of values that are not empty, with an upper bound, 0 for none.
func bound(id, unit string, percentile float64, values []float64, target float64) Row {
	sorted := slices.Sorted(slices.Values(values))
	row := Row{ID: id, Unit: unit, Target: target, AtMost: true, Runs: len(values), Min: sorted[0], Max: sorted[len(sorted)-1]}
	row.Ours = sorted[min(int(percentile*float64(len(sorted))), len(sorted)-1)]
	row.Pass = target == 0 || row.Ours <= target
	return row
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"postern/cloud"
	"postern/gateway"
)

// RevokeOptions of Revoke; the zero value measures as the promise wants it.
type RevokeOptions struct {
	Connections int // open at once; 0 is 10,000

	DataPath string // cloud.Kernel, cloud.Userspace, or "" for the kernel's where it can run
	Program  string // the postern executable for the kernel data path's nodes; "" for this process's own

	Progress func(step string) // is told what is being done; nil: nobody is
	Log      *slog.Logger      // of the cloud; nil: nowhere
}

const (
	revokeLimit  = 20 * time.Minute // of the whole
	revokeTarget = 100              // ms at the 99th percentile: what issue 4 promises
	endLimit     = 30 * time.Second // for every connection to end, and for every line
)

// RevokeRows are the ids of what Revoke measures, in its order.
var RevokeRows = []string{
	"revoke-rule-answer", "revoke-rule-p50", "revoke-rule-p99", "revoke-rule-lines",
	"revoke-endpoint-answer", "revoke-endpoint-p50", "revoke-endpoint-p99", "revoke-endpoint-lines",
	"revoke-policy-answer", "revoke-policy-p50", "revoke-policy-p99", "revoke-policy-lines",
}

// Revoke measures how soon what was let in is out again. It starts a cloud of its own, opens connections from a VM to a
// storage account by a service endpoint, has each of them admitted by a request, and takes away what admitted them: the
// account's network rule, the subnet's service endpoint, or the account's place in the subnet's endpoint policy. The rows of each:
//   - answer: from the PUT to the Resource Manager's answer;
//   - p50, p99: from that answer to the reset of each connection at the VM; 0 for what was reset before the answer;
//   - lines: of the access log that say so, a connection: 1 passes, nothing else.
//
// Rows have no counterpart: see Row. A connection that ends without a reset, or stays, makes the rows skipped ones.
func Revoke(ctx context.Context, options RevokeOptions) (report Report, err error) {
	if options.Connections == 0 {
		options.Connections = 10_000
	}
	if options.Connections < 1 {
		return report, fmt.Errorf("benchmark: %d connections: give a number above 0", options.Connections)
	}
	if options.Progress == nil {
		options.Progress = func(string) {}
	}
	ctx, cancel := context.WithTimeoutCause(ctx, revokeLimit, fmt.Errorf("it has taken more than %s", revokeLimit))
	defer cancel()
	options.Progress("starting a cloud")
	world, err := startCallers(ctx, cloud.Options{DataPath: options.DataPath, Program: options.Program, Log: options.Log})
	if err != nil {
		return report, fmt.Errorf("benchmark: %w", err)
	}
	defer func() { err = errors.Join(err, world.close()) }()
	for _, one := range []struct {
		kind            string
		path            string
		taken, restored json.RawMessage
	}{
		{"rule", callersAccount, world.account(false), world.account(true)},
		{"endpoint", callersSubnet, world.subnet(false, false), world.subnet(true, false)},
		{"policy", callersSubnet, world.subnet(true, true), world.subnet(true, false)},
	} {
		rows, err := world.revoke(ctx, options, one.kind, one.path, one.taken)
		if ctx.Err() != nil {
			return report, fmt.Errorf("benchmark: %w", context.Cause(ctx))
		}
		if err == nil {
			err = world.door.put(ctx, one.path, one.restored)
		}
		if err != nil {
			rows = nil
			for _, id := range []string{"answer", "p50", "p99", "lines"} {
				rows = append(rows, Row{ID: "revoke-" + one.kind + "-" + id, Unit: "ms", AtMost: true, Skipped: err.Error()})
			}
		}
		report.Rows = append(report.Rows, rows...)
	}
	return report, nil
}

// revoke measures one change.
func (w *callers) revoke(ctx context.Context, options RevokeOptions, kind, path string, taken json.RawMessage) ([]Row, error) {
	options.Progress(fmt.Sprintf("opening %d connections for revoke-%s", options.Connections, kind))
	before, err := w.revokedLines(ctx)
	if err != nil {
		return nil, err
	}
	open, err := w.openMany(ctx, options.Connections)
	defer closeAll(open)
	if err != nil {
		return nil, err
	}
	ended := make(chan ending, len(open))
	for _, one := range open {
		go func() {
			_, err := one.reader.ReadByte()
			ended <- ending{time.Now(), err}
		}()
	}
	options.Progress("measuring revoke-" + kind)
	began := time.Now()
	if err := w.door.put(ctx, path, taken); err != nil {
		return nil, err
	}
	answered := time.Now()
	var times []float64
	limit := time.NewTimer(endLimit)
	defer limit.Stop()
	for range open {
		select {
		case end := <-ended:
			if end.err == nil || !strings.Contains(end.err.Error(), "connection reset") {
				return nil, fmt.Errorf("a connection ended without a reset: %v", end.err)
			}
			times = append(times, max(0, milliseconds(end.at.Sub(answered))))
		case <-limit.C:
			return nil, fmt.Errorf("%d of %d connections are open %s after the answer", len(open)-len(times), len(open), endLimit)
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	lines, err := w.awaitLines(ctx, before, len(open))
	if err != nil {
		return nil, err
	}
	each := float64(lines) / float64(len(open))
	return []Row{
		bound("revoke-"+kind+"-answer", "ms", 0.50, []float64{milliseconds(answered.Sub(began))}, 0),
		bound("revoke-"+kind+"-p50", "ms", 0.50, times, 0),
		bound("revoke-"+kind+"-p99", "ms", 0.99, times, revokeTarget),
		{ID: "revoke-" + kind + "-lines", Unit: "lines", Ours: each, Min: each, Max: each, Runs: len(open), Target: 1, AtMost: true, Pass: each == 1},
	}, nil
}

// ending is when and how a connection ended.
type ending struct {
	at  time.Time
	err error
}

// awaitLines waits for as many lines about revoked connections as there were connections, and tells how many came.
func (w *callers) awaitLines(ctx context.Context, before, connections int) (lines int, err error) {
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for deadline := time.Now().Add(endLimit); ; {
		all, err := w.revokedLines(ctx)
		if err != nil || all-before >= connections || time.Now().After(deadline) {
			return all - before, err
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		}
	}
}

func (w *callers) revokedLines(ctx context.Context) (int, error) {
	entries, err := w.running.AccessLog(ctx)
	return len(gateway.Select(entries, gateway.Filter{StatusText: gateway.StatusConnectionRevoked})), err
}

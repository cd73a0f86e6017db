package bench

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"postern/cloud"
	"postern/gateway"
	"postern/node"
)

// SoakOptions of Soak; the zero value is what the promise wants.
type SoakOptions struct {
	For         time.Duration // of the churn; 0 is two minutes
	Connections int           // held open meanwhile; 0 is 10,000
	Callers     int           // that come and go, side by side; 0 is 16

	DataPath string // cloud.Kernel, cloud.Userspace, or "" for the kernel's where it can run
	Program  string // the postern executable for the kernel data path's nodes; "" for this process's own

	Progress func(step string) // is told what is being done; nil: nobody is
	Log      *slog.Logger      // of the cloud; nil: nowhere
}

func (o SoakOptions) settled() (SoakOptions, error) {
	if o.For == 0 {
		o.For = 2 * time.Minute
	}
	if o.Connections == 0 {
		o.Connections = 10_000
	}
	if o.Callers == 0 {
		o.Callers = 16
	}
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
	if o.For < 0 || o.Connections < 1 || o.Callers < 1 {
		return o, fmt.Errorf("benchmark: %d connections and %d callers for %s: give numbers above 0", o.Connections, o.Callers, o.For)
	}
	return o, nil
}

// SoakRows are the ids of what Soak reports, in its order.
var SoakRows = []string{"soak-held", "soak-calls", "soak-failed", "soak-held-failed", "soak-unlogged", "soak-memory", "soak-descriptors"}

// soakRequests are made on each connection that comes and goes.
const soakRequests = 3

// Soak holds connections open through a gateway while others come and go. It starts a cloud of its own, as Revoke does.
// The rows:
//   - held: connections that were opened and admitted, and stayed open;
//   - calls: connections that came, made three requests and went, a second;
//   - failed: of these, how many could not; any fails;
//   - held-failed: of those that were held, how many could make no request at the end; any fails;
//   - unlogged: requests that have no line in the access log and are not counted as lost; any fails;
//   - memory: the most that the gateway's process held in the second half of the churn, beside the first half: more than 1.2
//     times fails, where it is more than 64 MiB;
//   - descriptors: files that the gateway has open when all have gone, more than before the first came; more than 16 fail.
//
// The gateway closes a connection after two idle minutes, so those that are held make a request each minute.
func Soak(ctx context.Context, options SoakOptions) (report Report, err error) {
	if options, err = options.settled(); err != nil {
		return report, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, options.For+revokeLimit, errors.New("it has taken much longer than it should"))
	defer cancel()
	options.Progress("starting a cloud")
	world, err := startCallers(ctx, cloud.Options{DataPath: options.DataPath, Program: options.Program, Log: options.Log})
	if err != nil {
		return report, fmt.Errorf("benchmark: %w", err)
	}
	defer func() { err = errors.Join(err, world.close()) }()
	before, err := world.vitals(ctx)
	if err != nil {
		return report, fmt.Errorf("benchmark: %w", err)
	}
	lines := world.countLines()
	defer lines.tail.Close()
	options.Progress(fmt.Sprintf("opening %d connections", options.Connections))
	held, err := world.openMany(ctx, options.Connections)
	defer closeAll(held)
	if err != nil {
		return report, fmt.Errorf("benchmark: %w", err)
	}
	options.Progress("connections come and go for " + options.For.String())
	var asked, calls, failed, heldFailed atomic.Int64
	asked.Store(1 + int64(len(held))) // startCallers has made one
	churn, stop := context.WithTimeout(ctx, options.For)
	defer stop()
	var why error
	var once sync.Once
	var work sync.WaitGroup
	start := time.Now()
	for range options.Callers {
		work.Go(func() {
			for churn.Err() == nil {
				if err := world.call(ctx, &asked); err != nil {
					failed.Add(1)
					once.Do(func() { why = err })
				}
				calls.Add(1)
			}
		})
	}
	work.Go(func() {
		ticker := time.NewTicker(time.Minute)
		defer ticker.Stop()
		for {
			select {
			case <-churn.Done():
				return
			case <-ticker.C:
				askAll(held, &asked)
			}
		}
	})
	var memory []float64
	work.Go(func() { // so that no part of the log is removed before it is read
		ticker := time.NewTicker(time.Second)
		defer ticker.Stop()
		for {
			select {
			case <-churn.Done():
				return
			case <-ticker.C:
				_, _ = lines.look() // the last look tells what went wrong
			}
		}
	})
	work.Go(func() { // twenty samples, and one at the end
		ticker := time.NewTicker(max(options.For/20, time.Millisecond))
		defer ticker.Stop()
		for {
			select {
			case <-churn.Done():
				return
			case <-ticker.C:
				if now, err := world.vitals(churn); err == nil {
					memory = append(memory, now.resident)
				}
			}
		}
	})
	work.Wait()
	took := time.Since(start)
	if ctx.Err() != nil {
		return report, fmt.Errorf("benchmark: %w", context.Cause(ctx))
	}
	heldFailed.Store(askAll(held, &asked))
	end, err := world.vitals(ctx)
	if err != nil {
		return report, fmt.Errorf("benchmark: %w", err)
	}
	memory = append(memory, end.resident)
	if why != nil {
		options.Progress("the first failure: " + why.Error())
	}
	unlogged, err := lines.unlogged(ctx, int(asked.Load()))
	if err != nil {
		return report, fmt.Errorf("benchmark: %w", err)
	}
	closeAll(held)
	after, err := world.backTo(ctx, before)
	if err != nil {
		return report, fmt.Errorf("benchmark: %w", err)
	}
	left := max(0, after.descriptors-before.descriptors)
	none := func(id, unit string, count int64, runs int) Row {
		value := float64(count)
		return Row{ID: id, Unit: unit, Ours: value, Min: value, Max: value, Runs: runs, AtMost: true, Pass: count == 0}
	}
	rate := float64(calls.Load()) / took.Seconds()
	report.Rows = []Row{
		{ID: "soak-held", Unit: "connections", Ours: float64(len(held)), Min: float64(len(held)), Max: float64(len(held)), Runs: 1, Target: float64(options.Connections), Pass: true},
		{ID: "soak-calls", Unit: "1/s", Ours: rate, Min: rate, Max: rate, Runs: int(calls.Load()), Pass: true},
		none("soak-failed", "calls", failed.Load(), int(calls.Load())),
		none("soak-held-failed", "connections", heldFailed.Load(), len(held)),
		none("soak-unlogged", "requests", int64(unlogged), int(asked.Load())),
		memoryRow(memory),
		{ID: "soak-descriptors", Unit: "files", Ours: left, Min: left, Max: left, Runs: 1, Target: descriptorSlack, AtMost: true, Pass: left <= descriptorSlack},
	}
	return report, nil
}

// call is a connection that comes, makes its requests, and goes.
func (w *callers) call(ctx context.Context, asked *atomic.Int64) error {
	one, err := w.open(ctx)
	if err != nil {
		return err
	}
	asked.Add(1)
	for i := range soakRequests - 1 {
		ask := one.ask
		if i == soakRequests-2 {
			ask = one.askLast
		}
		if err := ask(); err != nil {
			return errors.Join(err, one.Close())
		}
		asked.Add(1)
	}
	return one.Close()
}

// askAll makes a request on each connection, side by side, and counts those that failed.
func askAll(open []*call, asked *atomic.Int64) (failed int64) {
	var failures, next atomic.Int64
	var work sync.WaitGroup
	for range dialers {
		work.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(open) {
					return
				}
				if err := open[i].ask(); err != nil {
					failures.Add(1)
				} else {
					asked.Add(1)
				}
			}
		})
	}
	work.Wait()
	return failures.Load()
}

// lineCount follows the gateway's access log while it is written and counts the requests in it: the log of a long churn does
// not stay whole.
type lineCount struct {
	mu    sync.Mutex
	tail  *gateway.Tail
	lines int
	err   error // of the last look
}

func (w *callers) countLines() *lineCount {
	return &lineCount{tail: gateway.NewTail(node.LogFile(w.running.Dir(), "gateway"))}
}

// look counts what is new, and answers how many requests have a line so far, or are counted as lost.
func (c *lineCount) look() (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for more := c.err == nil; more; {
		var entries []gateway.Entry
		entries, more, c.err = c.tail.Read()
		for _, entry := range entries {
			if entry.Account == "callee" && entry.StatusText != gateway.StatusConnectionRevoked {
				c.lines++
			}
			c.lines += int(entry.LostLines)
		}
		more = more && c.err == nil
	}
	return c.lines, c.err
}

// unlogged waits until every request has its line or is counted as lost, and tells how many have neither.
func (c *lineCount) unlogged(ctx context.Context, asked int) (missing int, err error) {
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for deadline := time.Now().Add(endLimit); ; {
		lines, err := c.look()
		if missing = max(0, asked-lines); err != nil || missing == 0 || time.Now().After(deadline) {
			return missing, err
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		}
	}
}

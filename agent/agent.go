package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"postern/model"
	"postern/plan"
	"postern/store"
)

// Options are what an agent needs.
type Options struct {
	Node   string // the node's name
	Dir    string // where the plan is kept and the socket is: made if needed
	Plans  Plans
	Driver Driver // closed by whoever made it
	Log    *slog.Logger
}

// Times of the loop.
const (
	quickTries  = 3 // attempts to apply a plan before its failure is reported
	firstPause  = 20 * time.Millisecond
	lastPause   = 2 * time.Second
	reportLimit = 5 * time.Second // one attempt to report
)

// Status is what an agent says about itself.
type Status struct {
	Node     string    `json:"node"`
	Applied  int64     `json:"applied"`         // revision of the plan in force; 0: one from disk, or none
	Wanted   int64     `json:"wanted"`          // revision of the newest plan that the store told
	FromDisk bool      `json:"fromDisk"`        // the plan in force is the one that was saved by an earlier run
	Error    string    `json:"error,omitempty"` // why the newest plan is not in force, or not reported
	Since    time.Time `json:"since"`           // when the plan came into force
}

// Agent is the loop of one node.
type Agent struct {
	options Options
	disk    disk

	lock   sync.Mutex
	status Status

	// Of the loop alone.
	current *plan.Node // in force; nil: none yet
	job     *job       // what is still to be done; nil: nothing
}

// job is the newest plan from the store and how far the loop has come with it.
type job struct {
	update  store.PlanUpdate
	applied bool
	tries   int
	told    string // the failure that was reported last
}

// New makes an agent. Nothing happens before Run.
func New(options Options) (*Agent, error) {
	if err := os.MkdirAll(options.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("start the agent of node %s: %w", options.Node, err)
	}
	return &Agent{options: options, disk: newDisk(options.Dir, options.Node), status: Status{Node: options.Node}}, nil
}

// Run applies the plan that an earlier run saved, then every plan that the store tells, until the context ends. It
// also serves status and counters on the socket. The error is one of the socket; everything else is tried again.
func (a *Agent) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	served := make(chan error, 1)
	go func() {
		err := a.serve(ctx)
		if err != nil {
			cancel()
		}
		served <- err
	}()
	a.restore(ctx)
	a.loop(ctx)
	cancel()
	return <-served
}

// restore applies what is on disk, the newest plan first.
func (a *Agent) restore(ctx context.Context) {
	plans, err := a.disk.plans()
	if err != nil {
		a.options.Log.Warn("saved plan", "node", a.options.Node, "error", err)
	}
	for _, saved := range plans {
		if err = a.options.Driver.Apply(ctx, saved); err == nil {
			a.current = &saved
			a.set(func(s *Status) { s.FromDisk, s.Since, s.Error = true, time.Now(), "" })
			return
		}
		a.options.Log.Warn("saved plan does not apply", "node", a.options.Node, "error", err)
		a.set(func(s *Status) { s.Error = err.Error() })
	}
}

func (a *Agent) loop(ctx context.Context) {
	updates := a.options.Plans.WatchPlan(ctx, a.options.Node)
	timer := time.NewTimer(0)
	<-timer.C
	for {
		select {
		case <-ctx.Done():
			return
		case update, ok := <-updates:
			if !ok {
				return
			}
			a.job = &job{update: update}
			a.set(func(s *Status) { s.Wanted = update.Revision })
		case <-timer.C:
		}
		if a.job == nil {
			continue
		}
		if err := a.step(ctx); err != nil {
			a.set(func(s *Status) { s.Error = err.Error() })
			timer.Reset(pause(a.job.tries))
			continue
		}
		timer.Stop()
		a.job = nil
		a.set(func(s *Status) { s.Error = "" })
	}
}

// pause grows with the number of tries.
func pause(tries int) time.Duration {
	return min(firstPause<<min(tries, 10), lastPause)
}

// step does what is left of the job. With an error it is to be called again.
func (a *Agent) step(ctx context.Context) error {
	j := a.job
	j.tries++
	if !j.applied {
		if err := a.apply(ctx, j.update); err != nil {
			return a.tell(ctx, err)
		}
		j.applied, j.tries = true, 1
		a.set(func(s *Status) { s.Applied, s.FromDisk, s.Since = j.update.Revision, false, time.Now() })
	}
	if j.update.Plan == nil {
		return nil // the store keeps no report of a node that is gone
	}
	return a.report(ctx, nil)
}

// apply puts the plan on disk, into the driver, and on disk as good.
func (a *Agent) apply(ctx context.Context, update store.PlanUpdate) error {
	next := update.Plan
	if next == nil {
		if a.current == nil {
			return nil
		}
		emptied := empty(*a.current)
		next = &emptied
	}
	if err := a.disk.begin(*next); err != nil {
		return err
	}
	if err := a.options.Driver.Apply(ctx, *next); err != nil {
		return fmt.Errorf("apply the plan: %w", err)
	}
	a.current = next
	return a.disk.done()
}

// tell reports a failure once it has repeated, and each other failure after it.
func (a *Agent) tell(ctx context.Context, cause error) error {
	if a.job.tries < quickTries || a.job.update.Plan == nil || cause.Error() == a.job.told || ctx.Err() != nil {
		return cause
	}
	a.options.Log.Error("plan does not apply", "node", a.options.Node, "revision", a.job.update.Revision, "error", cause)
	if err := a.report(ctx, cause); err != nil {
		return errors.Join(cause, err)
	}
	a.job.told = cause.Error()
	return cause
}

func (a *Agent) report(ctx context.Context, cause error) error {
	ctx, cancel := context.WithTimeout(ctx, reportLimit)
	defer cancel()
	return a.options.Plans.ReportApplied(ctx, a.options.Node, a.job.update.Revision, cause)
}

// empty is the plan of a node that has nothing to do any more: it lets nothing through.
func empty(node plan.Node) plan.Node {
	switch node.Role {
	case model.RoleHost:
		node.Host = &plan.Host{DocumentedRoutes: node.Host != nil && node.Host.DocumentedRoutes}
	case model.RoleGateway:
		node.Gateway = &plan.Gateway{}
	case model.RoleEdge:
		node.Edge = &plan.Edge{}
	}
	return node
}

func (a *Agent) set(change func(*Status)) {
	a.lock.Lock()
	defer a.lock.Unlock()
	change(&a.status)
}

// Status is what the agent does now.
func (a *Agent) Status() Status {
	a.lock.Lock()
	defer a.lock.Unlock()
	return a.status
}

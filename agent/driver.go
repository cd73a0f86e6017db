// Package agent is the loop of one node: it takes the node's plan from the store, lets a driver apply it, remembers it
// on disk, and reports which revision is in force. It links neither the etcd server nor the API.
package agent

import (
	"context"

	"postern/model"
	"postern/plan"
	"postern/store"
)

// Driver makes a plan true on this node. Apply is told the whole plan; it compares it with what is there and changes
// what differs, so that it is safe to call twice with one plan. When it fails, the former plan stays in force as far
// as it can. The agent calls Apply from one goroutine, and Counters from others.
type Driver interface {
	Apply(ctx context.Context, node plan.Node) error
	Counters() ([]model.Counter, error)
	Close() error
}

// Plans is where plans come from and reports go to: *store.Store.
type Plans interface {
	WatchPlan(ctx context.Context, node string) <-chan store.PlanUpdate
	ReportApplied(ctx context.Context, node string, revision int64, cause error) error
}

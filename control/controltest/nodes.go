package controltest

import (
	"context"
	"sync"

	"postern/control"
	"postern/store"
)

// Nodes stand for the agents of all nodes of a plane: they apply nothing, and report every plan as applied. A test makes
// one of them silent, or fail, to see what becomes of a write that is not enforced.
type Nodes struct {
	plane *control.Plane
	stop  context.CancelFunc
	work  sync.WaitGroup

	mu     sync.Mutex // guards what follows, and is held while a report is written
	last   map[string]store.PlanUpdate
	silent map[string]bool
	broken map[string]error
}

// Run starts the nodes that a plane has and will have.
func Run(plane *control.Plane) *Nodes {
	ctx, stop := context.WithCancel(context.Background())
	n := &Nodes{plane: plane, stop: stop, last: map[string]store.PlanUpdate{}, silent: map[string]bool{}, broken: map[string]error{}}
	n.work.Go(func() { n.follow(ctx) })
	return n
}

// follow gives every new node an agent.
func (n *Nodes) follow(ctx context.Context) {
	known := map[string]bool{}
	for range n.plane.Store.Watch(ctx) {
		cloud, err := n.plane.Cache.Current(ctx)
		if err != nil {
			continue // the next revision tells the same nodes
		}
		for _, node := range cloud.Snapshot().Nodes {
			if known[node.Name] {
				continue
			}
			known[node.Name] = true
			n.work.Go(func() {
				for update := range n.plane.Store.WatchPlan(ctx, node.Name) {
					n.mu.Lock()
					n.last[node.Name] = update
					n.report(ctx, node.Name)
					n.mu.Unlock()
				}
			})
		}
	}
}

// report tells what the node has done with its last plan. mu is held.
func (n *Nodes) report(ctx context.Context, node string) {
	if update := n.last[node]; update.Plan != nil && !n.silent[node] {
		_ = n.plane.Store.ReportApplied(ctx, node, update.Revision, n.broken[node]) // it fails when the context has ended
	}
}

// Silence makes nodes report nothing from now on, as if their agents were down.
func (n *Nodes) Silence(nodes ...string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, node := range nodes {
		n.silent[node] = true
	}
}

// Break makes a node report that it cannot apply its plans, with a cause.
func (n *Nodes) Break(node string, cause error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.broken[node] = cause
}

// Heal lets nodes apply again, beginning with the last plan that they were told.
func (n *Nodes) Heal(ctx context.Context, nodes ...string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, node := range nodes {
		delete(n.silent, node)
		delete(n.broken, node)
		n.report(ctx, node)
	}
}

// Close ends the nodes, before their plane.
func (n *Nodes) Close() {
	n.stop()
	n.work.Wait()
}

package store

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// progress follows the compiler and the nodes, for all that wait at a store. It has one watch for the store's life,
// because etcd lets a new watch that begins a little in the past wait for up to 100 ms.
type progress struct {
	start sync.Once

	lock     sync.Mutex
	at       int64 // revision of the last whole read; 0: none yet
	compiled compiled
	plans    map[string]int64 // revision of each node's plan, at the last whole read
	reports  map[string]Applied
	changed  chan struct{} // closed at the next whole read
	waiting  map[*waiter]bool
}

// Targets are the plans that nodes must have applied, by the nodes' names: the revision of each, or of a later one.
type Targets map[string]int64

// waiter waits for targets. progress.lock guards it.
type waiter struct {
	pending Targets       // those that are not reached
	news    chan struct{} // has one element when there are none left, or a node has failed
}

// WaitApplied returns when the cloud's revision, or a later one, has been compiled and every node concerned has applied
// what came of it. The errors are those of Concerned and WaitFor.
func (s *Store) WaitApplied(ctx context.Context, revision int64) error {
	targets, err := s.Concerned(ctx, revision, revision)
	if err != nil {
		return err
	}
	return s.WaitFor(ctx, revision, targets)
}

// Concerned waits until the cloud's revision, or a later one, has been compiled, and answers the nodes that have not
// applied their plans. Plans that were written up to the revision since do not count: later changes of the cloud are not
// in them, and a node that lags behind one is not concerned. A *CompileError tells that the revision cannot be compiled, a
// *LagError that the context ended before.
func (s *Store) Concerned(ctx context.Context, revision, since int64) (Targets, error) {
	p := &s.progress
	p.start.Do(func() {
		go s.follow(s.client.Ctx(), statusKey, true, s.readProgress, s.changeProgress)
	})
	for {
		p.lock.Lock()
		switch {
		case p.at != 0 && p.compiled.Revision >= revision:
			targets := make(Targets)
			for node, plan := range p.plans {
				if plan > since && !p.reports[node].reaches(plan) {
					targets[node] = plan
				}
			}
			p.lock.Unlock()
			return targets, nil
		case p.at != 0 && p.compiled.Failed >= revision:
			err := &CompileError{p.compiled.Failed, p.compiled.Error}
			p.lock.Unlock()
			return nil, err
		}
		changed := p.changed
		p.lock.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, &LagError{Revision: revision, Cause: ctx.Err()}
		}
	}
}

// WaitFor returns when targets are reached, or their nodes are gone. A *LagError with a nil Cause tells at once that a node
// could not apply its plan; one with a Cause that the context ended before. The revision is what the error names.
func (s *Store) WaitFor(ctx context.Context, revision int64, targets Targets) error {
	p := &s.progress
	w := &waiter{pending: maps.Clone(targets), news: make(chan struct{}, 1)}
	p.lock.Lock()
	p.waiting[w] = true
	p.lock.Unlock()
	defer func() {
		p.lock.Lock()
		delete(p.waiting, w)
		p.lock.Unlock()
	}()
	for {
		p.lock.Lock()
		p.settle(w)
		lags := p.lags(w)
		p.lock.Unlock()
		switch {
		case len(lags) == 0:
			return nil
		case lags[0].failed():
			return &LagError{Revision: revision, Lagging: lags}
		}
		select {
		case <-w.news:
		case <-ctx.Done():
			return &LagError{Revision: revision, Lagging: lags, Cause: ctx.Err()}
		}
	}
}

// settle takes from a waiter the targets that are reached; lock is held.
func (p *progress) settle(w *waiter) {
	maps.DeleteFunc(w.pending, func(node string, target int64) bool {
		_, there := p.plans[node]
		return !there || p.reports[node].reaches(target)
	})
}

// lags lists what a waiter waits for: first nodes that cannot, since they are why, then by name; lock is held.
func (p *progress) lags(w *waiter) []Lag {
	list := make([]Lag, 0, len(w.pending))
	for node, target := range w.pending {
		list = append(list, Lag{node, target, p.reports[node]})
	}
	slices.SortFunc(list, func(a, b Lag) int {
		if a.failed() != b.failed() {
			return map[bool]int{true: -1, false: 1}[a.failed()]
		}
		return strings.Compare(a.Node, b.Node)
	})
	return list
}

// tell wakes a waiter.
func (w *waiter) tell() {
	select {
	case w.news <- struct{}{}:
	default:
	}
}

func (s *Store) readProgress(ctx context.Context) (int64, error) {
	now, err := s.readStatus(ctx)
	if err != nil {
		return 0, err
	}
	p := &s.progress
	p.lock.Lock()
	defer p.lock.Unlock()
	p.at, p.compiled, p.plans, p.reports = now.at, now.compiled, now.plans, now.reports
	close(p.changed)
	p.changed = make(chan struct{})
	for w := range p.waiting {
		w.tell()
	}
	return p.at, nil
}

// changeProgress notes reports one by one. When the compiler has gone on, the plans' revisions are read anew, which
// may run ahead of the events.
func (s *Store) changeProgress(events []*clientv3.Event) error {
	p := &s.progress
	for _, event := range events {
		if event.Kv.ModRevision <= p.at { // at is written by this goroutine alone
			continue
		}
		node, isReport := strings.CutPrefix(string(event.Kv.Key), appliedKey)
		if !isReport {
			ctx, cancel := context.WithTimeout(s.client.Ctx(), readTimeout)
			_, err := s.readProgress(ctx)
			cancel()
			if err != nil {
				return err
			}
			continue
		}
		var report Applied
		if event.Type == clientv3.EventTypePut {
			if err := json.Unmarshal(event.Kv.Value, &report); err != nil {
				return fmt.Errorf("read %s: %w", event.Kv.Key, err)
			}
		}
		p.report(node, report)
	}
	return nil
}

// report notes what a node said. A waiter hears of it when it was the last that it waited for, or has failed: so a thousand
// nodes' reports wake it once.
func (p *progress) report(node string, report Applied) {
	p.lock.Lock()
	defer p.lock.Unlock()
	p.reports[node] = report
	for w := range p.waiting {
		target, ok := w.pending[node]
		switch {
		case !ok:
		case report.reaches(target):
			if delete(w.pending, node); len(w.pending) == 0 {
				w.tell()
			}
		case report.Error != "":
			w.tell()
		}
	}
}

// status is one whole read of what the compiler and the nodes have done.
type status struct {
	at       int64
	compiled compiled
	plans    map[string]int64
	reports  map[string]Applied
}

func (s *Store) readStatus(ctx context.Context) (status, error) {
	answer, err := s.client.Txn(ctx).Then(clientv3.OpGet(compiledKey),
		clientv3.OpGet(plansKey, clientv3.WithPrefix(), clientv3.WithKeysOnly()),
		clientv3.OpGet(appliedKey, clientv3.WithPrefix())).Commit()
	if err != nil {
		return status{}, fmt.Errorf("read what the nodes have applied: %w", err)
	}
	now := status{at: answer.Header.Revision, plans: make(map[string]int64), reports: make(map[string]Applied)}
	if kvs := answer.Responses[0].GetResponseRange().Kvs; len(kvs) > 0 {
		if err := json.Unmarshal(kvs[0].Value, &now.compiled); err != nil {
			return status{}, fmt.Errorf("read the compiler's progress: %w", err)
		}
	}
	for _, kv := range answer.Responses[1].GetResponseRange().Kvs {
		now.plans[strings.TrimPrefix(string(kv.Key), plansKey)] = kv.ModRevision
	}
	for _, kv := range answer.Responses[2].GetResponseRange().Kvs {
		var report Applied
		if err := json.Unmarshal(kv.Value, &report); err != nil {
			return status{}, fmt.Errorf("read %s: %w", kv.Key, err)
		}
		now.reports[strings.TrimPrefix(string(kv.Key), appliedKey)] = report
	}
	return now, nil
}

package store

import (
	"context"
	"encoding/json"
	"fmt"
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
	lagging  map[string]Lag
	changed  chan struct{} // closed at the next change
}

// WaitApplied returns when the cloud's revision, or a later one, has been compiled and every node concerned has applied
// its newest plan: a node whose plan was last written before the revision, and so was not changed by it, may lag. A
// *CompileError, or a *LagError with a nil Cause, tells at once that this will not happen; a *LagError with a Cause that
// the context ended before, and which nodes lag.
func (s *Store) WaitApplied(ctx context.Context, revision int64) error {
	p := &s.progress
	p.start.Do(func() {
		go s.follow(s.client.Ctx(), statusKey, true, s.readProgress, s.changeProgress)
	})
	for {
		done, changed, err := p.judge(revision)
		if done {
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return &LagError{Revision: revision, Lagging: p.lags(revision), Cause: ctx.Err()}
		}
	}
}

// judge tells whether it is clear how the waiting for a revision ends, and how; if not, what to wait for.
func (p *progress) judge(revision int64) (done bool, changed <-chan struct{}, err error) {
	p.lock.Lock()
	defer p.lock.Unlock()
	switch {
	case p.at == 0:
		return false, p.changed, nil
	case p.compiled.Revision < revision && p.compiled.Failed >= revision:
		return true, nil, &CompileError{p.compiled.Failed, p.compiled.Error}
	case p.compiled.Revision < revision:
		return false, p.changed, nil
	}
	concerned := p.concerned(revision)
	if len(concerned) == 0 {
		return true, nil, nil
	}
	if concerned[0].failed() {
		return true, nil, &LagError{Revision: revision, Lagging: concerned}
	}
	return false, p.changed, nil
}

// lags lists who lags behind a compiled revision; nobody if it is not compiled.
func (p *progress) lags(revision int64) []Lag {
	p.lock.Lock()
	defer p.lock.Unlock()
	if p.compiled.Revision < revision {
		return nil
	}
	return p.concerned(revision)
}

// concerned lists the nodes that have not applied a plan written since a revision: first those that cannot, since they are
// why, then by name.
func (p *progress) concerned(revision int64) []Lag {
	var list []Lag
	for _, lag := range p.lagging {
		if lag.Plan > revision {
			list = append(list, lag)
		}
	}
	slices.SortFunc(list, func(a, b Lag) int {
		if a.failed() != b.failed() {
			return map[bool]int{true: -1, false: 1}[a.failed()]
		}
		return strings.Compare(a.Node, b.Node)
	})
	return list
}

func (s *Store) readProgress(ctx context.Context) (int64, error) {
	now, err := s.readStatus(ctx)
	if err != nil {
		return 0, err
	}
	p := &s.progress
	p.lock.Lock()
	defer p.lock.Unlock()
	p.at, p.compiled, p.plans, p.reports, p.lagging = now.at, now.compiled, now.plans, now.reports, now.lagging()
	p.wake()
	return p.at, nil
}

func (p *progress) wake() {
	close(p.changed)
	p.changed = make(chan struct{})
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

func (p *progress) report(node string, report Applied) {
	p.lock.Lock()
	defer p.lock.Unlock()
	p.reports[node] = report
	revision, ok := p.plans[node]
	switch {
	case !ok:
		return
	case report.Revision >= revision && report.Error == "":
		delete(p.lagging, node)
	default:
		p.lagging[node] = Lag{node, revision, report}
	}
	if lag, still := p.lagging[node]; !still && !p.anyAt(revision) || still && lag.failed() {
		p.wake()
	}
}

// anyAt tells whether a node lags behind a plan of a revision or a later one. While one does, nobody's waiting ends by the
// report of another: so a thousand nodes' reports wake those who wait once and not a thousand times.
func (p *progress) anyAt(revision int64) bool {
	for _, lag := range p.lagging {
		if lag.Plan >= revision {
			return true
		}
	}
	return false
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

func (s *status) lagging() map[string]Lag {
	lagging := make(map[string]Lag)
	for node, revision := range s.plans {
		if report := s.reports[node]; report.Revision < revision || report.Error != "" {
			lagging[node] = Lag{node, revision, report}
		}
	}
	return lagging
}

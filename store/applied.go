package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// Applied is what a node said about its plan.
type Applied struct {
	Revision int64  `json:"revision"`        // of the plan that it has applied, or failed to apply
	Error    string `json:"error,omitempty"` // why it failed; then the former plan is in force
}

// ReportApplied notes that a node has applied the plan of a revision, or, with a cause, that it could not.
func (s *Store) ReportApplied(ctx context.Context, node string, revision int64, cause error) error {
	report := Applied{Revision: revision}
	if cause != nil {
		report.Error = cause.Error()
	}
	value, err := json.Marshal(report)
	if err == nil {
		_, err = s.client.Put(ctx, appliedKey+node, string(value))
	}
	if err != nil {
		return fmt.Errorf("report what node %s has applied: %w", node, err)
	}
	return nil
}

// Lag is a node that has not applied its plan.
type Lag struct {
	Node    string
	Plan    int64 // the revision of its plan
	Applied Applied
}

func (l Lag) String() string {
	switch {
	case l.Applied.Error != "" && l.Applied.Revision >= l.Plan:
		return fmt.Sprintf("node %s could not apply its plan: %s", l.Node, l.Applied.Error)
	case l.Applied.Revision == 0:
		return fmt.Sprintf("node %s has not applied any plan: is its agent running?", l.Node)
	}
	return fmt.Sprintf("node %s has applied revision %d of its plan and not yet %d: is its agent running?", l.Node, l.Applied.Revision, l.Plan)
}

// LagError tells which nodes have not applied the plans of a revision.
type LagError struct {
	Revision int64
	Lagging  []Lag // by node; empty: the compiler itself has not come so far
	Cause    error // what ended the waiting; nil when a node said that it could not
}

func (e *LagError) Error() string {
	if len(e.Lagging) == 0 {
		return fmt.Sprintf("wait for revision %d: the compiler has not come so far: is the server's compile loop running?", e.Revision)
	}
	const most = 3
	texts := make([]string, 0, most)
	for _, lag := range e.Lagging[:min(most, len(e.Lagging))] {
		texts = append(texts, lag.String())
	}
	if more := len(e.Lagging) - most; more > 0 {
		texts = append(texts, fmt.Sprintf("and %d more nodes", more))
	}
	return fmt.Sprintf("wait for revision %d: %s", e.Revision, strings.Join(texts, "; "))
}

func (e *LagError) Unwrap() error { return e.Cause }

// CompileError tells that a revision of the cloud could not be compiled. The plans of an earlier one hold.
type CompileError struct {
	Revision int64
	Message  string
}

func (e *CompileError) Error() string {
	return fmt.Sprintf("compile revision %d: %s", e.Revision, e.Message)
}

// WaitApplied returns when the cloud's revision, or a later one, has been compiled and every node has applied its
// newest plan. A *CompileError, or a *LagError with a nil Cause, tells at once that this will not happen; a *LagError
// with a Cause that the context ended before, and which nodes lag.
func (s *Store) WaitApplied(ctx context.Context, revision int64) error {
	// A watch that begins before the reading misses nothing of what follows it.
	watchCtx, cancel := context.WithCancel(ctx)
	defer cancel()
	last := &LagError{Revision: revision}
	var result error
	done := false
	s.follow(watchCtx, statusKey, true, func(ctx context.Context) (int64, error) {
		lagging, at, err := s.lagging(ctx, revision)
		var failed *CompileError
		switch {
		case errors.As(err, &failed):
			result, done = err, true
			cancel()
		case err != nil && !errors.Is(err, errNotCompiled):
			return 0, err
		case err == nil && len(lagging) == 0:
			done = true
			cancel()
		case err == nil:
			last.Lagging = lagging
			if slices.ContainsFunc(lagging, func(l Lag) bool { return l.Applied.Error != "" && l.Applied.Revision >= l.Plan }) {
				result, done = last, true
				cancel()
			}
		}
		return at, nil
	})
	if done {
		return result
	}
	last.Cause = ctx.Err()
	return last
}

var errNotCompiled = errors.New("not compiled yet")

// Lagging lists the nodes that have not applied their newest plans. The error is a *CompileError if the cloud's
// revision could not be compiled, and another one while it is not compiled yet.
func (s *Store) Lagging(ctx context.Context, revision int64) ([]Lag, error) {
	lagging, _, err := s.lagging(ctx, revision)
	return lagging, err
}

func (s *Store) lagging(ctx context.Context, revision int64) ([]Lag, int64, error) {
	answer, err := s.client.Txn(ctx).Then(clientv3.OpGet(compiledKey),
		clientv3.OpGet(plansKey, clientv3.WithPrefix(), clientv3.WithKeysOnly()),
		clientv3.OpGet(appliedKey, clientv3.WithPrefix())).Commit()
	if err != nil {
		return nil, 0, fmt.Errorf("read what the nodes have applied: %w", err)
	}
	at := answer.Header.Revision
	var progress compiled
	if kvs := answer.Responses[0].GetResponseRange().Kvs; len(kvs) > 0 {
		if err := json.Unmarshal(kvs[0].Value, &progress); err != nil {
			return nil, 0, fmt.Errorf("read the compiler's progress: %w", err)
		}
	}
	if progress.Revision < revision {
		if progress.Failed >= revision {
			return nil, at, &CompileError{progress.Failed, progress.Error}
		}
		return nil, at, errNotCompiled
	}
	reports := make(map[string]Applied)
	for _, kv := range answer.Responses[2].GetResponseRange().Kvs {
		var report Applied
		if err := json.Unmarshal(kv.Value, &report); err != nil {
			return nil, 0, fmt.Errorf("read %s: %w", kv.Key, err)
		}
		reports[strings.TrimPrefix(string(kv.Key), appliedKey)] = report
	}
	var lagging []Lag
	for _, kv := range answer.Responses[1].GetResponseRange().Kvs {
		node := strings.TrimPrefix(string(kv.Key), plansKey)
		if report := reports[node]; report.Revision < kv.ModRevision || report.Error != "" {
			lagging = append(lagging, Lag{node, kv.ModRevision, report})
		}
	}
	return lagging, at, nil
}

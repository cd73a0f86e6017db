package store

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	clientv3 "go.etcd.io/etcd/client/v3"

	"postern/plan"
)

// compiled is how far the compiler has come. Revision is the cloud's that the plans are of; Failed is a later one that
// could not be compiled, with the reason in Error.
type compiled struct {
	Revision int64  `json:"revision"`
	Failed   int64  `json:"failed,omitempty"`
	Error    string `json:"error,omitempty"`
}

// writtenPlan is what is known of a stored plan at a revision: its bytes' hash and, when it is of this process's making, the
// plan itself, which takes less time to compare than to write out.
type writtenPlan struct {
	hash     [sha256.Size]byte
	plan     *plan.Node // nil: not known
	revision int64
}

// Bounds of one transaction of PutPlans.
const (
	maxPlanOps   = 512
	maxPlanBytes = 16 << 20
)

// PutPlans stores the plans of all nodes as compiled from the cloud's revision. It writes those alone that differ from
// what is stored, removes those of nodes that are gone, and notes the revision in the last transaction: who sees the
// revision sees every plan of it. One compiler at a time may call it. It keeps the plans: they must not change afterwards.
func (s *Store) PutPlans(ctx context.Context, plans map[string]plan.Node, revision int64) error {
	s.plansLock.Lock()
	defer s.plansLock.Unlock()
	stored, err := s.client.Get(ctx, plansKey, clientv3.WithPrefix(), clientv3.WithKeysOnly())
	if err != nil {
		return fmt.Errorf("read the plans' revisions: %w", err)
	}
	revisions := make(map[string]int64, len(stored.Kvs))
	batch := planBatch{store: s, written: make(map[string]writtenPlan)}
	for _, kv := range stored.Kvs {
		node := strings.TrimPrefix(string(kv.Key), plansKey)
		revisions[node] = kv.ModRevision
		if _, ok := plans[node]; !ok {
			if err := batch.add(ctx, 0, clientv3.OpDelete(plansKey+node), clientv3.OpDelete(appliedKey+node)); err != nil {
				return err
			}
			delete(s.plans, node)
		}
	}
	for _, node := range slices.Sorted(maps.Keys(plans)) {
		next := plans[node]
		if known := s.plans[node]; known.plan != nil && known.revision == revisions[node] && reflect.DeepEqual(*known.plan, next) {
			continue
		}
		value, err := json.Marshal(next)
		if err != nil {
			return fmt.Errorf("write the plan of node %s: %w", node, err)
		}
		hash := sha256.Sum256(value)
		same, err := s.samePlan(ctx, node, revisions[node], hash)
		if err != nil {
			return err
		}
		if same {
			s.plans[node] = writtenPlan{hash, &next, revisions[node]}
			continue
		}
		batch.written[node] = writtenPlan{hash: hash, plan: &next}
		if err := batch.add(ctx, len(value), clientv3.OpPut(plansKey+node, string(value))); err != nil {
			return err
		}
	}
	status, err := json.Marshal(compiled{Revision: revision})
	if err != nil {
		return fmt.Errorf("write the compiler's progress: %w", err)
	}
	if err := batch.add(ctx, 0, clientv3.OpPut(compiledKey, string(status))); err != nil {
		return err
	}
	return batch.commit(ctx)
}

// samePlan tells whether the stored plan of a node, of a revision, has the hash. It reads the plan when it is not known.
func (s *Store) samePlan(ctx context.Context, node string, revision int64, hash [sha256.Size]byte) (bool, error) {
	if revision == 0 {
		return false, nil
	}
	known, ok := s.plans[node]
	if !ok || known.revision != revision {
		answer, err := s.client.Get(ctx, plansKey+node)
		if err != nil || len(answer.Kvs) == 0 {
			return false, err
		}
		known = writtenPlan{hash: sha256.Sum256(answer.Kvs[0].Value), revision: answer.Kvs[0].ModRevision}
		s.plans[node] = known
	}
	return known.hash == hash, nil
}

// planBatch collects writes and commits them when they grow too many or too large for one transaction.
type planBatch struct {
	store   *Store
	ops     []clientv3.Op
	bytes   int
	written map[string]writtenPlan // the plans in ops
}

func (b *planBatch) add(ctx context.Context, size int, ops ...clientv3.Op) error {
	b.ops = append(b.ops, ops...)
	b.bytes += size
	if len(b.ops) < maxPlanOps && b.bytes < maxPlanBytes {
		return nil
	}
	return b.commit(ctx)
}

func (b *planBatch) commit(ctx context.Context) error {
	if len(b.ops) == 0 {
		return nil
	}
	answer, err := b.store.client.Txn(ctx).Then(b.ops...).Commit()
	if err != nil {
		return fmt.Errorf("write plans to the store: %w", err)
	}
	for node, written := range b.written {
		written.revision = answer.Header.Revision
		b.store.plans[node] = written
	}
	clear(b.written)
	b.ops, b.bytes = nil, 0
	return nil
}

// CompileFailed notes that a revision of the cloud could not be compiled. The plans stay as they are, and whoever
// waits for the revision gets the reason.
func (s *Store) CompileFailed(ctx context.Context, revision int64, cause error) error {
	answer, err := s.client.Get(ctx, compiledKey)
	if err != nil {
		return fmt.Errorf("read the compiler's progress: %w", err)
	}
	var status compiled
	if len(answer.Kvs) > 0 {
		if err := json.Unmarshal(answer.Kvs[0].Value, &status); err != nil {
			return fmt.Errorf("read the compiler's progress: %w", err)
		}
	}
	status.Failed, status.Error = revision, cause.Error()
	value, err := json.Marshal(status)
	if err == nil {
		_, err = s.client.Put(ctx, compiledKey, string(value))
	}
	if err != nil {
		return fmt.Errorf("write the compiler's progress: %w", err)
	}
	return nil
}

// PlanUpdate is a node's plan as it stands now.
type PlanUpdate struct {
	Plan     *plan.Node // nil: the node is no longer part of the cloud
	Revision int64      // of the plan's last write; what ReportApplied takes. 0 without a plan
}

// Plan reads the plan of a node; nil for none. The second answer is whether any plans have been compiled yet.
func (s *Store) Plan(ctx context.Context, node string) (update PlanUpdate, compiled bool, err error) {
	update, compiled, _, err = s.plan(ctx, node)
	return update, compiled, err
}

func (s *Store) plan(ctx context.Context, node string) (update PlanUpdate, compiled bool, revision int64, err error) {
	answer, err := s.client.Txn(ctx).Then(clientv3.OpGet(plansKey+node), clientv3.OpGet(compiledKey, clientv3.WithCountOnly())).Commit()
	if err != nil {
		return update, false, 0, fmt.Errorf("read the plan of node %s: %w", node, err)
	}
	if kvs := answer.Responses[0].GetResponseRange().Kvs; len(kvs) > 0 {
		update.Plan, update.Revision = new(plan.Node), kvs[0].ModRevision
		if err := json.Unmarshal(kvs[0].Value, update.Plan); err != nil {
			return PlanUpdate{}, false, 0, fmt.Errorf("read the plan of node %s: %w", node, err)
		}
	}
	return update, answer.Responses[1].GetResponseRange().Count > 0, answer.Header.Revision, nil
}

// planOf reads an event of a plan's key.
func planOf(event *clientv3.Event) (PlanUpdate, error) {
	if event.Type == clientv3.EventTypeDelete {
		return PlanUpdate{}, nil
	}
	update := PlanUpdate{Plan: new(plan.Node), Revision: event.Kv.ModRevision}
	if err := json.Unmarshal(event.Kv.Value, update.Plan); err != nil {
		return PlanUpdate{}, fmt.Errorf("read %s: %w", event.Kv.Key, err)
	}
	return update, nil
}

// WatchPlan tells a node's plan, now and after every change, until the context ends; then the channel is closed. Until
// a compiler has run there is nothing to tell. A reader that is slow misses plans in between, never the last.
func (s *Store) WatchPlan(ctx context.Context, node string) <-chan PlanUpdate {
	out := make(chan PlanUpdate, 1)
	go func() {
		defer close(out)
		last := int64(-1)
		tell := func(update PlanUpdate) {
			if update.Revision != last {
				last = update.Revision
				offer(out, update)
			}
		}
		s.follow(ctx, plansKey+node, false, func(ctx context.Context) (int64, error) {
			update, compiled, revision, err := s.plan(ctx, node)
			if err == nil && (update.Plan != nil || compiled) {
				tell(update)
			}
			return revision, err
		}, func(events []*clientv3.Event) error {
			update, err := planOf(events[len(events)-1])
			if err == nil {
				tell(update)
			}
			return err
		})
	}()
	return out
}

package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"postern/resource"
	"postern/store"
)

// writing is what a write is about.
type writing struct {
	method string
	id     resource.ID // none for a batch
	roots  []string    // keys of the top-level resources that it writes; that of id if there are none
	body   json.RawMessage
}

// commitBound is how long the store may take.
const commitBound = 30 * time.Second

// write makes a change, stores it with a record of it, and waits a short time for the nodes. The outcome has no
// operation when they have applied it, or nothing was written; otherwise that goes on in the background.
func (a *API) write(ctx context.Context, w writing, build func(*resource.Cloud, *resource.Change) error) (*resource.Cloud, Outcome, error) {
	if len(w.id.Types) > 0 {
		w.roots = append(w.roots, w.id.Root().Key())
	}
	mine, err := a.operations.begin(ctx, w)
	if err != nil {
		return nil, Outcome{}, err
	}
	answered := false
	defer func() {
		if !answered { // refused, enforced, or a panic on the way: the next writer must have its turn
			a.operations.finish(mine)
		}
	}()
	mine.Location = "global"
	// A writer that goes away does not leave open whether its write was made.
	committing, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitBound)
	defer cancel()
	cloud, err := a.cache.Change(committing, a.options, &mine.Operation, func(cloud *resource.Cloud, change *resource.Change) error {
		if len(w.id.Types) > 0 {
			mine.Location = locationOf(cloud, w.id, w.body)
		}
		return build(cloud, change)
	})
	if err != nil || mine.Revision == 0 {
		return cloud, Outcome{}, err
	}
	a.operations.stored(mine)
	window, ended := context.WithTimeout(ctx, a.Wait)
	defer ended()
	if err := a.await(window, mine); err == nil {
		return cloud, Outcome{Revision: mine.Revision}, nil
	}
	answered = true
	outcome := Outcome{Revision: mine.Revision, Operation: a.operations.tell(mine)}
	a.work.Go(func() { a.complete(mine) })
	return cloud, outcome, nil
}

// await waits until a write is in force everywhere. The error says why it will not be, or what has not come when the
// context ends.
func (a *API) await(ctx context.Context, t *tracked) error {
	targets := a.operations.aimed(t)
	if targets == nil {
		concerned, err := a.store.Concerned(ctx, t.Revision, t.since)
		if err != nil {
			return err
		}
		targets = a.operations.aim(t, concerned)
	}
	if err := a.store.WaitFor(ctx, t.Revision, targets); err != nil {
		return err
	}
	return a.wired(ctx, t.Revision)
}

// wired waits for what no node applies itself.
func (a *API) wired(ctx context.Context, revision int64) error {
	if a.Wired == nil {
		return nil
	}
	if err := a.Wired(ctx, revision); err != nil {
		return fmt.Errorf("in force on every node, but not around them: %w", err)
	}
	return nil
}

// failure is why a revision is not in force, in ARM's form. The change is stored all the same.
func failure(revision int64, cause error) *resource.Error {
	var failed *store.CompileError
	if errors.As(cause, &failed) {
		return &resource.Error{Code: "CompileFailed", Status: http.StatusConflict, Message: fmt.Sprintf("The change is stored as revision %d, but "+
			"it cannot be turned into plans, so the former ones stay in force: %s. Undo or correct it.", revision, failed.Message)}
	}
	return &resource.Error{Code: "NotEnforced", Status: http.StatusConflict, Message: fmt.Sprintf("The change is stored as revision %d, and comes "+
		"into force when what lags has caught up. So far it is not in force everywhere: %s", revision, cause)}
}

// retryPause is between attempts to reach the store, and to see whether a node that could not apply a plan now can.
const retryPause = time.Second

// complete brings an operation to its end.
func (a *API) complete(t *tracked) {
	bounded, cancel := context.WithTimeout(a.ctx, a.Bound)
	cause := a.await(bounded, t)
	cancel()
	if a.ctx.Err() != nil {
		return
	}
	var failed *resource.Error
	if cause != nil {
		failed = failure(t.Revision, cause)
	}
	record := a.operations.end(t, failed, time.Now())
	for a.store.EndOperation(a.ctx, record) != nil && a.pause() {
	}
	if a.Ended != nil {
		a.Ended(record)
	}
	if failed != nil {
		a.recover(t)
	}
}

// recover stays with a failed operation until it is enforced after all, or its resources have been written again.
func (a *API) recover(t *tracked) {
	for !a.operations.superseded(t) {
		bounded, cancel := context.WithTimeout(a.ctx, a.Bound)
		err := a.await(bounded, t)
		cancel()
		if err == nil {
			a.operations.recovered(t)
			return
		}
		if !a.pause() {
			return
		}
	}
}

// pause waits a moment; false: the API ends.
func (a *API) pause() bool {
	select {
	case <-a.ctx.Done():
		return false
	case <-time.After(retryPause):
		return true
	}
}

// sweepPause collects records that are to be removed, so that a write does not cost two transactions.
const sweepPause = 250 * time.Millisecond

// sweep removes the records of operations that nobody asks for any more.
func (a *API) sweep() {
	for {
		select {
		case <-a.ctx.Done():
			ctx, cancel := context.WithTimeout(context.WithoutCancel(a.ctx), retryPause)
			defer cancel()
			_ = a.store.RemoveOperations(ctx, a.operations.takeSpent()) // what stays is resumed, and then removed
			return
		case <-a.operations.dirty:
		}
		select {
		case <-a.ctx.Done():
			continue
		case <-time.After(sweepPause):
		}
		spent := a.operations.takeSpent()
		for a.store.RemoveOperations(a.ctx, spent) != nil && a.pause() {
		}
	}
}

// Resume takes over the operations that a former process left, before the first request: each goes on, and ends as the
// nodes' reports say, or has failed when the bound has passed once more.
func (a *API) Resume(ctx context.Context) error {
	records, err := a.store.Operations(ctx)
	if err != nil || len(records) == 0 {
		return err
	}
	cloud, err := a.cache.Current(ctx)
	if err != nil {
		return err
	}
	written := make(map[int64][]string) // keys of the resources by revision
	for _, record := range cloud.Records("") {
		written[record.Revision] = append(written[record.Revision], record.Key())
	}
	var ended, open []*tracked
	for _, record := range records {
		t := &tracked{Operation: record, phase: over}
		if !record.Ended.IsZero() {
			ended = append(ended, t)
		}
		if record.Ended.IsZero() || record.Error != nil {
			t.roots = written[record.Revision]
			if id, err := resource.ParseID(record.Resource); err == nil {
				t.roots = append(t.roots, id.Root().Key())
			}
			open = append(open, t)
		}
	}
	slices.SortFunc(ended, func(x, y *tracked) int { return x.Ended.Compare(y.Ended) })
	a.operations.resume(ended, open)
	for _, t := range open {
		if t.Error != nil {
			a.work.Go(func() { a.recover(t) })
			continue
		}
		a.work.Go(func() { a.complete(t) })
	}
	return nil
}

// resume takes in what a former process left, each by its revision.
func (o *operations) resume(ended, open []*tracked) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, t := range ended {
		o.remember(t)
	}
	for _, t := range open {
		t.phase = going
		if t.Error != nil {
			t.phase = hanging
		}
		o.told[t.ID] = t
		o.hold(t)
	}
}

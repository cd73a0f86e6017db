package api

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"postern/resource"
	"postern/store"
)

// Bounds of what is remembered of operations that have ended.
const (
	maxEnded    = 1000
	keptAfterIt = time.Hour
)

// phase is how far a write is.
type phase int

const (
	answering phase = iota // it is judged, or waits for the nodes, and its writer for the answer
	going                  // its writer was told to ask for its end
	hanging                // it has failed, and would still be enforced when the nodes come back
	over                   // it is enforced
)

// tracked is a write of this process. operations.mu guards it.
type tracked struct {
	store.Operation
	roots []string // keys of the top-level resources that it writes
	phase phase

	// targets are the plans that make it enforced, nil until it is compiled. Those of a failed write of the same resources are
	// among them: what hangs from it is not in force either, although this write may not concern its nodes.
	targets, inherited store.Targets
	since              int64 // plans written later count: Revision, or that of a failed write whose targets are not known
}

// operations are the writes that are not enforced yet, and those that were told of.
type operations struct {
	mu      sync.Mutex
	turn    map[string]*tracked // who is answered about each top-level resource, by its key: one at a time
	held    map[string]*tracked // the newest stored write of each top-level resource, by key, that is not enforced
	told    map[string]*tracked // by id: those that were answered with an Operation
	ended   []string            // ids in told that have ended, oldest first
	spent   []string            // ids whose records are to be removed from the store
	changed chan struct{}       // closed when a write has its answer or its end
	dirty   chan struct{}       // has one element when spent is not empty
}

func newOperations() *operations {
	return &operations{turn: make(map[string]*tracked), held: make(map[string]*tracked), told: make(map[string]*tracked), changed: make(chan struct{}), dirty: make(chan struct{}, 1)}
}

// begin makes a write the only one of its resources. It waits while another one is being answered, which takes
// milliseconds; one that goes on longer is a refusal, since nobody knows how long (ARM-1).
func (o *operations) begin(ctx context.Context, write writing) (*tracked, error) {
	mine := &tracked{Operation: store.Operation{ID: uuid.NewString(), Method: write.method, Started: time.Now().UTC()}, roots: write.roots}
	if len(write.id.Types) > 0 {
		mine.Resource = write.id.String()
	}
	for {
		o.mu.Lock()
		free := true
		for _, root := range mine.roots {
			if other := o.held[root]; other != nil && other.phase == going {
				refusal := inProgress(root, other)
				o.mu.Unlock()
				return nil, refusal
			}
			free = free && o.turn[root] == nil
		}
		if free {
			for _, root := range mine.roots {
				o.turn[root] = mine
			}
			o.mu.Unlock()
			return mine, nil
		}
		changed := o.changed
		o.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for other writers: %w", ctx.Err())
		}
	}
}

// stored notes that a write is in the store.
func (o *operations) stored(t *tracked) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.hold(t)
}

// hold makes a write the newest of its resources; mu is held.
func (o *operations) hold(t *tracked) {
	t.since = t.Revision
	for _, root := range t.roots {
		former := o.held[root]
		switch {
		case former == nil || former == t:
		case former.targets == nil:
			t.since = min(t.since, former.since)
		default:
			if t.inherited == nil {
				t.inherited = make(store.Targets)
			}
			maps.Copy(t.inherited, former.targets)
		}
		o.held[root] = t
	}
}

// aim notes what a write waits for, when it has been compiled: later plans of the same nodes are others' matter.
func (o *operations) aim(t *tracked, own store.Targets) store.Targets {
	o.mu.Lock()
	defer o.mu.Unlock()
	if t.targets == nil {
		t.targets = own
		for node, plan := range t.inherited {
			t.targets[node] = max(plan, own[node])
		}
	}
	return t.targets
}

// aimed is what aim noted; nil before.
func (o *operations) aimed(t *tracked) store.Targets {
	o.mu.Lock()
	defer o.mu.Unlock()
	return t.targets
}

// inProgress is the refusal of a second writer. Storage has a code of its own.
func inProgress(root string, other *tracked) error {
	operation := Operation{Operation: other.Operation}
	refusal := &resource.Error{Code: "AnotherOperationInProgress", Target: root, Status: http.StatusConflict, Message: fmt.Sprintf(
		"Another operation on this or dependent resource is in progress. To retrieve status of the operation use uri: %s.", operation.Path())}
	if strings.Contains(root, "/"+strings.ToLower(resource.TypeStorageAccount)+"/") {
		refusal.Code = "StorageAccountOperationInProgress"
		refusal.Message = "An operation is currently performing on this storage account that requires exclusive access: " + operation.Path() + "."
	}
	return refusal
}

// next ends the turn of a write; mu is held.
func (o *operations) next(t *tracked) {
	for _, root := range t.roots {
		if o.turn[root] == t {
			delete(o.turn, root)
		}
	}
	o.wake()
}

// leave takes a write that is enforced from its resources; mu is held.
func (o *operations) leave(t *tracked) {
	t.phase = over
	for _, root := range t.roots {
		if o.held[root] == t {
			delete(o.held, root)
		}
	}
	o.wake()
}

func (o *operations) wake() {
	close(o.changed)
	o.changed = make(chan struct{})
}

// finish forgets a write that nobody was told of: it was refused, or is enforced.
func (o *operations) finish(t *tracked) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.leave(t)
	o.next(t)
	if t.Revision != 0 {
		o.spend(t.ID)
	}
}

// tell makes a write one that is asked for, and answers it as it stands.
func (o *operations) tell(t *tracked) *Operation {
	o.mu.Lock()
	defer o.mu.Unlock()
	t.phase = going
	o.told[t.ID] = t
	o.next(t)
	return t.operation()
}

// end notes how a write that was told of has ended, and answers its record to be stored.
func (o *operations) end(t *tracked, failure *resource.Error, now time.Time) store.Operation {
	o.mu.Lock()
	defer o.mu.Unlock()
	t.Ended, t.Error = now.UTC(), failure
	o.remember(t)
	if failure == nil {
		o.leave(t)
	} else {
		t.phase = hanging
		o.wake()
	}
	return t.Operation
}

// remember keeps a write that has ended for a while; mu is held.
func (o *operations) remember(t *tracked) {
	o.told[t.ID] = t
	o.ended = append(o.ended, t.ID)
	for len(o.ended) > maxEnded || len(o.ended) > 0 && t.Ended.Sub(o.told[o.ended[0]].Ended) > keptAfterIt {
		o.spend(o.ended[0])
		delete(o.told, o.ended[0])
		o.ended = o.ended[1:]
	}
}

// spend has a record removed; mu is held.
func (o *operations) spend(id string) {
	o.spent = append(o.spent, id)
	select {
	case o.dirty <- struct{}{}:
	default:
	}
}

// recovered notes that a write which had failed is enforced.
func (o *operations) recovered(t *tracked) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.leave(t)
}

// superseded tells whether all resources of a write have newer ones.
func (o *operations) superseded(t *tracked) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return !slices.ContainsFunc(t.roots, func(root string) bool { return o.held[root] == t })
}

func (o *operations) takeSpent() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	spent := o.spent
	o.spent = nil
	return spent
}

// state is the provisioning state of a top-level resource by its key.
func (o *operations) state(root string) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch t := o.held[root]; {
	case t == nil:
		return Succeeded
	case t.phase == hanging:
		return Failed
	}
	return Updating
}

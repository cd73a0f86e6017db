// Package api is what can be done about the resources of a cloud, by their ARM ids: what package arm does for those who ask
// over HTTP. A write is done when every node concerned has applied it; until then it is an Operation.
package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"

	"postern/plan"
	"postern/resource"
	"postern/server"
	"postern/store"
)

// Times of a write.
const (
	DefaultWait  = 2 * time.Second  // how long a write waits for the nodes before it is answered as an operation
	DefaultBound = 60 * time.Second // how long nodes may lag before the operation has failed
)

// Provisioning states.
const (
	Succeeded = "Succeeded" // every node concerned has applied it
	Updating  = "Updating"  // it is stored, and not yet applied everywhere
	Failed    = "Failed"    // nodes could not apply it, or lagged too long; it becomes Succeeded when they have
)

// API answers requests about one cloud. It is safe for concurrent use. One process at a time may have the API of a store:
// what is going on with a write is known to the process that made it.
type API struct {
	store   *store.Store
	cache   *server.Cache
	options resource.Options

	// Wait and Bound are the times of a write. Set them before the first request.
	Wait, Bound time.Duration

	// Wired, if set, waits until what no node applies itself is as a revision says: the wires and routes around the nodes.
	// Set it before the first request.
	Wired func(ctx context.Context, revision int64) error

	// Ended, if set, hears of every operation that has ended. Set it before the first request.
	Ended func(store.Operation)

	operations *operations
	ctx        context.Context // of what goes on in the background
	stop       context.CancelFunc
	work       sync.WaitGroup
}

// New makes the API of a store's cloud; Close ends it. The cache is the one that the compile loop uses.
func New(s *store.Store, cache *server.Cache, options resource.Options) *API {
	a := &API{store: s, cache: cache, options: options, Wait: DefaultWait, Bound: DefaultBound, operations: newOperations()}
	a.ctx, a.stop = context.WithCancel(context.Background())
	a.work.Go(a.sweep)
	return a
}

// Close ends what goes on in the background. Operations go on in the next process: see Resume.
func (a *API) Close() {
	a.stop()
	a.work.Wait()
}

// Get reads one resource.
func (a *API) Get(ctx context.Context, id resource.ID) (json.RawMessage, error) {
	cloud, err := a.cache.Current(ctx)
	if err != nil {
		return nil, err
	}
	return cloud.Render(id, a.state(id))
}

// Plan reads the plan of a node and its revision.
func (a *API) Plan(ctx context.Context, node string) (*plan.Node, int64, error) {
	update, _, err := a.store.Plan(ctx, node)
	if err == nil && update.Plan == nil {
		err = &resource.Error{Code: resource.CodeResourceNotFound, Status: http.StatusNotFound, Target: node,
			Message: fmt.Sprintf("There is no plan for a node '%s'.", node)}
	}
	return update.Plan, update.Revision, err
}

// Catalogue reads the service-tag catalogue as it was stored; empty for none.
func (a *API) Catalogue(ctx context.Context) ([]byte, error) { return a.store.Catalogue(ctx) }

// PutCatalogue stores a service-tag catalogue and waits until the nodes have the plans that follow from it.
func (a *API) PutCatalogue(ctx context.Context, data []byte) error {
	revision, err := a.store.PutCatalogue(ctx, data)
	if err != nil || revision == 0 {
		return err
	}
	bounded, cancel := context.WithTimeout(ctx, a.Bound)
	defer cancel()
	if err = a.store.WaitApplied(bounded, revision); err == nil {
		err = a.wired(bounded, revision)
	}
	if err != nil {
		return failure(revision, err)
	}
	return nil
}

// state is the provisioning state of a resource.
func (a *API) state(id resource.ID) string { return a.operations.state(id.Root().Key()) }

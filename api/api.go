// Package api is what can be done about the resources of a cloud, by their ARM ids: what package arm does for those who ask
// over HTTP. An answer to a write means that every node has applied it.
package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"postern/plan"
	"postern/resource"
	"postern/server"
	"postern/store"
)

// DefaultWait is how long a write waits for the nodes.
const DefaultWait = 15 * time.Second

// Provisioning states.
const (
	Succeeded = "Succeeded" // every node has applied it
	Updating  = "Updating"  // it is stored, and not yet applied everywhere
)

// API answers requests about one cloud. It is safe for concurrent use.
type API struct {
	store   *store.Store
	cache   *server.Cache
	options resource.Options

	// Wait bounds how long a write waits for the nodes. Set it before the first request.
	Wait time.Duration

	// Wired, if set, waits until what no node applies itself is as a revision says: the wires and routes around the nodes.
	// Set it before the first request.
	Wired func(ctx context.Context, revision int64) error

	enforced atomic.Int64 // the newest revision known to be applied everywhere
}

// New makes the API of a store's cloud. The cache is the one that the compile loop uses.
func New(s *store.Store, cache *server.Cache, options resource.Options) *API {
	return &API{store: s, cache: cache, options: options, Wait: DefaultWait}
}

// Conditions are those of a write's headers, "" for none.
type Conditions struct {
	IfMatch     string // an etag that the resource must have, or "*": it must exist
	IfNoneMatch string // "*": it must not exist

	// Group asks for the resource group to be there (ResourceGroupNotFound), as Azure does. Without it a group comes to be
	// with the first resource in it.
	Group bool
}

func (c Conditions) hold(cloud *resource.Cloud, id resource.ID) error {
	if c.Group && !id.IsGroup() && !cloud.HasGroup(id.Subscription, id.ResourceGroup) {
		return GroupNotFound(id.ResourceGroup)
	}
	if c.IfMatch == "" && c.IfNoneMatch == "" {
		return nil
	}
	_, renderErr := cloud.Render(id, Succeeded)
	record, exists := cloud.Record(id)
	exists = exists && renderErr == nil
	switch {
	case c.IfNoneMatch == "*" && exists:
		return failed(id, "If-None-Match", "it exists already")
	case c.IfMatch == "*" && !exists, c.IfMatch != "" && !exists:
		return failed(id, "If-Match", "it does not exist")
	case c.IfMatch != "" && c.IfMatch != "*" && c.IfMatch != record.ETag():
		return failed(id, "If-Match", "its etag is now "+record.ETag()+": read it again and repeat")
	}
	return nil
}

func failed(id resource.ID, header, reason string) error {
	return &resource.Error{Code: "PreconditionFailed", Target: header, Status: http.StatusPreconditionFailed,
		Message: fmt.Sprintf("The condition %s does not hold for %s: %s.", header, id, reason)}
}

// Put creates or replaces one resource, waits for the nodes, and answers it as it stands, and whether it is new.
func (a *API) Put(ctx context.Context, id resource.ID, body json.RawMessage, conditions Conditions) (answer json.RawMessage, created bool, err error) {
	cloud, err := a.cache.Change(ctx, a.options, func(cloud *resource.Cloud, change *resource.Change) error {
		if err := conditions.hold(cloud, id); err != nil {
			return err
		}
		var err error
		created, err = change.Put(id, body)
		return err
	})
	if err != nil {
		return nil, false, err
	}
	if err := a.enforce(ctx, cloud.Revision); err != nil {
		return nil, created, err
	}
	answer, err = cloud.Render(id, Succeeded)
	return answer, created, err
}

// Delete removes one resource, waits for the nodes, and answers whether there was one.
func (a *API) Delete(ctx context.Context, id resource.ID, conditions Conditions) (existed bool, err error) {
	cloud, err := a.cache.Change(ctx, a.options, func(cloud *resource.Cloud, change *resource.Change) error {
		if err := conditions.hold(cloud, id); err != nil {
			return err
		}
		var err error
		existed, err = change.Delete(id)
		return err
	})
	if err != nil || !existed {
		return existed, err
	}
	return true, a.enforce(ctx, cloud.Revision)
}

// Get reads one resource.
func (a *API) Get(ctx context.Context, id resource.ID) (json.RawMessage, error) {
	cloud, err := a.cache.Current(ctx)
	if err != nil {
		return nil, err
	}
	return cloud.Render(id, a.state(ctx, cloud, id))
}

// Batch is many writes that hold together or not at all. Deletions come first; the order of the rest does not matter.
type Batch struct {
	Resources []resource.Item
	Delete    []resource.ID
}

// Result is the answer to a batch.
type Result struct {
	Revision  int64             `json:"revision"`
	Resources []json.RawMessage `json:"resources"` // as they stand, in the batch's order
}

// Apply makes the writes of a batch: judged as a whole against what results, stored in one transaction, and answered
// when every node has applied them. Deleting what is not there is no error.
func (a *API) Apply(ctx context.Context, batch Batch) (Result, error) {
	order := slices.Clone(batch.Resources)
	// A parent goes before its children, so that its body does not replace what they put into it.
	slices.SortStableFunc(order, func(x, y resource.Item) int { return len(x.ID.Types) - len(y.ID.Types) })
	cloud, err := a.cache.Change(ctx, a.options, func(_ *resource.Cloud, change *resource.Change) error {
		for _, id := range batch.Delete {
			if _, err := change.Delete(id); err != nil {
				return err
			}
		}
		for _, item := range order {
			if _, err := change.Put(item.ID, item.Body); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return Result{}, err
	}
	if err := a.enforce(ctx, cloud.Revision); err != nil {
		return Result{}, err
	}
	result := Result{Revision: cloud.Revision, Resources: []json.RawMessage{}}
	for _, item := range batch.Resources {
		answer, err := cloud.Render(item.ID, Succeeded)
		if err != nil {
			return Result{}, err
		}
		result.Resources = append(result.Resources, answer)
	}
	return result, nil
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
	return a.enforce(ctx, revision)
}

// enforce waits until every node has applied a revision.
func (a *API) enforce(ctx context.Context, revision int64) error {
	ctx, cancel := context.WithTimeout(ctx, a.Wait)
	defer cancel()
	err := a.store.WaitApplied(ctx, revision)
	var failed *store.CompileError
	var lag *store.LagError
	switch {
	case err == nil:
		if a.Wired != nil {
			if err := a.Wired(ctx, revision); err != nil {
				return &resource.Error{Code: "NotEnforced", Status: http.StatusGatewayTimeout, Message: fmt.Sprintf("The change is stored as "+
					"revision %d and in force on every node, but not around them: %v.", revision, err)}
			}
		}
		a.reached(revision)
		return nil
	case errors.As(err, &failed):
		return &resource.Error{Code: "CompileFailed", Status: http.StatusInternalServerError, Message: fmt.Sprintf("The change is stored as "+
			"revision %d, but it cannot be turned into plans, so the former ones stay in force: %s. Undo or correct it.", revision, failed.Message)}
	case errors.As(err, &lag):
		return &resource.Error{Code: "NotEnforced", Status: http.StatusGatewayTimeout, Message: fmt.Sprintf("The change is stored as "+
			"revision %d, but is not in force everywhere: %s.", revision, lag)}
	}
	return err
}

func (a *API) reached(revision int64) {
	for {
		old := a.enforced.Load()
		if old >= revision || a.enforced.CompareAndSwap(old, revision) {
			return
		}
	}
}

// state is the provisioning state of a resource.
func (a *API) state(ctx context.Context, cloud *resource.Cloud, id resource.ID) string {
	record, ok := cloud.Record(id)
	if !ok || record.Revision <= a.enforced.Load() {
		return Succeeded
	}
	if lagging, err := a.store.Lagging(ctx, cloud.Revision); err != nil || len(lagging) > 0 {
		return Updating
	}
	a.reached(cloud.Revision)
	return Succeeded
}

package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"postern/resource"
)

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

// Outcome is what became of a write that was stored.
type Outcome struct {
	Body    json.RawMessage // the resource as it stands; nil after a deletion
	Created bool            // there was no such resource before
	Existed bool            // of a deletion: there was one

	// Revision is that of the cloud which the write made: writes came in its order. 0 when there was nothing to write.
	Revision int64

	// Operation is nil when every node concerned has applied the write. Otherwise it goes on, or has failed; Await waits for
	// its end.
	Operation *Operation
}

// Put creates or replaces one resource.
func (a *API) Put(ctx context.Context, id resource.ID, body json.RawMessage, conditions Conditions) (Outcome, error) {
	created := false
	cloud, made, err := a.write(ctx, writing{method: http.MethodPut, id: id, body: body}, func(cloud *resource.Cloud, change *resource.Change) error {
		if err := conditions.hold(cloud, id); err != nil {
			return err
		}
		var err error
		created, err = change.Put(id, body)
		return err
	})
	if err != nil {
		return Outcome{}, err
	}
	made.Created = created
	made.Body, err = cloud.Render(id, a.state(id))
	return made, err
}

// Patch changes what a body names and leaves the rest, by Azure's rules (resource.Patch). A group that has come to be with
// its resources is put by it.
func (a *API) Patch(ctx context.Context, id resource.ID, body json.RawMessage, conditions Conditions) (Outcome, error) {
	cloud, made, err := a.write(ctx, writing{method: http.MethodPatch, id: id}, func(cloud *resource.Cloud, change *resource.Change) error {
		if err := conditions.hold(cloud, id); err != nil {
			return err
		}
		current, err := cloud.Render(id, Succeeded)
		if err != nil && id.IsGroup() {
			current, err = groupOf(cloud, id.Subscription, id.ResourceGroup)
		}
		if err != nil {
			return err
		}
		merged, err := resource.Patch(id, current, body)
		if err != nil {
			return err
		}
		_, err = change.Put(id, merged)
		return err
	})
	if err != nil {
		return Outcome{}, err
	}
	made.Body, err = cloud.Render(id, a.state(id))
	return made, err
}

// Delete removes one resource. What is not there is no error.
func (a *API) Delete(ctx context.Context, id resource.ID, conditions Conditions) (Outcome, error) {
	existed := false
	_, gone, err := a.write(ctx, writing{method: http.MethodDelete, id: id}, func(cloud *resource.Cloud, change *resource.Change) error {
		if err := conditions.hold(cloud, id); err != nil {
			return err
		}
		var err error
		existed, err = change.Delete(id)
		return err
	})
	gone.Existed = existed
	return gone, err
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
	Operation *Operation        `json:"-"`         // as in an Outcome
}

// Apply makes the writes of a batch: judged as a whole against what results, and stored in one transaction. Deleting what
// is not there is no error.
func (a *API) Apply(ctx context.Context, batch Batch) (Result, error) {
	order := slices.Clone(batch.Resources)
	// A parent goes before its children, so that its body does not replace what they put into it.
	slices.SortStableFunc(order, func(x, y resource.Item) int { return len(x.ID.Types) - len(y.ID.Types) })
	all := writing{method: http.MethodPost}
	for _, id := range batch.Delete {
		all.roots = append(all.roots, id.Root().Key())
	}
	for _, item := range order {
		all.roots = append(all.roots, item.ID.Root().Key())
	}
	cloud, made, err := a.write(ctx, all, func(_ *resource.Cloud, change *resource.Change) error {
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
	result := Result{Revision: cloud.Revision, Resources: []json.RawMessage{}, Operation: made.Operation}
	for _, item := range batch.Resources {
		answer, err := cloud.Render(item.ID, a.state(item.ID))
		if err != nil {
			return Result{}, err
		}
		result.Resources = append(result.Resources, answer)
	}
	return result, nil
}

// locationOf is the region of a resource, by its record or, when it is new, by its body.
func locationOf(cloud *resource.Cloud, id resource.ID, body json.RawMessage) string {
	if record, ok := cloud.Record(id); ok {
		body = record.Body
	}
	var head struct {
		Location string `json:"location"`
	}
	if json.Unmarshal(body, &head) != nil || head.Location == "" {
		return "global"
	}
	return strings.ToLower(strings.ReplaceAll(head.Location, " ", ""))
}

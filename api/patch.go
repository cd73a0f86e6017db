package api

import (
	"context"
	"encoding/json"

	"postern/resource"
)

// Patch changes what a body names and leaves the rest, by Azure's rules (resource.Patch), waits for the nodes, and
// answers the resource as it stands.
func (a *API) Patch(ctx context.Context, id resource.ID, body json.RawMessage, conditions Conditions) (json.RawMessage, error) {
	cloud, err := a.cache.Change(ctx, a.options, func(cloud *resource.Cloud, change *resource.Change) error {
		if err := conditions.hold(cloud, id); err != nil {
			return err
		}
		current, err := cloud.Render(id, Succeeded)
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
		return nil, err
	}
	if err := a.enforce(ctx, cloud.Revision); err != nil {
		return nil, err
	}
	return cloud.Render(id, Succeeded)
}

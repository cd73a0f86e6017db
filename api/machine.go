package api

import (
	"context"
	"encoding/json"
	"net/http"

	"postern/resource"
)

// SetPower starts or stops a VM: state is one of resource's power states. It waits for the nodes.
func (a *API) SetPower(ctx context.Context, id resource.ID, state string) error {
	return a.alter(ctx, id, func(change *resource.Change) error { return change.SetPower(id, state) })
}

// RegenerateKey makes one of a storage account's two keys anew: number 0 or 1. It waits for the gateways, which then take the
// former one no longer.
func (a *API) RegenerateKey(ctx context.Context, id resource.ID, number int) error {
	return a.alter(ctx, id, func(change *resource.Change) error { return change.RegenerateKey(id, number) })
}

// alter makes a change of what was allotted to a resource, and waits for its end.
func (a *API) alter(ctx context.Context, id resource.ID, alter func(*resource.Change) error) error {
	_, operation, err := a.write(ctx, writing{method: http.MethodPost, id: id}, func(_ *resource.Cloud, change *resource.Change) error {
		return alter(change)
	})
	if err != nil {
		return err
	}
	return a.Await(ctx, operation)
}

// InstanceView is how a VM is doing: its provisioning state and its power state.
func (a *API) InstanceView(ctx context.Context, id resource.ID) (json.RawMessage, error) {
	cloud, err := a.cache.Current(ctx)
	if err != nil {
		return nil, err
	}
	return cloud.InstanceView(id, a.state(id))
}

package api

import (
	"context"
	"encoding/json"
	"net/http"

	"postern/resource"
)

// SetPower starts or stops a VM: state is one of resource's power states.
func (a *API) SetPower(ctx context.Context, id resource.ID, state string) (*Operation, error) {
	return a.alter(ctx, id, func(change *resource.Change) error { return change.SetPower(id, state) })
}

// RegenerateKey makes one of a storage account's two keys anew: number 0 or 1. Once it is enforced gateways take the former
// one no longer.
func (a *API) RegenerateKey(ctx context.Context, id resource.ID, number int) (*Operation, error) {
	return a.alter(ctx, id, func(change *resource.Change) error { return change.RegenerateKey(id, number) })
}

// alter makes a change of what was allotted to a resource. The operation is as in an Outcome.
func (a *API) alter(ctx context.Context, id resource.ID, build func(*resource.Change) error) (*Operation, error) {
	_, operation, err := a.write(ctx, writing{method: http.MethodPost, id: id}, func(_ *resource.Cloud, change *resource.Change) error {
		return build(change)
	})
	return operation, err
}

// InstanceView is how a VM is doing: its provisioning state and its power state.
func (a *API) InstanceView(ctx context.Context, id resource.ID) (json.RawMessage, error) {
	cloud, err := a.cache.Current(ctx)
	if err != nil {
		return nil, err
	}
	return cloud.InstanceView(id, a.state(id))
}

package api

import (
	"context"
	"encoding/json"
	"net/http"

	"postern/resource"
)

// SetPower starts or stops a VM: state is one of resource's power states.
func (a *API) SetPower(ctx context.Context, id resource.ID, state string) (Outcome, error) {
	return a.alter(ctx, id, func(change *resource.Change) error { return change.SetPower(id, state) })
}

// alter makes a change of what was allotted to a resource.
func (a *API) alter(ctx context.Context, id resource.ID, make func(*resource.Change) error) (Outcome, error) {
	cloud, made, err := a.write(ctx, writing{method: http.MethodPost, id: id}, func(_ *resource.Cloud, change *resource.Change) error {
		return make(change)
	})
	if err != nil {
		return Outcome{}, err
	}
	made.Body, err = cloud.Render(id, a.state(id))
	return made, err
}

// InstanceView is how a VM is doing: its provisioning state and its power state.
func (a *API) InstanceView(ctx context.Context, id resource.ID) (json.RawMessage, error) {
	cloud, err := a.cache.Current(ctx)
	if err != nil {
		return nil, err
	}
	return cloud.InstanceView(id, a.state(id))
}

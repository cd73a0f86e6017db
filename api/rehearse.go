package api

import (
	"context"
	"encoding/json"
	"strings"

	"postern/resource"
)

// Rehearsal is a row of writes that are judged like real ones, one after the other, and never stored. It is for one
// goroutine at a time.
type Rehearsal struct {
	options resource.Options
	cloud   *resource.Cloud
}

// Rehearse begins a rehearsal at the cloud as it stands.
func (a *API) Rehearse(ctx context.Context) (*Rehearsal, error) {
	cloud, err := a.cache.Current(ctx)
	return &Rehearsal{a.options, cloud}, err
}

// Put writes a resource as API.Put would.
func (r *Rehearsal) Put(id resource.ID, body json.RawMessage, conditions Conditions) error {
	return r.change(func(change *resource.Change) error {
		if err := conditions.hold(r.cloud, id); err != nil {
			return err
		}
		_, err := change.Put(id, body)
		return err
	})
}

// Delete removes a resource as API.Delete would.
func (r *Rehearsal) Delete(id resource.ID) error {
	return r.change(func(change *resource.Change) error {
		_, err := change.Delete(id)
		return err
	})
}

func (r *Rehearsal) change(build func(*resource.Change) error) error {
	change := resource.NewChange(r.cloud, r.options)
	if err := build(change); err != nil {
		return err
	}
	outcome, err := change.Finish()
	if err != nil {
		return err
	}
	r.cloud = outcome.After.At(r.cloud.Revision, outcome.Puts)
	return nil
}

// HasGroup tells whether a resource group is there by now.
func (r *Rehearsal) HasGroup(subscription, group string) bool {
	return r.cloud.HasGroup(subscription, group)
}

// Get reads a resource as it stands by now: as it is answered, and as it was written, without what others made of it.
func (r *Rehearsal) Get(id resource.ID) (answer, written json.RawMessage, err error) {
	if answer, err = r.cloud.Render(id, Succeeded); err != nil {
		return nil, nil, err
	}
	record, _ := r.cloud.Record(id)
	if !id.IsChild() {
		return answer, record.Body, nil
	}
	var parent struct {
		Properties map[string]json.RawMessage `json:"properties"`
	}
	if err := json.Unmarshal(record.Body, &parent); err != nil {
		return nil, nil, err
	}
	var children []json.RawMessage
	if err := json.Unmarshal(parent.Properties[id.Types[1]], &children); err != nil {
		return answer, answer, nil // not kept under its collection's name
	}
	for _, child := range children {
		var named struct {
			Name string `json:"name"`
		}
		if json.Unmarshal(child, &named) == nil && strings.EqualFold(named.Name, id.Name()) {
			return answer, child, nil
		}
	}
	return answer, answer, nil
}

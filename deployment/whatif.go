package deployment

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"strings"

	"postern/resource"
)

// Change is what a deployment would do to a resource, in Azure's form (WhatIfChange).
type Change struct {
	ID     string  `json:"resourceId"`
	Type   string  `json:"changeType"`
	Before any     `json:"before,omitempty"`
	After  any     `json:"after,omitempty"`
	Delta  []Delta `json:"delta,omitempty"`
	Reason string  `json:"unsupportedReason,omitempty"`
}

// Kinds of a Change.
const (
	ChangeCreate   = "Create"
	ChangeDelete   = "Delete"
	ChangeIgnore   = "Ignore"   // it is there, and the deployment does not touch it
	ChangeDeploy   = "Deploy"   // it is there and will be written; what comes of it is not known
	ChangeNoChange = "NoChange" // it will be written as it is
	ChangeModify   = "Modify"
)

// WhatIf tells what a deployment would do, without doing it. The error says why it would be
// refused, if it would be.
func (s *Service) WhatIf(ctx context.Context, r Request) ([]Change, error) {
	a, err := s.read(ctx, r)
	if err != nil {
		return nil, err
	}
	gone, err := s.rehearse(ctx, a)
	if err != nil {
		return nil, err
	}
	if err := gone.verdict(a.Name); err != nil {
		return nil, err
	}
	now, err := s.API.Rehearse(ctx)
	if err != nil {
		return nil, err
	}
	deployed := map[string]bool{}
	changes := []Change{}
	for _, one := range gone.steps {
		deployed[strings.ToLower(one.resource.ID)] = true
		change := Change{ID: one.resource.ID}
		id, parseErr := resource.ParseID(change.ID)
		if parseErr == nil && one.staged {
			answer, written, err := now.Get(id)
			newAnswer, newWritten, newErr := gone.stage.Get(id)
			if newErr != nil {
				return nil, newErr
			}
			if err == nil {
				if err := change.compare(answer, newAnswer, written, newWritten); err != nil {
					return nil, err
				}
				changes = append(changes, change)
				continue
			}
		}
		_, answer, err := s.Do(ctx, Call{Caller: r.Caller, Method: http.MethodGet, Path: change.ID, Version: one.resource.APIVersion})
		if change.Type = ChangeDeploy; err != nil {
			change.Type = ChangeCreate
		} else if change.Before, err = plain(answer); err != nil {
			return nil, err
		}
		change.After = one.wanted()
		changes = append(changes, change)
	}
	if r.Scope.ResourceGroup != "" {
		others, err := s.others(ctx, r, deployed, a.mode)
		if err != nil {
			return nil, err
		}
		changes = append(changes, others...)
	}
	if a.idsAlone {
		for i := range changes {
			changes[i] = Change{ID: changes[i].ID, Type: changes[i].Type}
		}
	}
	return changes, nil
}

// others are the changes to what the group holds beside the template's resources.
func (s *Service) others(ctx context.Context, r Request, deployed map[string]bool, mode string) ([]Change, error) {
	all, err := s.holds(ctx, r.Caller, r.Scope)
	if err != nil {
		return nil, err
	}
	var changes []Change
	for _, one := range all {
		if stays(one.ID, deployed) {
			continue
		}
		change := Change{ID: one.ID, Type: ChangeIgnore}
		if mode == Complete {
			change.Type = ChangeDelete
		}
		_, answer, err := s.Do(ctx, Call{Caller: r.Caller, Method: http.MethodGet, Path: one.ID, Version: groupVersion})
		if err != nil {
			return nil, err
		}
		if change.Before, err = plain(answer); err != nil {
			return nil, err
		}
		changes = append(changes, change)
	}
	return changes, nil
}

// wanted is the resource as the template has it; as far as it is known.
func (s step) wanted() map[string]any {
	wanted := maps.Clone(s.body)
	if wanted == nil {
		wanted = map[string]any{}
	}
	wanted["id"], wanted["type"], wanted["apiVersion"] = s.resource.ID, s.resource.Type, s.resource.APIVersion
	wanted["name"] = s.resource.Name[strings.LastIndexByte(s.resource.Name, '/')+1:]
	return wanted
}

// plain is an answer without what only tells of its state.
func plain(answer json.RawMessage) (map[string]any, error) {
	value, err := object(answer)
	if err != nil {
		return nil, err
	}
	forget(value)
	return value, nil
}

// forget takes out of a value what changes with every write.
func forget(value any) {
	switch value := value.(type) {
	case map[string]any:
		delete(value, "etag")
		delete(value, "provisioningState")
		for _, inner := range value {
			forget(inner)
		}
	case []any:
		for _, inner := range value {
			forget(inner)
		}
	}
}

// compare fills in a change of a resource that is there: from how it is answered and was written before and after.
func (c *Change) compare(answer, newAnswer, written, newWritten json.RawMessage) error {
	var values [4]map[string]any
	for i, data := range []json.RawMessage{answer, newAnswer, written, newWritten} {
		var err error
		if values[i], err = plain(data); err != nil {
			return err
		}
	}
	c.Before, c.After = values[0], values[1]
	c.Delta = deltas(values[0], values[1], values[2], values[3])
	if c.Type = ChangeModify; len(c.Delta) == 0 {
		c.Type = ChangeNoChange
	}
	return nil
}

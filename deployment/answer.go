package deployment

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"postern/resource"
	"postern/store"
	"postern/template"
)

// scopeOf is where the deployment of an id goes to.
func scopeOf(id string) (Scope, error) {
	parts := strings.Split(id, "/")
	switch {
	case len(parts) == 9 && strings.EqualFold(parts[3], "resourceGroups"):
		return Scope{parts[2], parts[4]}, nil
	case len(parts) == 7:
		return Scope{Subscription: parts[2]}, nil
	}
	return Scope{}, fmt.Errorf("the id %s is not that of a deployment", id)
}

func (s *Service) kept(ctx context.Context, scope Scope, name string) (*kept, int64, error) {
	stored, err := s.Store.Deployment(ctx, scope.ID(name))
	if err != nil {
		return nil, 0, err
	}
	if stored.Record == nil {
		return nil, 0, notFound(name)
	}
	k := new(kept)
	return k, stored.Revision, json.Unmarshal(stored.Record, k)
}

// Get reads a deployment.
func (s *Service) Get(ctx context.Context, scope Scope, name string) (*Record, error) {
	k, _, err := s.kept(ctx, scope, name)
	if err != nil {
		return nil, err
	}
	return &k.Record, nil
}

// List reads the deployments to a scope, by name.
func (s *Service) List(ctx context.Context, scope Scope) ([]json.RawMessage, error) {
	all, err := s.Store.Deployments(ctx, scope.ID(""))
	if err != nil {
		return nil, err
	}
	list := make([]json.RawMessage, 0, len(all))
	for _, one := range all {
		var k kept
		if err := json.Unmarshal(one.Record, &k); err != nil {
			return nil, err
		}
		data, err := json.Marshal(&k.Record)
		if err != nil {
			return nil, err
		}
		list = append(list, data)
	}
	return list, nil
}

// Status answers the poller of a deployment: how the accepted operation stands, and its error.
func (s *Service) Status(ctx context.Context, scope Scope, name, operation string) (state string, fault *resource.Error, err error) {
	k, _, err := s.kept(ctx, scope, name)
	if err != nil {
		return "", nil, err
	}
	if !strings.EqualFold(k.Operation, operation) {
		return "", nil, notFound(name)
	}
	return k.Properties.ProvisioningState, k.Properties.Error, nil
}

// Delete forgets a deployment; the resources that it made stay. It answers whether there was one.
func (s *Service) Delete(ctx context.Context, scope Scope, name string) (existed bool, err error) {
	k, revision, err := s.kept(ctx, scope, name)
	var refusal *resource.Error
	if errors.As(err, &refusal) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if !k.ended() {
		return false, active(name, k.Properties.Timestamp)
	}
	_, err = s.Store.WriteDeployment(ctx, store.DeploymentWrite{ID: k.ID, Base: revision})
	if errors.Is(err, store.ErrConflict) {
		return false, active(name, "now")
	}
	return err == nil, err
}

// DeleteGroup cancels and forgets the deployments to a resource group that is gone.
func (s *Service) DeleteGroup(ctx context.Context, subscription, group string) error {
	scope := Scope{subscription, group}
	all, err := s.Store.Deployments(ctx, scope.ID(""))
	if err != nil {
		return err
	}
	for _, one := range all {
		s.stop(one.ID)
		for {
			_, err := s.Store.WriteDeployment(ctx, store.DeploymentWrite{ID: one.ID, Base: one.Revision})
			if err == nil {
				break
			}
			if !errors.Is(err, store.ErrConflict) {
				return err
			}
			if one, err = s.Store.Deployment(ctx, one.ID); err != nil || one.Record == nil {
				return err
			}
		}
	}
	return nil
}

// stop ends the work on a deployment; it answers whether there was any.
func (s *Service) stop(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	found, ok := s.running[strings.ToLower(id)]
	if ok {
		found.cancel(errCanceled)
	}
	return ok
}

// Cancel ends a running deployment. Resources that were written stay.
func (s *Service) Cancel(ctx context.Context, scope Scope, name string) error {
	k, _, err := s.kept(ctx, scope, name)
	if err != nil {
		return err
	}
	if k.ended() || !s.stop(k.ID) {
		err := invalid("DeploymentCannotBeCancelled", name, "The deployment '%s' cannot be cancelled because it is not active: its state is '%s'.", name,
			k.Properties.ProvisioningState)
		err.Status = http.StatusConflict
		return err
	}
	return nil
}

// Export answers the template that a deployment used.
func (s *Service) Export(ctx context.Context, scope Scope, name string) (json.RawMessage, error) {
	k, _, err := s.kept(ctx, scope, name)
	if err != nil {
		return nil, err
	}
	data, err := s.Store.DeploymentInput(ctx, k.ID)
	if err != nil {
		return nil, err
	}
	var in input
	if data != nil {
		if err := json.Unmarshal(data, &in); err != nil {
			return nil, err
		}
	}
	if in.Template == "" {
		return nil, notFound(name)
	}
	node, err := template.Read([]byte(in.Template))
	if err != nil {
		return nil, err
	}
	return node.MarshalJSON()
}

func (s *Service) operations(ctx context.Context, id string) ([]Operation, error) {
	stored, err := s.Store.DeploymentOperations(ctx, id)
	if err != nil {
		return nil, err
	}
	list := make([]Operation, len(stored))
	for i, data := range stored {
		if err := json.Unmarshal(data, &list[i]); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// Operations reads what was done in a deployment.
func (s *Service) Operations(ctx context.Context, scope Scope, name string) ([]Operation, error) {
	k, _, err := s.kept(ctx, scope, name)
	if err != nil {
		return nil, err
	}
	return s.operations(ctx, k.ID)
}

// Operation reads one thing that was done.
func (s *Service) Operation(ctx context.Context, scope Scope, name, id string) (*Operation, error) {
	all, err := s.Operations(ctx, scope, name)
	if err != nil {
		return nil, err
	}
	for i := range all {
		if strings.EqualFold(all[i].OperationID, id) {
			return &all[i], nil
		}
	}
	refusal := invalid("DeploymentOperationNotFound", id, "The deployment operation '%s' of the deployment '%s' could not be found.", id, name)
	refusal.Status = http.StatusNotFound
	return nil, refusal
}

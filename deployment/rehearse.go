package deployment

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"postern/api"
	"postern/resource"
	"postern/signin"
	"postern/template"
)

// rehearsal is a deployment that is gone through without writing anything.
type rehearsal struct {
	service *Service
	ctx     context.Context
	caller  signin.Caller
	cloud   map[string]any // environment()
	stage   *api.Rehearsal
	steps   []step
	faults  []*resource.Error
}

// step is a resource of the rehearsal.
type step struct {
	resource *template.Resource
	body     map[string]any // nil: it is known only while the deployment runs
	staged   bool           // it was written on the stage, so that what it comes to is known
}

// rehearse goes through a deployment. The error is one of asking; what is wrong with the resources is in faults.
func (s *Service) rehearse(ctx context.Context, a *asked) (*rehearsal, error) {
	stage, err := s.API.Rehearse(ctx)
	if err != nil {
		return nil, err
	}
	r := &rehearsal{service: s, ctx: ctx, caller: a.Caller, cloud: a.Cloud, stage: stage}
	return r, r.through(a.expansion)
}

func (r *rehearsal) through(x *template.Expansion) error {
	failed := map[*template.Resource]bool{}
	for _, one := range x.Order() {
		for _, other := range one.DependsOn {
			failed[one] = failed[one] || failed[other]
		}
		if !one.Condition || one.Existing || failed[one] {
			continue
		}
		faults := len(r.faults)
		if err := r.service.Allow(r.ctx, Call{Caller: r.caller, Method: http.MethodPut, Path: one.ID, Version: one.APIVersion}); err != nil {
			if err := r.fault(one, err); err != nil {
				return err
			}
		} else if strings.EqualFold(one.Type, template.TypeDeployment) {
			if err := r.nested(one); err != nil {
				return err
			}
		} else if err := r.play(one); err != nil {
			return err
		}
		failed[one] = len(r.faults) > faults
	}
	return nil
}

// fault notes what is wrong with a resource; anything but a refusal ends the rehearsal.
func (r *rehearsal) fault(one *template.Resource, err error) error {
	var refusal *resource.Error
	if err = refusalOf(err); !errors.As(err, &refusal) {
		return err
	}
	noted := named(refusal, one.ID, one.Name)
	if refusal.Status == http.StatusForbidden {
		noted.Message = fmt.Sprintf("Authorization failed for template resource '%s' of type '%s'. %s", one.Name, one.Type, refusal.Message)
	}
	r.faults = append(r.faults, noted)
	return nil
}

// named is a refusal that says which of many resources it is about: az shows a message and no target.
func named(refusal *resource.Error, id, name string) *resource.Error {
	copied := *refusal
	about := "Resource '" + name + "'"
	if refusal.Target != "" && !strings.HasPrefix(refusal.Target, "/") {
		about += ", " + refusal.Target
	}
	if len(refusal.Details) == 0 && len(refusal.More) == 0 {
		copied.Message = about + ": " + refusal.Message
	}
	copied.Target, copied.Resource = id, ""
	return &copied
}

// play writes a resource on the stage, if its body can be known now and its type is one of the cloud's.
func (r *rehearsal) play(one *template.Resource) error {
	later := false
	body, err := one.Body(r.runtime(&later))
	if later {
		r.steps = append(r.steps, step{resource: one})
		return nil
	}
	if err != nil {
		return r.fault(one, err)
	}
	next := step{resource: one, body: body}
	data, err := json.Marshal(body)
	if err != nil {
		return err
	}
	if err := r.service.Allow(r.ctx, Call{Caller: r.caller, Method: http.MethodPut, Path: one.ID, Version: one.APIVersion, Body: data}); err != nil {
		return r.fault(one, err)
	}
	if id, err := resource.ParseID(one.ID); err == nil {
		if err := r.stage.Put(id, data, api.Conditions{Group: true}); err != nil {
			return r.fault(one, err)
		}
		next.staged = true
	}
	r.steps = append(r.steps, next)
	return nil
}

// runtime answers from the stage, or else from what there is. What neither has, the deployment may yet make: later.
func (r *rehearsal) runtime(later *bool) template.Runtime {
	notYet := func(id string) error {
		*later = true
		return fmt.Errorf("the resource '%s' is not there yet", id)
	}
	return template.Runtime{
		Reference: func(id, version string) (map[string]any, error) {
			if parsed, err := resource.ParseID(id); err == nil {
				answer, _, err := r.stage.Get(parsed)
				if err != nil {
					return nil, notYet(id)
				}
				return object(answer)
			}
			_, answer, err := r.service.Do(r.ctx, Call{Caller: r.caller, Method: http.MethodGet, Path: id, Version: versionOr(version)})
			if err != nil {
				return nil, notYet(id)
			}
			return object(answer)
		},
		// Lists are actions: they wait until the deployment runs.
		List: func(action, id, _ string, _ any) (any, error) { return nil, notYet(id) },
	}
}

// versionOr is a version for a request that the template names none for.
func versionOr(version string) string {
	if version == "" {
		return groupVersion
	}
	return version
}

// nested goes through a deployment within the deployment. When its parameters are known only later, so is all of it.
func (r *rehearsal) nested(one *template.Resource) error {
	later := false
	inner, err := one.Nested(r.runtime(&later))
	if later {
		return nil
	}
	if err != nil {
		return r.fault(one, err)
	}
	scope := Scope{inner.SubscriptionID, inner.ResourceGroup}
	where, err := r.service.environment(r.ctx, r.caller, scope, inner.Name, Incremental, inner.Location, r.cloud)
	if err != nil && scope.ResourceGroup != "" && r.stage.HasGroup(scope.Subscription, scope.ResourceGroup) {
		// The deployment itself makes the group.
		where.ResourceGroup = map[string]any{"id": scope.Path(), "name": scope.ResourceGroup}
		if id, idErr := resource.GroupID(scope.Subscription, scope.ResourceGroup); idErr == nil {
			if answer, _, getErr := r.stage.Get(id); getErr == nil {
				where.ResourceGroup, err = object(answer)
			}
		}
	}
	if err != nil {
		return r.fault(one, err)
	}
	expanded, err := inner.Expand(where)
	if later {
		return nil
	}
	if err != nil {
		return r.fault(one, err)
	}
	return r.through(expanded)
}

// verdict is the refusal of a deployment whose resources would be refused; nil when none would be.
func (r *rehearsal) verdict(name string) error {
	if len(r.faults) == 0 {
		return nil
	}
	refusal := &resource.Error{Code: template.CodeInvalidTemplateDeployment, Status: http.StatusBadRequest, Details: r.faults, Message: fmt.Sprintf(
		"The template deployment '%s' is not valid according to the validation procedure. The tracking id is '%s'. See inner errors for details.", name, newGUID())}
	if slices.ContainsFunc(r.faults, func(fault *resource.Error) bool { return fault.Status == http.StatusForbidden }) {
		refusal.Status = http.StatusForbidden
	}
	return refusal
}

// Validate judges a deployment and answers what it would be.
func (s *Service) Validate(ctx context.Context, r Request) (*Record, error) {
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
	record, err := a.record(Succeeded)
	if err != nil {
		return nil, err
	}
	for _, one := range gone.steps {
		record.Properties.ValidatedResources = append(record.Properties.ValidatedResources, Reference{ID: one.resource.ID})
	}
	return record, nil
}

// record is a deployment as it begins.
func (a *asked) record(state string) (*Record, error) {
	record := &Record{ID: a.Scope.ID(a.Name), Name: a.Name, Type: Type, Location: a.location, Tags: a.tags}
	record.Properties = Properties{Mode: a.mode, ProvisioningState: state, Timestamp: stamp(now()), Duration: "PT0S", CorrelationID: a.Correlation}
	return record, record.Properties.describe(a.template, a.expansion)
}

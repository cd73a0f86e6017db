package deployment

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"postern/resource"
	"postern/signin"
	"postern/store"
	"postern/template"
)

// job is a deployment that is worked on, by one goroutine.
type job struct {
	service   *Service
	kept      *kept
	revision  int64 // of what is stored
	caller    signin.Caller
	cloud     map[string]any // environment()
	scope     Scope
	template  *template.Template
	expansion *template.Expansion
	done      map[string]bool // what a former run did: kind and id of the resource, in lower case
	made      []Reference     // what nested deployments made
}

// errCanceled is why a job's context ends when somebody cancels the deployment.
var errCanceled = errors.New("the deployment was canceled")

// run takes a deployment to its end. When the process stops before, it stays as it is, for the next one.
func (j *job) run(ctx context.Context) {
	err := j.execute(ctx)
	if err != nil && ctx.Err() != nil && !errors.Is(context.Cause(ctx), errCanceled) {
		return
	}
	state := Succeeded
	var refusal *resource.Error
	switch {
	case errors.Is(context.Cause(ctx), errCanceled):
		state, refusal = Canceled, invalid("DeploymentCanceled", j.kept.ID, "The deployment '%s' was canceled. Resources that were written stay.", j.kept.Name)
	case err != nil:
		state = Failed
		if !errors.As(err, &refusal) {
			refusal = &resource.Error{Code: "InternalServerError", Message: err.Error()}
		}
	}
	// The end is written also when the work was canceled.
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), endTimeout)
	defer cancel()
	if err := j.end(end, state, refusal); err != nil && !errors.Is(err, store.ErrConflict) { // a conflict: it was deleted with its group
		j.service.Log.Error("write the end of a deployment", "id", j.kept.ID, "error", err)
	}
}

// endTimeout bounds the write of a deployment's end.
const endTimeout = 10 * time.Second

// execute writes the resources one after the other, each behind those that it depends on. When one is refused, those that
// depend on it are left out, and the others are written all the same.
func (j *job) execute(ctx context.Context) error {
	j.kept.Properties.ProvisioningState = Running
	if err := j.keep(ctx); err != nil {
		return err
	}
	var faults []*resource.Error
	failed := map[*template.Resource]bool{}
	for _, r := range j.expansion.Order() {
		if cause := context.Cause(ctx); cause != nil {
			return cause
		}
		for _, other := range r.DependsOn {
			failed[r] = failed[r] || failed[other]
		}
		if failed[r] || !r.Condition || r.Existing {
			continue
		}
		fault, err := j.deploy(ctx, r)
		if err != nil {
			return err
		}
		if fault != nil {
			faults = append(faults, fault)
			failed[r] = true
			continue
		}
		j.kept.Properties.OutputResources = append(j.kept.Properties.OutputResources, Reference{ID: r.ID})
	}
	if len(faults) == 0 && j.kept.Properties.Mode == Complete {
		var err error
		if faults, err = j.deleteOthers(ctx); err != nil {
			return err
		}
	}
	if len(faults) > 0 {
		return &resource.Error{Code: "DeploymentFailed", Target: j.kept.ID, Details: faults, Message: "At least one resource deployment operation failed. Please list " +
			"deployment operations for details. Please see https://aka.ms/arm-deployment-operations for usage details."}
	}
	return j.outputs(ctx)
}

// outputs evaluates the template's outputs.
func (j *job) outputs(ctx context.Context) error {
	outputs, err := j.expansion.Outputs(j.runtime(ctx))
	if err != nil {
		return refusalOf(err)
	}
	j.kept.Properties.Outputs = map[string]Value{}
	for _, output := range outputs {
		if j.kept.Properties.Outputs[output.Name], err = value(output.Type, output.Value, output.Secure); err != nil {
			return err
		}
	}
	return nil
}

// runtime answers reference() and list functions as the caller would be answered.
func (j *job) runtime(ctx context.Context) template.Runtime {
	return template.Runtime{
		Reference: func(id, version string) (map[string]any, error) {
			_, answer, err := j.service.Do(ctx, j.call(http.MethodGet, id, versionOr(version), nil))
			if err != nil {
				return nil, err
			}
			return object(answer)
		},
		List: func(action, id, version string, body any) (any, error) {
			var data []byte
			if body != nil {
				var err error
				if data, err = json.Marshal(body); err != nil {
					return nil, err
				}
			}
			_, answer, err := j.service.Do(ctx, j.call(http.MethodPost, id+"/"+action, version, data))
			if err != nil {
				return nil, err
			}
			return object(answer)
		},
	}
}

// deploy writes one resource, unless a former run did. The fault is a refusal; the error is anything else.
func (j *job) deploy(ctx context.Context, r *template.Resource) (*resource.Error, error) {
	target := &TargetResource{r.ID, r.Type, r.Name, r.Symbol}
	if j.done[strings.ToLower("Create "+r.ID)] && !strings.EqualFold(r.Type, template.TypeDeployment) {
		return nil, nil
	}
	return j.operate(ctx, "Create", target, func() (status int, err error) {
		if strings.EqualFold(r.Type, template.TypeDeployment) {
			return http.StatusOK, j.nested(ctx, r)
		}
		body, err := r.Body(j.runtime(ctx))
		if err != nil {
			return 0, refusalOf(err)
		}
		data, err := json.Marshal(body)
		if err != nil {
			return 0, err
		}
		return j.write(ctx, http.MethodPut, r.ID, r.APIVersion, data)
	})
}

// call is a request in the name of the deployment's caller.
func (j *job) call(method, path, version string, body []byte) Call {
	return Call{Caller: j.caller, Method: method, Path: path, Version: version, Body: body, CorrelationID: j.kept.Properties.CorrelationID}
}

// write sends a write. While another one of the same resource goes on it waits: after a crash that may be its own, which
// nobody follows any more.
func (j *job) write(ctx context.Context, method, id, version string, body []byte) (status int, err error) {
	ticker := time.NewTicker(busyEvery)
	defer ticker.Stop()
	for {
		status, _, err = j.service.Do(ctx, j.call(method, id, version, body))
		var refusal *resource.Error
		if !errors.As(err, &refusal) || !strings.HasSuffix(refusal.Code, "OperationInProgress") {
			return status, err
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}

// busyEvery is how often a write is sent again while another one goes on. Those end, since the API bounds them.
const busyEvery = 500 * time.Millisecond

// operate does something about a resource and keeps the operation, before and after.
func (j *job) operate(ctx context.Context, kind string, target *TargetResource, do func() (status int, err error)) (*resource.Error, error) {
	started := stamp(now())
	operation := Operation{OperationID: operationID(kind, target), Properties: OperationProperties{Kind: kind, State: Running, Timestamp: started, Duration: "PT0S",
		Tracking: newGUID(), Service: newGUID(), Target: target}}
	if err := j.note(ctx, operation); err != nil {
		return nil, err
	}
	status, err := do()
	if err != nil && ctx.Err() != nil {
		return nil, err
	}
	var fault *resource.Error
	if err != nil && !errors.As(err, &fault) {
		fault = &resource.Error{Code: "InternalServerError", Status: http.StatusInternalServerError, Message: err.Error()}
	}
	p := &operation.Properties
	p.State, p.Timestamp, p.Duration, p.Status = Succeeded, stamp(now()), since(started), statusName(status)
	if fault != nil {
		fault = named(fault, target.ID, target.Name)
		p.State, p.Status, p.Message = Failed, statusName(fault.Status), statusMessage(fault, "")
	}
	return fault, j.note(ctx, operation)
}

// statusName is a status as operations tell it: "BadRequest".
func statusName(status int) string { return strings.ReplaceAll(http.StatusText(status), " ", "") }

// statusMessage is an operation's message: an error, or a text.
func statusMessage(fault *resource.Error, text string) json.RawMessage {
	var message any = map[string]any{"status": Succeeded, "message": text}
	if fault != nil {
		message = map[string]any{"status": Failed, "error": fault}
	}
	data, err := json.Marshal(message)
	if err != nil {
		return nil
	}
	return data
}

// keep stores the deployment as it stands.
func (j *job) keep(ctx context.Context) error { return j.store(ctx, nil, nil) }

// note stores an operation, and the deployment with it.
func (j *job) note(ctx context.Context, operation Operation) error {
	operation.ID = j.kept.ID + "/operations/" + operation.OperationID
	data, err := json.Marshal(operation)
	if err != nil {
		return err
	}
	return j.store(ctx, map[string][]byte{operation.OperationID: data}, nil)
}

func (j *job) store(ctx context.Context, operations map[string][]byte, in []byte) error {
	p := &j.kept.Properties
	p.Timestamp, p.Duration = stamp(now()), since(j.kept.Started)
	data, err := json.Marshal(j.kept)
	if err != nil {
		return err
	}
	revision, err := j.service.Store.WriteDeployment(ctx, store.DeploymentWrite{ID: j.kept.ID, Base: j.revision, Record: data, Input: in, Operations: operations})
	if err == nil {
		j.revision = revision
	}
	return err
}

// end stores how the deployment ended. Of its input the template alone stays.
func (j *job) end(ctx context.Context, state string, fault *resource.Error) error {
	p := &j.kept.Properties
	p.ProvisioningState, p.Error = state, fault
	text := ""
	if j.template != nil {
		text = string(j.template.Root().Text())
	} else if data, err := j.service.Store.DeploymentInput(ctx, j.kept.ID); err == nil {
		var in input
		if json.Unmarshal(data, &in) == nil {
			text = in.Template
		}
	}
	in, err := json.Marshal(input{Template: text})
	if err != nil {
		return err
	}
	operation := Operation{OperationID: "end-" + j.kept.Operation, Properties: OperationProperties{Kind: "EvaluateDeploymentOutput", State: state, Timestamp: stamp(now()),
		Duration: "PT0S", Tracking: newGUID(), Status: "OK"}}
	if fault != nil {
		operation.Properties.Status, operation.Properties.Message = "Conflict", statusMessage(fault, "")
	}
	operation.ID = j.kept.ID + "/operations/" + operation.OperationID
	data, err := json.Marshal(operation)
	if err != nil {
		return err
	}
	return j.store(ctx, map[string][]byte{operation.OperationID: data}, in)
}

// nested runs a deployment within the deployment to its end.
func (j *job) nested(ctx context.Context, r *template.Resource) error {
	inner, err := r.Nested(j.runtime(ctx))
	if err != nil {
		return refusalOf(err)
	}
	if strings.EqualFold(inner.Mode, Complete) {
		return invalid("InvalidDeploymentMode", "properties.mode", "The nested deployment '%s' must be Incremental: Complete is for the outermost one.", inner.Name)
	}
	scope := Scope{inner.SubscriptionID, inner.ResourceGroup}
	id := scope.ID(inner.Name)
	if err := checkName(inner.Name); err != nil {
		return err
	}
	if err := j.service.Allow(ctx, j.call(http.MethodPut, id, groupVersion, nil)); err != nil {
		return err
	}
	where, err := j.service.environment(ctx, j.caller, scope, inner.Name, Incremental, inner.Location, j.cloud)
	if err != nil {
		return err
	}
	expansion, err := inner.Expand(where)
	if err != nil {
		return refusalOf(err)
	}
	location := inner.Location
	if scope.ResourceGroup != "" {
		location = ""
	}
	a := asked{Request: Request{Caller: j.caller, Scope: scope, Name: inner.Name, Cloud: j.cloud, Correlation: j.kept.Properties.CorrelationID}, mode: Incremental,
		location: location, template: inner.Template, expansion: expansion}
	began, err := a.record(Accepted)
	if err != nil {
		return err
	}
	former, err := j.service.Store.Deployment(ctx, id)
	if err != nil {
		return err
	}
	if err := j.mayReplace(former, inner.Name); err != nil {
		return err
	}
	k := &kept{Record: *began, Operation: newGUID(), Started: stamp(now()), Parent: j.kept.ID}
	data, err := json.Marshal(k)
	if err != nil {
		return err
	}
	in, err := json.Marshal(input{Template: string(inner.Template.Root().Text())})
	if err != nil {
		return err
	}
	revision, err := j.service.Store.WriteDeployment(ctx, store.DeploymentWrite{ID: id, Base: former.Revision, Record: data, Input: in, Anew: true})
	if err != nil {
		return err
	}
	child := &job{service: j.service, kept: k, revision: revision, caller: j.caller, cloud: j.cloud, scope: scope, template: inner.Template, expansion: expansion}
	child.run(ctx)
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	if k.Properties.ProvisioningState != Succeeded {
		return fmt.Errorf("nested: %w", k.Properties.Error)
	}
	j.made = append(append(j.made, k.Properties.OutputResources...), child.made...)
	return nil
}

// mayReplace refuses to replace a deployment that has not ended, but for one that this very deployment left when the process
// stopped.
func (j *job) mayReplace(former store.Deployment, name string) error {
	if former.Record != nil {
		var old kept
		if err := json.Unmarshal(former.Record, &old); err == nil && strings.EqualFold(old.Parent, j.kept.ID) {
			return nil
		}
	}
	return replaceable(former, name)
}

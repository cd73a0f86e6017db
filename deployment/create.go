package deployment

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"postern/resource"
	"postern/signin"
	"postern/store"
	"postern/template"
)

// maxKept is how many deployments a scope keeps; the oldest that has ended makes room for a new one.
const maxKept = 800

// Create accepts a deployment: it is judged, kept and then run. The answer is the deployment as it was accepted, the id of
// the operation to ask for (see Status), and whether the name is new.
func (s *Service) Create(ctx context.Context, r Request) (record *Record, operation string, created bool, err error) {
	a, err := s.read(ctx, r)
	if err != nil {
		return nil, "", false, err
	}
	gone, err := s.rehearse(ctx, a)
	if err != nil {
		return nil, "", false, err
	}
	if err := gone.verdict(a.Name); err != nil {
		return nil, "", false, err
	}
	began, err := a.record(Accepted)
	if err != nil {
		return nil, "", false, err
	}
	k := &kept{Record: *began, Operation: newGUID(), Started: stamp(now())}
	in, err := a.input()
	if err != nil {
		return nil, "", false, err
	}
	former, err := s.Store.Deployment(ctx, k.ID)
	if err != nil {
		return nil, "", false, err
	}
	if err := replaceable(former, r.Name); err != nil {
		return nil, "", false, err
	}
	if former.Record == nil {
		if err := s.makeRoom(ctx, r.Scope); err != nil {
			return nil, "", false, err
		}
	}
	data, err := json.Marshal(k)
	if err != nil {
		return nil, "", false, err
	}
	revision, err := s.Store.WriteDeployment(ctx, store.DeploymentWrite{ID: k.ID, Base: former.Revision, Record: data, Input: in, Anew: true})
	if errors.Is(err, store.ErrConflict) {
		return nil, "", false, active(r.Name, "now")
	}
	if err != nil {
		return nil, "", false, err
	}
	accepted := k.Record
	s.launch(&job{service: s, kept: k, revision: revision, caller: r.Caller, cloud: r.Cloud, template: a.template, expansion: a.expansion, scope: r.Scope})
	return &accepted, k.Operation, former.Record == nil, nil
}

// replaceable refuses to replace a deployment that has not ended.
func replaceable(former store.Deployment, name string) error {
	if former.Record == nil {
		return nil
	}
	var old kept
	if err := json.Unmarshal(former.Record, &old); err != nil {
		return err
	}
	if !old.ended() {
		return active(name, old.Properties.Timestamp)
	}
	return nil
}

func active(name, since string) error {
	err := invalid("DeploymentActive", name, "Unable to edit or replace deployment '%s': previous deployment from '%s' is still active. Please see "+
		"https://aka.ms/arm-deploy for usage details.", name, since)
	err.Status = http.StatusConflict
	return err
}

// input is what it takes to run the deployment. Parameters are kept as they were evaluated: a default of newGuid() does not
// change when the deployment is taken up again.
func (a *asked) input() ([]byte, error) {
	values := map[string]any{}
	for _, parameter := range a.expansion.Parameters() {
		values[parameter.Name] = parameter.Value
	}
	data, err := json.Marshal(values)
	if err != nil {
		return nil, err
	}
	return json.Marshal(input{Template: string(a.template.Root().Text()), Values: data, Cloud: a.Cloud,
		Caller: callerRecord{a.Caller.Name, a.Caller.ClientID, a.Caller.ObjectID, a.Caller.Owner}})
}

// makeRoom drops the oldest deployments of a scope that has too many.
func (s *Service) makeRoom(ctx context.Context, scope Scope) error {
	all, err := s.Store.Deployments(ctx, scope.ID(""))
	if err != nil {
		return err
	}
	for len(all) >= maxKept {
		oldest := -1
		for i, one := range all {
			var k kept
			if err := json.Unmarshal(one.Record, &k); err != nil {
				return err
			}
			if k.ended() && (oldest < 0 || one.Revision < all[oldest].Revision) {
				oldest = i
			}
		}
		if oldest < 0 {
			return &resource.Error{Code: "DeploymentQuotaExceeded", Status: http.StatusConflict, Message: "The number of deployments is at its limit, and none of them " +
				"has ended: cancel or wait for some."}
		}
		if _, err := s.Store.WriteDeployment(ctx, store.DeploymentWrite{ID: all[oldest].ID, Base: all[oldest].Revision}); err != nil {
			return err
		}
		all = append(all[:oldest], all[oldest+1:]...)
	}
	return nil
}

// Run works on accepted deployments until the context ends: those that a former process has left too. It returns when none
// is being worked on any more.
func (s *Service) Run(ctx context.Context) error {
	left, err := s.Store.Deployments(ctx, "")
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.ctx = ctx
	waiting := s.waiting
	s.waiting = nil
	s.mu.Unlock()
	for _, j := range waiting {
		s.launch(j)
	}
	for _, one := range left {
		if err := s.resume(ctx, one); err != nil {
			s.Log.Error("take up a deployment again", "id", one.ID, "error", err)
		}
	}
	<-ctx.Done()
	s.work.Wait()
	return nil
}

// launch works on a deployment in the background: from when Run runs.
func (s *Service) launch(j *job) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := strings.ToLower(j.kept.ID)
	if s.ctx == nil {
		s.waiting = append(s.waiting, j)
		return
	}
	ctx, cancel := context.WithCancelCause(s.ctx)
	s.running[key] = running{cancel}
	s.work.Go(func() {
		defer cancel(nil)
		j.run(ctx)
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.running, key)
	})
}

// maxResumed is how often a deployment is taken up again: one that stops the process whenever it runs must end.
const maxResumed = 3

// resume takes up a deployment that a former process has left. One that cannot go on is marked as failed, with the reason.
func (s *Service) resume(ctx context.Context, one store.Deployment) error {
	k := new(kept)
	if err := json.Unmarshal(one.Record, k); err != nil {
		return err
	}
	if k.ended() || k.Started >= s.born { // it has ended, or is this process's own
		return nil
	}
	j := &job{service: s, kept: k, revision: one.Revision, done: map[string]bool{}}
	k.Resumed++
	if k.Parent != "" {
		return j.end(ctx, Failed, interrupted("the deployment '%s' around it deploys it again", k.Parent))
	}
	if k.Resumed > maxResumed {
		return j.end(ctx, Failed, interrupted("it was taken up again %d times and never came to its end: deploy it again", maxResumed))
	}
	if err := j.restore(ctx); err != nil {
		return j.end(ctx, Failed, interrupted("it cannot go on: %v", err))
	}
	if err := j.note(ctx, Operation{OperationID: "resumed-" + newGUID(), Properties: OperationProperties{Kind: "Waiting", State: Succeeded, Timestamp: stamp(now()),
		Duration: "PT0S", Tracking: newGUID(), Message: statusMessage(nil, "The control plane had stopped while the deployment ran; the deployment was taken up again, "+
			"and resources that were done were not written anew.")}}); err != nil {
		return err
	}
	s.Log.Info("a deployment was taken up again", "id", k.ID, "times", k.Resumed)
	s.launch(j)
	return nil
}

// interrupted is the error of a deployment that was cut off.
func interrupted(reason string, args ...any) *resource.Error {
	return invalid("DeploymentInterrupted", "", "The control plane stopped while the deployment ran, and "+reason+".", args...)
}

// restore makes a job ready to go on where it was.
func (j *job) restore(ctx context.Context) error {
	data, err := j.service.Store.DeploymentInput(ctx, j.kept.ID)
	if err != nil {
		return err
	}
	var in input
	if err := json.Unmarshal(data, &in); err != nil {
		return err
	}
	values, err := object(in.Values)
	if err != nil {
		return err
	}
	j.caller, j.cloud = signin.Caller{Name: in.Caller.Name, ClientID: in.Caller.ClientID, ObjectID: in.Caller.ObjectID, Owner: in.Caller.Owner}, in.Cloud
	id, err := scopeOf(j.kept.ID)
	if err != nil {
		return err
	}
	j.scope = id
	if j.template, err = template.Parse([]byte(in.Template)); err != nil {
		return err
	}
	p := &j.kept.Properties
	where, err := j.service.environment(ctx, j.caller, j.scope, j.kept.Name, p.Mode, j.kept.Location, j.cloud)
	if err != nil {
		return err
	}
	if j.expansion, err = j.template.Expand(where, values); err != nil {
		return err
	}
	operations, err := j.service.operations(ctx, j.kept.ID)
	for _, operation := range operations {
		if target := operation.Properties.Target; target != nil && operation.Properties.State == Succeeded {
			j.done[strings.ToLower(operation.Properties.Kind+" "+target.ID)] = true
		}
	}
	return err
}

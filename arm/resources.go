package arm

import (
	"cmp"
	"errors"
	"net/http"

	"postern/api"
	"postern/resource"
)

// conditions are those of a write's headers. Azure makes nothing in a group that is not there.
func (r *request) conditions() api.Conditions {
	return api.Conditions{IfMatch: r.Header.Get("If-Match"), IfNoneMatch: r.Header.Get("If-None-Match"), Group: true}
}

// missing gives the answer about a resource that is not there the form that it has when its group is not there either.
func (r *request) missing(err error) error {
	var refusal *resource.Error
	if !errors.As(err, &refusal) || refusal.Status != http.StatusNotFound {
		return err
	}
	if group := r.checkGroup(); group != nil {
		return group
	}
	return err
}

// checkGroup refuses what lies in a resource group that is not there.
func (r *request) checkGroup() error {
	if r.at.group == "" {
		return nil
	}
	cloud, err := r.door.Cache.Current(r.Context())
	if err != nil {
		return err
	}
	if !cloud.HasGroup(r.at.subscription, r.at.group) {
		return api.GroupNotFound(r.at.group)
	}
	return nil
}

func getResource(r *request) (int, any, error) {
	id, err := r.at.id()
	if err != nil {
		return 0, nil, err
	}
	answer, err := r.door.API.Get(r.Context(), id)
	return http.StatusOK, answer, r.missing(err)
}

func headResource(r *request) (int, any, error) {
	_, _, err := getResource(r)
	return http.StatusNoContent, nil, err
}

func putResource(r *request) (int, any, error) {
	id, err := r.at.id()
	if err != nil {
		return 0, nil, err
	}
	body, err := r.body()
	if err != nil {
		return 0, nil, err
	}
	if err := r.authorizeBody(id, body); err != nil {
		return 0, nil, err
	}
	made, err := r.door.API.Put(r.Context(), id, body, r.conditions())
	if err != nil {
		return 0, nil, err
	}
	if pending := made.Operation; pending != nil {
		if made.Operation, err = r.patiently(id, pending); err == nil && made.Operation == nil {
			made.Body, err = r.door.API.Get(r.Context(), id) // its state is another by now
		}
		if err != nil {
			return 0, nil, err
		}
	}
	return r.accepted(made.Operation, statusOf(id, &made)), made.Body, nil
}

// statusOf is the status of what was put, which clients of its type take.
func statusOf(id resource.ID, made *api.Outcome) int {
	manners := resource.MannersOf(id.Type())
	status := http.StatusOK
	if made.Created {
		status = cmp.Or(manners.Created, http.StatusCreated)
	}
	if made.Operation != nil && manners.Pending != 0 {
		status = manners.Pending
	}
	return status
}

func patchResource(r *request) (int, any, error) {
	id, err := r.at.id()
	if err != nil {
		return 0, nil, err
	}
	body, err := r.body()
	if err != nil {
		return 0, nil, err
	}
	if err := r.authorizeBody(id, body); err != nil {
		return 0, nil, err
	}
	made, err := r.door.API.Patch(r.Context(), id, body, r.conditions())
	if err == nil && made.Operation != nil {
		if made.Operation, err = r.patiently(id, made.Operation); err == nil && made.Operation == nil {
			return getResource(r) // its state is another by now
		}
	}
	if err != nil {
		return 0, nil, r.missing(err)
	}
	return r.accepted(made.Operation, http.StatusOK), made.Body, nil
}

func deleteResource(r *request) (int, any, error) {
	id, err := r.at.id()
	if err != nil {
		return 0, nil, err
	}
	gone, err := r.door.API.Delete(r.Context(), id, r.conditions())
	if err == nil && gone.Operation != nil {
		gone.Operation, err = r.patiently(id, gone.Operation)
	}
	if err == nil && !gone.Existed {
		return http.StatusNoContent, nil, nil
	}
	return r.accepted(gone.Operation, cmp.Or(resource.MannersOf(id.Type()).Deleted, http.StatusOK)), nil, err
}

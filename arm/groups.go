package arm

import (
	"encoding/json"
	"net/http"

	"postern/api"
	"postern/resource"
)

func (r *request) groupID() (resource.ID, error) {
	return resource.GroupID(r.at.subscription, r.at.group)
}

func listGroups(r *request) (int, any, error) {
	groups, err := r.door.API.Groups(r.Context(), r.at.subscription)
	if err != nil {
		return 0, nil, err
	}
	chosen, err := parseFilter(r.URL.Query().Get("$filter"))
	if err != nil {
		return 0, nil, err
	}
	value := []json.RawMessage{}
	for _, group := range groups {
		if chosen.matches(resource.ID{Subscription: r.at.subscription, ResourceGroup: group.Name, Provider: "Microsoft.Resources",
			Types: []string{"resourceGroups"}, Names: []string{group.Name}}, group.Body) && r.may(groupAction+"read", "/subscriptions/"+r.at.subscription+"/resourceGroups/"+group.Name) {
			value = append(value, group.Body)
		}
	}
	return http.StatusOK, list{Value: value}, nil
}

func getGroup(r *request) (int, any, error) {
	body, err := r.door.API.Group(r.Context(), r.at.subscription, r.at.group)
	return http.StatusOK, body, err
}

// headGroup answers 204 for a group that is there.
func headGroup(r *request) (int, any, error) {
	_, _, err := getGroup(r)
	return http.StatusNoContent, nil, err
}

func putGroup(r *request) (int, any, error) {
	id, err := r.groupID()
	if err != nil {
		return 0, nil, err
	}
	body, err := r.body()
	if err != nil {
		return 0, nil, err
	}
	made, err := r.door.API.Put(r.Context(), id, body, r.conditions())
	return r.accepted(made.Operation, createdOr200(made.Created)), made.Body, err
}

func patchGroup(r *request) (int, any, error) {
	id, err := r.groupID()
	if err != nil {
		return 0, nil, err
	}
	body, err := r.body()
	if err != nil {
		return 0, nil, err
	}
	made, err := r.door.API.Patch(r.Context(), id, body, r.conditions())
	return r.accepted(made.Operation, http.StatusOK), made.Body, err
}

func deleteGroup(r *request) (int, any, error) {
	gone, err := r.door.API.DeleteGroup(r.Context(), r.at.subscription, r.at.group)
	if err == nil && !gone.Existed {
		err = api.GroupNotFound(r.at.group)
	}
	if err == nil {
		err = r.door.deployments.DeleteGroup(r.Context(), r.at.subscription, r.at.group)
	}
	return r.accepted(gone.Operation, http.StatusOK), nil, err
}

func createdOr200(created bool) int {
	if created {
		return http.StatusCreated
	}
	return http.StatusOK
}

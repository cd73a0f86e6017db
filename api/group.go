package api

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"postern/resource"
)

// GroupNotFound is the answer about a resource group that is not there.
func GroupNotFound(group string) error {
	return &resource.Error{Code: "ResourceGroupNotFound", Target: group, Status: http.StatusNotFound,
		Message: fmt.Sprintf("Resource group '%s' could not be found.", group)}
}

// Group reads a resource group. One that was never put, but is there since it has resources or is the default one, has
// the location of its first resource; the default one is in westeurope where a node stands there.
func (a *API) Group(ctx context.Context, subscription, group string) (json.RawMessage, error) {
	cloud, err := a.cache.Current(ctx)
	if err != nil {
		return nil, err
	}
	return groupOf(cloud, subscription, group)
}

func groupOf(cloud *resource.Cloud, subscription, group string) (json.RawMessage, error) {
	groups, err := groupsOf(cloud, subscription)
	if err != nil {
		return nil, err
	}
	for _, found := range groups {
		if strings.EqualFold(found.Name, group) {
			return found.Body, nil
		}
	}
	return nil, GroupNotFound(group)
}

// Group is a resource group as the API answers it.
type Group struct {
	Name string
	Body json.RawMessage
}

// Groups lists the resource groups of a subscription by name: those that were put, those that have resources, and the
// default one.
func (a *API) Groups(ctx context.Context, subscription string) ([]Group, error) {
	cloud, err := a.cache.Current(ctx)
	if err != nil {
		return nil, err
	}
	return groupsOf(cloud, subscription)
}

func groupsOf(cloud *resource.Cloud, subscription string) ([]Group, error) {
	groups := make(map[string]Group)
	if strings.EqualFold(subscription, resource.DefaultSubscription) {
		groups[resource.DefaultResourceGroup] = Group{Name: resource.DefaultResourceGroup}
	}
	located := make(map[string]string)
	for name, record := range cloud.Groups(subscription) {
		key := strings.ToLower(name)
		if record.Type == resource.TypeResourceGroup {
			id, err := resource.ParseID(record.ID)
			if err != nil {
				return nil, err
			}
			body, err := cloud.Render(id, Succeeded)
			if err != nil {
				return nil, err
			}
			groups[key] = Group{id.ResourceGroup, body}
			continue
		}
		if _, ok := groups[key]; !ok {
			groups[key] = Group{Name: name}
		}
		var body struct {
			Location string `json:"location"`
		}
		if json.Unmarshal(record.Body, &body) == nil && located[key] == "" {
			located[key] = strings.ToLower(strings.ReplaceAll(body.Location, " ", ""))
		}
	}
	if slices.Contains(cloud.Regions(nil), defaultLocation) {
		located[resource.DefaultResourceGroup] = defaultLocation
	}
	for key, group := range groups {
		if group.Body != nil {
			continue
		}
		body, err := json.Marshal(map[string]any{
			"id": "/subscriptions/" + subscription + "/resourceGroups/" + group.Name, "name": group.Name, "type": resource.TypeResourceGroup,
			"location": cmp.Or(located[key], defaultLocation), "properties": map[string]any{"provisioningState": Succeeded},
		})
		if err != nil {
			return nil, err
		}
		group.Body = body
		groups[key] = group
	}
	list := make([]Group, 0, len(groups))
	for _, key := range slices.Sorted(maps.Keys(groups)) {
		list = append(list, groups[key])
	}
	return list, nil
}

// defaultLocation is the default group's where a node stands there, or nothing is in the group.
const defaultLocation = "westeurope"

// DeleteGroup removes a resource group and all that is in it, in one change: when a resource outside refers to one inside,
// nothing is removed. A group that is not there is no error.
func (a *API) DeleteGroup(ctx context.Context, subscription, group string) (Outcome, error) {
	id, err := resource.GroupID(subscription, group)
	if err != nil {
		return Outcome{}, err
	}
	inside := func(cloud *resource.Cloud) (ids []resource.ID, err error) {
		for _, record := range cloud.Records("") {
			id, err := resource.ParseID(record.ID)
			if err != nil {
				return nil, err
			}
			if strings.EqualFold(id.Subscription, subscription) && strings.EqualFold(id.ResourceGroup, group) {
				ids = append(ids, id)
			}
		}
		return ids, nil
	}
	cloud, err := a.cache.Current(ctx)
	if err != nil {
		return Outcome{}, err
	}
	members, err := inside(cloud)
	if err != nil {
		return Outcome{}, err
	}
	all := writing{method: http.MethodDelete, id: id}
	for _, member := range members {
		all.roots = append(all.roots, member.Root().Key())
	}
	existed := false
	_, gone, err := a.write(ctx, all, func(cloud *resource.Cloud, change *resource.Change) error {
		existed = cloud.HasGroup(subscription, group)
		members, err := inside(cloud) // more may have come since
		if err != nil {
			return err
		}
		for _, member := range members {
			if _, err := change.Delete(member); err != nil {
				return err
			}
		}
		return nil
	})
	gone.Existed = existed
	return gone, err
}

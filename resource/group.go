package resource

import (
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"

	"postern/model"
)

// resourceGroup is the noun of a group that was made by itself. Groups are for the API alone: no plan knows them.
type resourceGroup struct {
	id       model.ResourceID
	location model.Location
}

type resourceGroupBody struct {
	header
	ManagedBy  string `json:"managedBy"`
	Properties struct {
		state
	} `json:"properties"`
}

func decodeResourceGroup(r *Record) (any, error) {
	var body resourceGroupBody
	if err := strictly(r.Body, &body); err != nil {
		return nil, err
	}
	location, err := body.location()
	return &resourceGroup{model.ResourceID(r.ID), location}, err
}

// inRegion refuses a new resource in a region that is none: neither the service tags nor a node name it, nor is it of
// Azure's pairs, which the articles' commands are in. Nodes and settings are what makes regions.
func (j *judge) inRegion(e *entry) error {
	location := locationOf(e.noun)
	if j.options.Regions == nil || location == "" || strings.HasPrefix(e.record.Type, "Postern.Fabric/") || j.before.entries.find(e.key) != nil ||
		model.RegionPair(location) != "" {
		return nil
	}
	regions := j.after.Regions(j.options.Regions())
	if slices.Contains(regions, location) {
		return nil
	}
	list := strings.Trim(strings.Join(strings.Fields(fmt.Sprint(regions)), ","), "[]")
	if e.record.Type == TypeResourceGroup {
		return refuse("LocationNotAvailableForResourceGroup", "location", "The provided location '%.100s' is not available for resource group. "+
			"List of available regions is '%s'.", location, list)
	}
	return refuse("LocationNotAvailableForResourceType", "location", "The provided location '%.100s' is not available for resource type '%s'. "+
		"List of available regions for the resource type is '%s'.", location, e.record.Type, list)
}

// Regions are the regions that nodes stand in, and given ones, sorted.
func (c *Cloud) Regions(more []model.Location) []model.Location {
	found := map[model.Location]bool{}
	for _, region := range more {
		found[region] = true
	}
	for _, e := range c.entries.of(TypeNode) {
		found[e.noun.(*model.Node).Location] = true
	}
	delete(found, "")
	return slices.Sorted(maps.Keys(found))
}

// GroupID is the id of a resource group. Unlike all others it ends in the group's own name.
func GroupID(subscription, group string) (ID, error) {
	return ParseID("/subscriptions/" + subscription + "/resourceGroups/" + group)
}

// IsGroup tells whether the id names a resource group.
func (id ID) IsGroup() bool { return !id.IsChild() && id.Provider+"/"+id.Types[0] == TypeResourceGroup }

// splitGroup takes the id of a group apart.
func splitGroup(segments []string) (ID, bool) {
	if len(segments) != 5 || segments[0] != "" || !strings.EqualFold(segments[1], "subscriptions") ||
		!strings.EqualFold(segments[3], "resourceGroups") || !validName(segments[2]) || !validName(segments[4]) {
		return ID{}, false
	}
	provider, typ, _ := strings.Cut(TypeResourceGroup, "/")
	return ID{Subscription: segments[2], ResourceGroup: segments[4], Provider: provider, Types: []string{typ}, Names: []string{segments[4]}}, true
}

// HasSubscription tells whether there is anything in a subscription. The default one is always there.
func (c *Cloud) HasSubscription(subscription string) bool {
	if strings.EqualFold(subscription, DefaultSubscription) {
		return true
	}
	return c.anyBelow("/subscriptions/" + subscription + "/")
}

// HasGroup tells whether a resource group is there: it was made, or has resources, or is the default one.
func (c *Cloud) HasGroup(subscription, group string) bool {
	if strings.EqualFold(subscription, DefaultSubscription) && strings.EqualFold(group, DefaultResourceGroup) {
		return true
	}
	path := "/subscriptions/" + subscription + "/resourceGroups/" + group
	return c.entries.find(strings.ToLower(path)) != nil || c.anyBelow(path+"/")
}

func (c *Cloud) anyBelow(path string) bool { return c.entries.anyBelow(strings.ToLower(path)) }

// Groups walks the names of a subscription's resource groups, as first written, in no order that matters: each that was
// made, with its record, and each that has resources, with its first one. It passes over what is in a group.
func (c *Cloud) Groups(subscription string) iter.Seq2[string, *Record] {
	return func(yield func(string, *Record) bool) {
		prefix := strings.ToLower("/subscriptions/" + subscription + "/resourceGroups/")
		for at := prefix; ; {
			record, key := c.entries.first(at)
			if record == nil || !strings.HasPrefix(key, prefix) {
				return
			}
			name, _, inside := strings.Cut(record.ID[len(prefix):], "/")
			if !yield(name, record) {
				return
			}
			if at = key; inside {
				at = prefix + strings.ToLower(name) + "/\xff" // behind all that is in the group
			}
		}
	}
}

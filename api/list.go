package api

import (
	"context"
	"encoding/json"
	"strings"

	"postern/resource"
)

// Filter chooses the resources of a list. Empty fields choose everything; none depends on case.
type Filter struct {
	Type          string // without it, resource groups are left out
	Subscription  string
	ResourceGroup string

	// Match chooses by what the record says, before it is rendered; nil takes all. The body is as written.
	Match func(record *resource.Record) bool

	After string // the key that the list begins behind, of a former Page.Next
	Limit int    // of resources; 0 for no limit
}

// Page is a part of a list.
type Page struct {
	Resources []json.RawMessage
	Next      string // what to give as Filter.After for the rest; "" at the end
}

// List reads all the top-level resources that a filter chooses, sorted by id.
func (a *API) List(ctx context.Context, filter Filter) ([]json.RawMessage, error) {
	page, err := a.ListPage(ctx, filter)
	return page.Resources, err
}

// ListPage reads the next Limit of the top-level resources that a filter chooses, sorted by id.
func (a *API) ListPage(ctx context.Context, filter Filter) (Page, error) {
	cloud, err := a.cache.Current(ctx)
	if err != nil {
		return Page{}, err
	}
	page := Page{Resources: []json.RawMessage{}}
	last := ""
	below := filter.below()
	for record := range cloud.RecordsAfter(filter.Type, max(filter.After, below)) {
		if !strings.HasPrefix(record.Key(), below) {
			break // keys are sorted
		}
		id, err := resource.ParseID(record.ID)
		if err != nil {
			return Page{}, err
		}
		if !filter.chooses(id, record) {
			continue
		}
		if filter.Limit > 0 && len(page.Resources) == filter.Limit {
			page.Next = last
			return page, nil
		}
		answer, err := cloud.Render(id, a.state(id))
		if err != nil {
			return Page{}, err
		}
		page.Resources, last = append(page.Resources, answer), record.Key()
	}
	return page, nil
}

// below is what the keys of all resources begin with that the filter may choose.
func (f Filter) below() string {
	switch {
	case f.Subscription == "":
		return ""
	case f.ResourceGroup == "":
		return strings.ToLower("/subscriptions/" + f.Subscription + "/")
	}
	return strings.ToLower("/subscriptions/" + f.Subscription + "/resourceGroups/" + f.ResourceGroup + "/")
}

func (f Filter) chooses(id resource.ID, record *resource.Record) bool {
	switch {
	case f.Type == "" && id.IsGroup(),
		f.Subscription != "" && !strings.EqualFold(f.Subscription, id.Subscription),
		f.ResourceGroup != "" && !strings.EqualFold(f.ResourceGroup, id.ResourceGroup):
		return false
	}
	return f.Match == nil || f.Match(record)
}

// ListChildren reads the next limit, 0 for all, of the resources of one collection ("subnets") inside another resource,
// sorted by name: those behind after, which a former Page.Next says.
func (a *API) ListChildren(ctx context.Context, parent resource.ID, collection, after string, limit int) (Page, error) {
	cloud, err := a.cache.Current(ctx)
	if err != nil {
		return Page{}, err
	}
	list, next, err := cloud.RenderChildren(parent, collection, a.state(parent), after, limit)
	return Page{Resources: list, Next: next}, err
}

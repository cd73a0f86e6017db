package arm

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"postern/api"
	"postern/resource"
)

// pageSize is how many resources one answer has when the client asks for no fewer.
const pageSize = 1000

// listCollection answers a collection: of a type in a subscription or a group, or of children of a resource.
func listCollection(r *request) (int, any, error) {
	if len(r.at.names) > 0 {
		parent, err := r.at.parent()
		if err != nil {
			return 0, nil, err
		}
		limit, after, err := r.paging()
		if err != nil {
			return 0, nil, err
		}
		page, err := r.door.API.ListChildren(r.Context(), parent, r.at.types[len(r.at.types)-1], after, limit)
		if err != nil {
			return 0, nil, r.missing(err)
		}
		readable := slices.DeleteFunc(page.Resources, func(child json.RawMessage) bool { return !r.mayReadBody(child) })
		return http.StatusOK, list{Value: readable, NextLink: r.next(page.Next)}, nil
	}
	filter := api.Filter{Type: r.at.provider + "/" + r.at.types[0], Subscription: r.at.subscription, ResourceGroup: r.at.group, Match: r.visible}
	return r.page(filter, func(body json.RawMessage) (json.RawMessage, error) { return body, nil })
}

// listResources answers all types together, each resource in short: without its properties.
func listResources(r *request) (int, any, error) {
	chosen, err := parseFilter(r.URL.Query().Get("$filter"))
	if err != nil {
		return 0, nil, err
	}
	filter := api.Filter{Subscription: r.at.subscription, ResourceGroup: r.at.group, Match: func(record *resource.Record) bool {
		id, err := resource.ParseID(record.ID)
		return err == nil && chosen.matches(id, record.Body) && r.mayRead(id)
	}}
	return r.page(filter, short)
}

// short is a resource as a list of all types has it.
func short(body json.RawMessage) (json.RawMessage, error) {
	var full map[string]json.RawMessage
	if err := json.Unmarshal(body, &full); err != nil {
		return nil, err
	}
	var properties struct {
		State string `json:"provisioningState"`
	}
	if err := json.Unmarshal(full["properties"], &properties); err != nil {
		return nil, err
	}
	kept := map[string]any{"provisioningState": properties.State}
	for _, name := range []string{"id", "name", "type", "location", "tags", "kind", "sku", "identity", "zones", "managedBy"} {
		if value, ok := full[name]; ok {
			kept[name] = value
		}
	}
	return json.Marshal(kept)
}

// page answers one page of what a filter chooses, and the address of the next one.
func (r *request) page(filter api.Filter, form func(json.RawMessage) (json.RawMessage, error)) (int, any, error) {
	if err := r.checkGroup(); err != nil {
		return 0, nil, err
	}
	limit, after, err := r.paging()
	if err != nil {
		return 0, nil, err
	}
	filter.Limit, filter.After = limit, after
	page, err := r.door.API.ListPage(r.Context(), filter)
	if err != nil {
		return 0, nil, err
	}
	for i, body := range page.Resources {
		if page.Resources[i], err = form(body); err != nil {
			return 0, nil, fmt.Errorf("list: %w", err)
		}
	}
	return http.StatusOK, list{Value: page.Resources, NextLink: r.next(page.Next)}, nil
}

// slice answers one page of what is there already; its mark is a place in it.
func (r *request) slice(all []json.RawMessage) (int, any, error) {
	limit, after, err := r.paging()
	if err != nil {
		return 0, nil, err
	}
	from := 0
	if after != "" {
		if from, err = strconv.Atoi(after); err != nil || from < 0 {
			return 0, nil, badToken()
		}
	}
	from = min(from, len(all))
	to, next := min(from+limit, len(all)), ""
	if to < len(all) {
		next = strconv.Itoa(to)
	}
	return http.StatusOK, list{Value: all[from:to], NextLink: r.next(next)}, nil
}

// mark begins what a $skiptoken says, so that a token of somebody else's making is known for one.
const mark = "after:"

// paging reads how many resources a page shall have, and behind which key or name it begins.
func (r *request) paging() (limit int, after string, err error) {
	query := r.URL.Query()
	limit = pageSize
	if top := query.Get("$top"); top != "" {
		wanted, err := strconv.Atoi(top)
		if err != nil || wanted < 1 {
			return 0, "", &resource.Error{Code: "InvalidTopQueryParameter", Status: http.StatusBadRequest, Target: "$top",
				Message: fmt.Sprintf("The $top '%.20s' must be a whole number above 0.", top)}
		}
		limit = min(limit, wanted)
	}
	if token := query.Get("$skiptoken"); token != "" {
		said, err := base64.RawURLEncoding.DecodeString(token)
		marked := false
		if after, marked = strings.CutPrefix(string(said), mark); err != nil || !marked || after == "" {
			return 0, "", badToken()
		}
	}
	return limit, after, nil
}

func badToken() error {
	return &resource.Error{Code: "InvalidSkipToken", Status: http.StatusBadRequest, Target: "$skiptoken",
		Message: "The $skiptoken is none that was given out: follow the nextLink of the page before."}
}

// next is the address of the page behind a key or a name; "" for none.
func (r *request) next(after string) string {
	if after == "" {
		return ""
	}
	query := r.URL.Query()
	query.Set("$skiptoken", base64.RawURLEncoding.EncodeToString([]byte(mark+after)))
	return r.base + (&url.URL{Path: r.URL.Path, RawPath: r.URL.RawPath, RawQuery: query.Encode()}).String()
}

func listTags(r *request) (int, any, error) {
	counts := map[string]map[string]int{}
	_, err := r.door.API.ListPage(r.Context(), api.Filter{Subscription: r.at.subscription, Match: func(record *resource.Record) bool {
		if !r.visible(record) {
			return false
		}
		for name, value := range tagsOf(record.Body) {
			if counts[name] == nil {
				counts[name] = map[string]int{}
			}
			counts[name][value]++
		}
		return false
	}})
	return http.StatusOK, list{Value: tagAnswers(r.at.subscription, counts)}, err
}

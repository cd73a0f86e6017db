package client

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
)

// ActivityPath is where the server tells of the activity log of all subscriptions.
const ActivityPath = "/postern/activity"

// Activity reads the events of the activity log that a query chooses, newest first, as JSON: package activity has the form.
// The query's members are those of the API: package arm.
func (c *Client) Activity(ctx context.Context, query url.Values) ([]json.RawMessage, error) {
	var list struct {
		Value []json.RawMessage `json:"value"`
	}
	return list.Value, c.ask(ctx, http.MethodGet, ActivityPath, query, nil, &list)
}

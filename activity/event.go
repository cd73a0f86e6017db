// Package activity is the log of what was done to the cloud (GOV-2): who wrote, when, what, with which outcome. It is kept in
// files of JSON lines, so that it costs the store nothing, and is bounded by age and number.
package activity

import (
	"strings"
	"time"
)

// Statuses of an event, Azure's.
const (
	Started   = "Started"   // it is allowed and about to be done
	Accepted  = "Accepted"  // it goes on behind the answer
	Succeeded = "Succeeded" // it is done
	Failed    = "Failed"    // it was refused, or failed
)

// Event is one entry. Its JSON is the form of the files and of postern activity -o json.
type Event struct {
	Number      int64     `json:"number"` // counts up, without gaps
	ID          string    `json:"eventDataId"`
	Time        time.Time `json:"eventTimestamp"` // never earlier than that of the event before
	Status      string    `json:"status"`
	Code        int       `json:"statusCode,omitempty"` // of HTTP; 0 for Started
	Operation   string    `json:"operationName"`        // Azure's action: "Microsoft.Network/routeTables/write"
	Resource    string    `json:"resourceId"`           // id of what it is about
	Caller      Caller    `json:"caller"`
	Correlation string    `json:"correlationId"`            // the same for all that one request brings about
	OperationID string    `json:"operationId"`              // of the request: the same for its Started and its end
	Async       string    `json:"asyncOperation,omitempty"` // id of the operation that goes on behind the answer
	Method      string    `json:"method,omitempty"`
	Address     string    `json:"clientIpAddress,omitempty"` // "" for the cloud's own socket
	URI         string    `json:"uri,omitempty"`
	ErrorCode   string    `json:"errorCode,omitempty"`
	Message     string    `json:"statusMessage,omitempty"` // why it failed
}

// Caller is who did it.
type Caller struct {
	Name     string `json:"name"`
	ClientID string `json:"clientId"`
	ObjectID string `json:"objectId"`
}

// Subscription is the GUID in the event's resource; "" for none.
func (e *Event) Subscription() string { return segmentAfter(e.Resource, "subscriptions") }

// ResourceGroup is the group in the event's resource; "" for none.
func (e *Event) ResourceGroup() string { return segmentAfter(e.Resource, "resourcegroups") }

// Provider is the namespace of the operation: "Microsoft.Network".
func (e *Event) Provider() string {
	provider, _, _ := strings.Cut(e.Operation, "/")
	return provider
}

// ResourceType is the operation without its provider's verb: "Microsoft.Network/routeTables".
func (e *Event) ResourceType() string {
	text := strings.TrimSuffix(e.Operation, "/action")
	if at := strings.LastIndexByte(text, '/'); at > 0 {
		return text[:at]
	}
	return text
}

func segmentAfter(id, name string) string {
	segments := strings.Split(id, "/")
	for i := range segments {
		if strings.EqualFold(segments[i], name) && i+1 < len(segments) {
			return segments[i+1]
		}
	}
	return ""
}

// Filter chooses events. Empty fields choose everything; texts compare without case.
type Filter struct {
	From, To      time.Time // inclusive
	Subscription  string
	ResourceGroup string
	Resource      string // and what lies below it
	Provider      string
	Correlation   string
	Caller        string // name, application id or object id
	Status        string
	Operation     string
	Async         string

	Visible func(*Event) bool // nil for all

	Before int64 // the number that the events lie before, of a former Page.Next; 0 for the newest
	Limit  int   // of events; 0 for no limit
}

func (f *Filter) chooses(e *Event) bool {
	equal := func(want, have string) bool { return want == "" || strings.EqualFold(want, have) }
	switch {
	case !f.From.IsZero() && e.Time.Before(f.From), !f.To.IsZero() && e.Time.After(f.To), f.Before > 0 && e.Number >= f.Before:
		return false
	case !equal(f.Subscription, e.Subscription()), !equal(f.ResourceGroup, e.ResourceGroup()), !equal(f.Provider, e.Provider()),
		!equal(f.Correlation, e.Correlation), !equal(f.Status, e.Status), !equal(f.Operation, e.Operation), !equal(f.Async, e.Async):
		return false
	case f.Caller != "" && !equal(f.Caller, e.Caller.Name) && !equal(f.Caller, e.Caller.ClientID) && !equal(f.Caller, e.Caller.ObjectID):
		return false
	case f.Resource != "" && !below(strings.ToLower(f.Resource), strings.ToLower(e.Resource)):
		return false
	}
	return f.Visible == nil || f.Visible(e)
}

func below(scope, id string) bool {
	scope = strings.TrimRight(scope, "/")
	return strings.HasPrefix(id, scope) && (len(id) == len(scope) || id[len(scope)] == '/')
}

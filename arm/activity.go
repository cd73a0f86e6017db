package arm

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"postern/activity"
	"postern/api"
	"postern/resource"
	"postern/store"
)

// activityRoutes are the routes of the activity log.
func activityRoutes() map[string]methods {
	return map[string]methods{
		"microsoft.insights/eventtypes/*/values": {"GET": {readActivity, listActivity}},
		"microsoft.insights/eventcategories":     {"GET": {"Microsoft.Insights/eventCategories/read", listEventCategories}},
	}
}

// writes tells whether a request goes into the activity log: what may change something, and actions (GOV-2).
func (r *request) writes(action string) bool {
	return r.Method != http.MethodGet && r.Method != http.MethodHead && !strings.HasSuffix(action, "/read")
}

// entry is the event of what the request does to a resource.
func (r *request) entry(action, scope string) activity.Event {
	return activity.Event{Operation: action, Resource: scope, Method: r.Method, URI: r.URL.Path, Address: address(r.RemoteAddr),
		Caller:      activity.Caller{Name: r.caller.Name, ClientID: r.caller.ClientID, ObjectID: r.caller.ObjectID},
		Correlation: r.header.Get("X-Ms-Correlation-Request-Id"), OperationID: r.header.Get("X-Ms-Request-Id")}
}

func address(remote string) string {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		return "" // a unix socket has none
	}
	return host
}

// Ended is an event with the outcome of what it is about: an error, or the status of an answer.
func Ended(e activity.Event, status int, err error) activity.Event {
	e.Status, e.Code = activity.Succeeded, status
	if err != nil {
		refusal := asRefusal(err)
		e.Status, e.Code, e.ErrorCode, e.Message = activity.Failed, refusal.Status, refusal.Code, refusal.Message
	}
	return e
}

// Record writes an event to the activity log. What was done is not undone when that fails: it is counted, and told in the
// cloud's own log.
func (d *Door) Record(e activity.Event) {
	if d.Activity == nil {
		return
	}
	if err := d.Activity.Append(e); err != nil {
		d.Log.Error("an event of the activity log is lost", "operation", e.Operation, "resource", e.Resource, "status", e.Status,
			"correlation", e.Correlation, "lost", d.Activity.Lost(), "error", err)
	}
}

// recorded does what a request that writes asks for, and writes that it begins and how it ends.
func (r *request) recorded(action, scope string, answer func() (int, any, error)) (int, any, error) {
	if !r.writes(action) {
		return answer()
	}
	event := r.entry(action, scope)
	begun := event
	begun.Status = activity.Started
	r.door.Record(begun)
	status, body, err := answer()
	r.recordOutcome(event, status, err)
	return status, body, err
}

func (r *request) recordOutcome(event activity.Event, status int, err error) {
	event = Ended(event, status, err)
	if err != nil || r.async == "" {
		r.door.Record(event)
		return
	}
	event.Status, event.Async = activity.Accepted, r.async
	r.door.Record(event)
	if operation, ok := r.door.ends.take(r.async); ok {
		r.door.Record(endOf(event, operation))
	}
}

// recordBatch writes what became of each resource of a batch, beside the batch itself.
func (r *request) recordBatch(batch api.Batch, operation *api.Operation, err error) {
	record := func(id resource.ID, verb string) {
		action := id.Type() + "/" + verb
		if id.IsGroup() {
			action = groupAction + verb
		}
		event := Ended(r.entry(action, id.String()), http.StatusOK, err)
		if operation != nil && err == nil {
			event.Status, event.Code = activity.Accepted, http.StatusAccepted
		}
		r.door.Record(event)
	}
	for _, id := range batch.Delete {
		record(id, "delete")
	}
	for _, item := range batch.Resources {
		record(item.ID, "write")
	}
}

// ends are the operations that have ended before it was written that they were accepted.
type ends struct {
	mu   sync.Mutex
	byID map[string]store.Operation
}

// maxEnds bounds what is remembered: an operation that nobody accepts is one of another process, or of none any more.
const maxEnds = 1000

func (e *ends) put(operation store.Operation) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.byID == nil || len(e.byID) >= maxEnds {
		e.byID = make(map[string]store.Operation)
	}
	e.byID[operation.ID] = operation
}

func (e *ends) take(id string) (store.Operation, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	operation, ok := e.byID[id]
	delete(e.byID, id)
	return operation, ok
}

// RecordEnd writes how an operation has ended that was accepted before, by this process or a former one: who began it is in
// the log. It is for api.API to call.
func (d *Door) RecordEnd(operation store.Operation) {
	if d.Activity == nil {
		return
	}
	d.ends.put(operation) // first, so that whoever writes that it was accepted finds it, or is found below
	page, err := d.Activity.Query(activity.Filter{From: operation.Started, Async: operation.ID, Limit: 1}, time.Now())
	if err != nil {
		d.Log.Error("read the activity log", "error", err)
		return
	}
	if len(page.Events) == 0 {
		return
	}
	if operation, ok := d.ends.take(operation.ID); ok {
		d.Record(endOf(page.Events[0], operation))
	}
}

// endOf is the event of an operation's end.
func endOf(accepted activity.Event, operation store.Operation) activity.Event {
	accepted.Time = operation.Ended
	if operation.Error != nil {
		return Ended(accepted, 0, operation.Error)
	}
	return Ended(accepted, http.StatusOK, nil)
}

// text is a name for programs beside one for people, as Azure writes it.
type text struct {
	Value     string `json:"value"`
	Localized string `json:"localizedValue"`
}

func said(value string) text { return text{value, value} }

// activityEvent is an event as Azure answers it.
type activityEvent struct {
	Authorization  map[string]string `json:"authorization"`
	Caller         string            `json:"caller"`
	Category       text              `json:"category"`
	Channels       string            `json:"channels"`
	Claims         map[string]string `json:"claims"`
	CorrelationID  string            `json:"correlationId"`
	Description    string            `json:"description"`
	EventDataID    string            `json:"eventDataId"`
	EventName      text              `json:"eventName"`
	EventTimestamp time.Time         `json:"eventTimestamp"`
	HTTPRequest    map[string]string `json:"httpRequest,omitempty"`
	ID             string            `json:"id"`
	Level          string            `json:"level"`
	OperationID    string            `json:"operationId"`
	OperationName  text              `json:"operationName"`
	Properties     map[string]string `json:"properties"`
	ResourceGroup  string            `json:"resourceGroupName"`
	ResourceID     string            `json:"resourceId"`
	Provider       text              `json:"resourceProviderName"`
	ResourceType   text              `json:"resourceType"`
	Status         text              `json:"status"`
	SubStatus      text              `json:"subStatus"`
	Submitted      time.Time         `json:"submissionTimestamp"`
	SubscriptionID string            `json:"subscriptionId"`
	TenantID       string            `json:"tenantId"`
}

func (r *request) activityEvent(e *activity.Event) activityEvent {
	answer := activityEvent{
		Authorization: map[string]string{"action": e.Operation, "scope": e.Resource}, Caller: e.Caller.ClientID, Category: said("Administrative"), Channels: "Operation",
		Claims:        map[string]string{"appid": e.Caller.ClientID, "oid": e.Caller.ObjectID, "name": e.Caller.Name, "ipaddr": e.Address},
		CorrelationID: e.Correlation, EventDataID: e.ID, EventName: text{"EndRequest", "End request"}, EventTimestamp: e.Time, Level: "Informational",
		ID:          fmt.Sprintf("%s/events/%s/ticks/%d", e.Resource, e.ID, ticks(e.Time)),
		OperationID: e.OperationID, OperationName: said(e.Operation), Properties: map[string]string{"eventCategory": "Administrative", "entity": e.Resource, "message": e.Operation},
		HTTPRequest:   map[string]string{"clientRequestId": e.OperationID, "clientIpAddress": e.Address, "method": e.Method, "uri": e.URI},
		ResourceGroup: e.ResourceGroup(), ResourceID: e.Resource, Provider: said(e.Provider()), ResourceType: said(e.ResourceType()), Status: said(e.Status),
		Submitted: e.Time, SubscriptionID: e.Subscription(), TenantID: r.door.Tenant,
	}
	if e.Status == activity.Started {
		answer.EventName = text{"BeginRequest", "Begin request"}
	}
	if name := http.StatusText(e.Code); name != "" {
		compact := strings.ReplaceAll(name, " ", "")
		answer.SubStatus = text{compact, fmt.Sprintf("%s (HTTP Status Code: %d)", name, e.Code)}
		answer.Properties["statusCode"] = compact
	}
	if e.Status == activity.Failed {
		answer.Level = "Error"
		refusal, _ := json.Marshal(map[string]any{"error": resource.Error{Code: e.ErrorCode, Message: e.Message}}) // texts can be written
		answer.Properties["statusMessage"] = string(refusal)
	}
	return answer
}

// ticks are the hundreds of nanoseconds since the year 1, as .NET counts.
func ticks(t time.Time) int64 {
	const epoch = 62135596800 // seconds from the year 1 to 1970
	return (t.Unix()+epoch)*1e7 + int64(t.Nanosecond())/100
}

// readActivity is the right to read the activity log. Who has it for the subscription sees all of it, others what is about the
// scopes at which they have it.
const readActivity = "Microsoft.Insights/eventtypes/values/read"

func listActivity(r *request) (int, any, error) {
	if !strings.EqualFold(r.at.names[0], "management") || r.door.Activity == nil {
		return 0, nil, &resource.Error{Code: resource.CodeResourceNotFound, Status: http.StatusNotFound, Target: r.at.names[0],
			Message: fmt.Sprintf("There is no event type '%s': want management.", r.at.names[0])}
	}
	filter, err := parseActivityFilter(r.URL.Query().Get("$filter"))
	if err != nil {
		return 0, nil, err
	}
	filter.Subscription = r.at.subscription
	limit, after, err := r.paging()
	if err != nil {
		return 0, nil, err
	}
	if filter.Limit = min(limit, activityPage); after != "" {
		if filter.Before, err = strconv.ParseInt(after, 10, 64); err != nil || filter.Before < 1 {
			return 0, nil, badToken()
		}
	}
	if !r.may(readActivity, "/subscriptions/"+r.at.subscription) {
		filter.Visible = func(e *activity.Event) bool { return r.may(readActivity, e.Resource) }
	}
	page, err := r.door.Activity.Query(filter, time.Now())
	if err != nil {
		return 0, nil, err
	}
	chosen := selected(r.URL.Query().Get("$select"))
	value := []any{}
	for i := range page.Events {
		one, err := chosen(r.activityEvent(&page.Events[i]))
		if err != nil {
			return 0, nil, err
		}
		value = append(value, one)
	}
	next := ""
	if page.Next > 0 {
		next = strconv.FormatInt(page.Next, 10)
	}
	return http.StatusOK, list{Value: value, NextLink: r.next(next)}, nil
}

// activityPage is how many events one answer has; Azure gives 200.
const activityPage = 200

// allActivity answers the events of all subscriptions, and those of none, in Postern's own form.
func allActivity(r *request) (int, any, error) {
	query := r.URL.Query()
	since, ok := timestamp(query.Get("since"))
	limit, err := strconv.Atoi(cmp.Or(query.Get("top"), strconv.Itoa(pageSize)))
	if !ok || err != nil || limit < 1 {
		return 0, nil, &resource.Error{Code: "InvalidQueryParameterValue", Status: http.StatusBadRequest, Message: "The query must have since, a time, and top above 0."}
	}
	page, err := r.door.Activity.Query(activity.Filter{From: since, ResourceGroup: query.Get("group"), Resource: query.Get("resource"), Caller: query.Get("caller"),
		Status: query.Get("status"), Correlation: query.Get("correlation"), Limit: limit}, time.Now())
	return http.StatusOK, list{Value: page.Events}, err
}

func listEventCategories(*request) (int, any, error) {
	return http.StatusOK, list{Value: []text{said("Administrative")}}, nil
}

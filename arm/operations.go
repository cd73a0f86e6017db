package arm

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"postern/api"
	"postern/resource"
)

// retryAfter is how long a client is asked to wait, in seconds: clients read 0 as half a minute.
const retryAfter = "1"

// accepted tells the client of an operation, if the write is one (ARM-1): where to ask for its end, and for its result. It
// answers the status to give, which is the one given when the write is done.
func (r *request) accepted(operation *api.Operation, status int) int {
	if operation == nil {
		return status
	}
	r.async = operation.ID
	query := "?api-version=" + r.version
	r.header.Set("Azure-AsyncOperation", r.base+operation.Path()+query)
	r.header.Set("Retry-After", retryAfter)
	// What was put can be read at its own address; what a deletion or an action comes to has another.
	if r.Method == http.MethodDelete || r.Method == http.MethodPost {
		status = http.StatusAccepted
	}
	if status == http.StatusAccepted {
		r.header.Set("Location", r.base+operation.ResultPath()+query)
	}
	return status
}

// patiently waits for the end of an operation that the client cannot follow.
func (r *request) patiently(id resource.ID, operation *api.Operation) (*api.Operation, error) {
	if operation != nil && slices.Contains(resource.MannersOf(id.Type()).Patient, r.Method) {
		return nil, r.door.API.Await(r.Context(), operation)
	}
	return operation, nil
}

// operationStatus is the answer about an operation.
type operationStatus struct {
	ID         string               `json:"id"`
	Name       string               `json:"name"`
	Status     string               `json:"status"`
	StartTime  time.Time            `json:"startTime"`
	EndTime    *time.Time           `json:"endTime,omitempty"`
	Properties *operationProperties `json:"properties,omitempty"`
	Error      *resource.Error      `json:"error,omitempty"`
}

// operationProperties are what Azure does not tell.
type operationProperties struct {
	WaitsFor string `json:"waitsFor"` // the nodes that lag, in words
}

// operationOf finds the operation that a path names: …/providers/P/locations/L/operations/ID, or operationResults.
func (r *request) operationOf() (*api.Operation, bool) {
	if !isOperation(r.at) {
		return nil, false
	}
	return r.door.API.Operation(r.at.names[1]), true
}

func isOperation(at target) bool {
	return len(at.types) == 2 && len(at.names) == 2 && strings.EqualFold(at.types[0], "locations") &&
		(strings.EqualFold(at.types[1], "operations") || strings.EqualFold(at.types[1], "operationResults"))
}

// operationRights are what the question about an operation takes: the right to read what it writes. Who may work in one
// resource group alone can follow what they do there.
func operationRights(operation *api.Operation) (action, scope string) {
	id, err := resource.ParseID(operation.Resource)
	switch {
	case err != nil: // a batch
		return applyAction, "/"
	case id.IsGroup():
		return groupAction + "read", id.String()
	}
	return id.Type() + "/read", id.String()
}

func getOperation(r *request) (int, any, error) {
	operation, _ := r.operationOf()
	if operation == nil {
		return 0, nil, noOperation(r.at.names[1])
	}
	answer := operationStatus{ID: operation.Path(), Name: operation.ID, Status: operation.Status, StartTime: operation.Started, Error: operation.Error}
	if operation.Status == api.InProgress {
		r.header.Set("Retry-After", retryAfter)
		if waits := r.door.API.WaitsFor(operation); waits != "" {
			answer.Properties = &operationProperties{waits}
		}
	} else {
		answer.EndTime = &operation.Ended
	}
	return http.StatusOK, answer, nil
}

// getOperationResult answers 202 while the operation goes on, and then what its request would have been answered.
func getOperationResult(r *request) (int, any, error) {
	operation, _ := r.operationOf()
	switch {
	case operation == nil:
		return 0, nil, noOperation(r.at.names[1])
	case operation.Status == api.InProgress:
		r.header.Set("Location", r.base+operation.ResultPath()+"?api-version="+r.version)
		r.header.Set("Retry-After", retryAfter)
		return http.StatusAccepted, nil, nil
	case operation.Error != nil:
		failed := *operation.Error
		failed.Status = http.StatusConflict
		return 0, nil, &failed
	case operation.Method == http.MethodDelete, operation.Resource == "":
		return http.StatusNoContent, nil, nil
	}
	id, err := resource.ParseID(operation.Resource)
	if err != nil {
		return 0, nil, err
	}
	body, err := r.door.API.Get(r.Context(), id)
	return http.StatusOK, body, err
}

func noOperation(id string) error {
	return &resource.Error{Code: "OperationNotFound", Status: http.StatusNotFound, Target: id, Message: fmt.Sprintf("The operation '%.80s' could not be "+
		"found: there is none of that id, or it ended more than an hour ago.", id)}
}

package api

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"postern/resource"
	"postern/store"
)

// InProgress is the status of an operation that has not ended; the others are Succeeded and Failed.
const InProgress = "InProgress"

// Operation is a write that was not enforced when it was answered.
type Operation struct {
	store.Operation
	Status string // InProgress, Succeeded or Failed
}

// Path is where to ask for the operation: the id of a resource that Azure has for each.
func (o *Operation) Path() string { return o.path("operations") }

// ResultPath is where to ask for what it made, when it has ended.
func (o *Operation) ResultPath() string { return o.path("operationResults") }

func (o *Operation) path(kind string) string {
	subscription, provider := resource.DefaultSubscription, "Postern.Fabric"
	if id, err := resource.ParseID(o.Resource); err == nil {
		subscription, provider = id.Subscription, id.Provider
	}
	return "/subscriptions/" + subscription + "/providers/" + provider + "/locations/" + o.Location + "/" + kind + "/" + o.ID
}

// operation is a write as it is answered; mu is held.
func (t *tracked) operation() *Operation {
	answer := &Operation{Operation: t.Operation, Status: InProgress}
	switch {
	case t.Ended.IsZero():
	case t.Error != nil:
		answer.Status = Failed
	default:
		answer.Status = Succeeded
	}
	return answer
}

// Operation finds an operation by its id; nil for none. Those that have ended are known for an hour, a thousand of them at
// most.
func (a *API) Operation(id string) *Operation {
	a.operations.mu.Lock()
	defer a.operations.mu.Unlock()
	if t := a.operations.told[strings.ToLower(id)]; t != nil {
		return t.operation()
	}
	return nil
}

// WaitsFor tells what an operation in progress waits for: the nodes that lag, in words.
func (a *API) WaitsFor(operation *Operation) string {
	a.operations.mu.Lock()
	t := a.operations.told[operation.ID]
	a.operations.mu.Unlock()
	if t == nil {
		return ""
	}
	now, cancel := context.WithCancel(a.ctx)
	cancel()
	var lag *store.LagError
	if errors.As(a.await(now, t), &lag) {
		return lag.Error()
	}
	return ""
}

// Await waits for the end of an operation and answers its failure; nil succeeds at once.
func (a *API) Await(ctx context.Context, operation *Operation) error {
	if operation == nil {
		return nil
	}
	for {
		a.operations.mu.Lock()
		changed, t := a.operations.changed, a.operations.told[operation.ID]
		if t == nil || !t.Ended.IsZero() {
			var failure *resource.Error
			if t != nil {
				failure = t.Error
			}
			a.operations.mu.Unlock()
			if failure != nil {
				return failure
			}
			return nil
		}
		a.operations.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("wait for operation %s: %w", operation.ID, ctx.Err())
		}
	}
}

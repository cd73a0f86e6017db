package arm

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"postern/authorization"
	"postern/resource"
	"postern/server"
	"postern/signin"
)

// byRoles judges by the role assignments (GOV-1). What tells a client no more than how to find its own way takes none:
// the tenant and its providers, the list of subscriptions, which shows those alone in which the caller has a role.
func byRoles(access *server.Access) func(context.Context, signin.Caller, string, string) error {
	return func(_ context.Context, caller signin.Caller, action, scope string) error {
		switch {
		case caller.Owner, access.Set().Allows(caller.ObjectID, action, scope):
			return nil
		case action == readSubscription && (scope == authorization.Root || access.Set().Inside(caller.ObjectID, scope)):
			return nil
		case namesRights[strings.ToLower(action)] && (scope == authorization.Root || access.Set().Inside(caller.ObjectID, subscriptionScope(scope))):
			return nil
		case scope == authorization.Root && free[action]:
			return nil
		}
		return Forbidden(caller, action, scope)
	}
}

// readSubscription is the right to find a subscription. It takes a role anywhere in it, as namesRights do: az asks whether an
// account's name is free before it makes one in a group.
const readSubscription = "Microsoft.Resources/subscriptions/read"

// subscriptionScope is the scope of the subscription that an id lies in.
func subscriptionScope(id string) string {
	segments := strings.SplitN(id, "/", 4)
	if len(segments) < 3 {
		return authorization.Root
	}
	return strings.Join(segments[:3], "/")
}

// free are the actions at the root that take a token and no role.
var free = map[string]bool{"Microsoft.Resources/tenants/read": true, "Microsoft.Resources/providers/read": true}

// Forbidden is the refusal of a caller that lacks the right (GOV-1).
func Forbidden(caller signin.Caller, action, scope string) error {
	return &resource.Error{Code: "AuthorizationFailed", Status: http.StatusForbidden, Message: fmt.Sprintf("The client '%s' with object id '%s' "+
		"does not have authorization to perform action '%s' over scope '%s' or the scope is invalid. If access was recently granted, "+
		"please refresh your credentials.", caller.ClientID, caller.ObjectID, action, scope)}
}

// AuthorizeLinks judges what a body that is written refers to: joining a subnet, a route table and the like takes a right
// of its own on that (FW-14). action and scope are those of the write, which the caller may do.
func (d *Door) AuthorizeLinks(ctx context.Context, caller signin.Caller, typ, action, scope string, body []byte) error {
	var actions, scopes []string
	for _, link := range authorization.Links(typ, body) {
		if d.Authorize(ctx, caller, link.Action, link.Scope) != nil {
			actions, scopes = append(actions, link.Action), append(scopes, link.Scope)
		}
	}
	if len(actions) == 0 {
		return nil
	}
	return &resource.Error{Code: "LinkedAuthorizationFailed", Status: http.StatusForbidden, Message: fmt.Sprintf("The client '%s' with object id '%s' "+
		"has permission to perform action '%s' on scope '%s'; however, it does not have permission to perform action(s) '%s' on the linked "+
		"scope(s) '%s' (respectively) or the linked scope(s) are invalid.", caller.ClientID, caller.ObjectID, action, scope,
		strings.Join(actions, ","), strings.Join(scopes, ","))}
}

// authorizeBody judges the references of a resource's body that the request writes.
func (r *request) authorizeBody(id resource.ID, body []byte) error {
	return r.door.AuthorizeLinks(r.Context(), r.caller, id.Type(), id.Type()+"/write", id.String(), body)
}

func (r *request) may(action, scope string) bool {
	return r.door.Authorize(r.Context(), r.caller, action, scope) == nil
}

// mayRead tells whether the caller may read a resource, for lists.
func (r *request) mayRead(id resource.ID) bool {
	action := id.Type() + "/read"
	if id.IsGroup() {
		action = groupAction + "read"
	}
	return r.may(action, id.String())
}

// visible chooses the records that the caller may read.
func (r *request) visible(record *resource.Record) bool {
	id, err := resource.ParseID(record.ID)
	return err == nil && r.mayRead(id)
}

// mayReadBody is mayRead for a resource as it is answered.
func (r *request) mayReadBody(body json.RawMessage) bool {
	var head struct {
		ID string `json:"id"`
	}
	if json.Unmarshal(body, &head) != nil {
		return false
	}
	id, err := resource.ParseID(head.ID)
	return err == nil && r.mayRead(id)
}

// listsWhatIsVisible tells whether a request is for a list that leaves out what its caller may not read. It takes no right at
// the list's own scope then, but some role inside it.
func (r *request) listsWhatIsVisible(route route) bool {
	if r.Method != http.MethodGet || r.door.Access == nil {
		return false
	}
	container := r.at
	switch {
	case route.operation == groupAction+"read" && r.at.group == "",
		route.operation == "Microsoft.Resources/subscriptions/resources/read", route.operation == groupAction+"resources/read":
	case route.operation == readActivity:
		container = target{subscription: r.at.subscription}
	case r.at.provider != "" && len(r.at.names) < len(r.at.types) && r.at.known() == nil:
		if len(r.at.names) == 0 {
			container.provider = ""
		}
	default:
		return false
	}
	return r.door.Access.Set().Below(r.caller.ObjectID, container.scope())
}

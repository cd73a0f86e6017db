// Package authorization says who may do what (GOV-1): role definitions, their assignments to principals at scopes, and the
// decision that follows. It is pure. A Set is all roles and assignments at one moment; writes make a new Set. Scopes are ids
// ("/subscriptions/S/resourceGroups/G"), principals object ids, actions Azure's names ("Microsoft.Network/routeTables/write").
package authorization

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"postern/resource"
)

// Types of role definitions.
const (
	BuiltIn = "BuiltInRole"
	Custom  = "CustomRole"
)

// Role is a role definition.
type Role struct {
	Name             string       `json:"name"` // GUID in lower case, one for the whole tenant
	RoleName         string       `json:"roleName"`
	Description      string       `json:"description"`
	Type             string       `json:"type"` // BuiltIn or Custom
	Permissions      []Permission `json:"permissions"`
	AssignableScopes []string     `json:"assignableScopes"`
	Stamp
}

// Permission is what a role lets do: Actions without NotActions. DataActions are kept and answered; what they are about, the
// data of services, does not come through the API.
type Permission struct {
	Actions        []string `json:"actions"`
	NotActions     []string `json:"notActions"`
	DataActions    []string `json:"dataActions"`
	NotDataActions []string `json:"notDataActions"`
}

// Filled is the permission with empty lists where it has none, as Azure answers it.
func (p Permission) Filled() Permission {
	for _, list := range []*[]string{&p.Actions, &p.NotActions, &p.DataActions, &p.NotDataActions} {
		if *list == nil {
			*list = []string{}
		}
	}
	return p
}

// Stamp is when and by whom something was written; object ids of principals.
type Stamp struct {
	CreatedOn time.Time `json:"createdOn"`
	UpdatedOn time.Time `json:"updatedOn"`
	CreatedBy string    `json:"createdBy"`
	UpdatedBy string    `json:"updatedBy"`
}

// renew is the stamp of a thing that is written again.
func (s Stamp) renew(before Stamp) Stamp {
	s.CreatedOn, s.CreatedBy = before.CreatedOn, before.CreatedBy
	return s
}

// RoleID is a role's id as it is seen from a scope: that of the scope's subscription.
func RoleID(scope, name string) string {
	return subscriptionOf(scope) + "/providers/Microsoft.Authorization/roleDefinitions/" + name
}

// assignableAt tells whether a role can be assigned at a scope.
func (r *Role) assignableAt(scope string) bool {
	return slices.ContainsFunc(r.AssignableScopes, func(allowed string) bool { return Covers(allowed, scope) })
}

// Bounds of a custom role.
const (
	maxRoleName    = 512
	maxDescription = 2048
	maxActions     = 2048
	maxScopes      = 2000
)

// judge refuses a custom role that cannot be.
func (r *Role) judge() error {
	bad := func(code, target, format string, args ...any) error {
		return &resource.Error{Code: code, Target: target, Status: http.StatusBadRequest, Message: fmt.Sprintf(format, args...)}
	}
	if !isGUID(r.Name) {
		return bad("InvalidRoleDefinitionId", "name", "The role definition ID '%s' is not valid. The role definition ID must be a GUID.", r.Name)
	}
	if r.Type != Custom {
		return bad("InvalidRoleDefinition", "type", "The type '%s' cannot be written: roles of one's own are of the type %s.", r.Type, Custom)
	}
	if r.RoleName == "" || len(r.RoleName) > maxRoleName {
		return bad("InvalidRoleDefinition", "roleName", "The role must have a roleName of at most %d characters.", maxRoleName)
	}
	if len(r.Description) > maxDescription {
		return bad("InvalidRoleDefinition", "description", "The description is longer than %d characters.", maxDescription)
	}
	count := 0
	for _, permission := range r.Permissions {
		for _, list := range [][]string{permission.Actions, permission.NotActions, permission.DataActions, permission.NotDataActions} {
			count += len(list)
			for _, action := range list {
				if !validAction(action) {
					return bad("InvalidActionOrNotAction", "permissions", "'%.200s' does not match any of the actions supported by the providers: want "+
						"PROVIDER/TYPE/VERB, where * stands for any text.", action)
				}
			}
		}
	}
	if count == 0 || count > maxActions {
		return bad("InvalidRoleDefinition", "permissions", "The role has %d actions: 1 to %d are possible.", count, maxActions)
	}
	if len(r.AssignableScopes) == 0 || len(r.AssignableScopes) > maxScopes {
		return bad("MissingAssignableScopes", "assignableScopes", "The role has %d assignable scopes: 1 to %d are possible.", len(r.AssignableScopes), maxScopes)
	}
	for _, scope := range r.AssignableScopes {
		if subscriptionOf(scope) == "" || strings.Contains(strings.ToLower(scope), "/providers/") {
			return bad("InvalidRoleDefinition", "assignableScopes", "The assignable scope '%.200s' is neither a subscription nor a resource group.", scope)
		}
	}
	return nil
}

// validAction takes "*" and what has the form PROVIDER/…/VERB, with stars anywhere.
func validAction(action string) bool {
	if action == "*" {
		return true
	}
	if action == "" || len(action) > 512 || !strings.Contains(action, "/") || strings.Contains(action, "//") || strings.HasPrefix(action, "/") || strings.HasSuffix(action, "/") {
		return false
	}
	return !strings.ContainsFunc(action, func(c rune) bool {
		return !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.ContainsRune("./*-_", c))
	})
}

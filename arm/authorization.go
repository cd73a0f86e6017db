package arm

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"postern/authorization"
	"postern/resource"
	"postern/server"
)

// accessRoutes are the routes of Microsoft.Authorization.
func accessRoutes() map[string]methods {
	const definitions, assignments = "microsoft.authorization/roledefinitions", "microsoft.authorization/roleassignments"
	return map[string]methods{
		definitions:                           {"GET": {"", listRoles}},
		definitions + "/*":                    {"GET": {"", getRole}, "PUT": {"", putRole}, "DELETE": {"", deleteRole}},
		assignments:                           {"GET": {"", listAssignments}},
		assignments + "/*":                    {"GET": {"", getAssignment}, "HEAD": {"", headAssignment}, "PUT": {"", putAssignment}, "DELETE": {"", deleteAssignment}},
		"microsoft.authorization/permissions": {"GET": {"", listPermissions}},
	}
}

// parseExtension reads a path of Microsoft.Authorization: its resources stand on a scope of any kind, the tenant, a
// subscription, a group or a resource.
func parseExtension(segments []string) (target, bool) {
	for i := len(segments) - 2; i >= 0; i-- {
		if !strings.EqualFold(segments[i], "providers") || !strings.EqualFold(segments[i+1], "Microsoft.Authorization") || len(segments) == i+2 {
			continue
		}
		at, rest := parse(segments[:i])
		if len(rest) > 0 || len(at.names) < len(at.types) || at.provider != "" && len(at.types) == 0 {
			return target{}, false
		}
		at.on = at.scope()
		at.types, at.names = nil, nil
		return belowProvider(at, segments[i:]), true
	}
	return target{}, false
}

// roleAnswer is a role definition as it is answered, and as far as it can be written how it is written.
type roleAnswer struct {
	ID         string         `json:"id"`
	Type       string         `json:"type"`
	Name       string         `json:"name"`
	Properties roleProperties `json:"properties"`
}

type roleProperties struct {
	RoleName         string                     `json:"roleName"`
	Type             string                     `json:"type"`
	Description      string                     `json:"description"`
	AssignableScopes []string                   `json:"assignableScopes"`
	Permissions      []authorization.Permission `json:"permissions"`
	stamp
}

// stamp is an authorization.Stamp with what nobody wrote as null, as Azure has it.
type stamp struct {
	CreatedOn time.Time `json:"createdOn"`
	UpdatedOn time.Time `json:"updatedOn"`
	CreatedBy *string   `json:"createdBy"`
	UpdatedBy *string   `json:"updatedBy"`
}

func stampOf(s authorization.Stamp) stamp {
	return stamp{s.CreatedOn, s.UpdatedOn, orNull(s.CreatedBy), orNull(s.UpdatedBy)}
}

func orNull(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

func (r *request) stamp() authorization.Stamp {
	now := time.Now().UTC().Truncate(time.Millisecond)
	return authorization.Stamp{CreatedOn: now, UpdatedOn: now, CreatedBy: r.caller.ObjectID, UpdatedBy: r.caller.ObjectID}
}

func (r *request) role(role *authorization.Role) roleAnswer {
	answer := roleAnswer{ID: authorization.RoleID(r.at.on, role.Name), Type: "Microsoft.Authorization/roleDefinitions", Name: role.Name,
		Properties: roleProperties{RoleName: role.RoleName, Type: role.Type, Description: role.Description, AssignableScopes: role.AssignableScopes,
			Permissions: []authorization.Permission{}, stamp: stampOf(role.Stamp)}}
	for _, permission := range role.Permissions {
		answer.Properties.Permissions = append(answer.Properties.Permissions, permission.Filled())
	}
	return answer
}

// checkScope refuses a scope that is not there.
func (r *request) checkScope(scope string) error {
	cloud, err := r.door.Cache.Current(r.Context())
	if err != nil || server.ScopeExists(cloud, scope) {
		return err
	}
	if err := r.checkGroup(); err != nil {
		return err
	}
	return &resource.Error{Code: resource.CodeResourceNotFound, Status: http.StatusNotFound, Target: scope,
		Message: fmt.Sprintf("The scope '%s' was not found.", scope)}
}

func noRole(name string) error {
	return &resource.Error{Code: "RoleDefinitionDoesNotExist", Status: http.StatusNotFound, Target: name,
		Message: fmt.Sprintf("The specified role definition with ID '%s' does not exist.", name)}
}

func listRoles(r *request) (int, any, error) {
	chosen, err := parseRoleFilter(r.URL.Query().Get("$filter"))
	if err != nil {
		return 0, nil, err
	}
	value := []roleAnswer{}
	for _, role := range r.door.Access.Set().Roles() {
		if chosen.matchesRole(role, r.at.on) {
			value = append(value, r.role(role))
		}
	}
	return http.StatusOK, list{Value: value}, nil
}

func getRole(r *request) (int, any, error) {
	role, ok := r.door.Access.Set().Role(r.at.names[0])
	if !ok {
		return 0, nil, noRole(r.at.names[0])
	}
	return http.StatusOK, r.role(role), nil
}

// putRole writes a custom role. Azure answers 201 for changes too. The caller needs the right at every assignable scope.
func putRole(r *request) (int, any, error) {
	data, err := r.body()
	if err != nil {
		return 0, nil, err
	}
	var body roleAnswer
	if err := json.Unmarshal(data, &body); err != nil {
		return 0, nil, unreadable(err)
	}
	role := authorization.Role{Name: r.at.names[0], RoleName: body.Properties.RoleName, Description: body.Properties.Description,
		Type: authorization.Custom, Permissions: body.Properties.Permissions, AssignableScopes: body.Properties.AssignableScopes, Stamp: r.stamp()}
	if typ := body.Properties.Type; typ != "" && !strings.EqualFold(typ, authorization.Custom) {
		role.Type = typ
	}
	for i, scope := range role.AssignableScopes {
		role.AssignableScopes[i] = strings.TrimRight(scope, "/")
		if err := r.checkScope(scope); err != nil {
			return 0, nil, err
		}
		if !r.may("Microsoft.Authorization/roleDefinitions/write", scope) {
			return 0, nil, Forbidden(r.caller, "Microsoft.Authorization/roleDefinitions/write", scope)
		}
	}
	written, err := r.door.Access.PutRole(r.Context(), role)
	if err != nil {
		return 0, nil, err
	}
	return http.StatusCreated, r.role(written), nil
}

func deleteRole(r *request) (int, any, error) {
	deleted, err := r.door.Access.DeleteRole(r.Context(), r.at.names[0])
	if err != nil || deleted == nil {
		return http.StatusNoContent, nil, err
	}
	return http.StatusOK, r.role(deleted), nil
}

// assignmentAnswer is a role assignment as it is answered, and as far as it can be written how it is written.
type assignmentAnswer struct {
	ID         string               `json:"id"`
	Type       string               `json:"type"`
	Name       string               `json:"name"`
	Properties assignmentProperties `json:"properties"`
}

type assignmentProperties struct {
	RoleDefinitionID string  `json:"roleDefinitionId"`
	PrincipalID      string  `json:"principalId"`
	PrincipalType    string  `json:"principalType"`
	Scope            string  `json:"scope"`
	Condition        *string `json:"condition"`
	ConditionVersion *string `json:"conditionVersion"`
	Description      *string `json:"description"`
	stamp
}

func assignmentOf(assignment *authorization.Assignment) assignmentAnswer {
	return assignmentAnswer{ID: assignment.ID(), Type: "Microsoft.Authorization/roleAssignments", Name: assignment.Name,
		Properties: assignmentProperties{RoleDefinitionID: authorization.RoleID(assignment.Scope, assignment.Role), PrincipalID: assignment.PrincipalID,
			PrincipalType: assignment.PrincipalType, Scope: assignment.Scope, Description: orNull(assignment.Description), stamp: stampOf(assignment.Stamp)}}
}

func listAssignments(r *request) (int, any, error) {
	chosen, err := parseRoleFilter(r.URL.Query().Get("$filter"))
	if err != nil {
		return 0, nil, err
	}
	if err := r.checkScope(r.at.on); err != nil {
		return 0, nil, err
	}
	value := []json.RawMessage{}
	for _, assignment := range r.door.Access.Set().Assignments() {
		if chosen.matchesAssignment(assignment, r.at.on) {
			one, err := json.Marshal(assignmentOf(assignment))
			if err != nil {
				return 0, nil, err
			}
			value = append(value, one)
		}
	}
	return r.slice(value)
}

// assignment finds the assignment that the request names, at the scope that it names.
func (r *request) assignment() (*authorization.Assignment, bool) {
	assignment, ok := r.door.Access.Set().Assignment(r.at.names[0])
	return assignment, ok && strings.EqualFold(assignment.Scope, r.at.on)
}

func getAssignment(r *request) (int, any, error) {
	assignment, ok := r.assignment()
	if !ok {
		return 0, nil, &resource.Error{Code: "RoleAssignmentNotFound", Status: http.StatusNotFound, Target: r.at.names[0],
			Message: fmt.Sprintf("The role assignment '%s' is not found.", r.at.names[0])}
	}
	return http.StatusOK, assignmentOf(assignment), nil
}

func headAssignment(r *request) (int, any, error) {
	_, _, err := getAssignment(r)
	return http.StatusNoContent, nil, err
}

func putAssignment(r *request) (int, any, error) {
	data, err := r.body()
	if err != nil {
		return 0, nil, err
	}
	var body assignmentAnswer
	if err := json.Unmarshal(data, &body); err != nil {
		return 0, nil, unreadable(err)
	}
	given := body.Properties
	if err := r.checkScope(r.at.on); err != nil {
		return 0, nil, err
	}
	if given.Condition != nil && *given.Condition != "" {
		return 0, nil, &resource.Error{Code: "ConditionNotSupported", Status: http.StatusBadRequest, Target: "condition",
			Message: "Conditions on role assignments are not there in Postern: leave the condition out."}
	}
	exists, err := r.door.Principal(r.Context(), given.PrincipalID)
	if err != nil {
		return 0, nil, err
	}
	if !exists {
		return 0, nil, &resource.Error{Code: "PrincipalNotFound", Status: http.StatusBadRequest, Target: "principalId",
			Message: fmt.Sprintf("Principal %.40s does not exist in the directory %s. Check that you have the correct principal ID.",
				strings.ReplaceAll(given.PrincipalID, "-", ""), r.door.Tenant)}
	}
	assignment := authorization.Assignment{Name: r.at.names[0], Scope: r.at.on, Role: given.RoleDefinitionID[strings.LastIndexByte(given.RoleDefinitionID, '/')+1:],
		PrincipalID: given.PrincipalID, PrincipalType: authorization.ServicePrincipal, Stamp: r.stamp()}
	if given.PrincipalType != "" && !strings.EqualFold(given.PrincipalType, authorization.ServicePrincipal) {
		assignment.PrincipalType = given.PrincipalType
	}
	if given.Description != nil {
		assignment.Description = *given.Description
	}
	written, created, err := r.door.Access.PutAssignment(r.Context(), assignment)
	if err != nil {
		return 0, nil, err
	}
	return createdOr200(created), assignmentOf(written), nil
}

func deleteAssignment(r *request) (int, any, error) {
	if _, ok := r.assignment(); !ok {
		return http.StatusNoContent, nil, nil
	}
	deleted, err := r.door.Access.DeleteAssignments(r.Context(), func(a *authorization.Assignment) bool {
		return strings.EqualFold(a.Name, r.at.names[0]) && strings.EqualFold(a.Scope, r.at.on)
	})
	if err != nil || len(deleted) == 0 {
		return http.StatusNoContent, nil, err
	}
	return http.StatusOK, assignmentOf(deleted[0]), nil
}

// listPermissions answers what the caller may do at a scope.
func listPermissions(r *request) (int, any, error) {
	if err := r.checkScope(r.at.on); err != nil {
		return 0, nil, err
	}
	value := []authorization.Permission{}
	permissions := r.door.Access.Set().Permissions(r.caller.ObjectID, r.at.on)
	if r.caller.Owner {
		permissions = []authorization.Permission{{Actions: []string{"*"}}}
	}
	for _, permission := range permissions {
		value = append(value, permission.Filled())
	}
	return http.StatusOK, list{Value: value}, nil
}

func unreadable(err error) error {
	return &resource.Error{Code: resource.CodeInvalidRequestContent, Status: http.StatusBadRequest,
		Message: fmt.Sprintf("The request content was invalid and could not be deserialized: %v.", err)}
}

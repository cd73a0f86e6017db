package authorization

import (
	"maps"
	"net/http"
	"strings"
)

// Limits, those of Azure.
const (
	maxAssignments = 4000 // of a subscription
	maxCustomRoles = 5000 // of the tenant
)

// copied is a set that can be changed before anybody sees it.
func (s *Set) copied() *Set {
	return &Set{roles: maps.Clone(orEmpty(s.roles)), assignments: maps.Clone(orEmpty(s.assignments))}
}

func orEmpty[V any](m map[string]V) map[string]V {
	if m == nil {
		return map[string]V{}
	}
	return m
}

// PutRole writes a custom role, and answers it as it then stands.
func (s *Set) PutRole(role Role) (*Set, *Role, error) {
	role.Name = strings.ToLower(role.Name)
	if err := role.judge(); err != nil {
		return nil, nil, err
	}
	for _, other := range s.Roles() {
		if other.Name != role.Name && strings.EqualFold(other.RoleName, role.RoleName) {
			return nil, nil, refuse(http.StatusConflict, "RoleDefinitionWithSameNameExists", "roleName",
				"A custom role with the same name '%s' already exists in this directory. Use a different name.", role.RoleName)
		}
	}
	before, exists := s.Role(role.Name)
	switch {
	case exists && before.Type == BuiltIn:
		return nil, nil, refuse(http.StatusBadRequest, "InvalidRoleDefinition", "name", "The role '%s' is built in and cannot be changed.", before.RoleName)
	case exists:
		role.Stamp = role.Stamp.renew(before.Stamp)
	case len(s.roles) >= maxCustomRoles:
		return nil, nil, refuse(http.StatusBadRequest, "RoleDefinitionLimitExceeded", "", "Role definition limit exceeded: no more than %d custom roles are possible.", maxCustomRoles)
	}
	for _, assignment := range s.assignments {
		if assignment.Role == role.Name && !role.assignableAt(assignment.Scope) {
			return nil, nil, refuse(http.StatusBadRequest, "RoleDefinitionHasAssignments", "assignableScopes",
				"The role is assigned at '%s', which the new assignable scopes do not cover.", assignment.Scope)
		}
	}
	after := s.copied()
	after.roles[role.Name] = &role
	after.index()
	return after, &role, nil
}

// DeleteRole removes a custom role, and answers it as it was; nil when there was none.
func (s *Set) DeleteRole(name string) (*Set, *Role, error) {
	role, ok := s.Role(name)
	if !ok {
		return s, nil, nil
	}
	if role.Type == BuiltIn {
		return nil, nil, refuse(http.StatusBadRequest, "InvalidRoleDefinition", "name", "The role '%s' is built in and cannot be deleted.", role.RoleName)
	}
	for _, assignment := range s.assignments {
		if assignment.Role == role.Name {
			return nil, nil, refuse(http.StatusBadRequest, "RoleDefinitionHasAssignments", "name",
				"There are existing role assignments referencing role (code: RoleDefinitionHasAssignments): %s.", assignment.ID())
		}
	}
	after := s.copied()
	delete(after.roles, role.Name)
	after.index()
	return after, role, nil
}

// PutAssignment writes an assignment, and answers it as it then stands and whether it is new. That its scope and its
// principal exist is for the caller to see.
func (s *Set) PutAssignment(assignment Assignment) (after *Set, written *Assignment, created bool, err error) {
	assignment.Name, assignment.PrincipalID = strings.ToLower(assignment.Name), strings.ToLower(assignment.PrincipalID)
	if err := assignment.judge(); err != nil {
		return nil, nil, false, err
	}
	role, ok := s.Role(assignment.Role)
	if !ok || !role.assignableAt(assignment.Scope) {
		return nil, nil, false, refuse(http.StatusBadRequest, "RoleDefinitionDoesNotExist", "roleDefinitionId",
			"The specified role definition with ID '%.80s' does not exist at the scope '%s'.", assignment.Role, assignment.Scope)
	}
	assignment.Role = role.Name
	before, exists := s.assignments[assignment.Name]
	if exists && (!before.sameGrant(&assignment)) {
		return nil, nil, false, refuse(http.StatusBadRequest, "RoleAssignmentUpdateNotPermitted", "",
			"Tenant ID, application ID, principal ID, and scope are not allowed to be updated.")
	}
	inSubscription := 0
	for _, other := range s.assignments {
		if other.Name != assignment.Name && other.sameGrant(&assignment) {
			return nil, nil, false, refuse(http.StatusConflict, "RoleAssignmentExists", "",
				"The role assignment already exists. The ID of the conflicting role assignment is %s.", strings.ReplaceAll(other.Name, "-", ""))
		}
		if strings.EqualFold(subscriptionOf(other.Scope), subscriptionOf(assignment.Scope)) {
			inSubscription++
		}
	}
	if exists {
		assignment.Scope, assignment.Stamp = before.Scope, assignment.Stamp.renew(before.Stamp)
	} else if inSubscription >= maxAssignments {
		return nil, nil, false, refuse(http.StatusBadRequest, "RoleAssignmentLimitExceeded", "",
			"The number of role assignments of the subscription is at its limit of %d.", maxAssignments)
	}
	after = s.copied()
	after.assignments[assignment.Name] = &assignment
	after.index()
	return after, &assignment, !exists, nil
}

// sameGrant tells whether two assignments give the same.
func (a *Assignment) sameGrant(b *Assignment) bool {
	return scopeKey(a.Scope) == scopeKey(b.Scope) && a.Role == b.Role && a.PrincipalID == b.PrincipalID
}

// DeleteAssignments removes assignments by their names; those that are not there do not count.
func (s *Set) DeleteAssignments(names ...string) *Set {
	after := s.copied()
	for _, name := range names {
		delete(after.assignments, strings.ToLower(name))
	}
	after.index()
	return after
}

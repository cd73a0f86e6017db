package arm

import (
	"fmt"
	"net/http"
	"strings"

	"postern/authorization"
	"postern/resource"
)

// roleFilter is a $filter of role definitions or role assignments.
type roleFilter struct {
	atScope  bool // nothing below the scope
	andBelow bool // atScopeAndBelow()
	equal    map[string]string
}

// parseRoleFilter reads conditions joined by "and": atScope(), atScopeAndBelow(), assignedTo('ID'), and principalId,
// roleName or type eq 'VALUE'.
func parseRoleFilter(text string) (roleFilter, error) {
	f := roleFilter{equal: map[string]string{}}
	bad := func(reason string) (roleFilter, error) {
		return roleFilter{}, &resource.Error{Code: "UnsupportedQuery", Status: http.StatusBadRequest, Target: "$filter",
			Message: fmt.Sprintf("The filter '%.200s' is not supported: %s. Known are atScope(), atScopeAndBelow(), assignedTo('ID'), and principalId, "+
				"roleName and type with eq, joined by and.", text, reason)}
	}
	for rest := strings.TrimSpace(text); rest != ""; {
		lower := strings.ToLower(rest)
		name := ""
		switch {
		case strings.HasPrefix(lower, "atscope()"):
			f.atScope, rest = true, rest[len("atScope()"):]
		case strings.HasPrefix(lower, "atscopeandbelow()"):
			f.andBelow, rest = true, rest[len("atScopeAndBelow()"):]
		case strings.HasPrefix(lower, "assignedto("):
			name, rest = "principalid", rest[len("assignedTo("):]
		default:
			for _, field := range []string{"principalid", "rolename", "type"} {
				operand, ok := strings.CutPrefix(lower, field+" ")
				if operand = strings.TrimLeft(operand, " "); ok && strings.HasPrefix(operand, "eq ") {
					name, rest = field, strings.TrimLeft(rest[len(rest)-len(operand)+len("eq "):], " ")
				}
			}
			if name == "" {
				return bad("it has '" + rest + "'")
			}
		}
		if name != "" {
			value, behind, ok := quoted(strings.TrimLeft(rest, " "))
			if !ok {
				return bad("a value has no quotes")
			}
			if strings.HasPrefix(lower, "assignedto(") {
				if behind, ok = strings.CutPrefix(strings.TrimLeft(behind, " "), ")"); !ok {
					return bad("a bracket is open")
				}
			}
			f.equal[name], rest = value, behind
		}
		if rest = strings.TrimSpace(rest); rest == "" {
			break
		}
		word, behind, _ := strings.Cut(rest, " ")
		if !strings.EqualFold(word, "and") || strings.TrimSpace(behind) == "" {
			return bad("it goes on with '" + word + "'")
		}
		rest = strings.TrimSpace(behind)
	}
	return f, nil
}

// matchesRole chooses the roles that can be assigned at a scope; with atScopeAndBelow() those that can be below it, too.
func (f roleFilter) matchesRole(role *authorization.Role, scope string) bool {
	if name, ok := f.equal["rolename"]; ok && !strings.EqualFold(name, role.RoleName) {
		return false
	}
	if typ, ok := f.equal["type"]; ok && !strings.EqualFold(typ, role.Type) {
		return false
	}
	for _, assignable := range role.AssignableScopes {
		if authorization.Covers(assignable, scope) || f.andBelow && authorization.Covers(scope, assignable) {
			return true
		}
	}
	return false
}

// matchesAssignment chooses the assignments at a scope, above it and, but with atScope(), below it.
func (f roleFilter) matchesAssignment(assignment *authorization.Assignment, scope string) bool {
	if principal, ok := f.equal["principalid"]; ok && !strings.EqualFold(principal, assignment.PrincipalID) {
		return false
	}
	return authorization.Covers(assignment.Scope, scope) || !f.atScope && authorization.Covers(scope, assignment.Scope)
}

package authorization

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

// Set is all custom roles and all assignments at one moment, beside the built-in roles. It is immutable and safe for
// concurrent use; the zero value has no assignment, so that nobody may do anything.
type Set struct {
	roles       map[string]*Role       // custom ones, by name
	assignments map[string]*Assignment // by name
	grants      map[string][]grant     // by principal's object id in lower case
}

// grant is an assignment ready to decide with.
type grant struct {
	scope string // key
	rules []rule
	role  *Role
}

// rule is a permission ready to compare.
type rule struct{ allowed, excepted []pattern }

// NewSet makes the set of custom roles and assignments as they were stored. An assignment whose role is not there gives nothing.
func NewSet(roles []Role, assignments []Assignment) *Set {
	s := &Set{roles: make(map[string]*Role, len(roles)), assignments: make(map[string]*Assignment, len(assignments))}
	for i := range roles {
		s.roles[roles[i].Name] = &roles[i]
	}
	for i := range assignments {
		s.assignments[assignments[i].Name] = &assignments[i]
	}
	s.index()
	return s
}

// index fills grants.
func (s *Set) index() {
	s.grants = make(map[string][]grant)
	for _, name := range slices.Sorted(maps.Keys(s.assignments)) {
		assignment := s.assignments[name]
		role, ok := s.Role(assignment.Role)
		if !ok {
			continue
		}
		granted := grant{scope: scopeKey(assignment.Scope), role: role}
		for _, permission := range role.Permissions {
			granted.rules = append(granted.rules, rule{patterns(permission.Actions), patterns(permission.NotActions)})
		}
		principal := strings.ToLower(assignment.PrincipalID)
		s.grants[principal] = append(s.grants[principal], granted)
	}
}

func patterns(actions []string) []pattern {
	list := make([]pattern, len(actions))
	for i, action := range actions {
		list[i] = newPattern(action)
	}
	return list
}

// Allows decides (GOV-1): a principal may do an action at a scope if a role that it has there, or above, has the action
// among its actions and not among its notActions. What one role excepts another may give.
func (s *Set) Allows(principal, action, scope string) bool {
	action, scope = strings.ToLower(action), scopeKey(scope)
	for _, granted := range s.grants[strings.ToLower(principal)] {
		if covers(granted.scope, scope) && granted.allows(action) {
			return true
		}
	}
	return false
}

func (g *grant) allows(action string) bool {
	matches := func(p pattern) bool { return p.matches(action) }
	return slices.ContainsFunc(g.rules, func(r rule) bool {
		return slices.ContainsFunc(r.allowed, matches) && !slices.ContainsFunc(r.excepted, matches)
	})
}

// Inside tells whether a principal has any role at a scope, above or below it: whether it may know that the scope is there.
func (s *Set) Inside(principal, scope string) bool {
	scope = scopeKey(scope)
	return slices.ContainsFunc(s.grants[strings.ToLower(principal)], func(g grant) bool {
		return covers(g.scope, scope) || covers(scope, g.scope)
	})
}

// Below tells whether a principal has any role strictly inside a scope.
func (s *Set) Below(principal, scope string) bool {
	scope = scopeKey(scope)
	return slices.ContainsFunc(s.grants[strings.ToLower(principal)], func(g grant) bool { return len(g.scope) > len(scope) && covers(scope, g.scope) })
}

// Permissions are those of all roles that a principal has at a scope or above.
func (s *Set) Permissions(principal, scope string) []Permission {
	list := []Permission{}
	scope = scopeKey(scope)
	for _, granted := range s.grants[strings.ToLower(principal)] {
		if covers(granted.scope, scope) {
			list = append(list, granted.role.Permissions...)
		}
	}
	return list
}

// Role finds a role by its name, a GUID.
func (s *Set) Role(name string) (*Role, bool) {
	name = strings.ToLower(name)
	if role, ok := builtIn[name]; ok {
		return role, true
	}
	role, ok := s.roles[name]
	return role, ok
}

// Roles are all roles, the built-in ones first, then by their names for people.
func (s *Set) Roles() []*Role {
	list := slices.Concat(slices.Collect(maps.Values(builtIn)), slices.Collect(maps.Values(s.roles)))
	slices.SortFunc(list, func(a, b *Role) int {
		return cmp.Or(cmp.Compare(a.Type, b.Type), cmp.Compare(a.RoleName, b.RoleName), cmp.Compare(a.Name, b.Name))
	})
	return list
}

// Assignment finds an assignment by its name, a GUID.
func (s *Set) Assignment(name string) (*Assignment, bool) {
	assignment, ok := s.assignments[strings.ToLower(name)]
	return assignment, ok
}

// Assignments are all assignments, by scope and name.
func (s *Set) Assignments() []*Assignment {
	return slices.SortedFunc(maps.Values(s.assignments), func(a, b *Assignment) int {
		return cmp.Or(cmp.Compare(scopeKey(a.Scope), scopeKey(b.Scope)), cmp.Compare(a.Name, b.Name))
	})
}

package authorization

import (
	"errors"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"

	"postern/resource"
)

const (
	ann, bob   = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"
	sub, group = "/subscriptions/S", "/subscriptions/S/resourceGroups/g"
	vnet       = group + "/providers/Microsoft.Network/virtualNetworks/v"
	network    = "4d97b98b-1d4f-4787-a291-c67834d212e7"
	contrib    = "b24988ac-6180-42a0-ab88-20f7382dd24c"
	custom     = "aaaaaaaa-0000-4000-8000-000000000001"
)

func guid(n int) string {
	return "cccccccc-0000-4000-8000-" + strings.Repeat("0", 10) + string(rune('0'+n/10)) + string(rune('0'+n%10))
}

// granted makes a set of assignments: principal, role and scope, in turn.
func granted(t *testing.T, roles []Role, triples ...string) *Set {
	t.Helper()
	s := NewSet(nil, nil)
	var err error
	for _, role := range roles {
		if s, _, err = s.PutRole(role); err != nil {
			t.Fatal(err)
		}
	}
	for i := 0; i+2 < len(triples); i += 3 {
		if s, _, _, err = s.PutAssignment(Assignment{Name: guid(i / 3), PrincipalID: triples[i], Role: triples[i+1], Scope: triples[i+2], PrincipalType: ServicePrincipal}); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func TestDecision(t *testing.T) {
	own := Role{Name: custom, RoleName: "Joiner", Type: Custom, AssignableScopes: []string{sub},
		Permissions: []Permission{{Actions: []string{"Microsoft.Network/*/join*/action", "*/read"}, NotActions: []string{"Microsoft.Storage/*"}}}}
	s := granted(t, []Role{own}, ann, Reader, sub, ann, network, group, bob, custom, vnet)
	for _, r := range []struct {
		rule, principal, action, scope string
		want                           bool
	}{
		{"GOV-1 Reader reads below its scope", ann, "Microsoft.Network/routeTables/read", group + "/providers/Microsoft.Network/routeTables/rt", true},
		{"GOV-1 Reader does not write", ann, "Microsoft.Storage/storageAccounts/write", group + "/providers/Microsoft.Storage/storageAccounts/a", false},
		{"GOV-1 Reader does not act", ann, "Microsoft.Storage/storageAccounts/listKeys/action", group + "/providers/Microsoft.Storage/storageAccounts/a", false},
		{"GOV-1 Reader does not read above its scope", ann, "Microsoft.Resources/tenants/read", "/", false},
		{"GOV-1 another subscription", ann, "Microsoft.Network/routeTables/read", "/subscriptions/S2/resourceGroups/g", false},
		{"GOV-1 Network Contributor writes networks in its group", ann, "Microsoft.Network/virtualNetworks/write", vnet, true},
		{"GOV-1 a group whose name begins alike", ann, "Microsoft.Network/virtualNetworks/write", group + "2/providers/Microsoft.Network/virtualNetworks/v", false},
		{"GOV-1 case does not count", strings.ToUpper(ann), "MICROSOFT.NETWORK/VIRTUALNETWORKS/WRITE", strings.ToUpper(vnet), true},
		{"GOV-1 a scope of one resource holds for its children", bob, "Microsoft.Network/virtualNetworks/subnets/join/action", vnet + "/subnets/app", true},
		{"FW-14 a star in the middle", bob, joinViaServiceEndpoint, vnet + "/subnets/app", true},
		{"GOV-1 and not beside it", bob, "Microsoft.Network/virtualNetworks/subnets/join/action", vnet + "2/subnets/app", false},
		{"GOV-1 notActions", bob, "Microsoft.Storage/storageAccounts/read", vnet, false},
		{"GOV-1 nobody", "", "Microsoft.Network/routeTables/read", group, false},
	} {
		if got := s.Allows(r.principal, r.action, r.scope); got != r.want {
			t.Errorf("%s: %v", r.rule, got)
		}
	}
	t.Run("GOV-1 what one role excepts another gives", func(t *testing.T) {
		action := "Microsoft.Authorization/roleAssignments/write"
		s := granted(t, nil, ann, contrib, sub)
		if s.Allows(ann, action, sub) || !s.Allows(ann, "Microsoft.Network/routeTables/delete", group) {
			t.Error("a Contributor assigns roles, or does not delete")
		}
		if s = granted(t, nil, ann, contrib, sub, ann, "18d7d88d-d35e-4fb5-a5c3-7773c20a72d9", group); !s.Allows(ann, action, group) || s.Allows(ann, action, sub) {
			t.Error("roles do not unite")
		}
	})
	t.Run("GOV-1 no roles", func(t *testing.T) {
		if new(Set).Allows(ann, "a/read", "/") || NewSet(nil, nil).Allows(ann, "a/read", "/") {
			t.Error("an empty set lets somebody in")
		}
	})
	if !s.Inside(bob, sub) || !s.Inside(bob, vnet+"/subnets/x") || s.Inside(bob, "/subscriptions/S2") || !s.Below(bob, group) || s.Below(bob, vnet) {
		t.Error("inside or below")
	}
	if got := s.Permissions(bob, vnet); len(got) != 1 || len(s.Permissions(bob, group)) != 0 {
		t.Errorf("permissions %v", got)
	}
}

// slowMatch is the slow twin of pattern: it tries every length that a star can stand for.
func slowMatch(action, text string) bool {
	if action == "" {
		return text == ""
	}
	if action[0] == '*' {
		for n := range len(text) + 1 {
			if slowMatch(action[1:], text[n:]) {
				return true
			}
		}
		return false
	}
	return text != "" && strings.EqualFold(action[:1], text[:1]) && slowMatch(action[1:], text[1:])
}

// slowCovers compares segment by segment.
func slowCovers(scope, inner string) bool {
	a, b := strings.Split(strings.Trim(scope, "/"), "/"), strings.Split(strings.Trim(inner, "/"), "/")
	if a[0] == "" {
		return true
	}
	return len(a) <= len(b) && slices.EqualFunc(a, b[:len(a)], strings.EqualFold)
}

// slowAllows is the slow twin of Set.Allows.
func slowAllows(roles []Role, assignments []Assignment, principal, action, scope string) bool {
	for _, assignment := range assignments {
		if !strings.EqualFold(assignment.PrincipalID, principal) || !slowCovers(assignment.Scope, scope) {
			continue
		}
		for _, role := range roles {
			if role.Name != assignment.Role {
				continue
			}
			for _, permission := range role.Permissions {
				allowed := slices.ContainsFunc(permission.Actions, func(a string) bool { return slowMatch(a, action) })
				if allowed && !slices.ContainsFunc(permission.NotActions, func(a string) bool { return slowMatch(a, action) }) {
					return true
				}
			}
		}
	}
	return false
}

// GOV-1: the decision is that of the slow twin, on random roles, assignments and questions.
func TestRandomDecisions(t *testing.T) {
	const seed = 7
	random := rand.New(rand.NewPCG(seed, seed))
	pick := func(list ...string) string { return list[random.IntN(len(list))] }
	word := func() string { return pick("a", "B", "ab", "*", "a*", "*b", "read", "WRITE") }
	action := func() string { return strings.Join([]string{word(), word(), word()}[:1+random.IntN(3)], "/") }
	scope := func() string {
		text := ""
		for range random.IntN(4) {
			text += "/" + pick("a", "A", "b", "ab")
		}
		return text + pick("", "/")
	}
	some := func(most int) (list []string) {
		for range random.IntN(most + 1) {
			list = append(list, action())
		}
		return list
	}
	allowed := 0
	const rounds = 20000
	for range rounds {
		var roles []Role
		for i := range 3 {
			roles = append(roles, Role{Name: guid(i), Permissions: []Permission{{Actions: some(3), NotActions: some(2)}, {Actions: some(1)}}})
		}
		var assignments []Assignment
		for i := range random.IntN(4) {
			assignments = append(assignments, Assignment{Name: guid(10 + i), Role: guid(random.IntN(3)), PrincipalID: pick(ann, bob), Scope: scope()})
		}
		principal, question, where := pick(ann, bob), strings.ReplaceAll(action(), "*", "x"), scope()
		got := NewSet(slices.Clone(roles), slices.Clone(assignments)).Allows(principal, question, where)
		if want := slowAllows(roles, assignments, principal, question, where); got != want {
			t.Fatalf("%s at %s: %v, want %v\n%+v\n%+v", question, where, got, want, roles, assignments)
		} else if got {
			allowed++
		}
	}
	if allowed < rounds/50 || allowed > rounds/2 {
		t.Errorf("%d of %d are allowed: the comparison says little", allowed, rounds)
	}
}

func FuzzPattern(f *testing.F) {
	f.Add("Microsoft.Network/*/read", "Microsoft.Network/virtualNetworks/read")
	f.Add("*a*a*", "aaa")
	f.Fuzz(func(t *testing.T, action, text string) {
		if len(action) > 12 || len(text) > 24 || strings.ContainsFunc(action+text, func(c rune) bool { return c > '~' }) {
			return // the slow twin takes its time, and other alphabets are no actions
		}
		if got, want := newPattern(action).matches(strings.ToLower(text)), slowMatch(action, text); got != want {
			t.Errorf("%q matches %q: %v, want %v", action, text, got, want)
		}
	})
}

func refusedAs(err error, status int, code string) bool {
	var refusal *resource.Error
	return errors.As(err, &refusal) && refusal.Status == status && refusal.Code == code
}

func TestRefusals(t *testing.T) {
	role := Role{Name: custom, RoleName: "Own", Type: Custom, AssignableScopes: []string{group}, Permissions: only("*/read")}
	s := granted(t, []Role{role}, ann, custom, group)
	for name, r := range map[string]struct {
		change func(*Role)
		status int
		code   string
	}{
		"no guid":                             {func(r *Role) { r.Name = "x" }, 400, "InvalidRoleDefinitionId"},
		"a name that is had":                  {func(r *Role) { r.Name, r.RoleName = guid(1), "own" }, 409, "RoleDefinitionWithSameNameExists"},
		"a built-in's name":                   {func(r *Role) { r.Name, r.RoleName = guid(1), "reader" }, 409, "RoleDefinitionWithSameNameExists"},
		"a built-in":                          {func(r *Role) { r.Name, r.RoleName = Reader, "Mine" }, 400, "InvalidRoleDefinition"},
		"no name":                             {func(r *Role) { r.RoleName = "" }, 400, "InvalidRoleDefinition"},
		"no actions":                          {func(r *Role) { r.Permissions = nil }, 400, "InvalidRoleDefinition"},
		"an action of no one":                 {func(r *Role) { r.Permissions = only("read") }, 400, "InvalidActionOrNotAction"},
		"no scopes":                           {func(r *Role) { r.AssignableScopes = nil }, 400, "MissingAssignableScopes"},
		"the root":                            {func(r *Role) { r.AssignableScopes = []string{"/"} }, 400, "InvalidRoleDefinition"},
		"a resource":                          {func(r *Role) { r.AssignableScopes = []string{vnet} }, 400, "InvalidRoleDefinition"},
		"scopes that leave an assignment out": {func(r *Role) { r.AssignableScopes = []string{group + "2"} }, 400, "RoleDefinitionHasAssignments"},
	} {
		changed := role
		r.change(&changed)
		if _, _, err := s.PutRole(changed); !refusedAs(err, r.status, r.code) {
			t.Errorf("GOV-1 a role with %s: %v, want %d %s", name, err, r.status, r.code)
		}
	}
	if _, _, err := s.DeleteRole(custom); !refusedAs(err, http.StatusBadRequest, "RoleDefinitionHasAssignments") {
		t.Errorf("GOV-1 %v", err)
	}
	if _, _, err := s.DeleteRole(Owner); err == nil {
		t.Error("a built-in role is deleted")
	}
	given := Assignment{Name: guid(0), PrincipalID: ann, Role: custom, Scope: group, PrincipalType: ServicePrincipal, Description: "again"}
	for name, r := range map[string]struct {
		change func(*Assignment)
		status int
		code   string
	}{
		"the same under another name": {func(a *Assignment) { a.Name = guid(5) }, 409, "RoleAssignmentExists"},
		"another principal":           {func(a *Assignment) { a.PrincipalID = bob }, 400, "RoleAssignmentUpdateNotPermitted"},
		"another scope":               {func(a *Assignment) { a.Scope = vnet }, 400, "RoleAssignmentUpdateNotPermitted"},
		"no role":                     {func(a *Assignment) { a.Name, a.Role = guid(6), guid(7) }, 400, "RoleDefinitionDoesNotExist"},
		"a role of elsewhere":         {func(a *Assignment) { a.Name, a.Scope = guid(6), sub }, 400, "RoleDefinitionDoesNotExist"},
		"no guid":                     {func(a *Assignment) { a.Name = "x" }, 400, "InvalidRoleAssignmentId"},
		"no principal":                {func(a *Assignment) { a.PrincipalID = "" }, 400, "InvalidPrincipalId"},
		"a user":                      {func(a *Assignment) { a.PrincipalType = "User" }, 400, "UnmatchedPrincipalType"},
	} {
		changed := given
		r.change(&changed)
		if _, _, _, err := s.PutAssignment(changed); !refusedAs(err, r.status, r.code) {
			t.Errorf("GOV-1 an assignment with %s: %v, want %d %s", name, err, r.status, r.code)
		}
	}
	after, written, created, err := s.PutAssignment(given)
	if err != nil || created || written.Description != "again" {
		t.Errorf("the same again: %+v, %v, %v", written, created, err)
	}
	if after = after.DeleteAssignments(guid(0)); len(after.Assignments()) != 0 || len(s.Assignments()) != 1 {
		t.Error("a set has changed, or its successor has not")
	}
	if after, role, err := after.DeleteRole(custom); err != nil || role == nil || len(after.Roles()) != len(builtIn) {
		t.Errorf("%v, %v", role, err)
	}
}

func TestBuiltIn(t *testing.T) {
	for name, role := range builtIn {
		if !isGUID(name) || role.RoleName == "" || role.Type != BuiltIn || len(role.Permissions) != 1 {
			t.Errorf("%s: %+v", name, role)
		}
		for _, action := range slices.Concat(role.Permissions[0].Actions, role.Permissions[0].NotActions) {
			if !validAction(action) {
				t.Errorf("%s has the action %q", role.RoleName, action)
			}
		}
	}
}

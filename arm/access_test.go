package arm_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"

	"postern/authorization"
	"postern/resource"
)

const subscription = "/subscriptions/" + resource.DefaultSubscription

// assign gives a role to a principal.
func (f *fixture) assign(t *testing.T, principal, role, scope string) string {
	t.Helper()
	name := uuid.NewString()
	if _, _, err := f.plane.Access.PutAssignment(f.ctx, authorization.Assignment{Name: name, Scope: scope, Role: role, PrincipalID: principal,
		PrincipalType: authorization.ServicePrincipal}); err != nil {
		t.Fatal(err)
	}
	return name
}

// owner is the object id of the principal that the cloud began with: who has the one assignment.
func (f *fixture) owner(t *testing.T) string {
	t.Helper()
	list := f.plane.Access.Set().Assignments()
	if len(list) != 1 || list[0].Scope != subscription || list[0].Role != authorization.Owner {
		t.Fatalf("assignments %+v", list)
	}
	return list[0].PrincipalID
}

// The owner's right is an assignment like any other: who takes it away takes the right away.
func TestRoles(t *testing.T) {
	f := start(t)
	token, owner := f.token(t), f.owner(t)
	if answer := f.send(t, "PUT", tables+"/rt"+version, token, table); answer.status != http.StatusCreated {
		t.Fatal(answer.body)
	}
	f.assign(t, owner, authorization.Reader, group)
	if _, err := f.plane.Access.DeleteAssignments(f.ctx, func(a *authorization.Assignment) bool { return a.Role == authorization.Owner }); err != nil {
		t.Fatal(err)
	}
	for _, r := range []struct {
		name, method, path, body string
		status                   int
		action                   string
	}{
		{"GOV-1 a reader reads", "GET", tables + "/rt" + version, "", 200, ""},
		{"GOV-1 a reader does not write", "PUT", tables + "/rt" + version, table, 403, "Microsoft.Network/routeTables/write"},
		{"GOV-1 a reader does not change", "PATCH", tables + "/rt" + version, table, 403, "Microsoft.Network/routeTables/write"},
		{"GOV-1 a reader does not delete", "DELETE", tables + "/rt" + version, "", 403, "Microsoft.Network/routeTables/delete"},
		{"GOV-1 a reader does not act", "POST", group + "/providers/Microsoft.Storage/storageAccounts/a/listKeys" + version, "", 403, "Microsoft.Storage/storageAccounts/listKeys/action"},
		{"GOV-1 a reader reads its own group alone", "GET", strings.Replace(tables, "demo", "other", 1) + "/rt" + version, "", 403, "Microsoft.Network/routeTables/read"},
	} {
		answer := f.send(t, r.method, r.path, token, r.body)
		if answer.status != r.status {
			t.Errorf("%s: %d %s", r.name, answer.status, answer.body)
		}
		if r.action != "" {
			scope, _, _ := strings.Cut(r.path, "?")
			scope = strings.TrimSuffix(scope, "/listKeys")
			want := "The client '" + f.door.ClientID + "' with object id '" + owner + "' does not have authorization to perform action '" + r.action +
				"' over scope '" + scope + "' or the scope is invalid. If access was recently granted, please refresh your credentials."
			if !strings.Contains(answer.body, want) || !strings.Contains(answer.body, `"code":"AuthorizationFailed"`) {
				t.Errorf("%s: %s", r.name, answer.body)
			}
		}
	}
}

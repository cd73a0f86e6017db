package arm_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"postern/arm"
	"postern/model"
	"postern/signin"
)

// TestForbidden asks the authorizer what each request needs.
func TestForbidden(t *testing.T) {
	f := start(t)
	service, err := signin.New(f.ctx, signin.Options{Secrets: f.plane.Store.Store, Tenant: model.DefaultSettings.Tenant})
	if err != nil {
		t.Fatal(err)
	}
	if secret, err := service.First(f.ctx); err != nil || secret != "" {
		t.Fatalf("the principal's secret is told twice: %q, %v", secret, err)
	}
	var asked []string
	allowed := ""
	server := httptest.NewServer(arm.New(arm.Options{API: f.plane.API, Cache: f.plane.Cache, Compiler: f.plane.Compiler, Catalogue: f.plane.Catalogue, Store: f.plane.Store.Store,
		Tenant: service.Tenant(), SignIn: service, Authorize: func(_ context.Context, caller signin.Caller, action, scope string) error {
			asked = append(asked, action+" "+scope)
			if action == allowed {
				return nil
			}
			return arm.Forbidden(caller, action, scope)
		}}))
	t.Cleanup(server.Close)
	token := f.ask(t, f.door.Secret, server.URL+"/.default")
	for _, r := range []struct{ method, path, action, scope string }{
		{"GET", "/subscriptions", "Microsoft.Resources/subscriptions/read", "/"},
		{"PUT", group, "Microsoft.Resources/subscriptions/resourceGroups/write", group},
		{"PUT", tables + "/rt", "Microsoft.Network/routeTables/write", tables + "/rt"},
		{"PATCH", tables + "/rt", "Microsoft.Network/routeTables/write", tables + "/rt"},
		{"DELETE", tables + "/rt/routes/r", "Microsoft.Network/routeTables/routes/delete", tables + "/rt/routes/r"},
		{"GET", tables, "Microsoft.Network/routeTables/read", group + "/providers/Microsoft.Network"},
		{"POST", group + "/providers/Microsoft.Storage/storageAccounts/a/listKeys", "Microsoft.Storage/storageAccounts/listKeys/action",
			group + "/providers/Microsoft.Storage/storageAccounts/a"},
		{"POST", "/postern/apply", "Postern.Fabric/apply/action", "/"},
		{"GET", "/postern/plans/host-a", "Postern.Fabric/plans/action", "/"},
		{"PUT", "/postern/catalogue", "Postern.Fabric/serviceTags/write", "/"},
	} {
		asked = nil
		request, err := http.NewRequestWithContext(f.ctx, r.method, server.URL+r.path+version, strings.NewReader(table))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer "+token)
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		if err != nil || answer.StatusCode != http.StatusForbidden || !strings.Contains(string(body), "AuthorizationFailed") ||
			!strings.Contains(string(body), r.action) || !strings.Contains(string(body), f.door.ClientID) {
			t.Errorf("GOV-1 %s %s: %d %s, %v", r.method, r.path, answer.StatusCode, body, err)
		}
		if len(asked) != 1 || asked[0] != r.action+" "+r.scope {
			t.Errorf("GOV-1 %s %s asked for %v", r.method, r.path, asked)
		}
	}
	t.Run("GOV-1 a batch takes the right for each resource", func(t *testing.T) {
		before, err := f.plane.Store.Revision(f.ctx)
		if err != nil {
			t.Fatal(err)
		}
		allowed = "Postern.Fabric/apply/action"
		for body, action := range map[string]string{
			`{"resources":[{"id":"` + tables + `/rt","body":` + table + `}]}`: "Microsoft.Network/routeTables/write",
			`{"delete":["` + tables + `/rt"]}`:                                "Microsoft.Network/routeTables/delete",
			`{"delete":["` + group + `"]}`:                                    "Microsoft.Resources/subscriptions/resourceGroups/delete",
		} {
			request, err := http.NewRequestWithContext(f.ctx, "POST", server.URL+"/postern/apply"+version, strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			request.Header.Set("Authorization", "Bearer "+token)
			answer, err := http.DefaultClient.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			said, err := io.ReadAll(answer.Body)
			answer.Body.Close()
			if err != nil || answer.StatusCode != http.StatusForbidden || !strings.Contains(string(said), action) {
				t.Errorf("%s: %d %s, %v", body, answer.StatusCode, said, err)
			}
		}
		if after, err := f.plane.Store.Revision(f.ctx); err != nil || after != before {
			t.Errorf("something is written: %v", err)
		}
	})
}

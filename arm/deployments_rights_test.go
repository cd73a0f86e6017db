package arm_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"postern/arm"
	"postern/signin"
)

// A deployment takes the right to deploy, and the right to write each resource: its caller's own.
func TestDeploymentRights(t *testing.T) {
	f := start(t)
	const deployments = "Microsoft.Resources/deployments/"
	rights := []string{"Microsoft.Resources/subscriptions/resourceGroups/read", deployments + "write", deployments + "read", deployments + "validate/action", deployments + "whatIf/action",
		"Microsoft.Network/routeTables/write"}
	door := arm.New(arm.Options{API: f.plane.API, Cache: f.plane.Cache, Compiler: f.plane.Compiler, Catalogue: f.plane.Catalogue, Store: f.plane.Store.Store,
		Tenant: f.door.Tenant, Authorize: func(_ context.Context, caller signin.Caller, action, scope string) error {
			if slices.ContainsFunc(rights, func(right string) bool { return strings.EqualFold(right, action) }) {
				return nil
			}
			return arm.Forbidden(caller, action, scope)
		}})
	ctx, cancel := context.WithCancel(f.ctx)
	ended := make(chan error, 1)
	go func() { ended <- door.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	ask := func(method, path, body string) (int, string) {
		request := httptest.NewRequestWithContext(arm.AsLocalOwner(f.ctx, nil), method, path+version, strings.NewReader(body))
		answer := httptest.NewRecorder()
		door.ServeHTTP(answer, request)
		return answer.Code, answer.Body.String()
	}
	template := func(resources string) string {
		return `{"properties": {"mode": "Incremental", "template": {"$schema": "s", "contentVersion": "1.0.0.0", "resources": [` + resources + `]}}}`
	}
	const (
		main = group + "/providers/Microsoft.Resources/deployments/main"
		rt   = `{"type": "Microsoft.Network/routeTables", "apiVersion": "2024-05-01", "name": "rt", "location": "westeurope"}`
		vnet = `{"type": "Microsoft.Network/virtualNetworks", "apiVersion": "2024-05-01", "name": "vnet", "location": "westeurope", "properties": {"addressSpace": {"addressPrefixes": ["10.0.0.0/16"]}}}`
	)
	t.Run("GOV-1 without the right to a resource nothing is written", func(t *testing.T) {
		status, body := ask(http.MethodPut, main, template(rt+","+vnet))
		if status != http.StatusForbidden || !strings.Contains(body, "Microsoft.Network/virtualNetworks/write") || strings.Contains(body, "routeTables/write") {
			t.Errorf("%d %s", status, body)
		}
		if status, body := ask(http.MethodGet, main, ""); status != http.StatusNotFound {
			t.Errorf("it is kept: %d %s", status, body)
		}
	})
	t.Run("GOV-1 a validation and a what-if say so too", func(t *testing.T) {
		for _, action := range []string{"validate", "whatIf"} {
			if status, body := ask(http.MethodPost, main+"/"+action, template(vnet)); status != http.StatusOK || !strings.Contains(body, "Microsoft.Network/virtualNetworks/write") {
				t.Errorf("%s: %d %s", action, status, body)
			}
		}
	})
	t.Run("GOV-1 with the right it is", func(t *testing.T) {
		if status, body := ask(http.MethodPut, main, template(rt)); status != http.StatusCreated {
			t.Fatal(status, body)
		}
		for deadline := time.Now().Add(10 * time.Second); ; {
			status, body := ask(http.MethodGet, main, "")
			if strings.Contains(body, `"provisioningState":"Succeeded"`) {
				return
			}
			if status != http.StatusOK || strings.Contains(body, `"provisioningState":"Failed"`) || time.Now().After(deadline) {
				t.Fatal(status, body)
			}
		}
	})
}

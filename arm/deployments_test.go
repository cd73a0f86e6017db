package arm_test

import (
	"encoding/json"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/resources/armresources"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"postern/activity"
)

// templateOf reads a template of the tests.
func templateOf(t *testing.T, name string) map[string]any {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "templates", name))
	if err != nil {
		t.Fatal(err)
	}
	var template map[string]any
	if err := json.Unmarshal(data, &template); err != nil {
		t.Fatal(err)
	}
	return template
}

// parameters gives values the form that deployments take them in.
func parameters(values map[string]any) map[string]any {
	given := map[string]any{}
	for name, value := range values {
		given[name] = map[string]any{"value": value}
	}
	return given
}

func properties(template map[string]any, mode armresources.DeploymentMode, values map[string]any) armresources.Deployment {
	return armresources.Deployment{Properties: &armresources.DeploymentProperties{Mode: to.Ptr(mode), Template: template, Parameters: parameters(values)}}
}

// soon polls often: the operations of a test take milliseconds.
var soon = &runtime.PollUntilDoneOptions{Frequency: time.Second}

func deployed(t *testing.T, c *clients, group, name string, deployment armresources.Deployment) armresources.DeploymentExtended {
	t.Helper()
	poller, err := c.resources.NewDeploymentsClient().BeginCreateOrUpdate(c.ctx, group, name, deployment, nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := poller.PollUntilDone(c.ctx, soon)
	if err != nil {
		t.Fatal(err)
	}
	return answer.DeploymentExtended
}

// A deployment's life with the SDK's client: what az sends, and what az does not.
func TestSDKDeployments(t *testing.T) {
	c := startSDK(t)
	c.group(t, "rg")
	client, operations := c.resources.NewDeploymentsClient(), c.resources.NewDeploymentOperationsClient()
	lab := properties(templateOf(t, "lab.json"), armresources.DeploymentModeIncremental, map[string]any{"count": 2, "password": "hunter2"})

	t.Run("validate", func(t *testing.T) {
		answer := done[armresources.DeploymentsClientValidateResponse](t, c)(client.BeginValidate(c.ctx, "rg", "main", lab, nil))
		if answer.Error != nil || len(answer.Properties.ValidatedResources) != 5 {
			t.Errorf("validated %+v", answer)
		}
		bad := properties(templateOf(t, "overlap.json"), armresources.DeploymentModeIncremental, nil)
		answer = done[armresources.DeploymentsClientValidateResponse](t, c)(client.BeginValidate(c.ctx, "rg", "main", bad, nil))
		if answer.Error == nil || *answer.Error.Code != "InvalidTemplateDeployment" || len(answer.Error.Details) != 1 || *answer.Error.Details[0].Code != "NetcfgSubnetRangesOverlap" {
			t.Errorf("validated %+v", answer.Error)
		}
		_, err := client.BeginCreateOrUpdate(c.ctx, "rg", "bad", bad, nil)
		refused(t, err, http.StatusBadRequest, "InvalidTemplateDeployment")
		if exists, err := client.CheckExistence(c.ctx, "rg", "bad", nil); err != nil || exists.Success {
			t.Errorf("a refused deployment is kept: %v %v", exists, err)
		}
	})
	t.Run("create", func(t *testing.T) {
		answer := deployed(t, c, "rg", "main", lab)
		p := answer.Properties
		if *p.ProvisioningState != armresources.ProvisioningStateSucceeded || *p.TemplateHash == "" || *p.CorrelationID == "" || len(p.OutputResources) != 5 || len(p.Dependencies) != 4 {
			t.Errorf("created %+v", p)
		}
		outputs, _ := json.Marshal(p.Outputs)
		if text := string(outputs); !strings.Contains(text, `"address":{"type":"String","value":"10.1.0.4"}`) || !strings.Contains(text, `"password":{"type":"SecureString"}`) {
			t.Errorf("outputs %s", text)
		}
		if text, _ := json.Marshal(answer); strings.Contains(string(text), "hunter2") {
			t.Error("a secure value is answered")
		}
		input, err := c.plane.Store.DeploymentInput(c.ctx, *answer.ID)
		if err != nil || strings.Contains(string(input), "hunter2") {
			t.Errorf("a secure value is kept when the deployment has ended: %v", err)
		}
		if count := c.nics(t, "rg"); count != 2 {
			t.Errorf("%d NICs", count)
		}
	})
	t.Run("GOV-2 its writes are in the activity log under its correlation", func(t *testing.T) {
		main := must[armresources.DeploymentsClientGetResponse](t)(client.Get(c.ctx, "rg", "main", nil))
		events, err := c.plane.Activity.Query(activity.Filter{From: time.Now().Add(-time.Hour), To: time.Now(), Correlation: *main.Properties.CorrelationID, Limit: 100}, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		written := map[string]bool{}
		for _, event := range events.Events {
			if event.Status == activity.Succeeded {
				written[event.Operation] = true
			}
		}
		for _, typ := range []string{"Microsoft.Resources/deployments", "Microsoft.Network/networkInterfaces", "Microsoft.Storage/storageAccounts"} {
			if !written[typ+"/write"] {
				t.Errorf("no write of %s among %v", typ, written)
			}
		}
	})
	t.Run("operations", func(t *testing.T) {
		kinds := map[string]int{}
		for pager := operations.NewListPager("rg", "main", nil); pager.More(); {
			page := must[armresources.DeploymentOperationsClientListResponse](t)(pager.NextPage(c.ctx))
			for _, one := range page.Value {
				kinds[string(*one.Properties.ProvisioningOperation)]++
				again := must[armresources.DeploymentOperationsClientGetResponse](t)(operations.Get(c.ctx, "rg", "main", *one.OperationID, nil))
				if *again.ID != *one.ID || *again.Properties.ProvisioningState != "Succeeded" {
					t.Errorf("operation %+v", again.Properties)
				}
			}
		}
		if kinds["Create"] != 5 || kinds["EvaluateDeploymentOutput"] != 1 {
			t.Errorf("operations %v", kinds)
		}
	})
	t.Run("export", func(t *testing.T) {
		exported := must[armresources.DeploymentsClientExportTemplateResponse](t)(client.ExportTemplate(c.ctx, "rg", "main", nil))
		if diff := cmp.Diff(any(templateOf(t, "lab.json")), exported.Template); diff != "" {
			t.Errorf("exported: %s", diff)
		}
	})
	t.Run("what-if of the same changes nothing", func(t *testing.T) {
		for _, change := range c.whatIf(t, "rg", lab) {
			if *change.ChangeType != armresources.ChangeTypeNoChange {
				delta, _ := json.Marshal(change.Delta)
				t.Errorf("%s %s: %s", *change.ChangeType, *change.ResourceID, delta)
			}
		}
	})
	t.Run("complete", func(t *testing.T) {
		less := properties(templateOf(t, "lab.json"), armresources.DeploymentModeComplete, map[string]any{"count": 1, "tier": "live"})
		kinds := map[string][]string{}
		for _, change := range c.whatIf(t, "rg", less) {
			kinds[string(*change.ChangeType)] = append(kinds[string(*change.ChangeType)], path.Base(*change.ResourceID))
		}
		want := map[string][]string{"Create": {"vnet-live"}, "Delete": {"nic-2", "vnet-lab"}, "Modify": {"nic-1", "stgd4655yinnply"}, "NoChange": {"rt"}}
		if diff := cmp.Diff(want, kinds, cmpopts.SortSlices(strings.Compare)); diff != "" {
			t.Errorf("what-if: %s", diff)
		}
		if count := c.nics(t, "rg"); count != 2 {
			t.Errorf("what-if left %d NICs", count)
		}
		deployed(t, c, "rg", "less", less)
		if count := c.nics(t, "rg"); count != 1 {
			t.Errorf("complete left %d NICs", count)
		}
		_, err := c.network.NewVirtualNetworksClient().Get(c.ctx, "rg", "vnet-lab", nil)
		refused(t, err, http.StatusNotFound, "ResourceNotFound")
	})
	t.Run("failed", func(t *testing.T) {
		poller, err := client.BeginCreateOrUpdate(c.ctx, "rg", "late", properties(templateOf(t, "late.json"), armresources.DeploymentModeIncremental, nil), nil)
		if err != nil {
			t.Fatal(err)
		}
		_, err = poller.PollUntilDone(c.ctx, soon)
		refused(t, err, http.StatusOK, "DeploymentFailed")
		answer := must[armresources.DeploymentsClientGetResponse](t)(client.Get(c.ctx, "rg", "late", nil))
		if p := answer.Properties; *p.ProvisioningState != armresources.ProvisioningStateFailed || len(p.Error.Details) != 1 || len(p.OutputResources) != 2 {
			t.Errorf("late %+v", p)
		}
		tables := c.network.NewRouteTablesClient()
		if _, err := tables.Get(c.ctx, "rg", "beside", nil); err != nil {
			t.Errorf("what does not depend on the fault is deployed: %v", err)
		}
		_, err = tables.Get(c.ctx, "rg", "after", nil)
		refused(t, err, http.StatusNotFound, "ResourceNotFound")
	})
	t.Run("list, filter, delete", func(t *testing.T) {
		names := func(filter *string) (names []string) {
			for pager := client.NewListByResourceGroupPager("rg", &armresources.DeploymentsClientListByResourceGroupOptions{Filter: filter, Top: to.Ptr[int32](1)}); pager.More(); {
				for _, one := range must[armresources.DeploymentsClientListByResourceGroupResponse](t)(pager.NextPage(c.ctx)).Value {
					names = append(names, *one.Name)
				}
			}
			return names
		}
		if have := names(nil); !slices.Equal(have, []string{"late", "less", "main"}) {
			t.Errorf("listed %v", have)
		}
		if have := names(to.Ptr("provisioningState eq 'Failed'")); !slices.Equal(have, []string{"late"}) {
			t.Errorf("filtered %v", have)
		}
		done[armresources.DeploymentsClientDeleteResponse](t, c)(client.BeginDelete(c.ctx, "rg", "late", nil))
		_, err := client.Get(c.ctx, "rg", "late", nil)
		refused(t, err, http.StatusNotFound, "DeploymentNotFound")
	})
	t.Run("at the subscription", func(t *testing.T) {
		atSubscription := properties(templateOf(t, "subscription.json"), armresources.DeploymentModeIncremental, map[string]any{"name": "made"})
		_, err := client.BeginCreateOrUpdateAtSubscriptionScope(c.ctx, "groups", atSubscription, nil)
		refused(t, err, http.StatusBadRequest, "LocationRequired")
		atSubscription.Location = to.Ptr("westeurope")
		poller, err := client.BeginCreateOrUpdateAtSubscriptionScope(c.ctx, "groups", atSubscription, nil)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := poller.PollUntilDone(c.ctx, soon)
		if err != nil {
			t.Fatal(err)
		}
		outputs, _ := json.Marshal(answer.Properties.Outputs)
		if !strings.Contains(string(outputs), "/resourceGroups/made/providers/Microsoft.Network/virtualNetworks/vnet") {
			t.Errorf("outputs %s", outputs)
		}
		inner := must[armresources.DeploymentsClientGetResponse](t)(client.Get(c.ctx, "made", "inside", nil))
		if *inner.Properties.CorrelationID != *answer.Properties.CorrelationID {
			t.Error("a nested deployment has a correlation of its own")
		}
	})
	t.Run("a group's deployments go with it", func(t *testing.T) {
		done[armresources.ResourceGroupsClientDeleteResponse](t, c)(c.resources.NewResourceGroupsClient().BeginDelete(c.ctx, "rg", nil))
		c.group(t, "rg")
		_, err := client.Get(c.ctx, "rg", "main", nil)
		refused(t, err, http.StatusNotFound, "DeploymentNotFound")
	})
}

func (c *clients) nics(t *testing.T, group string) (count int) {
	t.Helper()
	for pager := c.network.NewInterfacesClient().NewListPager(group, nil); pager.More(); {
		page, err := pager.NextPage(c.ctx)
		if err != nil {
			t.Fatal(err)
		}
		count += len(page.Value)
	}
	return count
}

func (c *clients) whatIf(t *testing.T, group string, deployment armresources.Deployment) []*armresources.WhatIfChange {
	t.Helper()
	asked := armresources.DeploymentWhatIf{Properties: &armresources.DeploymentWhatIfProperties{Mode: deployment.Properties.Mode,
		Template: deployment.Properties.Template, Parameters: deployment.Properties.Parameters}}
	answer := done[armresources.DeploymentsClientWhatIfResponse](t, c)(c.resources.NewDeploymentsClient().BeginWhatIf(c.ctx, group, "what", asked, nil))
	if answer.Error != nil || *answer.Status != "Succeeded" {
		t.Fatalf("what-if: %+v", answer.Error)
	}
	return answer.Properties.Changes
}

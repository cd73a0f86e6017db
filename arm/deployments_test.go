package arm_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/resources/armresources"
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

func TestSDKDeployments(t *testing.T) {
	c := startSDK(t)
	c.group(t, "rg")
	lab := properties(templateOf(t, "lab.json"), armresources.DeploymentModeIncremental, map[string]any{"count": 2, "password": "hunter2"})

	t.Run("create", func(t *testing.T) {
		answer := deployed(t, c, "rg", "main", lab)
		p := answer.Properties
		if *p.ProvisioningState != armresources.ProvisioningStateSucceeded || *p.TemplateHash == "" || *p.CorrelationID == "" || len(p.OutputResources) != 5 {
			t.Errorf("created %+v", p)
		}
		outputs, _ := json.Marshal(p.Outputs)
		if text := string(outputs); !strings.Contains(text, `"address":{"type":"String","value":"10.1.0.4"}`) || !strings.Contains(text, `"password":{"type":"SecureString"}`) {
			t.Errorf("outputs %s", text)
		}
		if text, _ := json.Marshal(answer); strings.Contains(string(text), "hunter2") {
			t.Error("a secure value is answered")
		}
		nics := 0
		for pager := c.network.NewInterfacesClient().NewListPager("rg", nil); pager.More(); {
			page, err := pager.NextPage(c.ctx)
			if err != nil {
				t.Fatal(err)
			}
			nics += len(page.Value)
		}
		if nics != 2 {
			t.Errorf("%d NICs", nics)
		}
	})
}

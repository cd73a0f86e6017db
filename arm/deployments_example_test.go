package arm_test

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"postern/api"
	"postern/control"
	"postern/control/controltest"
	"postern/examples"
	"postern/resource"
	"postern/template"
)

// written are the bodies of a plane's resources in the default group, by id, as they were written.
func written(t *testing.T, plane *controltest.Plane) map[string]any {
	t.Helper()
	cloud, err := plane.Cache.Current(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	bodies := map[string]any{}
	for _, record := range cloud.Records("") {
		var body map[string]any
		if err := json.Unmarshal(record.Body, &body); err != nil {
			t.Fatal(err)
		}
		bodies[record.Key()] = body
	}
	return bodies
}

// The example template makes what the example resources make.
func TestExampleTemplate(t *testing.T) {
	items, err := resource.Load(examples.CloudName, examples.Cloud)
	if err != nil {
		t.Fatal(err)
	}
	applied, deployed := controltest.Start(t, control.Options{}), controltest.Start(t, control.Options{})
	if _, err := applied.API.Apply(t.Context(), api.Batch{Resources: items}); err != nil {
		t.Fatal(err)
	}
	// The nodes are the operator's, and the rogue account is somebody else's.
	operators := slices.DeleteFunc(slices.Clone(items), func(item resource.Item) bool {
		return !strings.EqualFold(item.ID.Type(), resource.TypeNode) && strings.EqualFold(item.ID.Subscription, resource.DefaultSubscription)
	})
	if _, err := deployed.API.Apply(t.Context(), api.Batch{Resources: operators}); err != nil {
		t.Fatal(err)
	}
	f := &fixture{ctx: t.Context(), plane: deployed, door: deployed.Door, ca: deployed.CA, client: deployed.Client}
	text, err := os.ReadFile(filepath.Join("..", "examples", "template", "main.json"))
	if err != nil {
		t.Fatal(err)
	}
	given, err := os.ReadFile(filepath.Join("..", "examples", "template", "main.parameters.json"))
	if err != nil {
		t.Fatal(err)
	}
	file, err := template.Read(given)
	if err != nil {
		t.Fatal(err)
	}
	values, err := json.Marshal(file.Member("parameters"))
	if err != nil {
		t.Fatal(err)
	}
	const main = group + "/providers/Microsoft.Resources/deployments/main" + version
	token := f.token(t)
	body := `{"properties": {"mode": "Incremental", "parameters": ` + string(values) + `, template:` + string(text) + `}}`
	if answer := f.send(t, http.MethodPut, main, token, body); answer.status != http.StatusCreated {
		t.Fatal(answer.status, answer.body)
	}
	answer := answered{}
	for deadline := time.Now().Add(30 * time.Second); !strings.Contains(answer.body, `"provisioningState":"Succeeded"`); {
		if answer = f.send(t, http.MethodGet, main, token, ""); strings.Contains(answer.body, `"provisioningState":"Failed"`) || time.Now().After(deadline) {
			t.Fatal(answer.body)
		}
	}
	if !strings.Contains(answer.body, `"value":["10.13.76.36","10.13.77.4"]`) {
		t.Errorf("outputs of %s", answer.body)
	}
	if diff := cmp.Diff(written(t, applied), written(t, deployed)); diff != "" {
		t.Errorf("applied - deployed +: %s", diff)
	}
	t.Run("what-if finds nothing to change", func(t *testing.T) {
		answer := f.send(t, http.MethodPost, strings.Replace(main, "?", "/whatIf?", 1), token, body)
		if answer.status != http.StatusOK || strings.Count(answer.body, `"changeType":"NoChange"`) != 10 || strings.Contains(answer.body, `"changeType":"Modify"`) {
			t.Errorf("%d %s", answer.status, answer.body)
		}
	})
}

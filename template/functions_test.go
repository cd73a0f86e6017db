package template

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
)

// around is the template that expressions of the tests stand in.
const around = `{
  "$schema": "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#", "contentVersion": "1.0.0.0", "languageVersion": "2.0",
  "parameters": {"given": {"type": "string"}},
  "functions": [{"namespace": "contoso", "members": {"twice": {"parameters": [{"name": "text", "type": "string"}],
    "output": {"type": "string", "value": "[concat(parameters('text'), parameters('text'))]"}}}}],
  "variables": {"list": ["one", "two"], "copy": [{"name": "loop", "count": 3, "input": {"name": "[concat('n', copyIndex('loop'))]"}}]},
  "resources": {"net": {"type": "Microsoft.Network/virtualNetworks", "apiVersion": "2024-05-01", "name": "vnet", "location": "westeurope"}},
  "outputs": {"o": {"type": "object", "value": {"v": %s}}}
}`

func testEnvironment() Environment {
	return Environment{
		Tenant:         "11111111-1111-4111-8111-111111111111",
		Subscription:   map[string]any{"id": "/subscriptions/00000000-0000-4000-8000-000000000000", "subscriptionId": "00000000-0000-4000-8000-000000000000"},
		ResourceGroup:  map[string]any{"id": "/subscriptions/00000000-0000-4000-8000-000000000000/resourceGroups/rg", "name": "rg", "location": "westeurope"},
		DeploymentName: "main", Mode: "Incremental",
		Cloud:    map[string]any{"name": "Postern", "suffixes": map[string]any{"storage": "core.windows.net"}},
		Deployer: map[string]any{"objectId": "me"},
		Now:      func() string { return "2019-03-05T17:53:18Z" },
		NewGUID:  func() string { return "33333333-3333-4333-8333-333333333333" },
	}
}

func testRuntime() Runtime {
	return Runtime{
		Reference: func(id, _ string) (map[string]any, error) {
			return map[string]any{"id": id, "location": "westeurope", "properties": map[string]any{"addressSpace": map[string]any{"addressPrefixes": []any{"10.0.0.0/16"}}}}, nil
		},
		List: func(action, id, version string, body any) (any, error) {
			return map[string]any{"keys": []any{map[string]any{"value": "secret"}}}, nil
		},
	}
}

// evaluated is an expression's value as JSON.
func evaluated(expression string) (string, error) {
	quoted, err := json.Marshal("[" + expression + "]")
	if err != nil {
		return "", err
	}
	t, err := Parse([]byte(fmt.Sprintf(around, quoted)))
	if err != nil {
		return "", err
	}
	x, err := t.Expand(testEnvironment(), map[string]any{"given": "value"})
	if err != nil {
		return "", err
	}
	outputs, err := x.Outputs(testRuntime())
	if err != nil {
		return "", err
	}
	var b strings.Builder
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	err = encoder.Encode(outputs[0].Value.(map[string]any)["v"])
	return strings.TrimSpace(b.String()), err
}

func TestFunctions(t *testing.T) {
	data, err := os.ReadFile("testdata/functions.txt")
	if err != nil {
		t.Fatal(err)
	}
	tested := map[string]bool{}
	for i, line := range strings.Split(string(data), "\n") {
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		expression, want, fine := strings.Cut(line, " => ")
		refusal := ""
		if !fine {
			expression, refusal, _ = strings.Cut(line, " !! ")
		}
		for _, part := range strings.FieldsFunc(expression, func(r rune) bool { return strings.ContainsRune("(), .", r) }) {
			tested[strings.ToLower(part)] = true
		}
		have, err := evaluated(expression)
		switch {
		case refusal == "" && (err != nil || have != want):
			t.Errorf("functions.txt:%d: %s is %s (%v), want %s", i+1, expression, have, err, want)
		case refusal != "" && (err == nil || !strings.Contains(err.Error(), refusal)):
			t.Errorf("functions.txt:%d: %s is %s and its error %v, want one with %q", i+1, expression, have, err, refusal)
		}
	}
	for _, name := range Functions() {
		if !tested[strings.ToLower(name)] && name != "list*" {
			t.Errorf("testdata/functions.txt has no case for %s", name)
		}
	}
}

// utcNow and newGuid stand in defaults of parameters alone.
func TestFunctionsOfDefaults(t *testing.T) {
	for expression, want := range map[string]string{"utcNow()": "20190305T175318Z", "utcNow('d')": "03/05/2019", "utcNow('M d')": "3 5",
		"newGuid()": "33333333-3333-4333-8333-333333333333", "utcNow('u')": "2019-03-05 17:53:18Z", "utcNow('yyyy-MM-dd\\THH:mm:ss.fff')": "2019-03-05T17:53:18.000"} {
		quoted, _ := json.Marshal("[" + expression + "]")
		parsed, err := Parse([]byte(fmt.Sprintf(`{"$schema": "s", "contentVersion": "1.0.0.0", "parameters": {"p": {"type": "string", "defaultValue": %s}},
			"resources": []}`, quoted)))
		if err != nil {
			t.Fatal(err)
		}
		x, err := parsed.Expand(testEnvironment(), nil)
		if err != nil || x.Parameters()[0].Value != want {
			t.Errorf("%s: %v %v, want %s", expression, x, err, want)
		}
	}
}

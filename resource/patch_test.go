package resource

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"postern/service"
)

// patched applies a PATCH to a resource of a cloud and answers what it is then.
func patched(t *testing.T, cloud *Cloud, short, patch string) (map[string]any, error) {
	t.Helper()
	id := mustID(t, short)
	current, err := cloud.Render(id, "Succeeded")
	if err != nil {
		t.Fatal(err)
	}
	body, err := Patch(id, current, json.RawMessage(patch))
	if err != nil {
		return nil, err
	}
	c := NewChange(cloud, testOptions())
	if _, err := c.Put(id, body); err != nil {
		return nil, err
	}
	outcome, err := c.Finish()
	if err != nil {
		return nil, err
	}
	return rendered(t, outcome.After, short), nil
}

// rendered is the parsed answer about a resource.
func rendered(t testing.TB, cloud *Cloud, short string) map[string]any {
	t.Helper()
	answer, err := cloud.Render(mustID(t, short), "Succeeded")
	if err != nil {
		t.Fatal(err)
	}
	object, err := readObject(answer)
	if err != nil {
		t.Fatal(err)
	}
	return object
}

// at walks a parsed answer: names, and numbers for places in lists.
func at(t testing.TB, value any, path ...any) any {
	t.Helper()
	for _, step := range path {
		switch step := step.(type) {
		case string:
			object, _ := value.(map[string]any)
			value = object[step]
		case int:
			list, _ := value.([]any)
			if step >= len(list) {
				t.Fatalf("%v: there are %d elements only", path, len(list))
			}
			value = list[step]
		}
	}
	return value
}

func TestPatch(t *testing.T) {
	const account = "storageAccounts/stvnetstorageendpoints"
	t.Run("ARM-1 tags of a network resource", func(t *testing.T) {
		for _, short := range []string{"virtualNetworks/vnet", "routeTables/rt", "networkSecurityGroups/nsg", "networkInterfaces/nic-app",
			"publicIPAddresses/pip-app", "applicationSecurityGroups/asg-app", "serviceEndpointPolicies/own-account"} {
			cloud := sample(t)
			before := rendered(t, cloud, short)
			after, err := patched(t, cloud, short, `{"tags":{"a":"b"}}`)
			if err != nil {
				t.Fatal(err)
			}
			if at(t, after, "tags", "a") != "b" || len(after["tags"].(map[string]any)) != 1 {
				t.Errorf("%s: tags %v", short, after["tags"])
			}
			had, _ := json.Marshal(before["properties"])
			has, _ := json.Marshal(after["properties"])
			if string(had) != string(has) {
				t.Errorf("%s: properties changed:\n%s\n%s", short, had, has)
			}
		}
	})
	t.Run("ARM-1 an account's access list is replaced as sent, the rest stays", func(t *testing.T) {
		after, err := patched(t, sample(t), account, `{"properties":{"networkAcls":{"defaultAction":"Allow"},"minimumTlsVersion":"TLS1_1"},"sku":{"name":"Standard_GRS"}}`)
		if err != nil {
			t.Fatal(err)
		}
		if at(t, after, "properties", "networkAcls", "defaultAction") != "Allow" || len(at(t, after, "properties", "networkAcls", "ipRules").([]any)) != 0 {
			t.Errorf("networkAcls %v", at(t, after, "properties", "networkAcls"))
		}
		if at(t, after, "properties", "minimumTlsVersion") != "TLS1_1" || at(t, after, "sku", "name") != "Standard_GRS" || at(t, after, "tags", service.TagBackend) == nil {
			t.Errorf("after: %v", after)
		}
	})
	t.Run("FW-7 a patch of tags does not bring a deleted source to life", func(t *testing.T) {
		cloud := must(t, sample(t), "delete Microsoft.Compute/virtualMachines/vm-app", "delete networkInterfaces/nic-app", "delete virtualNetworks/vnet/subnets/snet-app")
		cloud = must(t, cloud, `put virtualNetworks/vnet/subnets/snet-app {"properties":{"addressPrefix":"10.13.76.0/24","serviceEndpoints":[{"service":"Microsoft.Storage"}]}}`)
		after, err := patched(t, cloud, account, `{"tags":{"postern.backend":"127.0.0.1:1"}}`)
		if err != nil {
			t.Fatal(err)
		}
		if state := at(t, after, "properties", "networkAcls", "virtualNetworkRules", 0, "state"); state != service.StateDeleted {
			t.Errorf("state %v", state)
		}
	})
	for _, c := range []struct{ name, id, patch, code, target string }{
		{"properties of a VNet", "virtualNetworks/vnet", `{"properties":{}}`, "OnlyTagsSupportedForPatch", "properties"},
		{"a field that no account has", account, `{"properties":{"networkAcl":{}}}`, "InvalidRequestFormat", "properties.networkAcl"},
		{"tags that are a list", "routeTables/rt", `{"tags":[]}`, "InvalidRequestFormat", "tags"},
		{"a subnet", "virtualNetworks/vnet/subnets/snet-app", `{"tags":{}}`, "MethodNotAllowed", "virtualNetworks/vnet/subnets/snet-app"},
		{"not JSON", "routeTables/rt", `{"tags":`, "InvalidRequestContent", ""},
	} {
		t.Run("ARM-1 refused: "+c.name, func(t *testing.T) {
			_, err := patched(t, sample(t), c.id, c.patch)
			var refusal *Error
			if !errors.As(err, &refusal) || refusal.Code != c.code || !strings.HasSuffix(refusal.Target, c.target) {
				t.Errorf("got %v, want %s at %s", err, c.code, c.target)
			}
		})
	}
}

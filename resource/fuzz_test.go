package resource

import (
	"encoding/json"
	"errors"
	"testing"
)

// FuzzPut writes any body to any type: it holds, and then it can be answered and written back, or it is refused as ARM
// refuses. The sample's cloud is there to refer to.
func FuzzPut(f *testing.F) {
	cloud := rich(f)
	var ids []ID
	for _, record := range cloud.Records("") {
		id := mustID(f, record.ID)
		ids = append(ids, id)
		answer, err := cloud.Render(id, "Succeeded")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(uint8(len(ids)-1), []byte(answer))
	}
	for _, short := range []string{"virtualNetworks/vnet/subnets/snet-app", "virtualNetworks/hub/virtualNetworkPeerings/to-vnet", "routeTables/rt/routes/tag",
		"networkSecurityGroups/nsg/securityRules/ssh", "serviceEndpointPolicies/own-account/serviceEndpointPolicyDefinitions/own"} {
		ids = append(ids, mustID(f, short))
		answer, err := cloud.Render(mustID(f, short), "Succeeded")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(uint8(len(ids)-1), []byte(answer))
	}
	f.Fuzz(func(t *testing.T, at uint8, body []byte) {
		id := ids[int(at)%len(ids)]
		write := func(cloud *Cloud, body json.RawMessage) (*Cloud, error) {
			c := NewChange(cloud, testOptions())
			if _, err := c.Put(id, body); err != nil {
				return nil, err
			}
			outcome, err := c.Finish()
			if err != nil {
				return nil, err
			}
			return outcome.After, nil
		}
		after, err := write(cloud, body)
		var refusal *Error
		if err != nil {
			if !errors.As(err, &refusal) || refusal.Status < 400 || refusal.Status > 499 || refusal.Code == "" {
				t.Errorf("%s: not a refusal: %v", id, err)
			}
			return
		}
		answer, err := after.Render(id, "Succeeded")
		if err != nil {
			t.Fatalf("%s was written and cannot be answered: %v", id, err)
		}
		if _, err := write(after, answer); err != nil {
			t.Errorf("%s: the answer cannot be written back: %v\n%s", id, err, answer)
		}
		if patched, err := Patch(id, answer, []byte(`{"tags":{"a":"b"}}`)); err == nil {
			if _, err := write(after, patched); err != nil {
				t.Errorf("%s: a patch of tags cannot be written: %v", id, err)
			}
		}
	})
}

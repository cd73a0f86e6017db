// Package servicetest decodes and renders with the descriptions of services, for their tests: the rest of the system
// is not needed to tell what a body means.
package servicetest

import (
	"encoding/json"
	"testing"
	"time"

	"postern/model"
	"postern/service"
)

// Group is the resource group of instances and subnets.
const Group = "/subscriptions/s/resourceGroups/rg/providers/"

// App and Other are the ids of two subnets.
const (
	App   = model.ResourceID(Group + "Microsoft.Network/virtualNetworks/vnet/subnets/app")
	Other = model.ResourceID(Group + "Microsoft.Network/virtualNetworks/vnet/subnets/other")
)

// Decode reads a body as an instance of a service's only type. The error is of a refusal.
func Decode(s *service.Service, name, body string) (*service.Instance, *service.Refusal) {
	id := model.ResourceID(Group + s.Types[0].Name + "/" + name)
	into := &service.Instance{ServiceInstance: model.ServiceInstance{ID: id, Service: s.Name, Name: name, Location: "westeurope"}}
	if s.Zones != nil {
		into.Space = s.LabelSpace()
	}
	err := s.Types[0].Decode(&service.Body{ID: id, Location: "westeurope", JSON: []byte(body),
		Subnet: func(id, field string) (model.ResourceID, error) {
			if id == "" {
				return "", service.Refuse(service.CodeInvalidContent, field, "A subnet needs an id.")
			}
			return model.ResourceID(id), nil
		}}, into)
	if err != nil {
		return nil, err.(*service.Refusal)
	}
	return into, nil
}

// MustDecode fails the test where a body is refused. Each subnet that rules name gets an identity: App 101, others 102.
func MustDecode(t testing.TB, s *service.Service, name, body string) *service.Instance {
	t.Helper()
	into, refusal := Decode(s, name, body)
	if refusal != nil {
		t.Fatalf("%s is refused: %v", body, refusal)
	}
	identity := func(subnet model.ResourceID) model.Identity {
		switch {
		case into.Sources[subnet.Key()].Deleted || subnet == "":
			return model.IdentityNone
		case subnet.Is(App):
			return 101
		}
		return 102
	}
	for i := range into.Rules.VirtualNetworkRules {
		rule := &into.Rules.VirtualNetworkRules[i]
		rule.Identity = identity(rule.Subnet)
	}
	for i := range into.Rules.Filters {
		rule := &into.Rules.Filters[i]
		rule.Identity = identity(rule.Subnet)
	}
	return into
}

// Render answers a body as ARM would; every rule's subnet is there but Other, which was deleted. The answer has gone
// through JSON.
func Render(t testing.TB, s *service.Service, name, body string, settings model.Settings) map[string]any {
	t.Helper()
	into := MustDecode(t, s, name, body)
	var object map[string]any
	if err := json.Unmarshal([]byte(body), &object); err != nil {
		t.Fatal(err)
	}
	answer := &service.Answer{Object: object, Properties: service.ObjectIn(object, "properties"), Instance: &into.ServiceInstance,
		Settings: &settings, Created: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), RuleState: func(subnet model.ResourceID) string {
			if subnet.Is(Other) {
				return service.StateDeleted
			}
			return "Succeeded"
		}}
	if s.Zones != nil {
		answer.Zones = s.Zones(settings)
	}
	s.Types[0].Render(answer)
	data, err := json.Marshal(object)
	if err != nil {
		t.Fatal(err)
	}
	var out map[string]any
	if err := json.Unmarshal(data, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// Refuses checks bodies that are refused: each is a name for the case, the body, and the field and the code of the
// refusal. instance is a name that an instance could have.
func Refuses(t *testing.T, s *service.Service, instance string, cases [][4]string) {
	for _, c := range cases {
		name, body, field, code := c[0], c[1], c[2], c[3]
		t.Run(name, func(t *testing.T) {
			into, refusal := Decode(s, instance, body)
			if refusal == nil {
				t.Fatalf("%s is taken: %+v", body, into)
			}
			if refusal.Field != field || refusal.Code != code {
				t.Errorf("got %q %q %q, want field %q code %q", refusal.Field, refusal.Code, refusal.Message, field, code)
			}
		})
	}
}

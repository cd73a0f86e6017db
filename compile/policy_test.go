package compile

import (
	"slices"
	"testing"

	"postern/model"
	"postern/servicetag"
)

// SEP-1 to SEP-5: what a subnet's policies let it reach, of any service.
func TestPolicyInstances(t *testing.T) {
	const group = "/subscriptions/s/resourceGroups/rg/providers/"
	storage, _ := model.ServiceByEndpoint("Microsoft.Storage")
	vault, _ := model.ServiceByEndpoint("Microsoft.KeyVault")
	redis := model.Service{Endpoint: "Contoso.Redis", Tag: "Contoso-Redis", Identity: 5000, Bit: 16}
	instance := func(name string, endpoint model.Service, aliases ...string) *model.ServiceInstance {
		return &model.ServiceInstance{ID: model.ResourceID(group + "X/y/" + name), Name: name, Endpoint: endpoint, Aliases: aliases}
	}
	definition := func(service string, resources ...string) model.ServiceEndpointPolicyDefinition {
		return model.ServiceEndpointPolicyDefinition{Service: service, ServiceResources: resources}
	}
	snapshot := &model.Snapshot{
		Instances: []*model.ServiceInstance{
			instance("account", storage), instance("factory", storage, "/services/Azure/DataFactory"), instance("keys", vault), instance("cache", redis),
		},
		ServiceEndpointPolicies: []*model.ServiceEndpointPolicy{
			{ID: "/account", Definitions: []model.ServiceEndpointPolicyDefinition{definition("Microsoft.Storage", group+"X/y/account")}},
			{ID: "/global", Definitions: []model.ServiceEndpointPolicyDefinition{definition("Microsoft.Storage.Global", "/subscriptions/s")}},
			{ID: "/cache", Definitions: []model.ServiceEndpointPolicyDefinition{definition("Contoso.Redis", group+"X/y/cache")}},
			{ID: "/nothing", Definitions: []model.ServiceEndpointPolicyDefinition{definition("Contoso.Redis", group+"X/y/account")}},
			{ID: "/keys", Definitions: []model.ServiceEndpointPolicyDefinition{definition("Microsoft.KeyVault", "/subscriptions/other")}},
			{ID: "/alias", Definitions: []model.ServiceEndpointPolicyDefinition{definition("Global", "/services/Azure/DataFactory")}},
			{ID: "/aliases", Definitions: []model.ServiceEndpointPolicyDefinition{definition("Global", "/services/Azure")}},
			{ID: "/both", Definitions: []model.ServiceEndpointPolicyDefinition{definition("Global", "/services/Azure/DataFactory"), definition("Microsoft.Storage", group+"X/y/account")}},
		},
	}
	in := index(snapshot, servicetag.BuiltIn())
	for _, test := range []struct {
		name     string
		policies []model.ResourceID
		want     []string // nil: all, since nothing is restricted
	}{
		{"SEP-2 no policy, every instance", nil, nil},
		{"SEP-1 SEP-2 a service that is named, and no other", []model.ResourceID{"/account"}, []string{"account", "keys", "cache"}},
		{"SEP-3 a subscription, under the other name of Storage", []model.ResourceID{"/global"}, []string{"account", "factory", "keys", "cache"}},
		{"SEP-1 a service of the operator's own", []model.ResourceID{"/cache"}, []string{"account", "factory", "keys", "cache"}},
		{"SEP-1 a scope is of the service that is named with it", []model.ResourceID{"/nothing"}, []string{"account", "factory", "keys"}},
		{"SEP-3 another subscription", []model.ResourceID{"/keys"}, []string{"account", "factory", "cache"}},
		{"SEP-2 several unite", []model.ResourceID{"/keys", "/nothing", "/account"}, []string{"account"}},
		{"SEP-5 an alias alone lets nothing else through", []model.ResourceID{"/alias"}, []string{"factory"}},
		{"SEP-5 the alias of all", []model.ResourceID{"/aliases"}, []string{"factory"}},
		{"SEP-5 an alias beside a service", []model.ResourceID{"/both"}, []string{"account", "factory", "keys", "cache"}},
		{"SEP-2 a policy that is gone lets nothing through", []model.ResourceID{"/gone"}, []string{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			instances, restricted := in.policyInstances(&subnet{Subnet: &model.Subnet{ServiceEndpointPolicies: test.policies}})
			names := []string{}
			for _, one := range instances {
				names = append(names, one.Name)
			}
			if restricted != (test.want != nil) || restricted && !slices.Equal(names, test.want) {
				t.Errorf("got %v, %v; want %v", names, restricted, test.want)
			}
		})
	}
}

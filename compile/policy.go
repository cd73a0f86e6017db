package compile

import (
	"net/netip"
	"slices"
	"strings"

	"postern/model"
)

// policyInstances lists the instances that a subnet's service endpoint policies let it reach, and whether it has any
// policy: without one it reaches all (SEP-2). Policies unite. A definition restricts the service that it names, and no
// other (SEP-1): of services that no definition names, every instance is reached. But a policy that names no service, since
// it has aliases alone or is gone, lets nothing else through (SEP-5).
func (in *indexed) policyInstances(subnet *subnet) (instances []*model.ServiceInstance, restricted bool) {
	if len(subnet.ServiceEndpointPolicies) == 0 {
		return nil, false
	}
	named, everything := map[model.Identity]bool{}, false
	var definitions []model.ServiceEndpointPolicyDefinition
	for _, id := range subnet.ServiceEndpointPolicies {
		policy, names := in.policies[id.Key()], false
		if policy != nil {
			for _, definition := range policy.Definitions {
				definitions = append(definitions, definition)
				if service, ok := in.services[definition.Service]; ok {
					named[service.Identity], names = true, true
				}
			}
		}
		everything = everything || !names
	}
	for i := range in.Instances {
		instance := in.Instances[i]
		allowed := slices.ContainsFunc(definitions, func(d model.ServiceEndpointPolicyDefinition) bool { return in.listed(&d, instance) })
		if allowed || !everything && !named[instance.Endpoint.Identity] {
			instances = append(instances, instance)
		}
	}
	return instances, true
}

// listed tells whether a definition has an instance: by a scope that it is in (SEP-3), or by an alias that the operator
// gave it (SEP-5). The alias /services/Azure stands for all below it.
func (in *indexed) listed(definition *model.ServiceEndpointPolicyDefinition, instance *model.ServiceInstance) bool {
	if service, ok := in.services[definition.Service]; ok && service.Identity != instance.Endpoint.Identity {
		return false
	}
	return slices.ContainsFunc(definition.ServiceResources, func(text string) bool {
		if definition.Service != "Global" {
			return instance.ID.Within(model.ResourceID(text))
		}
		return slices.ContainsFunc(instance.Aliases, func(alias string) bool {
			return model.ResourceID(strings.TrimSuffix(alias, "/")).Within(model.ResourceID(text))
		})
	})
}

// addressesOf are instances as a host knows them.
func addressesOf(instances []*model.ServiceInstance) []netip.Addr {
	addresses := []netip.Addr{}
	for _, instance := range instances {
		addresses = append(addresses, instance.Address)
	}
	slices.SortFunc(addresses, netip.Addr.Compare)
	return addresses
}

// keysOf are instances as a gateway knows them.
func keysOf(instances []*model.ServiceInstance) []string {
	keys := []string{}
	for _, instance := range instances {
		keys = append(keys, instance.ID.Key())
	}
	slices.Sort(keys)
	return keys
}

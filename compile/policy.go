package compile

import (
	"net/netip"
	"slices"

	"postern/model"
)

// policyAccounts lists the accounts that a subnet's service endpoint policies let it reach, and whether it has any
// policy: without one it reaches all (SEP-2). Policies unite. A policy of aliases alone lets no account through (SEP-5).
func (in *indexed) policyAccounts(subnet *subnet) (accounts []*model.StorageAccount, restricted bool) {
	if len(subnet.ServiceEndpointPolicies) == 0 {
		return nil, false
	}
	var scopes []model.ResourceID
	for _, id := range subnet.ServiceEndpointPolicies {
		policy := in.policies[id.Key()]
		if policy == nil {
			continue // a policy that is gone lets nothing through
		}
		for _, definition := range policy.Definitions {
			if definition.Service == "Global" {
				continue
			}
			for _, scope := range definition.ServiceResources {
				scopes = append(scopes, model.ResourceID(scope))
			}
		}
	}
	for i := range in.StorageAccounts {
		account := &in.StorageAccounts[i]
		if slices.ContainsFunc(scopes, account.ID.Within) { // SEP-3
			accounts = append(accounts, account)
		}
	}
	return accounts, true
}

// policyAddresses is policyAccounts for a host, which knows instances by their addresses.
func (in *indexed) policyAddresses(subnet *subnet) (addresses []netip.Addr, restricted bool) {
	accounts, restricted := in.policyAccounts(subnet)
	addresses = []netip.Addr{}
	for _, account := range accounts {
		addresses = append(addresses, account.Address)
	}
	slices.SortFunc(addresses, netip.Addr.Compare)
	return addresses, restricted
}

// policyKeys is policyAccounts for a gateway, which knows instances by their ids.
func (in *indexed) policyKeys(subnet *subnet) (keys []string, restricted bool) {
	accounts, restricted := in.policyAccounts(subnet)
	keys = []string{}
	for _, account := range accounts {
		keys = append(keys, account.ID.Key())
	}
	slices.Sort(keys)
	return keys, restricted
}

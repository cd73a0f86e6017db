package resource

import (
	"maps"
	"slices"
	"strings"

	"postern/model"
)

// virtualNetwork allots the VNet's number and its subnets' identities, and judges policies, peerings and what
// is already in the subnets.
func (j *judge) virtualNetwork(e *entry, vnet *model.VirtualNetwork) error {
	j.numberVNet(e, vnet)
	j.part(e, vnet)
	for i := range vnet.Subnets {
		if err := j.subnet(vnet, &vnet.Subnets[i], index("properties.subnets", i)+".properties"); err != nil {
			return err
		}
	}
	for _, other := range j.after.entries.of(TypeVirtualNetwork) {
		remote := other.noun.(*model.VirtualNetwork)
		if !remote.ID.Is(vnet.ID) && (peered(vnet, remote) || peered(remote, vnet)) {
			if err := apart(vnet, remote); err != nil {
				return err
			}
			if err := j.apartFromPeersOf(remote, vnet); err != nil {
				return err
			}
		}
	}
	return nil
}

// apartFromPeersOf refuses a VNet whose address space overlaps with that of another one that a common peer has: the peer
// would not know the way.
func (j *judge) apartFromPeersOf(common, vnet *model.VirtualNetwork) error {
	for _, peering := range common.Peerings {
		other := j.after.vnet(peering.RemoteVirtualNetwork)
		if other == nil || other.ID.Is(vnet.ID) {
			continue
		}
		for _, a := range vnet.AddressSpace {
			for _, b := range other.AddressSpace {
				if a.Overlaps(b) {
					return refuse("VnetAddressSpaceOverlapsWithAlreadyPeeredVnet", "properties.virtualNetworkPeerings", "Virtual networks %s and %s cannot be "+
						"peered because address space of the first virtual network overlaps with address space of virtual network %s already peered "+
						"with the second virtual network. Overlapping address prefixes: %s, %s.", vnet.ID, common.ID, other.ID, a, b)
				}
			}
		}
	}
	return nil
}

// part keeps in mind which halves of connected peerings a write takes away, until there is one again: the other half is
// Disconnected then, not Initiated (HYB-3).
func (j *judge) part(e *entry, vnet *model.VirtualNetwork) {
	old := j.before.vnet(vnet.ID)
	if j.checkOnly || old == nil {
		return
	}
	parted := make(map[uint32]int64)
	maps.Copy(parted, e.record.Allotted.Parted)
	for _, half := range old.Peerings {
		if remote := j.before.vnet(half.RemoteVirtualNetwork); remote != nil && peered(remote, vnet) && !peered(vnet, remote) {
			parted[remote.Number] = j.before.Revision
		}
	}
	for _, half := range vnet.Peerings {
		if remote := j.after.vnet(half.RemoteVirtualNetwork); remote != nil {
			delete(parted, remote.Number)
		}
	}
	if e.record.Allotted.Parted = parted; len(parted) == 0 {
		e.record.Allotted.Parted = nil // as it was before the first
	}
}

// numberVNet gives the VNet its number and each subnet its identity: those of subnets that stay are kept.
func (j *judge) numberVNet(e *entry, vnet *model.VirtualNetwork) {
	if j.checkOnly {
		return
	}
	allotted := &e.record.Allotted
	if allotted.Number == 0 {
		allotted.Number = j.counters.VNet
		j.counters.VNet++
	}
	vnet.Number = allotted.Number
	old := allotted.Subnets
	allotted.Subnets = make(map[string]model.Identity, len(vnet.Subnets))
	for i := range vnet.Subnets {
		name := strings.ToLower(vnet.Subnets[i].ID.Name())
		identity, ok := old[name]
		if !ok {
			identity = j.counters.Identity
			j.counters.Identity++
		}
		allotted.Subnets[name], vnet.Subnets[i].Identity = identity, identity
	}
}

func (j *judge) subnet(vnet *model.VirtualNetwork, subnet *model.Subnet, at string) error {
	if len(subnet.ServiceEndpointPolicies) > maxSubnetPolicies {
		return refuse("ServiceEndpointPolicyLimitExceeded", at+".serviceEndpointPolicies", "A subnet takes at most %d service endpoint "+
			"policies; subnet '%s' has %d.", maxSubnetPolicies, subnet.ID.Name(), len(subnet.ServiceEndpointPolicies))
	}
	for i, name := range subnet.ServiceEndpoints {
		if err := j.endpointIsThere(name, "InvalidServiceEndpoint", index(at+".serviceEndpoints", i)+".service"); err != nil {
			return err
		}
	}
	for i, id := range subnet.ServiceEndpointPolicies {
		field := index(at+".serviceEndpointPolicies", i)
		policy := j.after.entries.find(id.Key()).noun.(*model.ServiceEndpointPolicy) // referTo saw to the type, refersWell to the region
		if err := policyServed(policy, subnet, field); err != nil {
			return err
		}
	}
	for _, nic := range linksOf(j.after.entries, TypeNetworkInterface).nics[subnet.ID.Key()] {
		if nic.IPv4.IsValid() && !contains(subnet.Prefixes, nic.IPv4) && !j.isWritten(nic) {
			return refuse("InUsePrefixCannotBeDeleted", at+".addressPrefix", "IpPrefix of subnet '%s' is in use by %s (%s) and cannot be "+
				"changed to %v.", subnet.ID.Name(), nic.ID, nic.IPv4, subnet.Prefixes)
		}
		for _, block := range nic.Secondary {
			if !contains(subnet.Prefixes, block.Addr()) && !j.isWritten(nic) {
				return refuse("InUsePrefixCannotBeDeleted", at+".addressPrefix", "IpPrefix of subnet '%s' is in use by %s (%s) and cannot be "+
					"changed to %v.", subnet.ID.Name(), nic.ID, block, subnet.Prefixes)
			}
		}
	}
	return nil
}

// isWritten tells whether a NIC of the cloud after is itself part of the change: then its own judgement has the
// clearer answer.
func (j *judge) isWritten(nic *networkInterface) bool {
	old := j.before.entries.find(nic.ID.Key())
	return old == nil || old.noun != any(nic)
}

// policyServed refuses a policy for a service whose endpoint the subnet does not have (SEP-1).
func policyServed(policy *model.ServiceEndpointPolicy, subnet *model.Subnet, field string) error {
	for _, definition := range policy.Definitions {
		if definition.Service == "Global" {
			continue
		}
		if wanted, _ := endpointNamed(definition.Service); !enabled(subnet, wanted) {
			return refuse("ServiceEndpointPolicyEndpointMissing", field, "Service endpoint policy '%s' is for %s, which subnet '%s' has no "+
				"service endpoint for: enable it on the subnet first.", policy.ID.Name(), definition.Service, subnet.ID.Name())
		}
	}
	if len(subnet.ServiceEndpoints) == 0 {
		return refuse("ServiceEndpointPolicyEndpointMissing", field, "Service endpoint policy '%s' needs a service endpoint on subnet '%s': "+
			"enable one first.", policy.ID.Name(), subnet.ID.Name())
	}
	return nil
}

// enabled tells whether a subnet has an endpoint for a service, under either name of Storage.
func enabled(subnet *model.Subnet, wanted model.Service) bool {
	return slices.ContainsFunc(subnet.ServiceEndpoints, func(name string) bool {
		have, ok := model.ServiceByEndpoint(name)
		return name == wanted.Endpoint || ok && have.Identity == wanted.Identity
	})
}

// policy judges a policy for the subnets that have it already.
func (j *judge) policy(policy *model.ServiceEndpointPolicy) error {
	if err := j.policyCount(policy); err != nil {
		return err
	}
	for i, definition := range policy.Definitions {
		field := index("properties.serviceEndpointPolicyDefinitions", i) + ".properties.service"
		if err := j.endpointIsThere(definition.Service, "ServiceEndpointPolicyDefinitionServiceInvalid", field); err != nil {
			return err
		}
	}
	for _, e := range j.after.entries.of(TypeVirtualNetwork) {
		vnet := e.noun.(*model.VirtualNetwork)
		for i := range vnet.Subnets {
			for _, id := range vnet.Subnets[i].ServiceEndpointPolicies {
				if id.Is(policy.ID) {
					if err := policyServed(policy, &vnet.Subnets[i], "properties.serviceEndpointPolicyDefinitions"); err != nil {
						return err
					}
				}
			}
		}
	}
	return nil
}

func peered(from, to *model.VirtualNetwork) bool {
	return slices.ContainsFunc(from.Peerings, func(p model.Peering) bool { return p.RemoteVirtualNetwork.Is(to.ID) })
}

// apart refuses to peer VNets whose address spaces overlap.
func apart(one, other *model.VirtualNetwork) error {
	for _, a := range one.AddressSpace {
		for _, b := range other.AddressSpace {
			if a.Overlaps(b) {
				return refuse("VnetAddressSpacesOverlap", "properties.virtualNetworkPeerings", "Cannot peer virtual networks '%s' and '%s': "+
					"their address spaces %s and %s overlap.", one.ID.Name(), other.ID.Name(), a, b)
			}
		}
	}
	return nil
}

// node judges that no two nodes have one name or one locator, and that anycast locators stay in one region.
func (j *judge) node(node *model.Node) error {
	for _, e := range j.after.entries.of(TypeNode) {
		other := e.noun.(*model.Node)
		if other == node {
			continue
		}
		if strings.EqualFold(other.Name, node.Name) {
			return conflict("NodeNameTaken", "name", "A node named '%s' exists in another resource group: %s.", node.Name, e.record.ID)
		}
		if node.PlatformPool.IsValid() && other.PlatformPool.IsValid() && node.PlatformPool.Overlaps(other.PlatformPool) {
			return conflict("PlatformPoolTaken", "properties.platformPool", "The platformPool %s overlaps with %s of node '%s': choose another.",
				node.PlatformPool, other.PlatformPool, other.Name)
		}
		for _, own := range locatorsOf(node) {
			for _, theirs := range locatorsOf(other) {
				shared := own.field == theirs.field && own.field != "properties.locator" && node.Location == other.Location
				if own.locator == theirs.locator && !shared {
					return conflict("LocatorTaken", own.field, "The locator %s is node '%s''s %s: choose another.", own.locator, other.Name, theirs.field)
				}
			}
		}
	}
	own := locatorsOf(node)
	for i := range own {
		for _, other := range own[:i] {
			if own[i].locator == other.locator {
				return refuse("LocatorTaken", own[i].field, "The locator %s stands in %s too: choose another.", own[i].locator, other.field)
			}
		}
	}
	if node.Role != model.RoleHost && j.nicsIndex().load[strings.ToLower(node.Name)] > 0 {
		return refuse("InUseNodeCannotBeChanged", "properties.role", "Node '%s' carries network interfaces and must stay a host.", node.Name)
	}
	return nil
}

type namedLocator struct {
	field   string
	locator model.Locator
}

func locatorsOf(node *model.Node) []namedLocator {
	list := []namedLocator{{"properties.locator", node.Locator}}
	if node.Role == model.RoleGateway {
		list = append(list, namedLocator{"properties.serviceLocator", node.ServiceLocator}, namedLocator{"properties.platformLocator", node.PlatformLocator})
	}
	return list
}

package resource

import (
	"iter"
	"net/netip"
	"slices"
	"strings"

	"postern/model"
	"postern/service/all"
)

// judge compares what is written with everything else, and allots on the way. Its indexes are of the cloud after the
// change and are made when first needed.
type judge struct {
	before, after *Cloud
	options       Options
	counters      *Counters
	checkOnly     bool              // nothing is allotted
	nested        map[string]string // Change.nested

	nics      *nicIndex
	instances *instanceIndex
}

// written judges one record of the cloud after. It may allot to the record and renew the noun.
func (j *judge) written(e *entry) error {
	if err := j.sameLocation(e); err != nil {
		return err
	}
	if err := j.inRegion(e); err != nil {
		return err
	}
	if err := j.refersWell(e); err != nil {
		return err
	}
	j.name(e)
	switch noun := e.noun.(type) {
	case *model.Node:
		return j.node(noun)
	case *model.VirtualNetwork:
		return j.virtualNetwork(e, noun)
	case *model.RouteTable:
		return j.routeTags(noun)
	case *model.NetworkSecurityGroup:
		return j.ruleTags(noun)
	case *model.ServiceEndpointPolicy:
		return j.policy(noun)
	case *model.NatGateway:
		return j.natGateway(noun)
	case *model.PublicIPAddress:
		return j.publicIPAddress(e, noun)
	case *publicIPPrefix:
		return j.publicIPPrefix(e, noun)
	case *instance:
		return j.instance(e, noun)
	case *kept:
		j.date(e)
		return j.identity(e, &noun.identity)
	case *networkInterface:
		return j.networkInterface(e, noun)
	case *virtualMachine:
		return j.virtualMachine(e, noun)
	case *networkWatcher:
		return j.networkWatcher(noun)
	case *managedIdentity:
		return j.managedIdentity(e)
	}
	return nil
}

// sameLocation refuses to move a resource to another region.
func (j *judge) sameLocation(e *entry) error {
	old := j.before.entries.find(e.key)
	if old == nil {
		return nil
	}
	if was, is := locationOf(old.noun), locationOf(e.noun); was != is {
		return conflict("InvalidResourceLocation", "location", "The resource '%s' already exists in location '%s'. A resource with the same "+
			"name cannot be created in location '%s'. Delete it first, or use another name.", model.ResourceID(e.record.ID).Name(), was, is)
	}
	return nil
}

func locationOf(noun any) model.Location {
	switch noun := noun.(type) {
	case *resourceGroup:
		return noun.location
	case *model.Node:
		return noun.Location
	case *ApplicationSecurityGroup:
		return noun.Location
	case *model.NetworkSecurityGroup:
		return noun.Location
	case *model.RouteTable:
		return noun.Location
	case *model.ServiceEndpointPolicy:
		return noun.Location
	case *model.VirtualNetwork:
		return noun.Location
	case *model.PublicIPAddress:
		return noun.Location
	case *publicIPPrefix:
		return noun.location
	case *instance:
		return noun.home
	case *kept:
		return noun.home
	case *model.NatGateway:
		return noun.Location
	case *networkInterface:
		return noun.Location
	case *virtualMachine:
		return noun.Location
	case *networkWatcher:
		return noun.location
	case *managedIdentity:
		return noun.location
	}
	return ""
}

// pointer is a reference from one resource to another, and the field that holds it.
type pointer struct {
	id    model.ResourceID
	field string
}

// references walks what a noun refers to and cannot be without. Network rules are not among it: they outlive their
// subnets (FW-7).
func references(noun any) iter.Seq[pointer] {
	return func(yield func(pointer) bool) {
		var list []pointer
		add := func(field string, ids ...model.ResourceID) {
			for _, id := range ids {
				if id != "" {
					list = append(list, pointer{id, field})
				}
			}
		}
		switch noun := noun.(type) {
		case *model.VirtualNetwork:
			for i, subnet := range noun.Subnets {
				at := index("properties.subnets", i) + ".properties"
				add(at+".routeTable.id", subnet.RouteTable)
				add(at+".networkSecurityGroup.id", subnet.NetworkSecurityGroup)
				add(at+".natGateway.id", subnet.NatGateway)
				add(at+".serviceEndpointPolicies", subnet.ServiceEndpointPolicies...)
			}
			for i, peering := range noun.Peerings {
				add(index("properties.virtualNetworkPeerings", i)+".properties.remoteVirtualNetwork.id", peering.RemoteVirtualNetwork)
			}
		case *model.NetworkSecurityGroup:
			for i, rule := range noun.Rules {
				at := index("properties.securityRules", i) + ".properties"
				add(at+".sourceApplicationSecurityGroups", rule.Source.ASGs...)
				add(at+".destinationApplicationSecurityGroups", rule.Destination.ASGs...)
			}
		case *networkInterface:
			for i, one := range noun.configurations {
				at := index("properties.ipConfigurations", i) + ".properties"
				add(at+".subnet.id", one.subnet)
				add(at+".publicIPAddress.id", one.public)
				add(at+".applicationSecurityGroups", one.asgs...)
			}
			add("properties.networkSecurityGroup.id", noun.NetworkSecurityGroup)
		case *model.PublicIPAddress:
			add("properties.publicIPPrefix.id", noun.Prefix)
		case *model.NatGateway:
			add("properties.publicIpAddresses", noun.PublicIPAddresses...)
			add("properties.publicIpPrefixes", noun.PublicIPPrefixes...)
			add("properties.sourceVirtualNetwork.id", noun.SourceVirtualNetwork)
		case *instance:
			for _, use := range noun.Uses {
				add(use.Field, use.ID)
			}
		case *virtualMachine:
			add("properties.networkProfile.networkInterfaces", noun.NetworkInterfaces...)
		}
		for _, p := range list {
			if !yield(p) {
				return
			}
		}
	}
}

// inUse has, for each type that others refer to, Azure's code for the deletion of one that is in use.
var inUse = map[string]string{
	TypeVirtualNetwork:              "InUseVirtualNetworkCannotBeDeleted",
	TypeVirtualNetwork + "/subnets": "InUseSubnetCannotBeDeleted",
	TypeRouteTable:                  "InUseRouteTableCannotBeDeleted",
	TypeNetworkSecurityGroup:        "InUseNetworkSecurityGroupCannotBeDeleted",
	TypeApplicationSecurityGroup:    "InUseApplicationSecurityGroupCannotBeDeleted",
	TypeServiceEndpointPolicy:       "InUseServiceEndpointPolicyCannotBeDeleted",
	TypePublicIPAddress:             "PublicIPAddressCannotBeDeleted",
	TypePublicIPPrefix:              "PublicIPPrefixCannotBeDeleted",
	TypeNatGateway:                  "InUseNatGatewayCannotBeDeleted",
	TypeNetworkInterface:            "NicInUse",
	TypeNode:                        "InUseNodeCannotBeDeleted",
}

// removed refuses a change that takes away what others still refer to: deleted resources, and subnets that a VNet no
// longer lists (ARM-2).
func (j *judge) removed(keys []string) error {
	gone := make(map[string]model.ResourceID)
	hosts := make(map[string]model.ResourceID) // by the node's name
	for _, key := range keys {
		old := j.before.entries.find(key)
		if old == nil {
			continue
		}
		stays := j.after.entries.find(key) != nil
		if !stays {
			gone[key] = model.ResourceID(old.record.ID)
		}
		switch noun := old.noun.(type) {
		case *model.VirtualNetwork:
			now := j.after.vnet(noun.ID)
			for i, subnet := range noun.Subnets {
				if now != nil && i < len(now.Subnets) && now.Subnets[i].ID == subnet.ID && now.Subnets[i].Identity == subnet.Identity {
					continue // most subnets stay where they are
				}
				if now, _ := j.after.subnet(subnet.ID); now == nil || now.Identity != subnet.Identity {
					gone[subnet.ID.Key()] = subnet.ID
				}
			}
		case *model.Node:
			if !stays {
				hosts[strings.ToLower(noun.Name)] = model.ResourceID(old.record.ID)
			}
		}
	}
	if len(gone) == 0 {
		return nil
	}
	for e := range j.after.entries.after("") {
		noun := e.noun
		for ref := range references(noun) {
			_, isVNet := noun.(*model.VirtualNetwork)
			if id, ok := gone[ref.id.Key()]; ok && !(isVNet && strings.EqualFold(typeOf(id), TypeVirtualNetwork)) { // a peering may lose its VNet
				return refuseInUse(id, e.record.ID)
			}
		}
		if nic, ok := noun.(*networkInterface); ok {
			if id, ok := hosts[strings.ToLower(nic.Node)]; ok {
				return refuseInUse(id, e.record.ID)
			}
		}
	}
	return nil
}

func typeOf(id model.ResourceID) string {
	parsed, err := ParseID(string(id))
	if err != nil {
		return ""
	}
	return parsed.Type()
}

func refuseInUse(id model.ResourceID, user string) error {
	if _, typ := all.Type(typeOf(id)); typ != nil && typ.InUse != nil {
		return about(asError(typ.InUse(id.Name(), model.ResourceID(user))), string(id))
	}
	return about(refuse(inUse[typeOf(id)], string(id), "%s is in use by %s and cannot be deleted. Delete or change that resource first.",
		id.Name(), user), string(id))
}

func contains(prefixes []netip.Prefix, address netip.Addr) bool {
	return slices.ContainsFunc(prefixes, func(p netip.Prefix) bool { return p.Contains(address) })
}

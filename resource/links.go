package resource

import (
	"slices"

	"postern/model"
)

// links are the references of a cloud's resources, seen from the other end: what ARM answers about who uses a resource.
// Keys are those of the resource that is referred to.
type links struct {
	subnets        map[string][]string            // of a route table, an NSG, a NAT gateway, a policy: ids of subnets
	interfaces     map[string][]string            // of an NSG: ids of NICs
	configurations map[string][]string            // of a subnet, a public IP: ids of ipConfigurations
	nics           map[string][]*networkInterface // of a subnet
	machine        map[string]*virtualMachine
	natGateway     map[string]string   // of a public IP, of a prefix, of a VNet
	publics        map[string][]string // of a prefix: ids of public IPs
}

// links puts together what each type refers to. Clouds with the same entries of a type share its part.
func (c *Cloud) links() *links {
	nics := linksOf(c.entries, TypeNetworkInterface)
	return &links{
		subnets:    linksOf(c.entries, TypeVirtualNetwork).subnets,
		interfaces: nics.interfaces, configurations: nics.configurations, nics: nics.nics,
		machine:    linksOf(c.entries, TypeVirtualMachine).machine,
		natGateway: linksOf(c.entries, TypeNatGateway).natGateway,
		publics:    linksOf(c.entries, TypePublicIPAddress).publics,
	}
}

// linksOf are the references of one type's entries alone.
func linksOf(x entries, typ string) *links {
	list := x[order(typ)]
	return remembered(&list.links, func() *links {
		part := &links{make(map[string][]string), make(map[string][]string), make(map[string][]string),
			make(map[string][]*networkInterface), make(map[string]*virtualMachine), make(map[string]string), make(map[string][]string)}
		for _, e := range list.sorted {
			part.add(e.noun)
		}
		return part
	})
}

func (x *links) add(noun any) {
	add := func(to map[string][]string, target model.ResourceID, from model.ResourceID) {
		if target != "" {
			to[target.Key()] = append(to[target.Key()], string(from))
		}
	}
	switch noun := noun.(type) {
	case *model.VirtualNetwork:
		for i := range noun.Subnets {
			subnet := &noun.Subnets[i]
			add(x.subnets, subnet.RouteTable, subnet.ID)
			add(x.subnets, subnet.NetworkSecurityGroup, subnet.ID)
			add(x.subnets, subnet.NatGateway, subnet.ID)
			for _, policy := range subnet.ServiceEndpointPolicies {
				add(x.subnets, policy, subnet.ID)
			}
		}
	case *networkInterface:
		add(x.interfaces, noun.NetworkSecurityGroup, noun.ID)
		for _, one := range noun.configurations {
			add(x.configurations, one.subnet, one.id)
			add(x.configurations, one.public, one.id)
		}
		x.nics[noun.Subnet.Key()] = append(x.nics[noun.Subnet.Key()], noun)
	case *virtualMachine:
		for _, nic := range noun.NetworkInterfaces {
			x.machine[nic.Key()] = noun
		}
	case *model.PublicIPAddress:
		add(x.publics, noun.Prefix, noun.ID)
	case *model.NatGateway:
		for _, public := range slices.Concat(noun.PublicIPPrefixes, noun.PublicIPAddresses) {
			x.natGateway[public.Key()] = string(noun.ID)
		}
		if noun.SourceVirtualNetwork != "" {
			x.natGateway[noun.SourceVirtualNetwork.Key()] = string(noun.ID)
		}
	}
}

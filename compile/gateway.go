package compile

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	"postern/model"
	"postern/plan"
)

// gateway is the plan of one gateway: the instances of its region, and whose every identity is that packets can come with.
func (in *indexed) gateway(node *model.Node) *plan.Gateway {
	whole := in.wholeOf(node.Name)
	offer := in.offer(whole, node)
	out := &plan.Gateway{
		ServiceLocator: node.ServiceLocator, PlatformLocator: node.PlatformLocator,
		Zones: in.Zones, Tenant: in.Settings.Tenant,
		Addresses: offer.addresses, Instances: offer.instances, Names: offer.names,
		Subnets:         whole.subnets.of(in.ordered, node.Name, func(p *part) []plan.Subnet { return p.subnets }),
		Machines:        whole.machines.of(in.ordered, node.Name, func(p *part) []plan.Machine { return p.machines }),
		VirtualNetworks: whole.names.of(in.ordered, node.Name, func(p *part) []plan.VirtualNetwork { return p.names }),
		Policies:        map[plan.Ref][]string{},
	}
	for _, network := range in.ordered {
		if !network.restricted {
			continue
		}
		for _, subnet := range network.occupied {
			if subnet.restricted {
				out.Policies[subnet.keysRef] = subnet.keys
			}
		}
	}
	return out
}

// offer is what a gateway has of instances. It is kept as long as they are the same.
type offer struct {
	from []*model.ServiceInstance

	addresses []netip.Addr
	instances []plan.Instance
	names     map[string]string
}

func (in *indexed) offer(whole *whole, node *model.Node) *offer {
	if whole.offer != nil && slices.Equal(whole.offer.from, in.Instances) {
		return whole.offer
	}
	out := &offer{from: in.Instances, addresses: []netip.Addr{}, instances: []plan.Instance{}, names: map[string]string{}}
	for _, instance := range in.Instances {
		if instance.Space != "" {
			out.names[plan.NameKey(instance.Space, strings.ToLower(instance.Name))] = instance.Address.String()
			for _, label := range instance.Labels {
				out.names[plan.NameKey(instance.Space, label)] = instance.Address.String()
			}
		}
		for _, host := range instance.Hosts {
			out.names[host] = instance.Address.String()
		}
		if instance.Location != node.Location {
			continue
		}
		out.addresses = append(out.addresses, instance.Address)
		out.instances = append(out.instances, plan.Instance{
			ID: instance.ID, Service: instance.Service, Space: instance.Space, Endpoint: instance.Endpoint, Name: instance.Name, Labels: instance.Labels, Hosts: instance.Hosts,
			Address: instance.Address, Keys: instance.Keys, Created: instance.Created, Rules: instance.Rules, Ports: instance.Ports,
			Backends: instance.Backends, Delivery: instance.Delivery,
		})
	}
	slices.SortFunc(out.addresses, netip.Addr.Compare)
	slices.SortFunc(out.instances, func(a, b plan.Instance) int { return cmp.Compare(a.ID.Key(), b.ID.Key()) })
	whole.offer = out
	return out
}

// gatewayPart is what a gateway has of one network: its subnets, those of its machines that are in the gateway's region, and its names' servers.
func (in *indexed) gatewayPart(network *network, node *model.Node) *part {
	out := &part{}
	for _, subnet := range network.occupied {
		out.subnets = append(out.subnets, plan.Subnet{
			Identity: subnet.Identity, ID: subnet.ID, VNet: network.vnet.ID, EnabledServices: subnet.table.EnabledServices(), Policy: subnet.keysRef,
		})
	}
	if len(network.occupied) > 0 {
		out.names = []plan.VirtualNetwork{{ID: network.vnet.ID, DNSServers: network.vnet.DNSServers}}
	}
	for _, nic := range network.nics {
		if nic.subnet == nil || nic.Location != node.Location {
			continue
		}
		machine := plan.Machine{Subnet: nic.subnet.Identity, IPv4: nic.IPv4, NIC: nic.ID, VNet: network.vnet.ID}
		if vm := in.machines[nic.ID.Key()]; vm != nil {
			machine.VM, machine.PrincipalID = vm.ID, vm.PrincipalID
		}
		out.machines = append(out.machines, machine)
	}
	return out
}

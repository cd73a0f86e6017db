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
	out := &plan.Gateway{
		ServiceLocator: node.ServiceLocator, PlatformLocator: node.PlatformLocator,
		Zones: in.Zones, Tenant: in.Settings.Tenant,
		Addresses: []netip.Addr{}, Instances: []plan.Instance{}, Subnets: []plan.Subnet{}, Machines: []plan.Machine{},
		Policies: map[plan.Ref][]string{}, Names: map[string]string{}, VirtualNetworks: []plan.VirtualNetwork{},
	}
	for i := range in.Instances {
		instance := in.Instances[i]
		if instance.Space != "" {
			out.Names[plan.NameKey(instance.Space, strings.ToLower(instance.Name))] = instance.Address.String()
		}
		for _, host := range instance.Hosts {
			out.Names[host] = instance.Address.String()
		}
		if instance.Location != node.Location {
			continue
		}
		out.Addresses = append(out.Addresses, instance.Address)
		out.Instances = append(out.Instances, plan.Instance{
			ID: instance.ID, Service: instance.Service, Space: instance.Space, Endpoint: instance.Endpoint, Name: instance.Name, Hosts: instance.Hosts,
			Address: instance.Address, Keys: instance.Keys, Rules: instance.Rules, Ports: instance.Ports,
			Backends: instance.Backends, Delivery: instance.Delivery,
		})
	}
	named := map[*model.VirtualNetwork]bool{}
	for _, subnet := range in.occupied {
		if !named[subnet.vnet] {
			named[subnet.vnet] = true
			out.VirtualNetworks = append(out.VirtualNetworks, plan.VirtualNetwork{ID: subnet.vnet.ID, DNSServers: subnet.vnet.DNSServers})
		}
		entry := plan.Subnet{
			Identity: subnet.Identity, ID: subnet.ID, VNet: subnet.vnet.ID, EnabledServices: subnet.table.EnabledServices(),
		}
		if keys, restricted := in.policyKeys(subnet); restricted {
			entry.Policy = share(out.Policies, "policy", keys)
		}
		out.Subnets = append(out.Subnets, entry)
	}
	for _, nic := range in.nics {
		subnet := nic.subnet
		if subnet == nil || nic.Location != node.Location {
			continue
		}
		machine := plan.Machine{Subnet: subnet.Identity, IPv4: nic.IPv4, NIC: nic.ID, VNet: subnet.vnet.ID}
		if vm := in.machines[nic.ID.Key()]; vm != nil {
			machine.VM, machine.PrincipalID = vm.ID, vm.PrincipalID
		}
		out.Machines = append(out.Machines, machine)
	}
	slices.SortFunc(out.Addresses, netip.Addr.Compare)
	slices.SortFunc(out.Instances, func(a, b plan.Instance) int { return cmp.Compare(a.ID.Key(), b.ID.Key()) })
	slices.SortFunc(out.VirtualNetworks, func(a, b plan.VirtualNetwork) int { return cmp.Compare(a.ID.Key(), b.ID.Key()) })
	return out
}

package compile

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"

	"postern/model"
	"postern/plan"
)

// host is the plan of one host: its NICs, and of the rest of the cloud what their packets can meet.
func (in *indexed) host(node *model.Node) (*plan.Host, error) {
	out := &plan.Host{
		DocumentedRoutes: in.Settings.DocumentedRoutes,
		NICs:             []plan.NIC{}, Directory: []plan.Location{},
		Routes: map[plan.Ref][]plan.Route{}, Rules: map[plan.Ref][]plan.Rule{}, Sets: map[plan.Ref][]netip.Prefix{},
		Policies: map[plan.Ref][]netip.Addr{}, Services: map[plan.Ref]plan.ServiceTable{},
	}
	if gateway := in.nodeOf(model.RoleGateway, node.Location); gateway != nil {
		out.Platform = gateway.PlatformLocator
	}
	if edge := in.nodeOf(model.RoleEdge, node.Location); edge != nil {
		out.Egress = edge.Locator
	}
	visible := map[uint32]*model.VirtualNetwork{}
	services := map[model.Location]plan.Ref{}
	for _, nic := range in.nics {
		if nic.Node != node.Name {
			continue
		}
		subnet := in.subnets[nic.Subnet.Key()]
		if subnet == nil {
			return nil, fmt.Errorf("NIC %s is in subnet %s, which is not there", nic.ID, nic.Subnet)
		}
		visible[subnet.vnet.Number] = subnet.vnet
		for _, peer := range in.peers(subnet.vnet) {
			visible[peer.Number] = peer
		}
		table, err := in.serviceTable(out, services, subnet.vnet.Location)
		if err != nil {
			return nil, err
		}
		entry := plan.NIC{
			Number: nic.Number, ID: nic.ID, VNet: subnet.vnet.Number, Subnet: subnet.Identity, IPv4: nic.IPv4, MAC: nic.MAC,
			Forwarding: nic.EnableIPForwarding, Outbound: in.hasOutbound(nic, subnet),
			Routes: share(out.Routes, "routes", subnet.table.Winners()), Services: table,
			EnabledServices: subnet.table.EnabledServices(),
		}
		if addresses, restricted := in.policyAddresses(subnet); restricted {
			entry.Policy = share(out.Policies, "policy", addresses)
		}
		in.secure(out, &entry, nic, subnet)
		out.NICs = append(out.NICs, entry)
	}
	out.Directory = in.directory(visible)
	return out, nil
}

func (in *indexed) serviceTable(out *plan.Host, made map[model.Location]plan.Ref, location model.Location) (plan.Ref, error) {
	if ref, ok := made[location]; ok {
		return ref, nil
	}
	region, err := in.region(location)
	if err != nil {
		return "", err
	}
	table := region.ServiceTable(func(_ model.Identity, location model.Location) model.Locator {
		if gateway := in.nodeOf(model.RoleGateway, location); gateway != nil {
			return gateway.ServiceLocator
		}
		return model.Locator{}
	})
	made[location] = share(out.Services, "services", table)
	return made[location], nil
}

// directory tells where the NICs of some VNets are.
func (in *indexed) directory(visible map[uint32]*model.VirtualNetwork) []plan.Location {
	locators := in.locators()
	out := []plan.Location{}
	for _, nic := range in.nics {
		subnet := in.subnets[nic.Subnet.Key()]
		if subnet == nil || visible[subnet.vnet.Number] == nil || locators[nic.Node].IsZero() {
			continue
		}
		out = append(out, plan.Location{
			VNet: subnet.vnet.Number, IPv4: nic.IPv4, Subnet: subnet.Identity,
			Locator: locators[nic.Node], Forwarding: nic.EnableIPForwarding,
		})
	}
	slices.SortFunc(out, func(a, b plan.Location) int {
		return cmp.Or(cmp.Compare(a.VNet, b.VNet), a.IPv4.Compare(b.IPv4))
	})
	return out
}

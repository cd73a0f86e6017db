package compile

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"postern/model"
	"postern/plan"
)

// host is the plan of one host: its NICs, and of the rest of the cloud what their packets can meet.
func (in *indexed) host(node *model.Node, nics []nic, directories map[uint32][]plan.Location) (*plan.Host, error) {
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
	visible, reachable := map[uint32]*model.VirtualNetwork{}, map[uint32]bool{} // of its NICs, and peered with those
	for _, nic := range nics {
		subnet := nic.subnet
		if subnet == nil {
			return nil, fmt.Errorf("NIC %s is in subnet %s, which is not there", nic.ID, nic.Subnet)
		}
		if visible[subnet.vnet.Number] == nil {
			visible[subnet.vnet.Number] = subnet.vnet
			for _, peer := range in.peers(subnet.vnet) {
				reachable[peer.Number] = true
			}
		}
		services, err := in.serviceTable(subnet.vnet.Location)
		if err != nil {
			return nil, err
		}
		out.Services[services.ref] = services.table
		entry := plan.NIC{
			Number: nic.Number, ID: nic.ID, VNet: subnet.vnet.Number, Subnet: subnet.Identity, IPv4: nic.IPv4, MAC: nic.MAC,
			Forwarding: nic.EnableIPForwarding, Outbound: in.hasOutbound(nic),
			Routes: subnet.routesRef, Services: services.ref,
			EnabledServices: subnet.table.EnabledServices(),
		}
		out.Routes[subnet.routesRef] = subnet.routes
		if subnet.restricted {
			entry.Policy = subnet.policyRef
			out.Policies[entry.Policy] = subnet.addresses
		}
		in.secure(out, &entry, nic)
		out.NICs = append(out.NICs, entry)
	}
	for number := range visible {
		reachable[number] = true
	}
	for _, number := range slices.Sorted(maps.Keys(reachable)) {
		out.Directory = append(out.Directory, directories[number]...)
	}
	return out, nil
}

// serviceTable is a region's service table with its name.
type serviceTable struct {
	ref   plan.Ref
	table plan.ServiceTable
}

// serviceTable makes a region's service table once, for all hosts.
func (in *indexed) serviceTable(location model.Location) (*serviceTable, error) {
	if made := in.offered[location]; made != nil {
		return made, nil
	}
	region, err := in.region(location)
	if err != nil {
		return nil, err
	}
	table := region.ServiceTable(func(_ model.Identity, location model.Location) model.Locator {
		if gateway := in.nodeOf(model.RoleGateway, location); gateway != nil {
			return gateway.ServiceLocator
		}
		return model.Locator{}
	})
	made := &serviceTable{plan.RefOf("services", table), table}
	in.offered[location] = made
	return made, nil
}

// directories tell where the NICs of every VNet are, by the VNet's number, sorted by address.
func (in *indexed) directories() map[uint32][]plan.Location {
	out := map[uint32][]plan.Location{}
	for _, nic := range in.nics {
		if nic.subnet == nil || in.locators[nic.Node].IsZero() || in.stopped(nic) {
			continue
		}
		vnet := nic.subnet.vnet.Number
		out[vnet] = append(out[vnet], plan.Location{
			VNet: vnet, IPv4: nic.IPv4, Subnet: nic.subnet.Identity,
			Locator: in.locators[nic.Node], Forwarding: nic.EnableIPForwarding,
		})
	}
	for _, list := range out {
		slices.SortFunc(list, func(a, b plan.Location) int { return a.IPv4.Compare(b.IPv4) })
	}
	return out
}

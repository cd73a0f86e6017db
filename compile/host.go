package compile

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"

	"postern/model"
	"postern/plan"
)

// host is the plan of one host: its NICs, and of the rest of the cloud what their packets can meet.
func (in *indexed) host(node *model.Node) (*plan.Host, error) {
	nics, err := in.nicsOn(node.Name)
	if err != nil {
		return nil, err
	}
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
	visible := map[string]*model.VirtualNetwork{} // of its NICs, and peered with those
	for _, nic := range nics {
		subnet := nic.subnet
		network := subnet.network
		if key := network.vnet.ID.Key(); visible[key] == nil {
			visible[key] = network.vnet
		}
		services, err := in.serviceTable(network.vnet.Location)
		if err != nil {
			return nil, err
		}
		out.Services[services.ref] = services.table
		entry := plan.NIC{
			Number: nic.Number, ID: nic.ID, VNet: network.vnet.Number, Subnet: subnet.Identity, IPv4: nic.IPv4, MAC: nic.MAC,
			Forwarding: nic.EnableIPForwarding, Outbound: in.hasOutbound(nic), NATGateway: in.nats.of(subnet) != nil,
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
	for _, vnet := range slices.Collect(maps.Values(visible)) {
		for _, peer := range in.networks[vnet.ID.Key()].peers {
			visible[peer.ID.Key()] = peer
		}
	}
	for _, vnet := range slices.SortedFunc(maps.Values(visible), func(a, b *model.VirtualNetwork) int { return cmp.Compare(a.Number, b.Number) }) {
		if network := in.networks[vnet.ID.Key()]; network != nil {
			out.Directory = append(out.Directory, network.directory...)
		}
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

// hasOutbound tells whether a NIC has some way out to the Internet (OUT-1, OUT-2).
func (in *indexed) hasOutbound(nic nic) bool {
	return in.nats.of(nic.subnet) != nil || in.public(nic.NetworkInterface).IsValid() || nic.subnet.DefaultOutboundAccess
}

package compile

import (
	"net/netip"

	"postern/model"
	"postern/plan"
	"postern/routes"
	"postern/servicetag"
)

// indexed is a snapshot with everything found by its key.
type indexed struct {
	*model.Snapshot
	catalogue *servicetag.Catalogue
	region    func(model.Location) (*routes.Region, error)

	vnets    map[string]*model.VirtualNetwork
	tables   map[string]*model.RouteTable
	groups   map[string]*model.NetworkSecurityGroup
	publics  map[string]*model.PublicIPAddress
	nats     *natGateways
	policies map[string]*model.ServiceEndpointPolicy
	services map[string]model.Service         // that subnets can reach, by endpoint
	machines map[string]*model.VirtualMachine // by NIC
	members  map[string]interfaces            // by application security group

	locators map[string]model.Locator
	first    map[roleAt]*model.Node           // by name
	offered  map[model.Location]*serviceTable // what the VNets of a region can see

	inside   map[string]interfaces        // the NICs of each VNet
	networks map[string]*network          // by VNet: those that were asked for
	ordered  []*network                   // those with NICs, by the VNet's number
	carried  map[string]map[*network]bool // by host: the networks of its NICs
	stale    map[string]bool              // VNets whose networks are to be made anew
	whole    map[string]*whole            // by gateway or edge
}

// interfaces are NICs by their ids' keys.
type interfaces map[string]*model.NetworkInterface

// roleAt is what hosts ask a region for.
type roleAt struct {
	role     model.Role
	location model.Location
}

func byKey[T any](list []*T, id func(*T) model.ResourceID) map[string]*T {
	out := make(map[string]*T, len(list))
	for _, one := range list {
		out[id(one).Key()] = one
	}
	return out
}

// The ids of what is found by them.
func vnetID(v *model.VirtualNetwork) model.ResourceID          { return v.ID }
func tableID(t *model.RouteTable) model.ResourceID             { return t.ID }
func groupID(g *model.NetworkSecurityGroup) model.ResourceID   { return g.ID }
func publicID(p *model.PublicIPAddress) model.ResourceID       { return p.ID }
func natID(g *model.NatGateway) model.ResourceID               { return g.ID }
func policyID(p *model.ServiceEndpointPolicy) model.ResourceID { return p.ID }
func machineID(m *model.VirtualMachine) model.ResourceID       { return m.ID }
func interfaceID(n *model.NetworkInterface) model.ResourceID   { return n.ID }
func instanceID(i *model.ServiceInstance) model.ResourceID     { return i.ID }

func index(snapshot *model.Snapshot, catalogue *servicetag.Catalogue) *indexed {
	in := &indexed{
		Snapshot: snapshot, catalogue: catalogue,
		vnets:    byKey(snapshot.VirtualNetworks, vnetID),
		tables:   byKey(snapshot.RouteTables, tableID),
		groups:   byKey(snapshot.NetworkSecurityGroups, groupID),
		publics:  byKey(snapshot.PublicIPAddresses, publicID),
		nats:     natGatewaysOf(snapshot),
		policies: byKey(snapshot.ServiceEndpointPolicies, policyID),
		services: map[string]model.Service{},
		machines: map[string]*model.VirtualMachine{},
		members:  map[string]interfaces{},
		locators: make(map[string]model.Locator, len(snapshot.Nodes)),
		first:    map[roleAt]*model.Node{},
		offered:  map[model.Location]*serviceTable{},
		inside:   map[string]interfaces{},
		networks: map[string]*network{},
		carried:  map[string]map[*network]bool{},
		stale:    map[string]bool{},
		whole:    map[string]*whole{},
	}
	for _, service := range snapshot.Services() {
		in.services[service.Endpoint] = service
	}
	for _, node := range snapshot.Nodes {
		in.locators[node.Name] = node.Locator
		at := roleAt{node.Role, node.Location}
		if first := in.first[at]; first == nil || node.Name < first.Name {
			in.first[at] = node
		}
	}
	for _, vm := range snapshot.VirtualMachines {
		in.addMachine(vm)
	}
	for _, nic := range snapshot.NetworkInterfaces {
		in.addMember(nic)
	}
	return in
}

func (in *indexed) addMachine(vm *model.VirtualMachine) {
	for _, nic := range vm.NetworkInterfaces {
		in.machines[nic.Key()] = vm
	}
}

// addMember notes the application security groups of a NIC.
func (in *indexed) addMember(nic *model.NetworkInterface) {
	for _, group := range nic.ASGs {
		put(in.members, group.Key(), nic)
	}
}

// addInterfaces puts all NICs into their networks.
func (in *indexed) addInterfaces() {
	for _, nic := range in.NetworkInterfaces {
		put(in.inside, nic.Subnet.Parent().Key(), nic)
	}
	for vnet := range in.inside {
		in.stale[vnet] = true
	}
}

func put(lists map[string]interfaces, key string, nic *model.NetworkInterface) {
	if lists[key] == nil {
		lists[key] = interfaces{}
	}
	lists[key][nic.ID.Key()] = nic
}

// stopped tells whether a NIC's VM does not run. No host carries such a NIC, and no directory leads to it.
func (in *indexed) stopped(nic *model.NetworkInterface) bool {
	vm := in.machines[nic.ID.Key()]
	return vm != nil && vm.Stopped
}

// nodeOf finds the first node of a role in a region, by name; nil for none.
func (in *indexed) nodeOf(role model.Role, location model.Location) *model.Node {
	return in.first[roleAt{role, location}]
}

func (in *indexed) peers(vnet *model.VirtualNetwork) []*model.VirtualNetwork {
	return routes.ConnectedPeers(vnet, func(id model.ResourceID) *model.VirtualNetwork { return in.vnets[id.Key()] })
}

// public is a NIC's own public address; invalid for none.
func (in *indexed) public(nic *model.NetworkInterface) netip.Addr {
	if nic.PublicIPAddress == "" {
		return netip.Addr{}
	}
	if public := in.publics[nic.PublicIPAddress.Key()]; public != nil {
		return public.IPv4
	}
	return netip.Addr{}
}

// way is where the packets of a subnet can go.
type way struct {
	table     *routes.Table
	routes    []plan.Route
	routesRef plan.Ref
}

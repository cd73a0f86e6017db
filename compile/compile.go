// Package compile turns all resources of a cloud into what each node must know. It is pure and deterministic: the same
// snapshot and the same service tags give the same plans, byte for byte.
package compile

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"postern/model"
	"postern/plan"
	"postern/routes"
	"postern/servicetag"
)

// Compiler compiles snapshots. It remembers what depends on the service tags alone, so that a change of resources
// does not pay for it. It is safe for use from many goroutines.
type Compiler struct {
	mu      sync.Mutex // guards what follows
	overlay *overlay   // of the last snapshot
}

// Compile makes the plan of every node of a snapshot, by the node's name.
func (c *Compiler) Compile(snapshot *model.Snapshot, catalogue *servicetag.Catalogue) (map[string]plan.Node, error) {
	over := c.overlaid(snapshot, catalogue)
	in := index(snapshot, over.catalogue)
	in.region = func(location model.Location) (*routes.Region, error) { return c.region(location, over) }
	if err := in.addSubnets(); err != nil {
		return nil, err
	}
	carried := map[string][]nic{}
	for _, nic := range in.nics {
		if in.stopped(nic) {
			continue
		}
		carried[nic.Node] = append(carried[nic.Node], nic)
	}
	directories := in.directories()
	plans := make(map[string]plan.Node, len(snapshot.Nodes))
	for i := range snapshot.Nodes {
		node := snapshot.Nodes[i]
		out := plan.Node{
			Node: node.Name, Role: node.Role, Location: node.Location, Locator: node.Locator,
			FabricMTU: snapshot.Settings.FabricMTU,
		}
		var err error
		switch node.Role {
		case model.RoleHost:
			out.Host, err = in.host(node, carried[node.Name], directories)
		case model.RoleGateway:
			out.Gateway = in.gateway(node)
		case model.RoleEdge:
			out.Edge, err = in.edge(node)
		default:
			err = fmt.Errorf("unknown role %q: want host, gateway or edge", node.Role)
		}
		if err != nil {
			return nil, fmt.Errorf("compile plan of node %s: %w", node.Name, err)
		}
		plans[node.Name] = out
	}
	return plans, nil
}

func (c *Compiler) region(location model.Location, over *overlay) (*routes.Region, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if region, ok := over.regions[location]; ok {
		return region, nil
	}
	region, err := routes.NewRegionOf(over.services, over.catalogue, location)
	if err != nil {
		return nil, fmt.Errorf("service table of region %s: %w", location, err)
	}
	over.regions[location] = region
	return region, nil
}

// Effective works out the routes of the subnet that a NIC is in: for people and for explain (ROUTE-12, -17, -18).
func (c *Compiler) Effective(snapshot *model.Snapshot, catalogue *servicetag.Catalogue, nic *model.NetworkInterface) (*routes.Table, error) {
	over := c.overlaid(snapshot, catalogue)
	in := index(snapshot, over.catalogue)
	in.region = func(location model.Location) (*routes.Region, error) { return c.region(location, over) }
	subnet := in.subnet(nic.Subnet)
	if subnet == nil {
		return nil, fmt.Errorf("routes of NIC %s: its subnet %s is not there", nic.ID, nic.Subnet)
	}
	way, err := in.way(subnet)
	if err != nil {
		return nil, err
	}
	return way.table, nil
}

// indexed is a snapshot with everything found by its key.
type indexed struct {
	*model.Snapshot
	catalogue *servicetag.Catalogue
	region    func(model.Location) (*routes.Region, error)

	vnets    map[string]*model.VirtualNetwork
	subnets  map[string]map[string]*subnet // by VNet and by subnet, of the VNets that have NICs
	occupied []*subnet                     // those with NICs, by Identity: packets come from no others
	ways     map[wayKey]*way
	tables   map[string]*model.RouteTable
	groups   map[string]*model.NetworkSecurityGroup
	publics  map[string]*model.PublicIPAddress
	policies map[string]*model.ServiceEndpointPolicy
	services map[string]model.Service         // that subnets can reach, by endpoint
	machines map[string]*model.VirtualMachine // by NIC
	asgs     map[string][]nic
	nics     []nic // by Number
	locators map[string]model.Locator
	first    map[roleAt]*model.Node           // by name
	offered  map[model.Location]*serviceTable // what the VNets of a region can see
	lists    map[listKey]*ruleList
}

// subnet is a subnet with what its NICs share.
type subnet struct {
	*model.Subnet
	*way // nil before addSubnets
	vnet *model.VirtualNetwork

	addresses  []netip.Addr // of the instances that its policies let it reach
	policyRef  plan.Ref
	restricted bool
}

// nic is a NIC with its subnet, nil where that is not there.
type nic struct {
	*model.NetworkInterface
	subnet *subnet
}

func byKey[T any](list []*T, id func(*T) model.ResourceID) map[string]*T {
	out := make(map[string]*T, len(list))
	for _, one := range list {
		out[id(one).Key()] = one
	}
	return out
}

func index(snapshot *model.Snapshot, catalogue *servicetag.Catalogue) *indexed {
	in := &indexed{
		Snapshot: snapshot, catalogue: catalogue,
		vnets:    byKey(snapshot.VirtualNetworks, func(v *model.VirtualNetwork) model.ResourceID { return v.ID }),
		tables:   byKey(snapshot.RouteTables, func(t *model.RouteTable) model.ResourceID { return t.ID }),
		groups:   byKey(snapshot.NetworkSecurityGroups, func(g *model.NetworkSecurityGroup) model.ResourceID { return g.ID }),
		publics:  byKey(snapshot.PublicIPAddresses, func(p *model.PublicIPAddress) model.ResourceID { return p.ID }),
		policies: byKey(snapshot.ServiceEndpointPolicies, func(p *model.ServiceEndpointPolicy) model.ResourceID { return p.ID }),
		services: map[string]model.Service{},
		subnets:  map[string]map[string]*subnet{},
		ways:     map[wayKey]*way{},
		machines: map[string]*model.VirtualMachine{},
		asgs:     map[string][]nic{},
		locators: make(map[string]model.Locator, len(snapshot.Nodes)),
		first:    map[roleAt]*model.Node{},
		offered:  map[model.Location]*serviceTable{},
		lists:    map[listKey]*ruleList{},
	}
	for _, service := range snapshot.Services() {
		in.services[service.Endpoint] = service
	}
	for i := range snapshot.Nodes {
		node := snapshot.Nodes[i]
		in.locators[node.Name] = node.Locator
		at := roleAt{node.Role, node.Location}
		if first := in.first[at]; first == nil || node.Name < first.Name {
			in.first[at] = node
		}
	}
	for i := range snapshot.VirtualMachines {
		for _, nic := range snapshot.VirtualMachines[i].NetworkInterfaces {
			in.machines[nic.Key()] = snapshot.VirtualMachines[i]
		}
	}
	for i := range snapshot.NetworkInterfaces {
		entry := nic{snapshot.NetworkInterfaces[i], in.subnet(snapshot.NetworkInterfaces[i].Subnet)}
		in.nics = append(in.nics, entry)
		for _, group := range entry.ASGs {
			in.asgs[group.Key()] = append(in.asgs[group.Key()], entry)
		}
	}
	slices.SortFunc(in.nics, func(a, b nic) int { return cmp.Compare(a.Number, b.Number) })
	return in
}

// stopped tells whether a NIC's VM does not run. No host carries such a NIC, and no directory leads to it.
func (in *indexed) stopped(nic nic) bool {
	vm := in.machines[nic.ID.Key()]
	return vm != nil && vm.Stopped
}

// subnet finds a subnet, nil for none. The subnets of a VNet are sorted by their keys when the first of them is asked for.
func (in *indexed) subnet(id model.ResourceID) *subnet {
	key := id.Parent().Key()
	list, ok := in.subnets[key]
	if !ok {
		if vnet := in.vnets[key]; vnet != nil {
			list = make(map[string]*subnet, len(vnet.Subnets))
			for i := range vnet.Subnets {
				list[vnet.Subnets[i].ID.Key()] = &subnet{Subnet: &vnet.Subnets[i], vnet: vnet}
			}
		}
		in.subnets[key] = list
	}
	return list[id.Key()]
}

// addSubnets works out what the NICs of a subnet share, once for all of them.
func (in *indexed) addSubnets() (err error) {
	for _, nic := range in.nics {
		subnet := nic.subnet
		if subnet == nil || subnet.way != nil {
			continue
		}
		if subnet.way, err = in.way(subnet); err != nil {
			return err
		}
		if subnet.addresses, subnet.restricted = in.policyAddresses(subnet); subnet.restricted {
			subnet.policyRef = plan.RefOf("policy", subnet.addresses)
		}
		in.occupied = append(in.occupied, subnet)
	}
	slices.SortFunc(in.occupied, func(a, b *subnet) int { return cmp.Compare(a.Identity, b.Identity) })
	return nil
}

// way is where the packets of a subnet can go.
type way struct {
	table     *routes.Table
	routes    []plan.Route
	routesRef plan.Ref
}

// wayKey is all that the ways of a VNet's subnets differ by: many subnets share one.
type wayKey struct {
	vnet      *model.VirtualNetwork
	table     *model.RouteTable
	endpoints string
}

func (in *indexed) way(subnet *subnet) (*way, error) {
	key := wayKey{subnet.vnet, in.tables[subnet.RouteTable.Key()], strings.Join(subnet.ServiceEndpoints, ",")}
	if made := in.ways[key]; made != nil {
		return made, nil
	}
	region, err := in.region(subnet.vnet.Location)
	if err != nil {
		return nil, err
	}
	table := routes.New(routes.Input{
		VirtualNetwork: subnet.vnet, Subnet: subnet.Subnet, RouteTable: key.table,
		Peers: in.peers(subnet.vnet), Region: region, DocumentedRoutes: in.Settings.DocumentedRoutes,
	})
	made := &way{table, table.Winners(), plan.RefOf("routes", table.Winners())}
	in.ways[key] = made
	return made, nil
}

func (in *indexed) peers(vnet *model.VirtualNetwork) []*model.VirtualNetwork {
	return routes.ConnectedPeers(vnet, func(id model.ResourceID) *model.VirtualNetwork { return in.vnets[id.Key()] })
}

// roleAt is what hosts ask a region for.
type roleAt struct {
	role     model.Role
	location model.Location
}

// nodeOf finds the first node of a role in a region, by name; nil for none.
func (in *indexed) nodeOf(role model.Role, location model.Location) *model.Node {
	return in.first[roleAt{role, location}]
}

// hasOutbound tells whether a NIC has some way out to the Internet (OUT-1, OUT-2).
func (in *indexed) hasOutbound(nic nic) bool {
	return in.public(nic).IsValid() || nic.subnet.DefaultOutboundAccess
}

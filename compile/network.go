package compile

import (
	"cmp"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"

	"postern/model"
	"postern/plan"
	"postern/routes"
)

// network is a VNet with its NICs, and what of the plans depends on it. A network is made anew as a whole when anything that it uses
// has changed.
type network struct {
	vnet    *model.VirtualNetwork // nil: it is not there
	subnets map[string]*subnet
	ways    map[wayKey]*way
	lists   map[listKey]*ruleList

	// Of a network with NICs.
	nics       []nic // by Number
	occupied   []*subnet
	peers      []*model.VirtualNetwork
	uses       map[string]bool  // keys of the resources that it was made of, without VNets
	restricted bool             // a subnet has endpoint policies, which depend on all instances
	carriers   map[string][]nic // by host, by Number
	directory  []plan.Location  // by address
	parts      map[string]*part // by gateway or edge
}

// subnet is a subnet with what its NICs share.
type subnet struct {
	*model.Subnet
	*way    // nil without NICs
	network *network

	addresses  []netip.Addr // of the instances that its policies let it reach
	policyRef  plan.Ref
	keys       []string // of the same instances
	keysRef    plan.Ref
	restricted bool
}

// nic is a NIC with its subnet, nil where that is not there.
type nic struct {
	*model.NetworkInterface
	subnet *subnet
}

// wayKey is all that the ways of a VNet's subnets differ by: many subnets share one.
type wayKey struct {
	table     *model.RouteTable
	endpoints string
}

// network finds the network of a VNet. One that was not asked for before has no NICs.
func (in *indexed) network(key string) *network {
	made := in.networks[key]
	if made == nil {
		made = newNetwork(in.vnets[key])
		in.networks[key] = made
	}
	return made
}

func newNetwork(vnet *model.VirtualNetwork) *network {
	made := &network{vnet: vnet, subnets: map[string]*subnet{}, ways: map[wayKey]*way{}, lists: map[listKey]*ruleList{}}
	if vnet != nil {
		for i := range vnet.Subnets {
			made.subnets[vnet.Subnets[i].ID.Key()] = &subnet{Subnet: &vnet.Subnets[i], network: made}
		}
	}
	return made
}

// subnet finds a subnet; nil for none.
func (in *indexed) subnet(id model.ResourceID) *subnet {
	return in.network(id.Parent().Key()).subnets[id.Key()]
}

// fill makes a network of a VNet and its NICs.
func (in *indexed) fill(key string) (*network, error) {
	made := newNetwork(in.vnets[key])
	made.uses, made.carriers, made.parts = map[string]bool{}, map[string][]nic{}, map[string]*part{}
	if made.vnet != nil {
		made.peers = in.peers(made.vnet)
	}
	for _, one := range in.inside[key] {
		made.nics = append(made.nics, nic{one, made.subnets[one.Subnet.Key()]})
	}
	slices.SortFunc(made.nics, func(a, b nic) int { return cmp.Compare(a.Number, b.Number) })
	for _, nic := range made.nics {
		in.use(made, nic.ID, nic.PublicIPAddress, nic.NetworkSecurityGroup)
		if subnet := nic.subnet; subnet != nil && subnet.way == nil {
			if err := in.occupy(subnet); err != nil {
				return nil, err
			}
		}
		if in.stopped(nic.NetworkInterface) {
			continue
		}
		made.carriers[nic.Node] = append(made.carriers[nic.Node], nic)
		if locator := in.locators[nic.Node]; nic.subnet != nil && !locator.IsZero() {
			made.directory = append(made.directory, plan.Location{
				VNet: made.vnet.Number, IPv4: nic.IPv4, Subnet: nic.subnet.Identity, Locator: locator, Forwarding: nic.EnableIPForwarding,
			})
		}
	}
	slices.SortFunc(made.directory, func(a, b plan.Location) int { return a.IPv4.Compare(b.IPv4) })
	slices.SortFunc(made.occupied, func(a, b *subnet) int { return cmp.Compare(a.Identity, b.Identity) })
	in.divide(made)
	return made, nil
}

// use notes that a network is made of some resources, and of those that a security group names.
func (in *indexed) use(made *network, ids ...model.ResourceID) {
	for _, id := range ids {
		if id == "" {
			continue
		}
		key := id.Key()
		if group := in.groups[key]; group != nil && !made.uses[key] {
			for _, rule := range group.Rules {
				in.use(made, rule.Source.ASGs...)
				in.use(made, rule.Destination.ASGs...)
			}
		}
		made.uses[key] = true
	}
}

// occupy works out what the NICs of a subnet share, once for all of them.
func (in *indexed) occupy(subnet *subnet) (err error) {
	network := subnet.network
	in.use(network, subnet.RouteTable, subnet.NetworkSecurityGroup, subnet.NatGateway)
	in.use(network, subnet.ServiceEndpointPolicies...)
	if subnet.way, err = in.way(subnet); err != nil {
		return err
	}
	var instances []*model.ServiceInstance
	if instances, subnet.restricted = in.policyInstances(subnet); subnet.restricted {
		network.restricted = true
		subnet.addresses, subnet.keys = addressesOf(instances), keysOf(instances)
		subnet.policyRef, subnet.keysRef = plan.RefOf("policy", subnet.addresses), plan.RefOf("policy", subnet.keys)
	}
	network.occupied = append(network.occupied, subnet)
	return nil
}

// way works out where the packets of a subnet can go.
func (in *indexed) way(subnet *subnet) (*way, error) {
	network := subnet.network
	key := wayKey{in.tables[subnet.RouteTable.Key()], strings.Join(subnet.ServiceEndpoints, ",")}
	if made := network.ways[key]; made != nil {
		return made, nil
	}
	region, err := in.region(network.vnet.Location)
	if err != nil {
		return nil, err
	}
	table := routes.New(routes.Input{
		VirtualNetwork: network.vnet, Subnet: subnet.Subnet, RouteTable: key.table,
		Peers: in.peers(network.vnet), Region: region, DocumentedRoutes: in.Settings.DocumentedRoutes,
	})
	made := &way{table, table.Winners(), plan.RefOf("routes", table.Winners())}
	network.ways[key] = made
	return made, nil
}

// settle makes the stale networks anew, and answers the hosts that this concerns: those of their NICs, before and after, and of the NICs
// of their peers.
func (in *indexed) settle() (hosts map[string]bool, err error) {
	hosts = map[string]bool{}
	concern := func(one *network) {
		for _, vnet := range append([]*model.VirtualNetwork{one.vnet}, one.peers...) {
			if vnet == nil {
				continue
			}
			if of := in.networks[vnet.ID.Key()]; of != nil {
				addKeys(hosts, of.carriers)
			}
		}
		addKeys(hosts, one.carriers)
	}
	for key := range in.stale {
		if before := in.networks[key]; before != nil {
			concern(before)
		}
	}
	for key := range in.stale {
		before := in.networks[key]
		delete(in.networks, key)
		if before != nil {
			for host := range before.carriers {
				delete(in.carried[host], before)
			}
		}
		if len(in.inside[key]) == 0 {
			continue
		}
		after, err := in.fill(key)
		if err != nil {
			return nil, err
		}
		after.keep(before)
		in.networks[key] = after
		for host := range after.carriers {
			if in.carried[host] == nil {
				in.carried[host] = map[*network]bool{}
			}
			in.carried[host][after] = true
		}
	}
	for key := range in.stale {
		if after := in.networks[key]; after != nil {
			concern(after)
		}
	}
	if len(in.stale) > 0 {
		in.ordered = in.ordered[:0:0]
		for _, one := range in.networks {
			if one.vnet != nil && len(one.nics) > 0 {
				in.ordered = append(in.ordered, one)
			}
		}
		slices.SortFunc(in.ordered, func(a, b *network) int { return cmp.Compare(a.vnet.Number, b.vnet.Number) })
		clear(in.stale)
	}
	return hosts, nil
}

func addKeys[T any](to map[string]bool, from map[string]T) {
	for key := range from {
		to[key] = true
	}
}

// nicsOn are the NICs that a host carries, by Number.
func (in *indexed) nicsOn(host string) ([]nic, error) {
	var list []nic
	for one := range in.carried[host] {
		list = append(list, one.carriers[host]...)
	}
	slices.SortFunc(list, func(a, b nic) int { return cmp.Compare(a.Number, b.Number) })
	for _, nic := range list {
		if nic.subnet == nil {
			return nil, fmt.Errorf("NIC %s is in subnet %s, which is not there", nic.ID, nic.Subnet)
		}
	}
	return list, nil
}

// keep takes what has come out the same from the network before: those who put networks together find out at once.
func (n *network) keep(before *network) {
	if before == nil {
		return
	}
	for name, part := range n.parts {
		if old := before.parts[name]; old != nil {
			part.subnets, part.machines = kept(old.subnets, part.subnets), kept(old.machines, part.machines)
			part.names, part.egress = kept(old.names, part.names), kept(old.egress, part.egress)
		}
	}
}

func kept[T any](before, after []T) []T {
	if reflect.DeepEqual(before, after) {
		return before
	}
	return after
}

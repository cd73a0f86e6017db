// Package compile turns all resources of a cloud into what each node must know. It is deterministic: the same snapshot and
// the same service tags give the same plans, byte for byte, whatever was compiled before. What was compiled before is
// remembered, and only what a change can have touched is made anew.
package compile

import (
	"fmt"
	"maps"
	"reflect"
	"sync"

	"postern/model"
	"postern/plan"
	"postern/routes"
	"postern/servicetag"
)

// Compiler compiles snapshots. It remembers the last one, so that a change pays for what it touches, and what depends on
// the service tags alone. It is safe for use from many goroutines.
type Compiler struct {
	mu      sync.Mutex // guards overlay
	overlay *overlay   // of the last snapshot

	turn sync.Mutex // guards last: one compilation at a time
	last *compiled
}

// compiled is a snapshot with its plans.
type compiled struct {
	over  *overlay
	in    *indexed
	plans map[string]plan.Node
}

// Compile makes the plan of every node of a snapshot, by the node's name. What did not change since the last call is shared with
// that call's plans: plans must not be changed.
func (c *Compiler) Compile(snapshot *model.Snapshot, catalogue *servicetag.Catalogue) (map[string]plan.Node, error) {
	over := c.overlaid(snapshot, catalogue)
	c.turn.Lock()
	defer c.turn.Unlock()
	last := c.last
	c.last = nil // what is half done when an error comes is forgotten
	if last == nil || last.over != over || !last.in.sameGround(snapshot) {
		last = &compiled{over: over, in: c.index(snapshot, over)}
		last.in.addInterfaces()
	} else {
		last.in.follow(snapshot)
	}
	touched, err := last.in.settle()
	if err != nil {
		return nil, err
	}
	plans := make(map[string]plan.Node, len(snapshot.Nodes))
	for _, node := range snapshot.Nodes {
		before, known := last.plans[node.Name]
		if known && node.Role == model.RoleHost && !touched[node.Name] {
			plans[node.Name] = before
			continue
		}
		after, err := last.in.node(node)
		if err != nil {
			return nil, fmt.Errorf("compile plan of node %s: %w", node.Name, err)
		}
		if known && reflect.DeepEqual(before, after) {
			after = before // the very same, which is found out at once
		}
		plans[node.Name] = after
	}
	c.last = &compiled{over, last.in, plans}
	return maps.Clone(plans), nil
}

// node is the plan of one node.
func (in *indexed) node(node *model.Node) (out plan.Node, err error) {
	out = plan.Node{
		Node: node.Name, Role: node.Role, Location: node.Location, Locator: node.Locator,
		FabricMTU: in.Settings.FabricMTU,
	}
	switch node.Role {
	case model.RoleHost:
		out.Host, err = in.host(node)
	case model.RoleGateway:
		out.Gateway = in.gateway(node)
	case model.RoleEdge:
		out.Edge, err = in.edge(node)
	default:
		err = fmt.Errorf("unknown role %q: want host, gateway or edge", node.Role)
	}
	return out, err
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

// index finds everything of a snapshot by its key. The NICs are not added to their networks yet.
func (c *Compiler) index(snapshot *model.Snapshot, over *overlay) *indexed {
	in := index(snapshot, over.catalogue)
	in.region = func(location model.Location) (*routes.Region, error) { return c.region(location, over) }
	return in
}

// Effective works out the routes of the subnet that a NIC is in: for people and for explain (ROUTE-12, -17, -18).
func (c *Compiler) Effective(snapshot *model.Snapshot, catalogue *servicetag.Catalogue, nic *model.NetworkInterface) (*routes.Table, error) {
	in := c.index(snapshot, c.overlaid(snapshot, catalogue))
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

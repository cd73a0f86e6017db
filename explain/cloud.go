package explain

import (
	"fmt"
	"maps"
	"slices"
	"sync"

	"postern/compile"
	"postern/gateway"
	"postern/model"
	"postern/pipeline"
	"postern/plan"
	"postern/servicetag"
)

// Cloud is everything at one revision that packets are judged by. It is safe for use from many goroutines.
type Cloud struct {
	snapshot  *model.Snapshot
	catalogue *servicetag.Catalogue
	compiler  *compile.Compiler
	plans     map[string]plan.Node

	mu       sync.Mutex // guards what follows: made when first asked for
	hosts    map[string]*pipeline.Host
	edges    map[string]*pipeline.Edge
	gateways map[string]*gateway.Snapshot
}

// NewCloud compiles the plans of all nodes. It fails where the compiler does.
func NewCloud(snapshot *model.Snapshot, catalogue *servicetag.Catalogue, compiler *compile.Compiler) (*Cloud, error) {
	plans, err := compiler.Compile(snapshot, catalogue)
	if err != nil {
		return nil, fmt.Errorf("explain revision %d: %w", snapshot.Revision, err)
	}
	return &Cloud{snapshot: snapshot, catalogue: catalogue, compiler: compiler, plans: plans,
		hosts: map[string]*pipeline.Host{}, edges: map[string]*pipeline.Edge{}, gateways: map[string]*gateway.Snapshot{}}, nil
}

// Snapshot is what the cloud was made of. Do not change it.
func (c *Cloud) Snapshot() *model.Snapshot { return c.snapshot }

// nodes lists the nodes' plans by name, so that the same question always takes the same way.
func (c *Cloud) nodes() []plan.Node {
	list := make([]plan.Node, 0, len(c.plans))
	for _, name := range slices.Sorted(maps.Keys(c.plans)) {
		list = append(list, c.plans[name])
	}
	return list
}

// made finds a node's judge, or makes it by its plan.
func made[T any](c *Cloud, all map[string]T, node plan.Node, make func(plan.Node) (T, error)) (T, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if have, ok := all[node.Node]; ok {
		return have, nil
	}
	judge, err := make(node)
	if err != nil {
		return judge, fmt.Errorf("explain: %w", err)
	}
	all[node.Node] = judge
	return judge, nil
}

func (c *Cloud) host(node plan.Node) (*pipeline.Host, error) {
	return made(c, c.hosts, node, func(node plan.Node) (*pipeline.Host, error) {
		host := pipeline.NewHost(func() int64 { return 0 }) // without flows no time passes
		return host, host.Apply(node)
	})
}

func (c *Cloud) edge(node plan.Node) (*pipeline.Edge, error) {
	return made(c, c.edges, node, func(node plan.Node) (*pipeline.Edge, error) {
		edge := pipeline.NewEdge()
		return edge, edge.Apply(node)
	})
}

func (c *Cloud) gateway(node plan.Node) (*gateway.Snapshot, error) {
	return made(c, c.gateways, node, gateway.NewSnapshot)
}

// at finds the node that a locator leads to: the node's own, or one that a region's gateways share.
func (c *Cloud) at(locator model.Locator) (plan.Node, bool) {
	for _, node := range c.nodes() {
		if node.Locator == locator ||
			node.Gateway != nil && (node.Gateway.ServiceLocator == locator || node.Gateway.PlatformLocator == locator) {
			return node, true
		}
	}
	return plan.Node{}, false
}

// nic finds a NIC by its number; nil for none.
func (c *Cloud) nic(number uint32) *model.NetworkInterface {
	for i := range c.snapshot.NetworkInterfaces {
		if c.snapshot.NetworkInterfaces[i].Number == number {
			return c.snapshot.NetworkInterfaces[i]
		}
	}
	return nil
}

// subnetName is VNET/SUBNET of an identity, or the number where no subnet has it.
func (c *Cloud) subnetName(identity model.Identity) string {
	for i := range c.snapshot.VirtualNetworks {
		vnet := c.snapshot.VirtualNetworks[i]
		for _, subnet := range vnet.Subnets {
			if subnet.Identity == identity {
				return vnet.ID.Name() + "/" + subnet.ID.Name()
			}
		}
	}
	return fmt.Sprintf("identity %d", identity)
}

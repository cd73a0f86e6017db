package cloud

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"

	"postern/agent"
	"postern/api/client"
	"postern/datapath/userspace"
	"postern/model"
	"postern/node"
	"postern/pipeline"
	"postern/plan"
	"postern/platform"
)

// userspaceWorld is a cloud whose nodes are stacks of this process.
type userspaceWorld struct {
	cloud    *Cloud
	internet *userspace.Internet
	stop     context.CancelFunc
	ctx      context.Context // of the nodes
	work     sync.WaitGroup

	mu       sync.Mutex // guards what follows
	fabric   *userspace.Fabric
	nodes    map[string]*userspaceNode
	prefixes map[uint32]netip.Prefix // of the NICs' subnets, by the NIC's number
}

// userspaceNode is one node: its driver and its agent.
type userspaceNode struct {
	host    *userspace.Host    // nil but for a host
	gateway *userspace.Gateway // nil but for a gateway
	stop    context.CancelFunc
	shut    func() error
}

func newUserspaceWorld(c *Cloud) (*userspaceWorld, error) {
	ctx, stop := context.WithCancel(context.Background())
	return &userspaceWorld{
		cloud: c, internet: userspace.NewInternet(), ctx: ctx, stop: stop,
		nodes: map[string]*userspaceNode{}, prefixes: map[uint32]netip.Prefix{},
	}, nil
}

// Become implements world. The machines come with the hosts' plans: here it makes and ends nodes.
func (w *userspaceWorld) Become(_ context.Context, snapshot *model.Snapshot) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fabric == nil {
		w.fabric = userspace.NewFabric(snapshot.Settings.FabricMTU)
	}
	for number, prefix := range subnetPrefixes(snapshot) {
		w.prefixes[number] = prefix
	}
	wanted := map[string]bool{}
	var problems []error
	for _, nodeModel := range snapshot.Nodes {
		wanted[nodeModel.Name] = true
		if w.nodes[nodeModel.Name] == nil {
			if err := w.addNode(nodeModel); err != nil {
				problems = append(problems, err)
			}
		}
	}
	for name, have := range w.nodes {
		if !wanted[name] {
			problems = append(problems, w.removeNode(name, have))
		}
	}
	return errors.Join(problems...)
}

// subnetPrefixes finds the prefix that each NIC's address is in.
func subnetPrefixes(snapshot *model.Snapshot) map[uint32]netip.Prefix {
	users := map[string][]*model.NetworkInterface{} // NICs by VNet
	for i := range snapshot.NetworkInterfaces {
		nic := snapshot.NetworkInterfaces[i]
		vnet := nic.Subnet.Parent().Key()
		users[vnet] = append(users[vnet], nic)
	}
	out := map[uint32]netip.Prefix{}
	for i := range snapshot.VirtualNetworks {
		vnet := snapshot.VirtualNetworks[i]
		nics := users[vnet.ID.Key()]
		if len(nics) == 0 {
			continue
		}
		subnets := make(map[string]*model.Subnet, len(vnet.Subnets))
		for j := range vnet.Subnets {
			subnets[vnet.Subnets[j].ID.Key()] = &vnet.Subnets[j]
		}
		for _, nic := range nics {
			if subnet := subnets[nic.Subnet.Key()]; subnet != nil {
				if at := slices.IndexFunc(subnet.Prefixes, func(p netip.Prefix) bool { return p.Contains(nic.IPv4) }); at >= 0 {
					out[nic.Number] = subnet.Prefixes[at]
				}
			}
		}
	}
	return out
}

func (w *userspaceWorld) prefixOf(nic plan.NIC) netip.Prefix {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.prefixes[nic.Number]
}

func (w *userspaceWorld) addNode(wanted *model.Node) error {
	ctx, stop := context.WithCancel(w.ctx)
	made := &userspaceNode{stop: stop}
	var run func() error
	switch wanted.Role {
	case model.RoleGateway:
		stack, err := userspace.NewGateway(w.fabric, w.internet, wanted.Name)
		if err != nil {
			stop()
			return err
		}
		made.gateway, made.shut = stack, stack.Close
		run = func() error {
			return node.RunGateway(ctx, node.GatewayOptions{
				Name: wanted.Name, Dir: w.cloud.dir, Store: w.cloud.control.Store.Store, Log: w.cloud.log,
				Sockets: stackSockets{stack}, Reach: stack.Apply, AccessLog: w.cloud.logFile,
			})
		}
	case model.RoleHost:
		made.host = userspace.NewHost(w.fabric, wanted.Name, userspace.HostOptions{Prefix: w.prefixOf})
		made.shut = made.host.Close
		run = func() error { return w.runAgent(ctx, wanted.Name, made.host) }
	case model.RoleEdge:
		edge, err := userspace.NewEdge(w.fabric, w.internet, wanted.Name, userspace.EdgeOptions{})
		if err != nil {
			stop()
			return err
		}
		made.shut = edge.Close
		run = func() error { return w.runAgent(ctx, wanted.Name, edge) }
	default:
		stop()
		return fmt.Errorf("node %s has role %q: want host, gateway or edge", wanted.Name, wanted.Role)
	}
	w.nodes[wanted.Name] = made
	w.work.Go(func() {
		if err := run(); err != nil && ctx.Err() == nil {
			w.cloud.log.Error("node ended", "node", wanted.Name, "error", err)
		}
	})
	return nil
}

// stackDriver is what a host's and an edge's stack have in common.
type stackDriver interface {
	Apply(ctx context.Context, node plan.Node) error
	Counters() []pipeline.Counter
	Close() error
}

// driver makes an agent.Driver of a stackDriver.
type driver struct{ stackDriver }

func (d driver) Counters() ([]model.Counter, error) {
	var out []model.Counter
	for _, counter := range d.stackDriver.Counters() {
		out = append(out, model.Counter(counter))
	}
	return out, nil
}

func (w *userspaceWorld) runAgent(ctx context.Context, name string, stack stackDriver) error {
	loop, err := agent.New(agent.Options{
		Node: name, Dir: node.AgentDir(w.cloud.dir), Plans: w.cloud.control.Store.Store, Driver: driver{stack}, Log: w.cloud.log,
	})
	if err != nil {
		return err
	}
	return loop.Run(ctx)
}

func (w *userspaceWorld) removeNode(name string, have *userspaceNode) error {
	delete(w.nodes, name)
	have.stop()
	return have.shut()
}

// stackSockets are the sockets of a userspace gateway.
type stackSockets struct{ gateway *userspace.Gateway }

func (s stackSockets) ListenTCP(_ context.Context, port uint16) (net.Listener, error) {
	return s.gateway.ListenTCP(port)
}

func (s stackSockets) ListenUDP(_ context.Context, port uint16) (platform.PacketConn, error) {
	conn, err := s.gateway.ListenUDP(port)
	if err != nil {
		return nil, err
	}
	return datagrams{conn}, nil
}

// datagrams makes a platform.PacketConn of a stack's.
type datagrams struct{ conn *userspace.PacketConn }

func (d datagrams) ReadFrom(b []byte) (n int, local, remote netip.AddrPort, err error) {
	n, from, err := d.conn.ReadFrom(b)
	if err != nil {
		return n, local, remote, err
	}
	flow, ok := from.(userspace.Flow)
	if !ok {
		return n, local, remote, fmt.Errorf("datagram from %v: not a flow", from)
	}
	return n, flow.Local, flow.Remote, nil
}

func (d datagrams) WriteTo(b []byte, local, remote netip.AddrPort) error {
	_, err := d.conn.WriteTo(b, userspace.Flow{Local: local, Remote: remote})
	return err
}

func (d datagrams) Close() error { return d.conn.Close() }

// stackMachine is a VM or an outsider.
type stackMachine struct {
	*userspace.Stack
	send func(frame []byte) error // nil for an outsider
}

func (m stackMachine) Listen(_ context.Context, network, address string) (net.Listener, error) {
	return m.Stack.Listen(network, address)
}

// SendFrame implements Machine.
func (m stackMachine) SendFrame(_ context.Context, frame []byte) error {
	if m.send == nil {
		return errNoFrames
	}
	return m.send(frame)
}

// hostOf finds the host of a NIC and the VM there, false while it does not carry it.
func (w *userspaceWorld) hostOf(nic *model.NetworkInterface) (*userspace.Host, *userspace.VM, bool) {
	w.mu.Lock()
	have := w.nodes[nic.Node]
	w.mu.Unlock()
	if have == nil || have.host == nil {
		return nil, nil, false
	}
	vm, ok := have.host.VM(string(nic.ID))
	return have.host, vm, ok && vm.NIC().Number == nic.Number
}

// Machine implements world.
func (w *userspaceWorld) Machine(ctx context.Context, nic *model.NetworkInterface) (Machine, error) {
	var machine Machine
	err := poll(ctx, fmt.Sprintf("wait for the VM of NIC %s", nic.ID.Name()), func() (bool, error) {
		host, vm, ok := w.hostOf(nic)
		if ok {
			machine = stackMachine{Stack: vm.Stack, send: func(frame []byte) error {
				_, err := host.InjectFrame(nic.Number, frame)
				return err
			}}
		}
		return ok, nil
	})
	return machine, err
}

// Outsider implements world.
func (w *userspaceWorld) Outsider(_ context.Context, name string, address netip.Addr) (Machine, error) {
	outsider, err := w.internet.AddOutsider(name, address)
	if err != nil {
		return nil, err
	}
	return stackMachine{Stack: outsider.Stack}, nil
}

// Exec implements world.
func (w *userspaceWorld) Exec(ctx context.Context, nic *model.NetworkInterface) (client.Exec, error) {
	var address string
	err := poll(ctx, fmt.Sprintf("wait for the VM of NIC %s", nic.ID.Name()), func() (carried bool, err error) {
		host, _, carried := w.hostOf(nic)
		if carried {
			address, err = host.SOCKS(string(nic.ID))
		}
		return carried, err
	})
	return client.Exec{SOCKS: address}, err
}

// Close implements world.
func (w *userspaceWorld) Close() error {
	w.stop()
	w.work.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	var err error
	for name, have := range w.nodes {
		err = errors.Join(err, w.removeNode(name, have))
	}
	return errors.Join(err, w.internet.Close())
}

package cloud

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"

	"postern/api/client"
	"postern/datapath/kernel"
	"postern/lab"
	"postern/model"
	"postern/node"
)

// kernelSupported tells whether this machine and user can run the kernel data path.
func kernelSupported() error {
	if err := kernel.Supported(); err != nil {
		return err
	}
	return lab.Prerequisites()
}

// kernelWorld is a cloud whose nodes are processes in network namespaces.
type kernelWorld struct {
	cloud   *Cloud
	program string

	mu        sync.Mutex // guards what follows
	lab       *lab.Lab   // nil before the first snapshot
	fabricMTU int
	nodes     map[string]*kernelNode
	vms       map[uint32]*kernelVM // by NIC number
}

// kernelNode is one node: its namespace and its process. One of host, gateway and edge is set.
type kernelNode struct {
	host    *lab.Host
	gateway *lab.Gateway
	edge    *lab.Edge
	process *process
}

type kernelVM struct {
	*lab.VM
	host *lab.Host
	made lab.NIC
}

func newKernelWorld(c *Cloud, program string) (*kernelWorld, error) {
	if program == "" {
		own, err := os.Executable()
		if err != nil {
			return nil, fmt.Errorf("find the postern program: %w", err)
		}
		program = own
	}
	removed, err := lab.Sweep()
	if err != nil {
		return nil, err
	}
	if len(removed) > 0 {
		c.log.Info("removed what a dead run had left", "leftovers", removed)
	}
	return &kernelWorld{cloud: c, program: program, nodes: map[string]*kernelNode{}, vms: map[uint32]*kernelVM{}}, nil
}

// Become implements world: nodes first, then machines, then addresses.
func (w *kernelWorld) Become(_ context.Context, snapshot *model.Snapshot) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.lab == nil {
		made, err := lab.New(snapshot.Settings)
		if err != nil {
			return err
		}
		w.lab = made
		if err := made.MountBPF(w.pins()); err != nil {
			return err
		}
		w.fabricMTU = snapshot.Settings.FabricMTU
	}
	var problems []error
	if w.fabricMTU != snapshot.Settings.FabricMTU {
		w.fabricMTU = snapshot.Settings.FabricMTU
		problems = append(problems, w.lab.SetFabricMTU(w.fabricMTU))
	}
	problems = append(problems, w.removeNodes(snapshot))
	for _, wanted := range snapshot.Nodes {
		if w.nodes[wanted.Name] == nil {
			problems = append(problems, w.addNode(wanted))
		}
	}
	problems = append(problems, w.addMachines(snapshot), w.setPublic(snapshot))
	return errors.Join(problems...)
}

// removeNodes ends the nodes that the resources no longer have, and what they had pinned.
func (w *kernelWorld) removeNodes(snapshot *model.Snapshot) error {
	wanted := map[string]bool{}
	for i := range snapshot.Nodes {
		wanted[snapshot.Nodes[i].Name] = true
	}
	var problems []error
	for name, have := range w.nodes {
		if wanted[name] {
			continue
		}
		delete(w.nodes, name)
		have.process.stop()
		problems = append(problems, w.lab.RemoveNode(have.process.inside), kernel.Remove(node.PinsOf(w.pins(), name)))
	}
	return errors.Join(problems...)
}

func (w *kernelWorld) pins() string { return filepath.Join(w.cloud.dir, "bpf") }

// logArguments tell a gateway's process how much of its access log is kept.
func (c *Cloud) logArguments() (arguments []string) {
	if c.logFile.MaxBytes > 0 {
		arguments = append(arguments, "--access-log-size", strconv.FormatInt(c.logFile.MaxBytes>>20, 10))
	}
	if c.logFile.MaxParts > 0 {
		arguments = append(arguments, "--access-log-keep", strconv.Itoa(c.logFile.MaxParts))
	}
	return arguments
}

func (w *kernelWorld) addNode(wanted *model.Node) error {
	made := &kernelNode{}
	var err error
	var inside *lab.Namespace
	arguments := []string{"--dir", w.cloud.dir, "--node", wanted.Name}
	switch wanted.Role {
	case model.RoleHost:
		if made.host, err = w.lab.AddHost(*wanted); err == nil {
			inside = made.host.Namespace
		}
		arguments = append([]string{"agent"}, append(arguments, "--pins", w.pins(), "--role", string(model.RoleHost), "--fabric", lab.FabricLink)...)
	case model.RoleEdge:
		if made.edge, err = w.lab.AddEdge(*wanted, wanted.PlatformPool); err == nil {
			inside = made.edge.Namespace
		}
		arguments = append([]string{"agent"}, append(arguments, "--pins", w.pins(), "--role", string(model.RoleEdge),
			"--fabric", lab.FabricLink, "--shadow", lab.ShadowLink)...)
	case model.RoleGateway:
		if made.gateway, err = w.lab.AddGateway(*wanted); err == nil {
			inside = made.gateway.Namespace
		}
		arguments = append([]string{"gateway"}, append(arguments, "--pins", w.pins(), "--fabric", lab.FabricLink, "--internet", lab.InternetLink)...)
		arguments = append(arguments, w.cloud.logArguments()...)
	default:
		err = fmt.Errorf("role %q: want host, gateway or edge", wanted.Role)
	}
	if err != nil {
		return fmt.Errorf("add node %s: %w", wanted.Name, err)
	}
	made.process, err = startProcess(wanted.Name, inside, w.program, arguments, filepath.Join(w.cloud.dir, "logs"), w.cloud.log)
	if err != nil {
		return err
	}
	w.nodes[wanted.Name] = made
	return nil
}

// addMachines gives every NIC its VM, and takes away those whose NIC went or changed, or that are stopped.
func (w *kernelWorld) addMachines(snapshot *model.Snapshot) error {
	prefixes, stopped := subnetPrefixes(snapshot), snapshot.StoppedNICs()
	wanted := map[uint32]bool{}
	var problems []error
	for i := range snapshot.NetworkInterfaces {
		nic := snapshot.NetworkInterfaces[i]
		prefix, carrier := prefixes[nic.Number], w.nodes[nic.Node]
		if !prefix.IsValid() || carrier == nil || carrier.host == nil || stopped[nic.ID.Key()] {
			continue
		}
		shape := lab.NIC{
			Number: nic.Number, Address: netip.PrefixFrom(nic.IPv4, prefix.Bits()),
			Gateway: prefix.Masked().Addr().Next(), MAC: nic.MAC,
		}
		wanted[nic.Number] = true
		if have := w.vms[nic.Number]; have != nil {
			if have.made == shape && have.host == carrier.host {
				continue
			}
			problems = append(problems, w.removeVM(nic.Number))
		}
		vm, err := w.lab.AddVM(carrier.host, nic.ID.Name(), shape)
		if err != nil {
			problems = append(problems, fmt.Errorf("start the VM of NIC %s: %w", nic.ID.Name(), err))
			continue
		}
		w.vms[nic.Number] = &kernelVM{VM: vm, host: carrier.host, made: shape}
	}
	for _, number := range slices.Collect(maps.Keys(w.vms)) {
		if !wanted[number] {
			problems = append(problems, w.removeVM(number))
		}
	}
	return errors.Join(problems...)
}

func (w *kernelWorld) removeVM(number uint32) error {
	vm := w.vms[number]
	delete(w.vms, number)
	return w.lab.RemoveVM(vm.VM)
}

// setPublic tells the Internet where public addresses are.
func (w *kernelWorld) setPublic(snapshot *model.Snapshot) error {
	addresses, shared := publicAddresses(snapshot), natAddresses(snapshot)
	var problems []error
	for name, have := range w.nodes {
		switch {
		case have.gateway != nil:
			problems = append(problems, have.gateway.SetPublic(addresses[name]))
		case have.edge != nil:
			problems = append(problems, have.edge.SetPublic(addresses[name], shared[name]))
		}
	}
	return errors.Join(problems...)
}

// publicAddresses lists, by node, the service instances' addresses of a gateway's region and the NICs' public ones of an edge's.
func publicAddresses(snapshot *model.Snapshot) map[string][]netip.Addr {
	out := map[string][]netip.Addr{}
	for _, wanted := range snapshot.Nodes {
		switch wanted.Role {
		case model.RoleGateway:
			for i := range snapshot.Instances {
				if instance := snapshot.Instances[i]; instance.Location == wanted.Location {
					out[wanted.Name] = append(out[wanted.Name], instance.Address)
				}
			}
		case model.RoleEdge:
			for _, nic := range snapshot.NetworkInterfaces {
				for _, public := range snapshot.PublicIPAddresses {
					if nic.Location == wanted.Location && nic.PublicIPAddress != "" && public.ID.Is(nic.PublicIPAddress) {
						out[wanted.Name] = append(out[wanted.Name], public.IPv4)
					}
				}
			}
		}
	}
	return out
}

// natAddresses lists, by edge, the addresses of its region's NAT gateways.
func natAddresses(snapshot *model.Snapshot) map[string][]netip.Addr {
	out, addresses := map[string][]netip.Addr{}, snapshot.NATAddresses()
	for _, wanted := range snapshot.Nodes {
		for _, gateway := range snapshot.NatGateways {
			if wanted.Role == model.RoleEdge && gateway.Location == wanted.Location {
				out[wanted.Name] = append(out[wanted.Name], addresses[gateway.ID.Key()]...)
			}
		}
	}
	return out
}

// kernelMachine is a VM or an outsider.
type kernelMachine struct {
	*lab.Namespace
	link string // that frames go out of; "" for an outsider
}

// SendFrame implements Machine.
func (m kernelMachine) SendFrame(_ context.Context, frame []byte) error {
	if m.link == "" {
		return errNoFrames
	}
	socket, err := m.Raw(m.link)
	if err != nil {
		return err
	}
	return errors.Join(socket.Send(frame), socket.Close())
}

func (w *kernelWorld) vm(number uint32) *kernelVM {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.vms[number]
}

// judged is the VM of a NIC, once its host judges what it sends.
func (w *kernelWorld) judged(ctx context.Context, nic *model.NetworkInterface) (*kernelVM, error) {
	vm := w.vm(nic.Number)
	if vm == nil {
		return nil, fmt.Errorf("NIC %s has no VM: its host %s is not part of this cloud", nic.ID.Name(), nic.Node)
	}
	err := poll(ctx, fmt.Sprintf("wait until host %s judges NIC %s", nic.Node, nic.ID.Name()), func() (judged bool, err error) {
		return judged, vm.host.Do(func() error {
			ifindex, err := vm.host.LinkIndex(lab.NICLink(nic.Number))
			if err != nil {
				return err
			}
			programs, err := link.QueryPrograms(link.QueryOptions{Target: ifindex, Attach: ebpf.AttachTCXIngress})
			judged = err == nil && len(programs.Programs) > 0
			return err
		})
	})
	return vm, err
}

// Machine implements world.
func (w *kernelWorld) Machine(ctx context.Context, nic *model.NetworkInterface) (Machine, error) {
	vm, err := w.judged(ctx, nic)
	if err != nil {
		return nil, err
	}
	return kernelMachine{vm.Namespace, lab.VMLink}, nil
}

// Outsider implements world.
func (w *kernelWorld) Outsider(ctx context.Context, name string, address netip.Addr) (Machine, error) {
	var started *lab.Lab
	err := poll(ctx, "wait for the Internet", func() (bool, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		started = w.lab
		return started != nil, nil
	})
	if err != nil {
		return nil, err
	}
	outsider, err := started.AddOutsider(name, address)
	if err != nil {
		return nil, err
	}
	return kernelMachine{Namespace: outsider}, nil
}

// Exec implements world.
func (w *kernelWorld) Exec(ctx context.Context, nic *model.NetworkInterface) (client.Exec, error) {
	vm, err := w.judged(ctx, nic)
	if err != nil {
		return client.Exec{}, err
	}
	return client.Exec{Namespace: vm.Name, ResolvConf: vm.ResolvConf}, nil
}

// Close implements world.
func (w *kernelWorld) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	var stopping sync.WaitGroup
	for _, have := range w.nodes {
		stopping.Go(have.process.stop)
	}
	stopping.Wait()
	if w.lab == nil {
		return nil
	}
	return w.lab.Close()
}

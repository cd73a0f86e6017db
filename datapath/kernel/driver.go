//go:build linux

package kernel

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"postern/datapath/kernel/bpf"
	"postern/model"
	"postern/plan"
)

// Options say where a node's data path lives. The process must be in the network namespace of the interfaces.
type Options struct {
	Role   model.Role // RoleHost or RoleEdge
	Pins   string     // folder on a bpffs, of this node alone; made if it is missing
	Fabric string     // the interface toward the fabric
	Shadow string     // an edge's interface to which its NICs' Internet addresses are routed

	// Link names the interface of a NIC: by default "nic" and its number. A NIC whose interface is not there yet
	// is judged as soon as an Apply finds it.
	Link func(plan.NIC) string
}

// objects is what of the object file a host and an edge need.
type objects struct {
	FromVM         *ebpf.Program `ebpf:"from_vm"`
	FromFabric     *ebpf.Program `ebpf:"from_fabric"`
	EdgeFromFabric *ebpf.Program `ebpf:"edge_from_fabric"`
	EdgeToFabric   *ebpf.Program `ebpf:"edge_to_fabric"`

	Nodes     *ebpf.Map `ebpf:"nodes"`
	Links     *ebpf.Map `ebpf:"links"`
	Nics      *ebpf.Map `ebpf:"nics"`
	Directory *ebpf.Map `ebpf:"directory"`
	Rules     *ebpf.Map `ebpf:"rules"`
	Targets   *ebpf.Map `ebpf:"targets"`
	Policies  *ebpf.Map `ebpf:"policies"`
	Egresses  *ebpf.Map `ebpf:"egresses"`
	Ingresses *ebpf.Map `ebpf:"ingresses"`
	Routes    *ebpf.Map `ebpf:"routes"`
	Services  *ebpf.Map `ebpf:"services"`
	Sets      *ebpf.Map `ebpf:"sets"`
	Flows     *ebpf.Map `ebpf:"flows"`
	Fragments *ebpf.Map `ebpf:"fragments"`
	Counters  *ebpf.Map `ebpf:"counters"`
}

// Close closes all of them.
func (o *objects) Close() error {
	var err error
	for _, program := range []*ebpf.Program{o.FromVM, o.FromFabric, o.EdgeFromFabric, o.EdgeToFabric} {
		err = errors.Join(err, program.Close())
	}
	for _, one := range []*ebpf.Map{o.Nodes, o.Links, o.Nics, o.Directory, o.Rules, o.Targets, o.Policies, o.Egresses, o.Ingresses,
		o.Routes, o.Services, o.Sets, o.Flows, o.Fragments, o.Counters} {
		err = errors.Join(err, one.Close())
	}
	return err
}

// Driver keeps the kernel's side of one node as its plan wants it.
type Driver struct {
	options Options
	objects *objects

	mu          sync.Mutex // guards everything below: one Apply at a time
	generation  uint32
	current     *plan.Node             // applied last
	attachments map[string]*attachment // by interface name
	slots       map[uint32]uint32      // NIC number to its counters' slot; 0 is nobody's

	routes    *table[bpf.PosternPrefixKey, bpf.PosternRoute]
	services  *table[bpf.PosternPrefixKey, bpf.PosternServiceEntry]
	sets      *table[bpf.PosternPrefixKey, uint8]
	rules     *table[bpf.PosternItemKey, bpf.PosternRule]
	targets   *table[bpf.PosternItemKey, bpf.PosternTarget]
	policies  *table[bpf.PosternPolicyKey, uint8]
	directory *table[bpf.PosternDirectoryKey, bpf.PosternPlace]
	nics      *table[bpf.PosternNicKey, bpf.PosternNic]
	links     *table[uint32, bpf.PosternNic]
	egresses  *table[bpf.PosternEgressKey, bpf.PosternEgress]
	ingresses *table[uint32, bpf.PosternIngress]
}

// Open loads the programs and adopts what an earlier process pinned. Attaching waits for the first Apply. The error is a
// *NotSupportedError where kernel or permissions fall short.
func Open(options Options) (*Driver, error) {
	if err := Supported(); err != nil {
		return nil, err
	}
	if options.Link == nil {
		options.Link = func(nic plan.NIC) string { return fmt.Sprintf("nic%d", nic.Number) }
	}
	if err := os.MkdirAll(options.Pins, 0o700); err != nil {
		return nil, fmt.Errorf("make folder for pins: %w", err)
	}
	spec, err := loadSpec()
	if err != nil {
		return nil, err
	}
	if options.Role == model.RoleEdge {
		spec.Maps["flows"].MaxEntries = 2 // an edge keeps no state
	}
	var objects objects
	err = spec.LoadAndAssign(&objects, &ebpf.CollectionOptions{Maps: ebpf.MapOptions{PinPath: options.Pins}})
	if err != nil {
		return nil, fmt.Errorf("load eBPF programs: %w", notSupported(err))
	}
	driver := &Driver{
		options: options, objects: &objects, attachments: map[string]*attachment{},
		routes:    newTable[bpf.PosternPrefixKey, bpf.PosternRoute]("routes", objects.Routes),
		services:  newTable[bpf.PosternPrefixKey, bpf.PosternServiceEntry]("services", objects.Services),
		sets:      newTable[bpf.PosternPrefixKey, uint8]("sets", objects.Sets),
		rules:     newTable[bpf.PosternItemKey, bpf.PosternRule]("rules", objects.Rules),
		targets:   newTable[bpf.PosternItemKey, bpf.PosternTarget]("targets", objects.Targets),
		policies:  newTable[bpf.PosternPolicyKey, uint8]("policies", objects.Policies),
		directory: newTable[bpf.PosternDirectoryKey, bpf.PosternPlace]("directory", objects.Directory),
		nics:      newTable[bpf.PosternNicKey, bpf.PosternNic]("nics", objects.Nics),
		links:     newTable[uint32, bpf.PosternNic]("links", objects.Links),
		egresses:  newTable[bpf.PosternEgressKey, bpf.PosternEgress]("egresses", objects.Egresses),
		ingresses: newTable[uint32, bpf.PosternIngress]("ingresses", objects.Ingresses),
	}
	var node bpf.PosternNode
	if err := objects.Nodes.Lookup(uint32(0), &node); err != nil {
		return nil, errors.Join(fmt.Errorf("read back map nodes: %w", err), objects.Close())
	}
	driver.generation = node.Generation
	if err := driver.readSlots(); err != nil {
		return nil, errors.Join(err, objects.Close())
	}
	return driver, nil
}

// loadSpec reads the object file and sets what depends on the running kernel.
func loadSpec() (*ebpf.CollectionSpec, error) {
	spec, err := bpf.LoadPostern()
	if err != nil {
		return nil, fmt.Errorf("read eBPF object: %w", err)
	}
	if kernelAtLeast(6, 16) {
		const ipv6 = 1 << 7 // BPF_F_IPV6
		if err := spec.Variables["ipv6_checksum_flag"].Set(uint64(ipv6)); err != nil {
			return nil, fmt.Errorf("set eBPF constant: %w", err)
		}
	}
	return spec, nil
}

func kernelAtLeast(major, minor int) bool {
	var name unix.Utsname
	var haveMajor, haveMinor int
	if err := unix.Uname(&name); err != nil {
		return false
	}
	if _, err := fmt.Sscanf(unix.ByteSliceToString(name.Release[:]), "%d.%d", &haveMajor, &haveMinor); err != nil {
		return false
	}
	return haveMajor > major || haveMajor == major && haveMinor >= minor
}

// Apply makes the kernel's side what the plan says: new content first, then each NIC flips as a whole, then old content
// goes. A plan that is wrong in itself changes nothing.
func (d *Driver) Apply(_ context.Context, node plan.Node) error {
	if err := checkNode(node, d.options.Role); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.applyLocked(node)
}

func (d *Driver) applyLocked(node plan.Node) error {
	apply := d.applyHost
	if d.options.Role == model.RoleEdge {
		apply = d.applyEdge
	}
	if err := apply(node); err != nil {
		return err
	}
	d.current = &node
	return nil
}

// publish makes the node's entry current. Before the first time, everything is dropped.
func (d *Driver) publish(entry bpf.PosternNode) error {
	d.generation++
	if d.generation == 0 {
		d.generation = 1
	}
	entry.Generation = d.generation
	if err := d.objects.Nodes.Put(uint32(0), &entry); err != nil {
		return fmt.Errorf("fill map nodes: %w", err)
	}
	return nil
}

// ensureAttached attaches a program to a named interface, or notices that it is attached already.
func (d *Driver) ensureAttached(name string, ifindex int, program *ebpf.Program, at ebpf.AttachType) error {
	if have := d.attachments[name]; have != nil {
		if have.ifindex == ifindex {
			return nil
		}
		if err := have.detach(); err != nil {
			return fmt.Errorf("detach from interface %s: %w", name, err)
		}
		delete(d.attachments, name)
	}
	fresh, err := attach(d.options.Pins, name, ifindex, program, at)
	if err != nil {
		return err
	}
	d.attachments[name] = fresh
	return nil
}

// Close gives up this process's hold. Programs, maps and flows stay, pinned, and go on.
func (d *Driver) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	var err error
	for _, attached := range d.attachments {
		err = errors.Join(err, attached.link.Close())
	}
	return errors.Join(err, d.objects.Close())
}

// Remove takes everything of a node out of the kernel: links first, then maps.
func Remove(pins string) error {
	entries, err := os.ReadDir(pins)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	for _, entry := range entries {
		err = errors.Join(err, os.Remove(pins+"/"+entry.Name()))
	}
	return errors.Join(err, os.Remove(pins))
}

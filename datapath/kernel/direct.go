//go:build linux

package kernel

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/cilium/ebpf"

	"postern/datapath/kernel/bpf"
	"postern/model"
	"postern/plan"
)

// DirectOptions say where a gateway judges the packets to instances' own addresses. The process must be in the network
// namespace of the interfaces.
type DirectOptions struct {
	Pins     string // folder on a bpffs, of this node alone; made if it is missing
	Fabric   string // the interface toward the fabric
	Internet string // the interface by which public callers come; "": there is none

	// MaxConnections bounds the connections that are remembered; 0: 262,144. What comes then is reset and counted.
	MaxConnections uint32
}

// Direct keeps the kernel's side of a gateway's own addresses. Programs, rules and connections are pinned: they go on when
// the process ends, and the next one takes them over.
type Direct struct {
	options DirectOptions
	objects directObjects
	resets  *resets

	mu          sync.Mutex // guards everything below: one Apply at a time
	generation  uint32
	current     directContent
	attachments map[string]*attachment // by interface and direction
	ended       []model.Connection     // by a change of rules, and not told yet
	told        chan struct{}          // has one element when ended has any

	vips    *table[bpf.PosternVipKey, bpf.PosternVip]
	served  *table[uint32, uint8]
	callers *table[bpf.PosternItemKey, uint8]
	origins *table[bpf.PosternPrefixKey, uint8]
}

// directObjects is what of the object file a gateway needs.
type directObjects struct {
	FromFabric   *ebpf.Program `ebpf:"gateway_from_fabric"`
	ToFabric     *ebpf.Program `ebpf:"gateway_to_fabric"`
	FromInternet *ebpf.Program `ebpf:"gateway_from_internet"`
	ToInternet   *ebpf.Program `ebpf:"gateway_to_internet"`

	Nodes       *ebpf.Map `ebpf:"nodes"`
	Counters    *ebpf.Map `ebpf:"counters"`
	Vips        *ebpf.Map `ebpf:"vips"`
	Served      *ebpf.Map `ebpf:"served"`
	Callers     *ebpf.Map `ebpf:"callers"`
	Origins     *ebpf.Map `ebpf:"origins"`
	Connections *ebpf.Map `ebpf:"connections"`
	ServerSides *ebpf.Map `ebpf:"server_sides"`
	Events      *ebpf.Map `ebpf:"events"`
	EventsLost  *ebpf.Map `ebpf:"events_lost"`
}

func (o *directObjects) close() error {
	return errors.Join(o.FromFabric.Close(), o.ToFabric.Close(), o.FromInternet.Close(), o.ToInternet.Close(), o.Nodes.Close(),
		o.Counters.Close(), o.Vips.Close(), o.Served.Close(), o.Callers.Close(), o.Origins.Close(), o.Connections.Close(),
		o.ServerSides.Close(), o.Events.Close(), o.EventsLost.Close())
}

// OpenDirect loads the programs and adopts what an earlier process pinned. Nothing is attached before an Apply that has a
// port. The error is a *NotSupportedError where kernel or permissions fall short.
func OpenDirect(options DirectOptions) (*Direct, error) {
	if err := Supported(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(options.Pins, 0o700); err != nil {
		return nil, &NotSupportedError{Need: "a bpffs to pin what outlives the process", Fix: "mount one and name a folder of it with --pins", Cause: err}
	}
	spec, err := loadSpec()
	if err != nil {
		return nil, err
	}
	if options.MaxConnections > 0 {
		spec.Maps["connections"].MaxEntries, spec.Maps["server_sides"].MaxEntries = options.MaxConnections, options.MaxConnections
	}
	d := &Direct{options: options, attachments: map[string]*attachment{}, told: make(chan struct{}, 1)}
	if err := spec.LoadAndAssign(&d.objects, &ebpf.CollectionOptions{Maps: ebpf.MapOptions{PinPath: options.Pins}}); err != nil {
		return nil, fmt.Errorf("load eBPF programs: %w", notSupported(err))
	}
	d.vips = newTable[bpf.PosternVipKey, bpf.PosternVip]("vips", d.objects.Vips)
	d.served = newTable[uint32, uint8]("served", d.objects.Served)
	d.callers = newTable[bpf.PosternItemKey, uint8]("callers", d.objects.Callers)
	d.origins = newTable[bpf.PosternPrefixKey, uint8]("origins", d.objects.Origins)
	var node bpf.PosternNode
	if err := d.objects.Nodes.Lookup(uint32(0), &node); err != nil {
		return nil, errors.Join(fmt.Errorf("read back map nodes: %w", err), d.objects.close())
	}
	d.generation = node.Generation
	if d.resets, err = openResets(); err != nil {
		return nil, errors.Join(err, d.objects.close())
	}
	return d, nil
}

// Apply puts a gateway's own addresses in force: new callers and ports first, then the generation, which makes every open
// connection be asked again; then what is no longer admitted is reset at both ends, and old content goes.
func (d *Direct) Apply(wanted plan.Direct) error {
	content, err := newDirectContent(wanted)
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	steps := []func() error{
		func() error { return d.callers.add(content.callers) },
		func() error { return d.origins.add(content.origins) },
		func() error { return d.vips.add(content.vips) },
		func() error { return d.served.add(content.served) },
		func() error { return d.served.prune(content.served) },
		func() error { return d.vips.prune(content.vips) },
		func() error { return d.publish(wanted) },
	}
	// Once attached they stay: the servers are still there, and what no port leads to is to be reached by nobody.
	if len(wanted.Ports) > 0 || d.attached() {
		steps = append(steps, d.attach)
	}
	steps = append(steps,
		func() error { return d.revoke(content) },
		func() error { return d.callers.prune(content.callers) },
		func() error { return d.origins.prune(content.origins) })
	for _, step := range steps {
		if err := step(); err != nil {
			return fmt.Errorf("apply own addresses: %w", err)
		}
	}
	d.current = content
	return nil
}

func (d *Direct) publish(wanted plan.Direct) error {
	d.generation++
	if d.generation == 0 {
		d.generation = 1
	}
	node := bpf.PosternNode{Service: locatorOf(wanted.ServiceLocator), Platform: locatorOf(wanted.PlatformLocator), Generation: d.generation}
	if err := d.objects.Nodes.Put(uint32(0), &node); err != nil {
		return fmt.Errorf("fill map nodes: %w", err)
	}
	return nil
}

// attach puts the programs on the interfaces: what leaves first, so that no answer escapes that what comes in lets happen.
func (d *Direct) attach() error {
	for _, one := range []struct {
		name, direction string
		program         *ebpf.Program
		at              ebpf.AttachType
	}{
		{d.options.Fabric, "out", d.objects.ToFabric, ebpf.AttachTCXEgress},
		{d.options.Fabric, "in", d.objects.FromFabric, ebpf.AttachTCXIngress},
		{d.options.Internet, "out", d.objects.ToInternet, ebpf.AttachTCXEgress},
		{d.options.Internet, "in", d.objects.FromInternet, ebpf.AttachTCXIngress},
	} {
		if one.name == "" {
			continue
		}
		ifindex, _ := linkOf(one.name)
		if ifindex == 0 {
			return fmt.Errorf("no interface %s here; name the gateway's interfaces with --fabric and --internet", one.name)
		}
		key := one.name + "-" + one.direction
		if have := d.attachments[key]; have != nil {
			if have.ifindex == ifindex {
				continue
			}
			if err := have.detach(); err != nil {
				return fmt.Errorf("detach from interface %s: %w", one.name, err)
			}
			delete(d.attachments, key)
		}
		fresh, err := attach(d.options.Pins, key, ifindex, one.program, one.at)
		if err != nil {
			return err
		}
		d.attachments[key] = fresh
	}
	return nil
}

// attached tells whether this process or an earlier one has put the programs on their interfaces.
func (d *Direct) attached() bool {
	if len(d.attachments) > 0 {
		return true
	}
	_, err := os.Stat(filepath.Join(d.options.Pins, "link-"+d.options.Fabric+"-in"))
	return err == nil
}

// Counters reads how many packets met which reason, without zeroes.
func (d *Direct) Counters() ([]model.Counter, error) {
	var counters []model.Counter
	for reason := range uint32(model.ReasonCount) {
		packets, err := sumOf(d.objects.Counters, reason)
		if err != nil {
			return nil, fmt.Errorf("read counters: %w", err)
		}
		if packets > 0 {
			counters = append(counters, model.Counter{Reason: model.Reason(reason), Packets: packets})
		}
	}
	return counters, nil
}

// Lost is how many connections ended, or were refused, without anybody being told.
func (d *Direct) Lost() (uint64, error) { return sumOf(d.objects.EventsLost, 0) }

// sumOf adds what all processors have counted.
func sumOf(counters *ebpf.Map, at uint32) (total uint64, err error) {
	var perCPU []uint64
	if err := counters.Lookup(at, &perCPU); err != nil {
		return 0, err
	}
	for _, value := range perCPU {
		total += value
	}
	return total, nil
}

// Close gives up this process's hold. Programs, rules and connections stay, pinned, and go on.
func (d *Direct) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	var err error
	for _, attached := range d.attachments {
		err = errors.Join(err, attached.link.Close())
	}
	return errors.Join(err, d.resets.close(), d.objects.close())
}

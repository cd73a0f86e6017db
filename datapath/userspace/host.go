package userspace

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"postern/datapath/userspace/socks"
	"postern/model"
	"postern/pipeline"
	"postern/plan"
)

// started is what the monotonic time of every pipeline of this process counts from.
var started = time.Now()

func monotonic() int64 { return int64(time.Since(started)) }

// answerBuffer has room for what a pipeline writes about a packet of at most size bytes.
func answerBuffer(size int) []byte { return make([]byte, size+pipeline.Headroom) }

// HostOptions are the choices of a Host.
type HostOptions struct {
	// Prefix gives the prefix of a NIC's subnet, which a plan does not have. The VM then has that prefix and the
	// subnet's first address as its router. nil, or an invalid prefix: a /32, and 169.254.1.1 as the router.
	Prefix func(plan.NIC) netip.Prefix
}

// Host is a host's driver: it carries a VM for every NIC of its plan and judges all their packets.
type Host struct {
	name     string
	fabric   *Fabric
	options  HostOptions
	pipeline *pipeline.Host
	port     *port

	vms atomic.Pointer[map[uint32]*VM] // by NIC number; a snapshot

	mu     sync.Mutex // serialises Apply, SOCKS and Close
	closed bool
	socks  map[string]*socks.Server // by key of the NIC's id; outlives a VM that is made again
}

// NewHost makes a host without a plan: it has no VM and drops everything until the first Apply.
func NewHost(fabric *Fabric, name string, options HostOptions) *Host {
	h := &Host{name: name, fabric: fabric, options: options, pipeline: pipeline.NewHost(monotonic), socks: map[string]*socks.Server{}}
	h.vms.Store(&map[uint32]*VM{})
	out := answerBuffer(fabric.mtu)
	h.port = newPort(func(packet []byte) { h.act(nil, h.pipeline.FromFabric(packet, out)) })
	return h
}

// Apply makes the host equal to the plan: the pipeline first, then the VMs that went, then those that came. A NIC whose
// number, address, MAC or forwarding changed gets a new VM. Applying the same plan again changes nothing. After an error
// some VMs may be missing; Apply again to mend it.
func (h *Host) Apply(ctx context.Context, node plan.Node) error {
	if node.Role != model.RoleHost || node.Host == nil {
		return fmt.Errorf("apply plan to host %s: the plan is that of a %s; give a host's", h.name, node.Role)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return fmt.Errorf("apply plan to host %s: the host is closed", h.name)
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("apply plan to host %s: %w", h.name, err)
	}
	if err := h.pipeline.Apply(node); err != nil {
		return fmt.Errorf("apply plan to host %s: %w", h.name, err)
	}
	h.fabric.segment.announce(h.port, []model.Locator{node.Locator})

	actual := *h.vms.Load()
	next := make(map[uint32]*VM, len(node.Host.NICs))
	var missing []plan.NIC
	for _, nic := range node.Host.NICs {
		if vm := actual[nic.Number]; vm != nil && sameMachine(vm.nic, nic) && vm.prefix == h.prefix(nic) {
			next[nic.Number] = vm
		} else {
			missing = append(missing, nic)
		}
	}
	gone := make([]*VM, 0)
	for number, vm := range actual {
		if next[number] != vm {
			gone = append(gone, vm)
		}
	}
	h.publish(next)
	for _, vm := range gone {
		vm.close()
	}
	var failures []error
	for _, nic := range missing {
		vm, err := newVM(nic, h.prefix(nic), h.fromVM)
		if err != nil {
			failures = append(failures, err)
			continue
		}
		next[nic.Number] = vm
	}
	h.publish(next)
	h.dropSOCKS(node.Host.NICs)
	return errors.Join(failures...)
}

// publish makes a snapshot of vms the one that packets meet.
func (h *Host) publish(vms map[uint32]*VM) {
	snapshot := make(map[uint32]*VM, len(vms))
	for number, vm := range vms {
		snapshot[number] = vm
	}
	h.vms.Store(&snapshot)
}

func (h *Host) prefix(nic plan.NIC) netip.Prefix {
	if h.options.Prefix == nil {
		return netip.Prefix{}
	}
	return h.options.Prefix(nic)
}

// sameMachine tells whether the machine behind a NIC can stay when its plan changes.
func sameMachine(have, want plan.NIC) bool {
	return have.ID.Is(want.ID) && have.IPv4 == want.IPv4 && have.MAC == want.MAC && have.Forwarding == want.Forwarding
}

// fromVM judges a frame that the stack of a VM sent; one goroutine a VM calls it.
func (h *Host) fromVM(vm *VM, frame []byte) {
	h.act(vm, h.pipeline.FromVM(vm.nic.Number, frame, vm.out))
}

// act does what the pipeline decided; sender is the VM that a packet came from, nil for one from the fabric.
func (h *Host) act(sender *VM, result pipeline.Result) {
	switch result.Verdict.Action {
	case model.ToFabric:
		h.fabric.Send(result.Data)
	case model.Deliver:
		vm := (*h.vms.Load())[result.NIC]
		if vm == nil {
			return
		}
		if frame := vm.receive(result.Data); frame != nil {
			// Not for ever: what a VM sends leaves for the fabric, or comes back to it as a Reply.
			h.act(vm, h.pipeline.FromVM(vm.nic.Number, frame, answerBuffer(len(frame))))
		}
	case model.Reply:
		if sender != nil {
			sender.link.inject(0, result.Data)
		} else {
			h.fabric.Send(result.Data)
		}
	}
}

// InjectFrame judges a frame as if the VM of a NIC had sent it, whatever is in it, and tells the verdict.
func (h *Host) InjectFrame(nic uint32, frame []byte) (model.Verdict, error) {
	vm := (*h.vms.Load())[nic]
	if vm == nil {
		return model.Verdict{}, fmt.Errorf("send a frame from NIC %d of host %s: there is no such NIC", nic, h.name)
	}
	result := h.pipeline.FromVM(nic, frame, answerBuffer(len(frame)))
	h.act(vm, result)
	return result.Verdict, nil
}

// VM finds a VM by its NIC's id or by the last segment of it.
func (h *Host) VM(nic string) (*VM, bool) {
	var named *VM
	for _, vm := range h.VMs() {
		if vm.nic.ID.Is(model.ResourceID(nic)) {
			return vm, true
		}
		if named == nil && strings.EqualFold(vm.nic.ID.Name(), nic) {
			named = vm
		}
	}
	return named, named != nil
}

// VMs are those of the host now, by the number of their NICs.
func (h *Host) VMs() []*VM {
	snapshot := *h.vms.Load()
	list := make([]*VM, 0, len(snapshot))
	for _, vm := range snapshot {
		list = append(list, vm)
	}
	sort.Slice(list, func(i, j int) bool { return list[i].nic.Number < list[j].nic.Number })
	return list
}

// Counters are the pipeline's: packets by NIC and reason.
func (h *Host) Counters() []pipeline.Counter { return h.pipeline.Counters() }

// Stop makes the host drop everything from the fabric, as one that lost its power; Start ends it.
func (h *Host) Stop() { h.port.running.Store(false) }

// Start ends Stop.
func (h *Host) Start() { h.port.running.Store(true) }

// Close ends every VM and the host.
func (h *Host) Close() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil
	}
	h.closed = true
	h.fabric.segment.announce(h.port, nil)
	h.dropSOCKS(nil)
	for _, vm := range h.VMs() {
		vm.close()
	}
	h.publish(nil)
	h.port.close()
	return nil
}

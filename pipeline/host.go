package pipeline

import (
	"slices"
	"sync"
	"sync/atomic"

	"postern/model"
	"postern/plan"
)

// Result is what becomes of a packet.
type Result struct {
	Verdict model.Verdict

	// NIC is the number of the NIC that the packet is from or for; 0 where none can be named.
	NIC uint32

	// Data is what leaves: an Ethernet frame for a host's Reply and Deliver, an IPv6 packet for ToFabric, an IPv4 packet for
	// ToInternet and an edge's Reply; nil otherwise. It lies in the buffer that the caller gave.
	Data []byte
}

// Headroom is by how many bytes the buffer for the answer must be larger than the packet.
const Headroom = 128

// Host judges the packets of the NICs of one host. Its methods are safe for concurrent use.
type Host struct {
	now       func() int64
	flows     *flowTable
	fragments *fragmentTable
	unnamed   reasonCounters // of packets that no NIC can be named for

	applying sync.Mutex // one Apply at a time
	current  atomic.Pointer[snapshot]
}

// NewHost makes a host without a plan: until the first Apply it drops every packet with model.ReasonUnsynced. Now is a
// monotonic clock in nanoseconds.
func NewHost(now func() int64) *Host {
	return &Host{now: now, flows: newFlowTable(maxFlows, 64), fragments: newFragmentTable(maxFragments)}
}

// Apply makes a plan the one to judge by, for every packet that comes after. Flows stay, and so do the counters of NICs
// that are in the new plan too. A plan that is no host's, that is malformed or that refers to content it does not hold is
// refused as a whole with an error, and the old one stays in force.
func (h *Host) Apply(node plan.Node) error {
	h.applying.Lock()
	defer h.applying.Unlock()
	next, err := newSnapshot(node, h.current.Load())
	if err != nil {
		return err
	}
	h.current.Store(next)
	return nil
}

// FromVM judges an Ethernet frame from a NIC, given by its plan.NIC.Number. Out must have capacity for len(frame) +
// Headroom bytes and must not overlap the frame; its contents are overwritten.
func (h *Host) FromVM(nic uint32, frame, out []byte) Result {
	j := judge{host: h, snapshot: h.current.Load(), out: out[:cap(out)]}
	result := j.fromVM(nic, frame)
	j.count(result.Verdict.Reason)
	return result
}

// FromFabric judges an IPv6 packet that the fabric brought to the host. Out as in FromVM.
func (h *Host) FromFabric(packet, out []byte) Result {
	j := judge{host: h, snapshot: h.current.Load(), out: out[:cap(out)]}
	result := j.fromFabric(packet)
	j.count(result.Verdict.Reason)
	return result
}

// Counters gives every counter that is not zero, by NIC and reason. Packets that get through are counted as well as those
// that do not, each under the reason of its verdict.
func (h *Host) Counters() []Counter {
	list := h.unnamed.appendTo(nil, 0)
	current := h.current.Load()
	if current == nil {
		return list
	}
	numbers := make([]uint32, 0, len(current.nics))
	for number := range current.nics {
		numbers = append(numbers, number)
	}
	slices.Sort(numbers)
	for _, number := range numbers {
		list = current.nics[number].counters.appendTo(list, number)
	}
	return list
}

// judge is the judging of one packet. It lives on the stack of the method that made it.
type judge struct {
	host     *Host
	snapshot *snapshot // nil before the first plan
	nic      *nic      // nil until it is known
	now      int64
	out      []byte
	trace    *trace // nil unless explain asks; with it nothing is changed and nothing counted
}

func (j *judge) count(reason model.Reason) {
	if j.nic == nil {
		j.host.unnamed.count(reason)
		return
	}
	j.nic.counters.count(reason)
}

func (j *judge) result(action model.Action, reason model.Reason, data []byte) Result {
	result := Result{Verdict: model.Verdict{Action: action, Reason: reason}, Data: data}
	if j.nic != nil {
		result.NIC = j.nic.number
	}
	return result
}

// drop ends the judging in a step of the given name.
func (j *judge) drop(step string, reason model.Reason) Result {
	if j.trace != nil {
		j.trace.denied(step, reason)
	}
	return j.result(model.Drop, reason, nil)
}

package pipeline

import (
	"sync/atomic"

	"postern/model"
)

// Counter tells how many packets of a NIC were judged with a reason, since the NIC is in the plan. NIC 0 has those that
// no NIC can be named for, and an edge's.
type Counter = model.Counter

// reasonCounters are the counters of one NIC.
type reasonCounters [model.ReasonCount]atomic.Uint64

func (c *reasonCounters) count(reason model.Reason) { c[reason].Add(1) }

// appendTo appends those that are not zero, by reason.
func (c *reasonCounters) appendTo(list []Counter, nic uint32) []Counter {
	for reason := range c {
		if packets := c[reason].Load(); packets != 0 {
			list = append(list, Counter{NIC: nic, Reason: model.Reason(reason), Packets: packets})
		}
	}
	return list
}

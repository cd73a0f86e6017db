//go:build linux

package kernel

import (
	"cmp"
	"fmt"
	"slices"

	"postern/model"
	"postern/plan"
)

// reasonsPerSlot and maxSlots are REASONS and MAX_NICS of bpf/plan.h.
const (
	reasonsPerSlot = 64
	maxSlots       = 1024
)

// readSlots learns which slot each NIC's counters have from the NICs an earlier process left.
func (d *Driver) readSlots() error {
	if err := d.nics.readBack(); err != nil {
		return err
	}
	d.slots = map[uint32]uint32{}
	for _, nic := range d.nics.actual {
		d.slots[nic.Number] = nic.Slot
	}
	return nil
}

func (d *Driver) slotOf(nic uint32) (uint32, error) {
	if slot, ok := d.slots[nic]; ok {
		return slot, nil
	}
	taken := make(map[uint32]bool, len(d.slots))
	for _, slot := range d.slots {
		taken[slot] = true
	}
	for slot := uint32(1); slot < maxSlots; slot++ {
		if !taken[slot] {
			d.slots[nic] = slot
			return slot, nil
		}
	}
	return 0, fmt.Errorf("NIC %d: a host carries at most %d NICs", nic, maxSlots-1)
}

// freeSlots clears the counters of NICs that are gone, for the next one.
func (d *Driver) freeSlots(nics []plan.NIC) error {
	wanted := make(map[uint32]bool, len(nics))
	for _, nic := range nics {
		wanted[nic.Number] = true
	}
	zero := make([]uint64, d.cpus())
	for number, slot := range d.slots {
		if wanted[number] {
			continue
		}
		for reason := range uint32(reasonsPerSlot) {
			if err := d.objects.Counters.Put(slot*reasonsPerSlot+reason, zero); err != nil {
				return fmt.Errorf("clear counters of NIC %d: %w", number, err)
			}
		}
		delete(d.slots, number)
	}
	return nil
}

func (d *Driver) cpus() int {
	var perCPU []uint64
	if err := d.objects.Counters.Lookup(uint32(0), &perCPU); err != nil {
		return 1
	}
	return len(perCPU)
}

// Counters reads how many packets met which reason, by NIC and reason, without zeroes.
func (d *Driver) Counters() ([]model.Counter, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	slots := map[uint32]uint32{0: 0}
	for number, slot := range d.slots {
		slots[number] = slot
	}
	var counters []model.Counter
	for number, slot := range slots {
		for reason := range uint32(model.ReasonCount) {
			var perCPU []uint64
			if err := d.objects.Counters.Lookup(slot*reasonsPerSlot+reason, &perCPU); err != nil {
				return nil, fmt.Errorf("read counters: %w", err)
			}
			var packets uint64
			for _, value := range perCPU {
				packets += value
			}
			if packets > 0 {
				counters = append(counters, model.Counter{NIC: number, Reason: model.Reason(reason), Packets: packets})
			}
		}
	}
	slices.SortFunc(counters, func(a, b model.Counter) int {
		return cmp.Or(cmp.Compare(a.NIC, b.NIC), cmp.Compare(a.Reason, b.Reason))
	})
	return counters, nil
}

package pipeline

import (
	"sync"
	"time"

	"postern/model"
)

// Bounds of the memory of first fragments.
const (
	maxFragments = 4096
	fragmentLife = int64(30 * time.Second)
)

// direction is seen from the VM. What comes in encapsulated and what is translated never share fragments: one comes from
// wherever the Internet lets somebody write a source address, the other from a service (SE-13).
type direction uint8

const (
	outgoing direction = iota
	incoming
	translated
)

// fragmentKey is what the fragments of one packet have in common (RFC 791, section 3.2), at one NIC.
type fragmentKey struct {
	nic                 uint32
	source, destination [4]byte
	identification      uint16
	protocol            model.Protocol
	direction           direction
}

// fragmentMemory is what a first fragment that got through leaves for the later ones.
type fragmentMemory struct {
	made                        int64
	length                      int // bytes of layer 4 in the first fragment
	sourcePort, destinationPort uint16
}

// fragmentTable remembers first fragments. Fragments are rare and the table is small, so it is one room with one lock.
type fragmentTable struct {
	mutex  sync.Mutex
	firsts lru[fragmentKey, fragmentMemory]
}

func newFragmentTable(limit int) *fragmentTable {
	return &fragmentTable{firsts: newLRU[fragmentKey, fragmentMemory](limit)}
}

func (t *fragmentTable) find(key fragmentKey, now int64) (fragmentMemory, bool) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	memory := t.firsts.get(key)
	if memory == nil || now-memory.made > fragmentLife {
		return fragmentMemory{}, false
	}
	return *memory, true
}

func (t *fragmentTable) remember(key fragmentKey, memory fragmentMemory) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	t.firsts.put(key, memory)
}

func (j *judge) fragmentKey(d *datagram, way direction) fragmentKey {
	return fragmentKey{nic: j.nic.number, direction: way, source: d.source, destination: d.destination,
		identification: d.identification, protocol: d.protocol}
}

// judgeFragment is step 5: ports out of the packet itself, or out of what its first fragment left.
func (j *judge) judgeFragment(d *datagram, way direction, v6 bool) model.Reason {
	if d.piece != laterFragment {
		return d.readLayer4(v6)
	}
	memory, ok := j.host.fragments.find(j.fragmentKey(d, way), j.now)
	if !ok {
		return model.ReasonFragmentFirstMissing
	}
	if d.offset < memory.length {
		return model.ReasonFragmentOverlap
	}
	d.sourcePort, d.destinationPort = memory.sourcePort, memory.destinationPort
	if j.trace != nil {
		j.trace.laterFragment(d)
	}
	return model.ReasonNone
}

// rememberFragment keeps what later fragments need of a first one that passed.
func (j *judge) rememberFragment(d *datagram, way direction) {
	if d.piece != firstFragment || j.trace != nil {
		return
	}
	j.host.fragments.remember(j.fragmentKey(d, way), fragmentMemory{made: j.now, length: len(d.layer4),
		sourcePort: d.sourcePort, destinationPort: d.destinationPort})
}

package pipeline

import (
	"encoding/binary"
	"math/bits"
	"math/rand/v2"
	"sync"
	"time"

	"postern/model"
	"postern/packet"
)

// maxFlows bounds the flows of a host.
const maxFlows = 262_144

// How long a flow lives after its last packet.
const (
	tcpFlowLife    = int64(30 * time.Minute)
	closedFlowLife = int64(10 * time.Second)
	otherFlowLife  = int64(120 * time.Second)
)

// flowKey names a flow from the VM's side, whichever way its packets go.
type flowKey struct {
	nic                   uint32
	local, remote         [4]byte
	localPort, remotePort uint16
	protocol              model.Protocol
}

// flow is what a host remembers of a flow.
type flow struct {
	lastSeen int64 // nanoseconds of Host.now
	via      model.Identity
	viaKnown bool // false while only the other side has sent
	byVM     bool // the VM opened it
	closing  closing

	ofGateway bool // the VM opened it while its subnet had a NAT gateway, which is its way to the Internet (OUT-1)
}

// changes tells whether a packet that goes by via, or directly to the Internet, goes another way than the flow's.
func (f *flow) changes(via model.Identity, direct bool) bool {
	return f.viaKnown && (f.via != via || f.ofGateway && direct)
}

// passage is what a flow is told of the way of a packet of the VM.
type passage struct {
	via     model.Identity
	gateway bool // the NIC's subnet has a NAT gateway
	direct  bool // to the Internet by no NAT gateway
}

// closing is a set of the ends of a TCP connection that were seen.
type closing uint8

const (
	finByVM closing = 1 << iota
	finByRemote
	reset
)

// closingOf reads the flags of a packet.
func closingOf(flags uint8, byVM bool) closing {
	var ends closing
	if flags&packet.TCPFin != 0 {
		ends = finByRemote
		if byVM {
			ends = finByVM
		}
	}
	if flags&packet.TCPRst != 0 {
		ends |= reset
	}
	return ends
}

// after is what is seen after one more packet: a SYN without ACK begins a new connection on the same ports.
func (c closing) after(flags uint8, byVM bool) closing {
	if flags&(packet.TCPSyn|packet.TCPAck) == packet.TCPSyn {
		c = 0
	}
	return c | closingOf(flags, byVM)
}

// tunnelled tells whether the flow goes to a service or to the platform, so that translated packets alone are its answers.
func (f *flow) tunnelled() bool { return f.viaKnown && f.via != model.IdentityNone }

// closed tells whether the connection is over: a RST, or a FIN from both sides.
func (c closing) closed() bool { return c&reset != 0 || c&(finByVM|finByRemote) == finByVM|finByRemote }

func (f *flow) expired(protocol model.Protocol, now int64) bool {
	life := otherFlowLife
	if protocol == model.ProtocolTCP {
		life = tcpFlowLife
		if f.closing.closed() {
			life = closedFlowLife
		}
	}
	return now-f.lastSeen > life
}

// flowTable holds the flows of a host in shards, each with its own lock and its own share of the bound. The least
// recently used flow of a shard goes first. The seed keeps a VM from choosing keys that meet in one shard.
type flowTable struct {
	seed   uint64
	shards []flowShard // a power of two
}

type flowShard struct {
	mutex sync.Mutex
	flows lru[flowKey, flow]
	_     [64]byte // a lock is not to share its cache line with its neighbour's
}

func newFlowTable(limit, shards int) *flowTable {
	table := &flowTable{seed: rand.Uint64() | 1, shards: make([]flowShard, shards)}
	for i := range table.shards {
		table.shards[i].flows = newLRU[flowKey, flow](limit / shards)
	}
	return table
}

func (t *flowTable) shard(key flowKey) *flowShard {
	addresses := uint64(binary.BigEndian.Uint32(key.local[:]))<<32 | uint64(binary.BigEndian.Uint32(key.remote[:]))
	rest := uint64(key.nic)<<40 ^ uint64(key.protocol)<<32 ^ uint64(key.localPort)<<16 ^ uint64(key.remotePort)
	high, low := bits.Mul64(addresses^t.seed, 0x9e3779b97f4a7c15)
	high, low = bits.Mul64(high^low^rest, t.seed)
	return &t.shards[(high^low)&uint64(len(t.shards)-1)]
}

// find gives a flow that has not expired. It changes nothing, so that explain can ask too.
func (t *flowTable) find(key flowKey, now int64) (flow, bool) {
	shard := t.shard(key)
	shard.mutex.Lock()
	defer shard.mutex.Unlock()
	have := shard.flows.peek(key)
	if have == nil || have.expired(key.protocol, now) {
		return flow{}, false
	}
	return *have, true
}

// sendResult is what sending a packet did to its flow.
type sendResult uint8

const (
	flowMade sendResult = iota
	flowRefreshed
	flowPathChanged // and deleted (SE-3, OUT-1)
)

// send notes a packet of the VM that gets through: step 10 of "From the VM".
func (t *flowTable) send(key flowKey, now int64, by passage, flags uint8) sendResult {
	shard := t.shard(key)
	shard.mutex.Lock()
	defer shard.mutex.Unlock()
	have := shard.flows.get(key)
	if have == nil || have.expired(key.protocol, now) {
		shard.flows.put(key, flow{lastSeen: now, via: by.via, viaKnown: true, byVM: true, closing: closingOf(flags, true), ofGateway: by.gateway})
		return flowMade
	}
	if key.protocol == model.ProtocolTCP && have.changes(by.via, by.direct) {
		shard.flows.remove(key)
		return flowPathChanged
	}
	have.lastSeen, have.via, have.viaKnown = now, by.via, true
	have.closing = have.closing.after(flags, true)
	return flowRefreshed
}

// receive notes a packet of the other side that was let in. Where there is no flow it makes one only if it may.
func (t *flowTable) receive(key flowKey, now int64, flags uint8, mayMake bool) {
	shard := t.shard(key)
	shard.mutex.Lock()
	defer shard.mutex.Unlock()
	have := shard.flows.get(key)
	switch {
	case have != nil && !have.expired(key.protocol, now):
		have.lastSeen = now
		have.closing = have.closing.after(flags, false)
	case mayMake:
		shard.flows.put(key, flow{lastSeen: now, closing: closingOf(flags, false)})
	}
}

// size is the number of flows, expired ones that nothing has replaced included.
func (t *flowTable) size() int {
	total := 0
	for i := range t.shards {
		shard := &t.shards[i]
		shard.mutex.Lock()
		total += shard.flows.size()
		shard.mutex.Unlock()
	}
	return total
}

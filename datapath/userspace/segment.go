package userspace

import (
	"encoding/binary"
	"hash/maphash"
	"sync"
	"sync/atomic"
)

// queueLength is how many packets wait for one node, at most. TCP buffers (see stack.go) hold fewer, so that one
// connection alone never overflows it.
const queueLength = 4096

// SegmentCounters tell what a segment (the fabric or the Internet) did with packets.
type SegmentCounters struct {
	Delivered uint64 // taken into a node's queue
	NoRoute   uint64 // nobody announces the destination
	Stopped   uint64 // whoever announces it is stopped
	QueueFull uint64 // the node's queue was full
	Malformed uint64 // no IP header of the segment's version
	TooBig    uint64 // over the segment's MTU
}

// segment delivers packets by a key of their destination. Its routes are read without a lock.
type segment[K comparable] struct {
	routes atomic.Pointer[map[K][]*port]
	seed   maphash.Seed

	mu    sync.Mutex // serialises changes of routes
	owned map[*port][]K

	delivered, noRoute, stopped, queueFull, malformed, tooBig atomic.Uint64
}

func newSegment[K comparable]() *segment[K] {
	s := &segment[K]{seed: maphash.MakeSeed(), owned: map[*port][]K{}}
	s.routes.Store(&map[K][]*port{})
	return s
}

// announce makes keys all that p is reached by. Packets in flight meet either the old or the new set.
func (s *segment[K]) announce(p *port, keys []K) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(keys) == 0 {
		delete(s.owned, p)
	} else {
		s.owned[p] = append([]K(nil), keys...)
	}
	routes := map[K][]*port{}
	for owner, keys := range s.owned {
		for _, key := range keys {
			routes[key] = append(routes[key], owner)
		}
	}
	s.routes.Store(&routes)
}

// deliver copies the packet into the queue of a node that has key. Several nodes may (anycast): packets of one pair of
// addresses, which stand in pair, always meet the same one, and when a node stops, only its own pairs move.
func (s *segment[K]) deliver(key K, pair, packet []byte) {
	ports := (*s.routes.Load())[key]
	if len(ports) == 0 {
		s.noRoute.Add(1)
		return
	}
	p := ports[0]
	if len(ports) > 1 {
		p = s.choose(ports, pair)
	}
	if p == nil || !p.running.Load() {
		s.stopped.Add(1)
		return
	}
	if !p.put(packet) {
		s.queueFull.Add(1)
		return
	}
	s.delivered.Add(1)
}

// choose is rendezvous hashing (Thaler, Ravishankar 1998) among the ports that run; nil for none.
func (s *segment[K]) choose(ports []*port, pair []byte) *port {
	var best *port
	var most uint64
	hash := maphash.Bytes(s.seed, pair)
	for _, p := range ports {
		if !p.running.Load() {
			continue
		}
		var bytes [16]byte
		binary.LittleEndian.PutUint64(bytes[:], hash)
		binary.LittleEndian.PutUint64(bytes[8:], p.number)
		if weight := maphash.Bytes(s.seed, bytes[:]); best == nil || weight > most {
			best, most = p, weight
		}
	}
	return best
}

func (s *segment[K]) has(key K) bool { return len((*s.routes.Load())[key]) > 0 }

func (s *segment[K]) counters() SegmentCounters {
	return SegmentCounters{
		Delivered: s.delivered.Load(), NoRoute: s.noRoute.Load(), Stopped: s.stopped.Load(),
		QueueFull: s.queueFull.Load(), Malformed: s.malformed.Load(), TooBig: s.tooBig.Load(),
	}
}

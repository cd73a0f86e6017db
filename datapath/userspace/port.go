package userspace

import (
	"sync"
	"sync/atomic"
)

// packet is a buffer that passes from a sender to a port's goroutine and back to the pool.
type packet struct{ data []byte }

var packets = sync.Pool{New: func() any { return &packet{data: make([]byte, 0, 2048)} }}

var portNumbers atomic.Uint64

// port is where a node meets a segment: a bounded queue, and one goroutine that hands its packets on in their order.
type port struct {
	number  uint64
	queue   chan *packet
	running atomic.Bool // false: the node is stopped, its packets are dropped

	done chan struct{}
	once sync.Once
	wait sync.WaitGroup
}

// newPort starts a port. receive gets each packet in turn and must not keep it.
func newPort(receive func(packet []byte)) *port {
	p := &port{number: portNumbers.Add(1), queue: make(chan *packet, queueLength), done: make(chan struct{})}
	p.running.Store(true)
	p.wait.Add(1)
	go func() {
		defer p.wait.Done()
		for {
			select {
			case <-p.done:
				return
			case packet := <-p.queue:
				if p.running.Load() {
					receive(packet.data)
				}
				packets.Put(packet)
			}
		}
	}()
	return p
}

// put queues a copy of data; false when there is no room.
func (p *port) put(data []byte) bool {
	packet := packets.Get().(*packet)
	packet.data = append(packet.data[:0], data...)
	select {
	case p.queue <- packet:
		return true
	default:
		packets.Put(packet)
		return false
	}
}

// close ends the goroutine and waits for it. Packets that come later stay in the queue until both are collected.
func (p *port) close() {
	p.once.Do(func() { close(p.done) })
	p.wait.Wait()
}

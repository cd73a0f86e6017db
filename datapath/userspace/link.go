package userspace

import (
	"context"
	"sync"
	"sync/atomic"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/link/channel"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// linkQueue is how many packets of a stack wait to be sent, at most.
const linkQueue = 1024

// link is the wire of one stack. What the stack sends waits in a bounded queue for one goroutine, so that no packet is
// ever judged or delivered inside a call of the stack's own, where its locks are held.
type link struct {
	*channel.Endpoint
	dropped atomic.Uint64 // did not fit into the queue

	cancel context.CancelFunc
	wait   sync.WaitGroup
}

// newLink makes a wire for packets of at most mtu bytes, link header included. mac is "" without Ethernet.
func newLink(mtu int, mac tcpip.LinkAddress) *link {
	return &link{Endpoint: channel.New(linkQueue, uint32(mtu), mac)}
}

// WritePackets is called by the stack. What does not fit is lost, as on a wire, and counted.
func (l *link) WritePackets(packets stack.PacketBufferList) (int, tcpip.Error) {
	sent, err := l.Endpoint.WritePackets(packets)
	l.dropped.Add(uint64(packets.Len() - sent))
	return sent, err
}

// start hands every packet that the stack sends to send, which must not keep it.
func (l *link) start(send func(packet []byte)) {
	ctx, cancel := context.WithCancel(context.Background())
	l.cancel = cancel
	l.wait.Add(1)
	go func() {
		defer l.wait.Done()
		for {
			packet := l.ReadContext(ctx)
			if packet == nil {
				break
			}
			hand(packet, send)
		}
		// The resets of a stack that closes are in the queue still.
		for range linkQueue {
			packet := l.Read()
			if packet == nil {
				return
			}
			hand(packet, send)
		}
	}()
}

func hand(packet *stack.PacketBuffer, send func([]byte)) {
	view := packet.ToView()
	packet.DecRef()
	send(view.AsSlice())
	view.Release()
}

// inject gives the stack one packet from the wire. It is copied. protocol has no meaning on Ethernet.
func (l *link) inject(protocol tcpip.NetworkProtocolNumber, data []byte) {
	packet := stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: buffer.MakeWithData(data)})
	l.InjectInbound(protocol, packet)
	packet.DecRef()
}

// stop sends what waits, ends the goroutine and waits for it.
func (l *link) stop() {
	l.cancel()
	l.wait.Wait()
	l.Close()
}

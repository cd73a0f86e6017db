package userspace

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"
	"gvisor.dev/gvisor/pkg/waiter"
)

// forwardUDP makes a flow for the first datagram between two ports; those that follow reach its endpoint at once.
func (o *outbound) forwardUDP(request *udp.ForwarderRequest) bool {
	if !o.begin() {
		return true
	}
	id := request.ID()
	queue := new(waiter.Queue)
	endpoint, fault := request.CreateEndpoint(queue)
	if fault != nil {
		o.end()
		return true
	}
	go func() {
		defer o.end()
		inside := &udpConn{gonet.NewUDPConn(queue, endpoint)}
		flow := o.leave(plain(tcpip.FullAddress{Addr: id.RemoteAddress}).Addr())
		defer o.left(flow)
		target, err := o.dial(flow.ctx, flow, "udp", plain(tcpip.FullAddress{Addr: id.LocalAddress, Port: id.LocalPort}))
		if err != nil {
			o.unanswered.Add(1)
			_ = inside.Close()
			return
		}
		o.datagrams.Add(1)
		o.join(flow, inside, target)
		exchange(flow.ctx, inside, target)
	}()
	return true
}

// exchange copies datagrams both ways until neither way had one for udpIdle, one end failed, or ctx is done.
func exchange(ctx context.Context, inside, target net.Conn) {
	end := sync.OnceFunc(func() {
		_ = inside.Close()
		_ = target.Close()
	})
	stop := context.AfterFunc(ctx, end)
	defer stop()
	var last atomic.Int64
	last.Store(monotonic())
	var wait sync.WaitGroup
	wait.Go(func() { copyDatagrams(inside, target, &last); end() })
	wait.Go(func() { copyDatagrams(target, inside, &last); end() })
	wait.Wait()
}

// copyDatagrams copies one way; last is the monotonic time of the last datagram of either way.
func copyDatagrams(to, from net.Conn, last *atomic.Int64) {
	buffer := make([]byte, 1<<16)
	for {
		idle := time.Duration(monotonic() - last.Load())
		if idle >= udpIdle {
			return
		}
		_ = from.SetReadDeadline(time.Now().Add(udpIdle - idle))
		n, err := from.Read(buffer)
		if err != nil {
			var timeout net.Error
			if errors.As(err, &timeout) && timeout.Timeout() {
				continue // the other way may have had one meanwhile
			}
			return // refused (ICMP port unreachable), or closed
		}
		last.Store(monotonic())
		if _, err := to.Write(buffer[:n]); err != nil {
			return
		}
	}
}

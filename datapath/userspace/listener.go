package userspace

import (
	"net"
	"net/netip"
	"sync"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/waiter"
)

const listenBacklog = 1024

// Listener accepts TCP connections of a Stack; every one is a *Conn.
type Listener struct {
	endpoint tcpip.Endpoint
	queue    waiter.Queue
	address  netip.AddrPort

	once sync.Once
	done chan struct{}
}

// listenTCP listens on address; an unspecified IPv6 address takes IPv4 connections too, where the stack speaks both.
func (s *Stack) listenTCP(address netip.AddrPort) (*Listener, error) {
	form, number := full(address)
	l := &Listener{done: make(chan struct{})}
	fail := func(operation string, err tcpip.Error) error {
		return known(&net.OpError{Op: operation, Net: "tcp", Addr: net.TCPAddrFromAddrPort(address), Err: textError(err.String())})
	}
	endpoint, err := s.ip.NewEndpoint(tcp.ProtocolNumber, number, &l.queue)
	if err != nil {
		return nil, fail("listen", err)
	}
	endpoint.SocketOptions().SetReuseAddress(true)
	if err := endpoint.Bind(form); err != nil {
		endpoint.Close()
		return nil, fail("bind", err)
	}
	if err := endpoint.Listen(listenBacklog); err != nil {
		endpoint.Close()
		return nil, fail("listen", err)
	}
	l.endpoint, l.address = endpoint, address
	if bound, err := endpoint.GetLocalAddress(); err == nil {
		l.address = netip.AddrPortFrom(address.Addr(), bound.Port)
	}
	return l, nil
}

type textError string

func (e textError) Error() string { return string(e) }

// Accept waits for the next connection. After Close it answers net.ErrClosed.
func (l *Listener) Accept() (net.Conn, error) {
	entry, ready := waiter.NewChannelEntry(waiter.ReadableEvents)
	l.queue.EventRegister(&entry)
	defer l.queue.EventUnregister(&entry)
	for {
		select {
		case <-l.done:
			return nil, l.failure(net.ErrClosed)
		default:
		}
		endpoint, queue, err := l.endpoint.Accept(nil)
		if err == nil {
			return newConn(queue, endpoint), nil
		}
		if _, wait := err.(*tcpip.ErrWouldBlock); !wait {
			return nil, l.failure(net.ErrClosed)
		}
		select {
		case <-l.done:
		case <-ready:
		}
	}
}

func (l *Listener) failure(err error) error {
	return &net.OpError{Op: "accept", Net: "tcp", Addr: l.Addr(), Err: err}
}

// Close ends Accept and resets what nobody accepted.
func (l *Listener) Close() error {
	l.once.Do(func() {
		close(l.done)
		l.endpoint.Close()
	})
	return nil
}

// Addr is a *net.TCPAddr with the real port.
func (l *Listener) Addr() net.Addr { return net.TCPAddrFromAddrPort(l.address) }

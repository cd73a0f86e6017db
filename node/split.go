package node

import (
	"net"
	"net/netip"
	"sync"

	"postern/model"
	"postern/wire"
)

// splitter shares one wildcard listener between the services and the platform: which one a connection is for stands in
// the address that it was made to.
type splitter struct {
	from     net.Listener
	services *half
	platform *half
}

// half is one side's listener.
type half struct {
	net.Listener // for Addr
	conns        chan net.Conn
	done         chan struct{}
	once         sync.Once
}

func split(from net.Listener) *splitter {
	newHalf := func() *half {
		return &half{Listener: from, conns: make(chan net.Conn), done: make(chan struct{})}
	}
	s := &splitter{from: from, services: newHalf(), platform: newHalf()}
	go s.run()
	return s
}

func (s *splitter) run() {
	for {
		conn, err := s.from.Accept()
		if err != nil {
			s.services.Close()
			s.platform.Close()
			return
		}
		to := s.services
		if isPlatform(conn.LocalAddr()) {
			to = s.platform
		}
		go to.offer(conn)
	}
}

// offer waits for Accept; net/http accepts at once, so few wait.
func (h *half) offer(conn net.Conn) {
	select {
	case h.conns <- conn:
	case <-h.done:
		conn.Close()
	}
}

func isPlatform(address net.Addr) bool {
	tcp, ok := address.(*net.TCPAddr)
	if !ok {
		return false
	}
	ip, ok := netip.AddrFromSlice(tcp.IP)
	return ok && ip.Is6() && !ip.Is4In6() && wire.Parse(ip).Function == model.FunctionPlatform
}

func (h *half) Accept() (net.Conn, error) {
	select {
	case conn := <-h.conns:
		return conn, nil
	case <-h.done:
		return nil, net.ErrClosed
	}
}

// Close ends both halves' source too: a node serves all its ports or none.
func (h *half) Close() error {
	h.once.Do(func() { close(h.done) })
	return h.Listener.Close()
}

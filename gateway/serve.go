package gateway

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"postern/firewall"
	"postern/gateway/relay"
	"postern/model"
)

// Serve accepts connections to one port of every address, until Close or Shutdown, when it returns nil, or until the
// listener fails. The plan tells how each is read: by the instance whose address was dialled or, where it is nobody's, by
// the service whose endpoint it came by. The listener must not speak TLS itself.
func (g *Gateway) Serve(l net.Listener, port uint16) error {
	if !g.listening.add(l) {
		return errors.Join(fmt.Errorf("serve port %d: the gateway is closed", port), l.Close())
	}
	defer g.listening.remove(l)
	links, say := g.links(l)
	var pause time.Duration
	for {
		var conn net.Conn
		var link *relay.Link
		var err error
		if links != nil && g.snapshot.Load().passes(port) {
			link, err = g.relay.Accept(links, say)
		} else {
			conn, err = l.Accept()
		}
		var temporary interface{ Temporary() bool }
		switch {
		case err == nil:
			pause = 0
			if link != nil {
				g.acceptLink(link, port)
			} else {
				g.accept(conn, port)
			}
		case errors.As(err, &temporary) && temporary.Temporary() && g.listening.wait(g.nextPause(&pause)):
			// No file descriptors, for example: what is open goes on, and others are accepted when some are free again.
		case g.listening.closed():
			return nil
		default:
			return fmt.Errorf("serve on %s: %w", l.Addr(), err)
		}
	}
}

// say tells the addresses that a connection shall have for the gateway; nil: those of its socket.
type say func(local, peer netip.AddrPort) (sayLocal, sayPeer netip.AddrPort)

// saying is a listener whose connections have other addresses than their sockets.
type saying interface{ Saying() (net.Listener, say) }

// links is how connections that are passed on can be accepted from a listener; nil where they cannot.
func (g *Gateway) links(l net.Listener) (*relay.Listener, say) {
	if g.relay == nil {
		return nil, nil
	}
	var addresses say
	if other, ok := l.(saying); ok {
		l, addresses = other.Saying()
	}
	links, _ := l.(*relay.Listener)
	return links, addresses
}

// nextPause doubles a pause from 5 ms to 1 s.
func (g *Gateway) nextPause(pause *time.Duration) time.Duration {
	*pause = min(cmp.Or(*pause*2, 5*time.Millisecond), time.Second)
	return *pause
}

// accept registers a connection and hands it to those who read it.
func (g *Gateway) accept(conn net.Conn, port uint16) {
	c := g.connections.accept(conn, g.config.StallTimeout)
	snapshot := g.snapshot.Load()
	way := snapshot.Way(Identify(snapshot, c.local, c.peer), port)
	c.protocol = string(way)
	switch way {
	case model.WayHTTP:
		g.handoff.offer(c)
	case model.WayHTTPS:
		if g.config.GetCertificate == nil {
			c.Close()
			return
		}
		g.handoff.offer(tls.Server(c, g.tls))
	default:
		g.serving.Go(func() { g.pass(c, way) })
	}
}

// acceptLink is accept for a connection that is perhaps passed on.
func (g *Gateway) acceptLink(link *relay.Link, port uint16) {
	snapshot := g.snapshot.Load()
	way := snapshot.Way(Identify(snapshot, addressOf(link.LocalAddr()), addressOf(link.RemoteAddr())), port)
	if passedOn(way) {
		c := g.connections.accept(link, g.config.StallTimeout)
		c.protocol = string(way)
		g.passLink(c, link, way)
		return
	}
	if _, err := link.Leave(nil); err != nil {
		g.config.Logger.Debug("an accepted connection is gone", "peer", link.RemoteAddr(), "error", err)
		link.Close()
		return
	}
	g.accept(link, port)
}

// passedOn tells whether connections of a way are the relay's: unread, or by server name.
func passedOn(way model.Way) bool {
	return way == model.WayTCP || way == model.WayDirect || way == model.WayTLS
}

// Way is how a connection of a caller to a port is read; "" where nobody answers there. Without a plan, and where nobody
// knows the caller, the ports of HTTP are read all the same: to say no in words.
func (s *Snapshot) Way(caller Caller, port uint16) model.Way {
	if target, ok := s.At(caller.Dialled); ok {
		for _, one := range target.Instance.Ports {
			if one.Number == port {
				return one.Way
			}
		}
		return ""
	}
	if s != nil && caller.Kind == firewall.Endpoint {
		return s.endpoints[caller.Service].ways[port]
	}
	switch port {
	case 80:
		return model.WayHTTP
	case 443:
		return model.WayHTTPS
	}
	return ""
}

// handoff is the listener of the HTTP server: it gives out connections that were accepted elsewhere.
type handoff struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newHandoff() *handoff {
	return &handoff{conns: make(chan net.Conn), done: make(chan struct{})}
}

// offer waits for Accept, which is at once: net/http does nothing between two of them.
func (h *handoff) offer(conn net.Conn) {
	select {
	case h.conns <- conn:
	case <-h.done:
		conn.Close()
	}
}

// Accept implements net.Listener.
func (h *handoff) Accept() (net.Conn, error) {
	select {
	case conn := <-h.conns:
		return conn, nil
	case <-h.done:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (h *handoff) Close() error {
	h.once.Do(func() { close(h.done) })
	return nil
}

// Addr implements net.Listener: the connections have their own.
func (h *handoff) Addr() net.Addr { return &net.TCPAddr{} }

// listeners are those that Serve accepts from.
type listeners struct {
	mu   sync.Mutex
	open map[net.Listener]struct{}
	done chan struct{} // closed with the gateway; nil before the first
	shut bool
}

func (l *listeners) add(one net.Listener) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.shut {
		return false
	}
	if l.open == nil {
		l.open, l.done = make(map[net.Listener]struct{}), make(chan struct{})
	}
	l.open[one] = struct{}{}
	return true
}

func (l *listeners) remove(one net.Listener) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.open, one)
}

func (l *listeners) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.shut && l.done != nil {
		close(l.done)
	}
	l.shut = true
	for one := range l.open {
		one.Close()
	}
}

func (l *listeners) closed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.shut
}

// wait pauses before another try; false once the gateway is closed.
func (l *listeners) wait(pause time.Duration) bool {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-l.done:
		return false
	}
}

package platform

import (
	"net"
	"sync"

	"postern/wire"
)

// Connections that are open at once. One VM that opens many and says nothing must not keep the others from their names
// and tokens, so each caller has its own bound; what is above it is closed at once.
const (
	maxConnectionsOfCaller = 64
	maxConnections         = 16384
)

// fairListener bounds the connections of every caller, and of all together.
type fairListener struct {
	net.Listener

	mu    sync.Mutex
	open  map[caller]int
	total int
}

func newFairListener(listener net.Listener) *fairListener {
	return &fairListener{Listener: listener, open: map[caller]int{}}
}

// Accept gives the next connection within the bounds.
func (l *fairListener) Accept() (net.Conn, error) {
	for {
		connection, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		parts := wire.Parse(addressOf(connection.RemoteAddr()).Addr())
		who := caller{parts.Identity, parts.IPv4}
		if l.take(who) {
			return &fairConn{Conn: connection, release: sync.OnceFunc(func() { l.give(who) })}, nil
		}
		_ = connection.Close()
	}
}

func (l *fairListener) take(who caller) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.total == maxConnections || l.open[who] == maxConnectionsOfCaller {
		return false
	}
	l.open[who]++
	l.total++
	return true
}

func (l *fairListener) give(who caller) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.total--
	if l.open[who]--; l.open[who] == 0 {
		delete(l.open, who)
	}
}

type fairConn struct {
	net.Conn
	release func()
}

func (c *fairConn) Close() error {
	c.release()
	return c.Conn.Close()
}

package gateway

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"postern/firewall"
	"postern/model"
)

// Resetter is a connection that can end with a TCP reset. *net.TCPConn does it by SetLinger(0); a listener of another
// stack wraps its connections to offer this (for gVisor: tcpip.Endpoint.Abort), else they are closed the usual way,
// which sends what is buffered first.
type Resetter interface {
	// Reset closes the connection with a TCP reset and drops what is buffered.
	Reset() error
}

// lingerer is what *net.TCPConn offers.
type lingerer interface{ SetLinger(seconds int) error }

// admission is one instance that a connection may use, and what said so.
type admission struct {
	snapshot *Snapshot // that judged
	caller   Caller
	target   Target // of the request that asked first
	decision Decision
}

// connection is an accepted connection. It remembers which instances it was admitted to, so that Apply can ask again.
type connection struct {
	net.Conn
	registry    *registry
	local, peer netip.AddrPort
	since       time.Time
	protocol    string        // how it is read: a model.Way
	stall       time.Duration // how long one Write may wait for the client

	heard atomic.Bool  // the client has sent a byte
	asked atomic.Int64 // requests that net/http has begun to read, less those that were answered

	closing sync.Once
	closed  error

	mu       sync.Mutex
	admitted map[string]*admission // by the key of the instance's id
	revoked  bool
	missing  string          // why, for one that logs itself
	cancel   func()          // ends the requests under way; nil before the first
	backend  net.Conn        // of the request under way, or that it is joined with; nil for none
	joined   bool            // it is passed through to backend, until its end
	own      *http.Transport // to backends that are told who calls; nil before the first such request
}

// registry is every open connection.
type registry struct {
	mu   sync.Mutex
	open map[*connection]struct{}
}

// accept wraps a new connection and registers it.
func (r *registry) accept(conn net.Conn, stall time.Duration) *connection {
	c := &connection{
		Conn: conn, registry: r, local: addressOf(conn.LocalAddr()), peer: addressOf(conn.RemoteAddr()),
		since: time.Now(), stall: stall,
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.open == nil {
		r.open = make(map[*connection]struct{})
	}
	r.open[c] = struct{}{}
	return c
}

// all is the open connections at this moment.
func (r *registry) all() []*connection {
	r.mu.Lock()
	defer r.mu.Unlock()
	connections := make([]*connection, 0, len(r.open))
	for c := range r.open {
		connections = append(connections, c)
	}
	return connections
}

func (r *registry) len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.open)
}

// forget removes connections.
func (r *registry) forget(list ...*connection) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range list {
		delete(r.open, c)
	}
}

// Read notes that the client has sent something.
func (c *connection) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 && !c.heard.Load() {
		c.heard.Store(true)
	}
	return n, err
}

// Write bounds how long a client that reads nothing holds the gateway.
func (c *connection) Write(p []byte) (int, error) {
	if err := c.Conn.SetWriteDeadline(time.Now().Add(c.stall)); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

// Close closes and forgets the connection. Only the first call, of this or of reset, does something.
func (c *connection) Close() error {
	c.closing.Do(func() {
		c.forget()
		c.closed = c.Conn.Close()
	})
	return c.closed
}

// CloseWrite half-closes, where the connection can: net/http does so before it drops a client that still sends, since a
// plain close would make the kernel reset the connection and with it the answer.
func (c *connection) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// reset closes the connection with a TCP reset, where the connection can.
func (c *connection) reset() {
	c.closing.Do(func() {
		reset(c.Conn) // before anybody who hears of the end can close it in order
		c.forget()
		c.closed = c.Conn.Close()
	})
}

// forget leaves the registry and ends the requests under way, so that none goes on to a backend.
func (c *connection) forget() {
	c.registry.forget(c)
	c.mu.Lock()
	cancel, own := c.cancel, c.own
	c.mu.Unlock()
	if cancel != nil {
		cancel()
	}
	if own != nil {
		own.CloseIdleConnections()
	}
}

// context is the parent of every request's context; it ends with the connection.
func (c *connection) context(parent context.Context) context.Context {
	ctx, cancel := context.WithCancel(parent)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cancel = cancel
	return context.WithValue(ctx, connectionKey{}, c)
}

// known is the admission to an instance if it was judged by this very snapshot, for the same managed identity.
func (c *connection) known(snapshot *Snapshot, target Target, managed firewall.Managed) (admission, bool) {
	if target.Instance == nil {
		return admission{}, false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	a := c.admitted[target.Instance.key]
	if a == nil {
		return admission{}, false
	}
	return *a, a.snapshot == snapshot && a.caller.Managed == managed && !c.revoked
}

// remember registers an admission. It answers false where the connection was revoked meanwhile.
func (c *connection) remember(a admission) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.revoked {
		return false
	}
	if c.admitted == nil {
		c.admitted = make(map[string]*admission, 1)
	}
	c.admitted[a.target.Instance.key] = &a
	return true
}

// isRevoked tells whether a change of rules closed the connection.
func (c *connection) isRevoked() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.revoked
}

// revokedFor is what a revoked connection misses now.
func (c *connection) revokedFor() (missing string, revoked bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.missing, c.revoked
}

// logsItself tells whether the connection has one line in the log, at its end, and not one for each request.
func (c *connection) logsItself() bool {
	return c.protocol != string(model.WayHTTP) && c.protocol != string(model.WayHTTPS)
}

// addressOf reads IP and port of a net.Addr; zero where it has none.
func addressOf(address net.Addr) netip.AddrPort {
	if a, ok := address.(interface{ AddrPort() netip.AddrPort }); ok {
		return a.AddrPort()
	}
	if address == nil {
		return netip.AddrPort{}
	}
	parsed, err := netip.ParseAddrPort(address.String())
	if err != nil {
		return netip.AddrPort{} // Identify denies it
	}
	return parsed
}

package pipeline

import (
	"encoding/binary"
	"net/netip"
	"sync"

	"postern/model"
	"postern/packet"
	"postern/wire"
)

// maxConnections is MAX_CONNECTIONS of the eBPF programs.
const maxConnections = 262144

// connection is what a gateway remembers of a connection.
type connection struct {
	opened, lastSeen       int64 // nanoseconds
	received, sent         uint64
	callerNext, serverNext uint32 // the sequence numbers behind the last bytes seen
	admitted               *gatewaySnapshot
	finCaller, finServer   bool
	reset, revoked, told   bool
	answered               bool     // the caller has acknowledged something: it is where it says it is
	backend                endpoint // its address is zero for this host, under the address that was dialled
}

func (c *connection) over() bool { return c.finCaller && c.finServer || c.reset || c.revoked }

// serverSide is the connection's server as packets between it and the gateway show it.
func (c *connection) serverSide(dialled endpoint) endpoint {
	if c.backend.address == ([wire.AddressLen]byte{}) {
		return endpoint{dialled.address, c.backend.port}
	}
	return c.backend
}

// connectionTable is every connection, by what was dialled, and what was dialled by the server's side where that differs.
type connectionTable struct {
	limit int

	mutex       sync.Mutex // guards what follows
	connections map[connectionKey]*connection
	dialled     map[connectionKey]endpoint
	refused     func(key connectionKey, reason model.Reason) // nil, or told of those that were not let in
	ended       func(key connectionKey, c *connection)       // nil, or told of those that are over
}

func newConnectionTable(limit int) *connectionTable {
	return &connectionTable{limit: limit, connections: map[connectionKey]*connection{}, dialled: map[connectionKey]endpoint{}}
}

// revoke marks the connections that a plan does not admit.
func (t *connectionTable) revoke(s *gatewaySnapshot) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	for key, c := range t.connections {
		if c.admitted != s && !c.reset && !c.revoked && !s.admits(s.ports[vipOf(key)], key) {
			c.revoked, c.told = true, true
		}
	}
}

// forget takes a connection out.
func (t *connectionTable) forget(key connectionKey, c *connection) {
	delete(t.dialled, connectionKey{key.caller, c.serverSide(key.server)})
	delete(t.connections, key)
}

// fromCaller finds or makes the connection of a segment, and its server's side.
func (t *connectionTable) fromCaller(s *gatewaySnapshot, port *gatewayPort, sent *segment, now int64) (endpoint, model.Reason) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	key, flags := sent.key, sent.tcp.Flags()
	c := t.connections[key]
	if c != nil && flags&(packet.TCPSyn|packet.TCPAck) == packet.TCPSyn && c.over() {
		t.forget(key, c)
		c = nil
	}
	if c != nil {
		if !s.stillAdmits(c, key) {
			return endpoint{}, model.ReasonRevoked
		}
		t.note(c, key, sent, true, now)
		return c.serverSide(key.server), model.ReasonOwnAddress
	}
	if flags&(packet.TCPSyn|packet.TCPAck|packet.TCPRst) != packet.TCPSyn {
		return endpoint{}, model.ReasonNoConnection
	}
	reason := model.ReasonOwnAddress
	c = &connection{opened: now, admitted: s}
	switch backend, ok := port.choose(key); {
	case !s.admits(port, key):
		reason = model.ReasonNetworkRules
	case !ok:
		reason = model.ReasonNoBackend
	default:
		c.backend = backend
		t.note(c, key, sent, true, now)
		reason = t.enter(key, c)
	}
	if reason != model.ReasonOwnAddress {
		if t.refused != nil {
			t.refused(key, reason)
		}
		return endpoint{}, reason
	}
	return c.serverSide(key.server), reason
}

// enter keeps a new connection. What is known already under either of its sides stays.
func (t *connectionTable) enter(key connectionKey, c *connection) model.Reason {
	if _, taken := t.dialled[key]; taken {
		return model.ReasonPortTaken
	}
	if side := c.serverSide(key.server); side != key.server {
		other := connectionKey{key.caller, side}
		if _, taken := t.dialled[other]; taken || t.connections[other] != nil {
			return model.ReasonPortTaken
		}
		if len(t.dialled) >= t.limit || len(t.connections) >= t.limit {
			return model.ReasonConnectionsFull
		}
		t.dialled[other] = key.server
	}
	if len(t.connections) >= t.limit {
		return model.ReasonConnectionsFull
	}
	t.connections[key] = c
	return model.ReasonOwnAddress
}

// fromServer finds the connection of a segment that leaves, and what was dialled.
func (t *connectionTable) fromServer(s *gatewaySnapshot, sent *segment, now int64) (endpoint, model.Reason) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	key := sent.key
	c := t.connections[key]
	if c == nil {
		if dialled, ok := t.dialled[key]; ok {
			key.server = dialled
			c = t.connections[key]
		}
	}
	if c == nil {
		return endpoint{}, model.ReasonNoConnection
	}
	if !s.stillAdmits(c, key) {
		return key.server, model.ReasonRevoked
	}
	t.note(c, key, sent, false, now)
	return key.server, model.ReasonOwnAddress
}

// note keeps what a segment says.
func (t *connectionTable) note(c *connection, key connectionKey, sent *segment, toward bool, now int64) {
	next, bytes, fin := &c.callerNext, &c.received, &c.finCaller
	if !toward {
		next, bytes, fin = &c.serverNext, &c.sent, &c.finServer
	}
	flags, end := sent.tcp.Flags(), sent.end()
	// Only a reset that the other end takes ends the connection (RFC 5961).
	c.reset = c.reset || flags&packet.TCPRst != 0 && sent.tcp.Sequence() == *next
	c.lastSeen = now
	if flags&packet.TCPSyn != 0 || int32(end-*next) > 0 {
		*next = end
	}
	*bytes += uint64(sent.payload())
	*fin = *fin || flags&packet.TCPFin != 0 && end == *next
	c.answered = c.answered || toward && flags&packet.TCPAck != 0
	if c.over() && !c.told {
		c.told = true
		if t.ended != nil {
			t.ended(key, c)
		}
	}
}

// hash is the same number for the same connection in both data paths: its end chooses the backend.
func (k connectionKey) hash() uint32 {
	var bytes [36]byte
	copy(bytes[:], k.caller.address[:])
	copy(bytes[16:], k.server.address[:])
	binary.BigEndian.PutUint16(bytes[32:], k.caller.port)
	binary.BigEndian.PutUint16(bytes[34:], k.server.port)
	hash := uint32(2166136261)
	for at := 0; at < len(bytes); at += 4 {
		hash = (hash ^ binary.BigEndian.Uint32(bytes[at:])) * 16777619
	}
	hash ^= hash >> 16
	hash *= 0x85ebca6b
	return hash ^ hash>>13
}

// Connection is one of a gateway's connections, as others may see it.
type Connection struct {
	Caller, Dialled, Backend netip.AddrPort // Backend's address is ::1 for this host
	Received, Sent           uint64         // bytes of payload from the caller, and from the backend
	CallerNext, ServerNext   uint32         // the sequence numbers behind the last bytes seen
	Over, Revoked, Answered  bool
}

// Connections lists all that are remembered, in no order.
func (g *Gateway) Connections() (list []Connection) {
	t := g.connections
	t.mutex.Lock()
	defer t.mutex.Unlock()
	for key, c := range t.connections {
		out := Connection{Caller: key.caller.addrPort(), Dialled: key.server.addrPort(), Received: c.received, Sent: c.sent,
			CallerNext: c.callerNext, ServerNext: c.serverNext, Over: c.told, Revoked: c.revoked, Answered: c.answered}
		backend := c.backend
		if backend.address == ([wire.AddressLen]byte{}) {
			backend.address = netip.IPv6Loopback().As16()
		}
		out.Backend = backend.addrPort()
		list = append(list, out)
	}
	return list
}

func (e endpoint) addrPort() netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom16(e.address).Unmap(), e.port)
}

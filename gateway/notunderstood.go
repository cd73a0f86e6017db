package gateway

import (
	"crypto/tls"
	"net"
	"net/http"
	"time"

	"github.com/google/uuid"
)

// notUnderstood logs what net/http answers, or drops, without asking a handler: a request whose header cannot be read, is
// too large or does not end in time, and a TLS handshake that fails. It is the server's ConnState hook. Connections that
// end without a byte are no event: probes of a port do that.
func (g *Gateway) notUnderstood(conn net.Conn, state http.ConnState) {
	c, secured := conn, false
	var handshaken bool
	if wrapped, ok := conn.(*tls.Conn); ok {
		c, secured = wrapped.NetConn(), true
		if state == http.StateClosed {
			handshaken = wrapped.ConnectionState().HandshakeComplete
		}
	}
	own, ok := c.(*connection)
	if !ok {
		return
	}
	switch state {
	case http.StateActive:
		own.asked.Add(1)
	case http.StateClosed:
		unanswered := own.asked.Load() > 0 || secured && !handshaken && own.heard.Load()
		if unanswered && !own.isRevoked() {
			g.recordNotUnderstood(own)
		}
	}
}

func (g *Gateway) recordNotUnderstood(c *connection) {
	now := time.Now()
	snapshot := g.snapshot.Load()
	caller := Identify(snapshot, c.local, c.peer)
	entry := Entry{
		Time: now.UTC(), Protocol: c.protocol, Operation: unknownOperation, StatusText: StatusNotUnderstood,
		RequestID: uuid.NewString(), DurationMs: milliseconds(now.Sub(c.since)),
	}
	byAddress, _ := snapshot.At(caller.Dialled)
	entry.setTarget(byAddress)
	entry.setCaller(caller, snapshot)
	g.config.AccessLog.Record(entry)
	g.metrics.connection(labelOf(byAddress), decisionReject, now.Sub(c.since))
}

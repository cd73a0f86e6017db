// Package relay passes TCP connections of the kernel's on, from a client to a backend, in a few threads that wait for all of
// them at once. A connection that says nothing costs two descriptors and a Link: no goroutine, no stack, no buffer, no pipe.
// Short messages are read and written; what comes in a stream is spliced and never enters the process (splice(2)).
//
// It runs on Linux. Elsewhere New answers an error, and who passes connections on does it in goroutines.
package relay

import (
	"errors"
	"net/netip"
)

// Handler is told what becomes of a Link. The relay's threads call it, one call at a time: it must not wait for anything.
type Handler interface {
	// Spoke has the first bytes of the client, which are the handler's until it returns, or says why there are none. It is
	// the answer to Await. What shall reach the backend is given to Connect.
	Spoke(first []byte, err error)

	// Joined tells that the backend was reached: what was given to Connect is not needed any more.
	Joined()

	// Unconnected says why the backend was not reached. The client is still there.
	Unconnected(err error)

	// Ended comes once for a connection that was joined, after both ends are closed, with the bytes that went to each.
	Ended(toClient, toBackend int64)
}

// Errors that a Handler may hear.
var (
	ErrLate   = errors.New("it took too long")
	ErrClosed = errors.New("the connection is closed")
	ErrEnded  = errors.New("the client ended before it said anything")
)

// endpoint is an address of a TCP connection, as a net.Addr that costs nothing.
type endpoint netip.AddrPort

func (endpoint) Network() string            { return "tcp" }
func (e endpoint) String() string           { return netip.AddrPort(e).String() }
func (e endpoint) AddrPort() netip.AddrPort { return netip.AddrPort(e) }

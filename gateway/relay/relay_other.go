//go:build !linux

package relay

import (
	"errors"
	"net"
	"net/netip"
	"time"
)

// Relay is not there on this system.
type Relay struct{}

// New answers an error: see package relay.
func New(int) (*Relay, error) { return nil, errors.New("relay: it needs Linux") }

// Close does nothing.
func (*Relay) Close() {}

// Listener is not there on this system.
type Listener struct{ net.Listener }

// Listen answers the listener as it is.
func Listen(l net.Listener) net.Listener { return l }

// Accept answers an error.
func (*Relay) Accept(*Listener, func(local, peer netip.AddrPort) (sayLocal, sayPeer netip.AddrPort)) (*Link, error) {
	return nil, ErrClosed
}

// Link is not there on this system.
type Link struct{ net.Conn }

// Await does nothing.
func (*Link) Await(Handler, time.Duration) {}

// Connect answers an error.
func (*Link) Connect(Handler, netip.AddrPort, []byte, time.Duration) error { return ErrClosed }

// Leave answers an error.
func (*Link) Leave([]byte) (net.Conn, error) { return nil, ErrClosed }

package userspace

import (
	"errors"
	"io"
	"net"
	"sync/atomic"
	"syscall"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/waiter"
)

// Conn is a TCP connection of a Stack. Its errors are those of package net: syscall.ECONNREFUSED, syscall.ECONNRESET,
// net.ErrClosed, and a timeout.
type Conn struct {
	inner         *gonet.TCPConn
	endpoint      tcpip.Endpoint
	local, remote *net.TCPAddr
	closed        atomic.Bool
}

var _ interface {
	net.Conn
	CloseWrite() error
	SetLinger(int) error
	Reset() error
} = (*Conn)(nil)

func newConn(queue *waiter.Queue, endpoint tcpip.Endpoint) *Conn {
	c := &Conn{inner: gonet.NewTCPConn(queue, endpoint), endpoint: endpoint}
	// Kept, since a closed endpoint forgets them.
	if address, err := endpoint.GetLocalAddress(); err == nil {
		c.local = net.TCPAddrFromAddrPort(plain(address))
	}
	if address, err := endpoint.GetRemoteAddress(); err == nil {
		c.remote = net.TCPAddrFromAddrPort(plain(address))
	}
	return c
}

// Read is that of net.Conn.
func (c *Conn) Read(data []byte) (int, error) {
	n, err := c.inner.Read(data)
	if errors.Is(err, io.EOF) && !c.closed.Load() && tcp.EndpointState(c.endpoint.State()) == tcp.StateError {
		// A Write met the reset first, and gVisor tells it only once: this is no end of the stream.
		err = &net.OpError{Op: "read", Net: "tcp", Source: c.local, Addr: c.remote, Err: syscall.ECONNRESET}
	}
	return n, c.failure(err)
}

// Write is that of net.Conn.
func (c *Conn) Write(data []byte) (int, error) {
	n, err := c.inner.Write(data)
	return n, c.failure(err)
}

// Close closes in order, unless SetLinger(0) was called.
func (c *Conn) Close() error {
	if c.closed.Swap(true) {
		return net.ErrClosed
	}
	return c.inner.Close()
}

// CloseWrite ends the sending half: the peer reads the end of the stream.
func (c *Conn) CloseWrite() error { return c.failure(c.inner.CloseWrite()) }

// CloseRead ends the receiving half.
func (c *Conn) CloseRead() error { return c.failure(c.inner.CloseRead()) }

// SetLinger is that of net.TCPConn: with 0 seconds Close drops what was not sent and resets the connection, with less
// than 0 it closes in order, in the background.
func (c *Conn) SetLinger(seconds int) error {
	c.endpoint.SocketOptions().SetLinger(tcpip.LingerOption{
		Enabled: seconds >= 0, Timeout: time.Duration(max(seconds, 0)) * time.Second,
	})
	return nil
}

// Reset closes with a TCP reset at once and drops what was not sent: the peer reads syscall.ECONNRESET. It may be called
// while others read and write.
func (c *Conn) Reset() error {
	if c.closed.Swap(true) {
		return net.ErrClosed
	}
	c.endpoint.Abort()
	return nil
}

// LocalAddr is a *net.TCPAddr: where the peer sent to.
func (c *Conn) LocalAddr() net.Addr { return c.local }

// RemoteAddr is a *net.TCPAddr: the peer.
func (c *Conn) RemoteAddr() net.Addr { return c.remote }

// SetDeadline is that of net.Conn.
func (c *Conn) SetDeadline(t time.Time) error { return c.inner.SetDeadline(t) }

// SetReadDeadline is that of net.Conn.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.inner.SetReadDeadline(t) }

// SetWriteDeadline is that of net.Conn.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.inner.SetWriteDeadline(t) }

func (c *Conn) failure(err error) error {
	if err == nil || errors.Is(err, io.EOF) && !c.closed.Load() {
		return err
	}
	err = known(err)
	var operation *net.OpError
	if c.closed.Load() && errors.As(err, &operation) {
		operation.Err = net.ErrClosed
	}
	return err
}

// knownErrors are gVisor's errors, which reach us as text alone, in the form that callers ask for with errors.Is.
var knownErrors = map[string]error{
	(&tcpip.ErrConnectionRefused{}).String():  syscall.ECONNREFUSED,
	(&tcpip.ErrConnectionReset{}).String():    syscall.ECONNRESET,
	(&tcpip.ErrConnectionAborted{}).String():  syscall.ECONNABORTED,
	(&tcpip.ErrClosedForSend{}).String():      syscall.EPIPE,
	(&tcpip.ErrTimeout{}).String():            syscall.ETIMEDOUT,
	(&tcpip.ErrHostUnreachable{}).String():    syscall.EHOSTUNREACH,
	(&tcpip.ErrNetworkUnreachable{}).String(): syscall.ENETUNREACH,
	(&tcpip.ErrPortInUse{}).String():          syscall.EADDRINUSE,
}

// known replaces the text of a gVisor error inside a net.OpError by the error that package net would give.
func known(err error) error {
	var operation *net.OpError
	if !errors.As(err, &operation) || operation.Err == nil {
		return err
	}
	if better, ok := knownErrors[operation.Err.Error()]; ok {
		operation.Err = better
	}
	return err
}

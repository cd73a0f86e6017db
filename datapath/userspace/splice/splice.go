// Package splice joins two TCP connections into one.
package splice

import (
	"context"
	"io"
	"net"
	"sync"
)

// halfCloser can end its own direction: userspace.Conn, net.TCPConn and tls.Conn do.
type halfCloser interface{ CloseWrite() error }

// resetter can close with a reset: userspace.Conn and net.TCPConn do.
type resetter interface{ SetLinger(seconds int) error }

// Both copies in both directions until both have ended, one has failed, or ctx is done. An end of one direction is
// passed on as such; a failure resets both connections. Both are closed on return. It answers the bytes that went to each.
// Between two *net.TCPConn no byte passes through the process, where the system can do that (splice on Linux).
func Both(ctx context.Context, one, other net.Conn) (toOne, toOther int64) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var both sync.Once
	reset := func() {
		both.Do(func() {
			for _, conn := range []net.Conn{one, other} {
				if tcp, ok := conn.(resetter); ok {
					_ = tcp.SetLinger(0)
				}
				_ = conn.Close()
			}
		})
	}
	stop := context.AfterFunc(ctx, reset)
	defer stop()
	var wait sync.WaitGroup
	direction := func(to, from net.Conn, copied *int64) {
		var err error
		if *copied, err = io.Copy(to, from); err != nil {
			reset()
			return
		}
		half, ok := to.(halfCloser)
		if !ok || half.CloseWrite() != nil {
			reset()
		}
	}
	wait.Go(func() { direction(other, one, &toOther) })
	wait.Go(func() { direction(one, other, &toOne) })
	wait.Wait()
	both.Do(func() {
		_ = one.Close()
		_ = other.Close()
	})
	return toOne, toOther
}

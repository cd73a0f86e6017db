// Package splice joins two TCP connections into one.
package splice

import (
	"context"
	"io"
	"net"
	"sync"
)

// halfCloser is what a TCP connection can do besides a net.Conn: userspace.Conn and net.TCPConn do.
type halfCloser interface {
	CloseWrite() error
	SetLinger(seconds int) error
}

// Both copies in both directions until both have ended, one has failed, or ctx is done. An end of one direction is
// passed on as such; a failure resets both connections. Both are closed on return.
func Both(ctx context.Context, one, other net.Conn) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var both sync.Once
	reset := func() {
		both.Do(func() {
			for _, conn := range []net.Conn{one, other} {
				if tcp, ok := conn.(halfCloser); ok {
					_ = tcp.SetLinger(0)
				}
				_ = conn.Close()
			}
		})
	}
	stop := context.AfterFunc(ctx, reset)
	defer stop()
	var wait sync.WaitGroup
	wait.Add(2)
	direction := func(to, from net.Conn) {
		defer wait.Done()
		if _, err := io.Copy(to, from); err != nil {
			reset()
			return
		}
		tcp, ok := to.(halfCloser)
		if !ok || tcp.CloseWrite() != nil {
			reset()
		}
	}
	go direction(other, one)
	go direction(one, other)
	wait.Wait()
	both.Do(func() {
		_ = one.Close()
		_ = other.Close()
	})
}

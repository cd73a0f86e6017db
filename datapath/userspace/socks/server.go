// Package socks is a small SOCKS5 server (RFC 1928): CONNECT to addresses and names, without authentication. Programs of
// the real machine join a VM through it, so it must listen on loopback alone.
package socks

import (
	"context"
	"errors"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"postern/datapath/userspace/splice"
)

const (
	maxConnections   = 512 // more wait in the kernel's queue
	handshakeTimeout = 10 * time.Second
	dialTimeout      = 60 * time.Second
)

// Dial connects to host:port for a client; host may be a name.
type Dial func(ctx context.Context, network, address string) (net.Conn, error)

// Server serves one listener until Close.
type Server struct {
	listener net.Listener
	dial     Dial
	ctx      context.Context
	cancel   context.CancelFunc
	wait     sync.WaitGroup
	slots    chan struct{}
}

// Listen starts a server on a free port of 127.0.0.1.
func Listen(dial Dial) (*Server, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &Server{listener: listener, dial: dial, slots: make(chan struct{}, maxConnections)}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.wait.Add(1)
	go s.accept()
	return s, nil
}

// Addr is host:port of the listener.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// Close resets every connection and waits for the end of all.
func (s *Server) Close() error {
	s.cancel()
	err := s.listener.Close()
	s.wait.Wait()
	return err
}

func (s *Server) accept() {
	defer s.wait.Done()
	for {
		select {
		case s.slots <- struct{}{}:
		case <-s.ctx.Done():
			return
		}
		conn, err := s.listener.Accept()
		if err != nil {
			<-s.slots
			if errors.Is(err, net.ErrClosed) || s.ctx.Err() != nil {
				return
			}
			// Out of file descriptors, or a client that is gone already: wait a moment for better times.
			select {
			case <-time.After(50 * time.Millisecond):
				continue
			case <-s.ctx.Done():
				return
			}
		}
		s.wait.Add(1)
		go func() {
			defer s.wait.Done()
			defer func() { <-s.slots }()
			s.serve(conn)
		}()
	}
}

// serve takes one client from its greeting to its end. Errors go to the client, who alone can act on them.
func (s *Server) serve(client net.Conn) {
	defer client.Close()
	stop := context.AfterFunc(s.ctx, func() { client.Close() })
	defer stop()
	_ = client.SetDeadline(time.Now().Add(handshakeTimeout))
	if err := readGreeting(client); err != nil {
		if errors.Is(err, errNoMethod) {
			_, _ = client.Write([]byte{version5, methodRefused})
		}
		return
	}
	if _, err := client.Write([]byte{version5, methodNone}); err != nil {
		return
	}
	address, err := readRequest(client)
	if err != nil {
		var refused *requestError
		if errors.As(err, &refused) {
			_, _ = client.Write(appendReply(nil, refused.reply, nil))
		}
		return
	}
	_ = client.SetDeadline(time.Time{})
	ctx, cancel := context.WithTimeout(s.ctx, dialTimeout)
	target, err := s.dial(ctx, "tcp", address)
	cancel()
	if err != nil {
		_, _ = client.Write(appendReply(nil, replyFor(err), nil))
		return
	}
	if _, err := client.Write(appendReply(nil, replySucceeded, target.LocalAddr())); err != nil {
		target.Close()
		return
	}
	splice.Both(s.ctx, client, target)
}

// replyFor chooses the answer that tells the client most about a failed dial.
func replyFor(err error) reply {
	var name *net.DNSError
	var timeout net.Error
	switch {
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ECONNRESET):
		return replyRefused
	case errors.As(err, &name), errors.Is(err, syscall.EHOSTUNREACH):
		return replyHostUnreachable
	case errors.Is(err, syscall.ENETUNREACH):
		return replyNetworkUnreachable
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, syscall.ETIMEDOUT),
		errors.As(err, &timeout) && timeout.Timeout():
		return replyTimeout
	}
	return replyFailure
}

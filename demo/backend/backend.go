// Package backend has small servers, one for each protocol that services speak, as far as it takes to show who is let in:
// the demo and the tests put them behind gateways. Each says what it can do; none knows of networks or rules.
package backend

import (
	"io"
	"net"
	"time"
)

// talk bounds one connection of a server that has logins, and the header of an HTTP request.
const talk = 2 * time.Minute

// limited is a server that bounds its connections.
func limited(serve func(net.Conn) error) func(net.Conn) error {
	return func(conn net.Conn) error {
		if err := conn.SetDeadline(time.Now().Add(talk)); err != nil {
			return err
		}
		return serve(conn)
	}
}

// Echo gives back what a client sends, until the client ends.
func Echo(conn net.Conn) error {
	_, err := io.Copy(conn, conn)
	return err
}

// Each serves every connection of a listener with a function of its own goroutine, until the listener is closed. It closes
// the connection afterwards. A function's error is its client's, who is asked.
func Each(listener net.Listener, serve func(net.Conn) error) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		go func() {
			defer conn.Close()
			_ = serve(conn)
		}()
	}
}

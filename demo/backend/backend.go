// Package backend has small servers, one for each protocol that services speak, as far as it takes to show who is let in:
// the demo and the tests put them behind gateways. Each says what it can do; none knows of networks or rules.
package backend

import (
	"net"
	"time"
)

// talk bounds one connection of a server that is no HTTP server.
const talk = 2 * time.Minute

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
			_ = conn.SetDeadline(time.Now().Add(talk))
			_ = serve(conn)
		}()
	}
}

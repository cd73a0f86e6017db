package service

import (
	"io"
	"net"
)

// Unread gives back bytes that were read from a connection: it is as if they were still to come.
func Unread(conn net.Conn, raw []byte) *Reread { return &Reread{Conn: conn, raw: raw} }

// Reread is a connection whose first bytes were read already.
type Reread struct {
	net.Conn
	raw []byte
}

// Peek waits for the first byte of a connection and gives it back.
func Peek(conn net.Conn) (*Reread, error) {
	var first [1]byte
	if _, err := io.ReadFull(conn, first[:]); err != nil {
		return nil, err
	}
	return Unread(conn, first[:]), nil
}

// IsTLS tells whether the bytes that were given back begin a TLS handshake (RFC 8446 section 5.1).
func (c *Reread) IsTLS() bool { return len(c.raw) > 0 && c.raw[0] == 22 }

// Read implements net.Conn.
func (c *Reread) Read(p []byte) (int, error) {
	if len(c.raw) > 0 {
		n := copy(p, c.raw)
		c.raw = c.raw[n:]
		return n, nil
	}
	return c.Conn.Read(p)
}

package tds

import "net"

// Wrapped is a connection whose TLS handshake goes in packets of PRELOGIN, and all that follows without them: TDS 7's way.
type Wrapped struct {
	net.Conn
	rest []byte // of the last packet
	done bool
}

// Wrap begins the handshake.
func Wrap(conn net.Conn) *Wrapped { return &Wrapped{Conn: conn} }

// HandshakeDone ends it. TLS must not have read further.
func (w *Wrapped) HandshakeDone() { w.done = true }

// Read implements net.Conn.
func (w *Wrapped) Read(p []byte) (int, error) {
	if len(w.rest) == 0 {
		if w.done {
			return w.Conn.Read(p)
		}
		content, _, _, err := readPacket(w.Conn, PreLogin)
		if err != nil {
			return 0, err
		}
		w.rest = content
	}
	n := copy(p, w.rest)
	w.rest = w.rest[n:]
	return n, nil
}

// wrappedContent is what one packet takes: every client reads packets of 4096 bytes.
const wrappedContent = 4096 - headerLength

// Write implements net.Conn.
func (w *Wrapped) Write(p []byte) (written int, err error) {
	if w.done {
		return w.Conn.Write(p)
	}
	for len(p) > 0 {
		piece := p[:min(len(p), wrappedContent)]
		if _, err := w.Conn.Write(Packet(PreLogin, piece)); err != nil {
			return written, err
		}
		written, p = written+len(piece), p[len(piece):]
	}
	return written, nil
}

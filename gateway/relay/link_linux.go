package relay

import (
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// What a link waits for.
type state uint8

const (
	stateAccepted   state = iota // its owner
	stateAwaiting                // the client's first bytes
	stateConnecting              // the backend
	stateJoined                  // either end
	stateLeft                    // nothing any more: it is an ordinary connection
	stateClosed
)

// Link is a client's connection, and the backend's that it is joined with. It is a net.Conn whose Write never waits, and
// whose Read, and deadlines, there are after Leave alone. Its methods may be called from anywhere.
type Link struct {
	loop        *loop
	local, peer netip.AddrPort

	mu         sync.Mutex // guards what follows
	state      state
	clientOut  bool // epoll tells when the client takes bytes again
	watched    bool // epoll knows the client
	slot       uint32
	generation int32
	client     int // descriptors; the backend's is -1 where there is none
	backend    int
	up, down   direction // to the backend, to the client
	first      []byte    // goes to the backend before what the client says from now on
	handler    Handler
	timer      *time.Timer
	left       net.Conn
}

var _ net.Conn = (*Link)(nil)

// LocalAddr implements net.Conn. The address has a method AddrPort.
func (l *Link) LocalAddr() net.Addr { return endpoint(l.local) }

// RemoteAddr implements net.Conn.
func (l *Link) RemoteAddr() net.Addr { return endpoint(l.peer) }

// Await tells the handler when the client has spoken, or has not in the given time.
func (l *Link) Await(handler Handler, limit time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.state != stateAccepted {
		go handler.Spoke(nil, ErrClosed)
		return
	}
	l.handler, l.state = handler, stateAwaiting
	l.timer = time.AfterFunc(limit, l.late)
	if err := l.watchClient(); err != nil {
		l.state = stateAccepted
		go handler.Spoke(nil, err)
	}
}

func (l *Link) watchClient() error {
	l.watched = true
	return l.loop.watch(unix.EPOLL_CTL_ADD, l, l.client, toClientSide, 0)
}

// Connect joins the client with a backend, which gets first before anything else. The handler hears when that fails, and
// when both have ended. An error is one of the call itself: the handler hears nothing.
func (l *Link) Connect(handler Handler, to netip.AddrPort, first []byte, limit time.Duration) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.state != stateAccepted {
		return ErrClosed
	}
	socket, errno := newSocket(to)
	if errno != 0 {
		return os.NewSyscallError("socket", errno)
	}
	err := prepare(socket)
	if err == nil {
		if errno = connect(socket, to); errno != 0 {
			err = os.NewSyscallError("connect", errno)
		} else {
			err = l.loop.watch(unix.EPOLL_CTL_ADD, l, socket, toBackendSide, unix.EPOLLOUT)
		}
	}
	if err != nil {
		closeSocket(socket)
		return err
	}
	l.handler, l.state, l.backend, l.first = handler, stateConnecting, socket, first
	if l.timer == nil {
		l.timer = time.AfterFunc(limit, l.late)
	} else {
		l.timer.Reset(limit)
	}
	return nil
}

// Keepalive, as package net has it: an end that is gone without a word does not hold its connection. The number of
// questions is the kernel's, 9.
const (
	keepIdle     = 15 // seconds
	keepInterval = 15 // seconds
)

// prepare sets what every connection has. Those that are accepted have it of their listener.
func prepare(socket int) error {
	for _, option := range [...][3]int{
		{unix.IPPROTO_TCP, unix.TCP_NODELAY, 1}, {unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1}, {unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, keepIdle},
		{unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, keepInterval},
	} {
		if errno := setOption(socket, option[0], option[1], option[2]); errno != 0 {
			return os.NewSyscallError("setsockopt", errno)
		}
	}
	return nil
}

// late ends what was waited for.
func (l *Link) late() {
	l.mu.Lock()
	handler, was := l.handler, l.state
	switch was {
	case stateAwaiting:
		l.state = stateAccepted
	case stateConnecting:
		l.unconnect()
	}
	l.mu.Unlock()
	switch was {
	case stateAwaiting:
		handler.Spoke(nil, ErrLate)
	case stateConnecting:
		handler.Unconnected(ErrLate)
	}
}

// unconnect gives the backend up. The caller has the lock.
func (l *Link) unconnect() {
	closeSocket(l.backend)
	l.backend, l.state = -1, stateAccepted
}

// Leave takes the client's connection out of the relay: an ordinary one, which reads the given bytes first. The Link stands
// for it from now on.
func (l *Link) Leave(read []byte) (net.Conn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.state != stateAccepted {
		return nil, ErrClosed
	}
	if l.watched {
		if err := unix.EpollCtl(l.loop.epoll, unix.EPOLL_CTL_DEL, l.client, nil); err != nil {
			return nil, err
		}
	}
	file := os.NewFile(uintptr(l.client), "")
	conn, err := net.FileConn(file)
	file.Close()
	l.client = -1
	l.retire(stateLeft)
	if err != nil {
		l.state = stateClosed
		return nil, err
	}
	l.left = conn
	if tcp, ok := conn.(*net.TCPConn); ok && len(read) > 0 {
		l.left = &begun{tcp, read}
	}
	return l.left, nil
}

// begun is a connection of which something has been read already.
type begun struct {
	*net.TCPConn
	read []byte
}

// Read implements net.Conn.
func (b *begun) Read(p []byte) (int, error) {
	if len(b.read) > 0 {
		n := copy(p, b.read)
		b.read = b.read[n:]
		return n, nil
	}
	return b.TCPConn.Read(p)
}

// retire ends what the relay keeps of a link. The caller has the lock.
func (l *Link) retire(to state) {
	l.state = to
	if l.timer != nil {
		l.timer.Stop()
	}
	l.loop.leave(l)
}

// Close implements net.Conn. A connection that is joined ends on both sides.
func (l *Link) Close() error { return l.end(false) }

// Reset closes with a TCP reset, of both ends where it is joined.
func (l *Link) Reset() error { return l.end(true) }

func (l *Link) end(reset bool) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch l.state {
	case stateClosed:
		return nil
	case stateLeft:
		if tcp, ok := l.left.(interface{ SetLinger(int) error }); ok && reset {
			_ = tcp.SetLinger(0) // gone already, perhaps
		}
		return l.left.Close()
	}
	handler, was := l.handler, l.state
	l.shut(reset || was == stateJoined)
	switch was {
	case stateJoined: // the caller may hold what its handler wants
		go handler.Ended(l.down.bytes, l.up.bytes)
	case stateAwaiting:
		go handler.Spoke(nil, ErrClosed)
	case stateConnecting:
		go handler.Unconnected(ErrClosed)
	}
	return nil
}

// shut closes both ends. The caller has the lock.
func (l *Link) shut(reset bool) {
	for _, socket := range []int{l.client, l.backend} {
		if socket < 0 {
			continue
		}
		if reset {
			_ = unix.SetsockoptLinger(socket, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
		}
		closeSocket(socket)
	}
	for _, d := range []*direction{&l.up, &l.down} {
		if d.pipe != nil { // with bytes that nobody gets
			d.pipe.close()
		}
		d.pipe, d.pending = nil, nil
	}
	l.client, l.backend, l.first = -1, -1, nil
	l.retire(stateClosed)
}

// Write sends what the client's connection takes at once, and says so where it is not all.
func (l *Link) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch l.state {
	case stateLeft:
		return l.left.Write(p)
	case stateAccepted:
		n, err := unix.SendmsgN(l.client, p, nil, nil, unix.MSG_NOSIGNAL)
		if n < len(p) && err == nil {
			err = unix.EAGAIN
		}
		return n, err
	}
	return 0, ErrClosed
}

// ordinary is the connection after Leave.
func (l *Link) ordinary() (net.Conn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.state != stateLeft {
		return nil, ErrClosed
	}
	return l.left, nil
}

// Read implements net.Conn.
func (l *Link) Read(p []byte) (int, error) {
	conn, err := l.ordinary()
	if err != nil {
		return 0, err
	}
	return conn.Read(p)
}

// SetDeadline implements net.Conn. A link of the relay's has the limits that it was given.
func (l *Link) SetDeadline(t time.Time) error {
	if conn, err := l.ordinary(); err == nil {
		return conn.SetDeadline(t)
	}
	return nil
}

// SetReadDeadline implements net.Conn.
func (l *Link) SetReadDeadline(t time.Time) error {
	if conn, err := l.ordinary(); err == nil {
		return conn.SetReadDeadline(t)
	}
	return nil
}

// SetWriteDeadline implements net.Conn.
func (l *Link) SetWriteDeadline(t time.Time) error {
	if conn, err := l.ordinary(); err == nil {
		return conn.SetWriteDeadline(t)
	}
	return nil
}

package relay

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// Listener is a listener of the kernel's that gives out links beside ordinary connections. Close ends both.
type Listener struct {
	*net.TCPListener
	file *os.File // a second descriptor of the socket: package net lets nobody else wait for its own
	raw  syscall.RawConn
}

// Listen makes a Listener of one of package net's. Another one is answered as it is.
func Listen(l net.Listener) net.Listener {
	tcp, ok := l.(*net.TCPListener)
	if !ok {
		return l
	}
	file, err := tcp.File()
	if err != nil {
		return l
	}
	raw, err := file.SyscallConn()
	if err == nil {
		var failure error
		// What is accepted has the options of its listener.
		err = raw.Control(func(socket uintptr) { failure = prepare(int(socket)) })
		err = errors.Join(err, failure)
	}
	if err != nil {
		file.Close()
		return l
	}
	return &Listener{tcp, file, raw}
}

// Close implements net.Listener.
func (l *Listener) Close() error {
	l.file.Close() // a second time, at most
	return l.TCPListener.Close()
}

// Accept waits for a connection. Its errors are those of net.Listener's Accept. say tells the addresses that it shall have
// for others; nil leaves the socket's own.
func (r *Relay) Accept(l *Listener, say func(local, peer netip.AddrPort) (sayLocal, sayPeer netip.AddrPort)) (*Link, error) {
	link := &Link{loop: r.loop(), client: -1, backend: -1}
	var failure error
	err := l.raw.Read(func(listener uintptr) bool {
		for {
			socket, peer, errno := accept(int(listener))
			switch errno {
			case unix.EAGAIN:
				return false
			case unix.EINTR, unix.ECONNABORTED:
				continue
			case 0:
				link.client, link.peer = socket, peer
			default:
				failure = os.NewSyscallError("accept4", errno)
			}
			return true
		}
	})
	if failure != nil {
		return nil, failure
	}
	if err != nil {
		return nil, net.ErrClosed
	}
	var errno unix.Errno
	if link.local, errno = ownAddress(link.client); errno != 0 {
		closeSocket(link.client)
		return nil, os.NewSyscallError("getsockname", errno)
	}
	if say != nil {
		link.local, link.peer = say(link.local, link.peer)
	}
	link.loop.place(link)
	return link, nil
}

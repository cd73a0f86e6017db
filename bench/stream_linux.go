package bench

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"postern/lab"
)

// patience bounds a call on a socket: past it, the path does not work.
const patience = 10 * time.Second

// route is a way to be measured.
type route struct {
	from, to *lab.Namespace
	address  netip.Addr // of the far end, as the near one knows it
}

// stream is one end of a TCP connection as a blocking socket: what the Go scheduler would add is not what is measured.
type stream struct {
	file   *os.File
	socket int
}

// newStream takes a connection over.
func newStream(conn net.Conn) (stream, error) {
	defer conn.Close()
	file, err := conn.(*net.TCPConn).File()
	if err != nil {
		return stream{}, err
	}
	s := stream{file, int(file.Fd())} // Fd makes it blocking
	if err := prepare(s.socket); err != nil {
		return stream{}, errors.Join(err, file.Close())
	}
	return s, nil
}

// prepare bounds a socket's calls, has it send at once, and has it send by CUBIC, as far as the kernel has that: one that
// paces by a clock of its own (BBR) would measure the clock.
func prepare(socket int) error {
	timeout := unix.NsecToTimeval(patience.Nanoseconds())
	if err := unix.SetsockoptString(socket, unix.IPPROTO_TCP, unix.TCP_CONGESTION, "cubic"); err != nil && err != unix.ENOENT && err != unix.EPERM {
		return fmt.Errorf("choose CUBIC: %w", err)
	}
	return errors.Join(
		unix.SetsockoptTimeval(socket, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &timeout),
		unix.SetsockoptTimeval(socket, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &timeout),
		unix.SetsockoptInt(socket, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1))
}

// connect makes a connection over the route.
func (r route) connect(ctx context.Context) (near, far stream, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	listener, err := r.to.Listen(ctx, "tcp", "[::]:0")
	if err != nil {
		return stream{}, stream{}, err
	}
	defer listener.Close()
	conn, err := r.from.DialContext(ctx, "tcp", netip.AddrPortFrom(r.address, portOf(listener)).String())
	if err != nil {
		return stream{}, stream{}, err
	}
	if err := listener.(*net.TCPListener).SetDeadline(time.Now().Add(patience)); err != nil {
		return stream{}, stream{}, errors.Join(err, conn.Close())
	}
	accepted, err := listener.Accept()
	if err != nil {
		return stream{}, stream{}, errors.Join(err, conn.Close())
	}
	if near, err = newStream(conn); err != nil {
		return stream{}, stream{}, errors.Join(err, accepted.Close())
	}
	if far, err = newStream(accepted); err != nil {
		return stream{}, stream{}, errors.Join(err, near.file.Close())
	}
	return near, far, nil
}

func portOf(listener net.Listener) uint16 { return listener.Addr().(*net.TCPAddr).AddrPort().Port() }

// connect waits for the connection even where a signal (the Go scheduler's) interrupts the call.
func (s stream) connect(to unix.Sockaddr) error {
	err := unix.Connect(s.socket, to)
	for waiting := []unix.PollFd{{Fd: int32(s.socket), Events: unix.POLLOUT}}; err == unix.EINTR; {
		ready, pollErr := unix.Poll(waiting, int(patience.Milliseconds()))
		switch {
		case pollErr == unix.EINTR:
		case pollErr != nil:
			err = pollErr
		case ready == 0:
			err = unix.ETIMEDOUT
		default:
			code, optionErr := unix.GetsockoptInt(s.socket, unix.SOL_SOCKET, unix.SO_ERROR)
			if err = optionErr; err == nil && code != 0 {
				err = unix.Errno(code)
			}
		}
	}
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	return nil
}

// read is one read(2); 0 bytes are the end.
func (s stream) read(buffer []byte) (int, error) {
	for {
		n, err := unix.Read(s.socket, buffer)
		if err != unix.EINTR {
			return max(n, 0), err
		}
	}
}

// write writes the whole buffer.
func (s stream) write(buffer []byte) error {
	for len(buffer) > 0 {
		n, err := unix.Write(s.socket, buffer)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return fmt.Errorf("write: %w", err)
		}
		buffer = buffer[n:]
	}
	return nil
}

// end wakes whoever reads.
func (s stream) end() { _ = unix.Shutdown(s.socket, unix.SHUT_RDWR) }

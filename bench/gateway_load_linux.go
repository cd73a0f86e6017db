package bench

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"postern/lab"
)

// How many do it at once.
const (
	manyExchanges = 64
	manyCallers   = 32
	manyShakers   = 8
)

// get is the request for a lane of HTTP.
func get(name string, last bool) string {
	head := "GET / HTTP/1.1\r\nHost: " + hostOf(name)
	if last {
		head += "\r\nConnection: close"
	}
	return head + headEnd
}

// talk is what is said on a lane: the request, and what ends the answer.
type talk struct{ request, answerEnd string }

var (
	echoTalk = talk{"x", "x"}
	webTalk  = talk{get(laneWeb, false), headEnd + webBody}
)

// dial connects from inside a namespace to an address, as a blocking socket that has been prepared.
func dial(ctx context.Context, from *lab.Namespace, to netip.AddrPort) (stream, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	conn, err := from.DialContext(ctx, "tcp4", to.String())
	if err != nil {
		return stream{}, err
	}
	return newStream(conn)
}

// openStreams makes a connection for a bulk meter: the greeting goes from near to far, over whatever lies between.
func (s *street) openStreams(ctx context.Context, by, name string) (near, far stream, err error) {
	if near, err = dial(ctx, s.client, s.front(by, name)); err != nil {
		return stream{}, stream{}, err
	}
	greeting := get(laneStream, false)
	if err := near.write([]byte(greeting)); err != nil {
		return stream{}, stream{}, errors.Join(err, near.file.Close())
	}
	if far, err = s.accept(s.back(by, name)); err != nil {
		return stream{}, stream{}, errors.Join(err, near.file.Close())
	}
	if name == laneStream {
		// A gateway may wait for some of the body before it sends the head.
		begin := make([]byte, 64<<10)
		err = far.write(append([]byte("HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: 1000000000000000"+headEnd), begin...))
		if err == nil {
			err = readHead(readable{near})
		}
		if err == nil {
			_, err = io.ReadFull(readable{near}, begin)
		}
		if err != nil {
			return stream{}, stream{}, errors.Join(err, near.file.Close(), far.file.Close())
		}
	}
	return near, far, nil
}

// readable is a stream as an io.Reader.
type readable struct{ stream }

func (r readable) Read(p []byte) (int, error) {
	n, err := r.read(p)
	if n == 0 && err == nil {
		err = io.EOF
	}
	return n, err
}

// accept takes the connection that greets. Those that were made only to see whether somebody answers say nothing.
func (s *street) accept(at netip.AddrPort) (stream, error) {
	waiting, ok := s.serving.meters[at]
	if !ok {
		waiting = s.serverOnHost.meters[at]
	}
	listener := waiting.(countedListener)
	if err := listener.Listener.(*net.TCPListener).SetDeadline(time.Now().Add(patience)); err != nil {
		return stream{}, err
	}
	for {
		conn, err := listener.Accept()
		if err != nil {
			return stream{}, fmt.Errorf("the backend waits for a connection: %w", err)
		}
		far, err := newStream(conn)
		if err != nil {
			return stream{}, err
		}
		if err = readHead(readable{far}); err == nil {
			return far, nil
		}
		far.file.Close()
	}
}

// exchanges measures requests and answers on connections that stay.
type exchanges struct {
	duration time.Duration
	talk
	open  []stream
	heard map[int32][]byte // what has come of an answer, by socket
	epoll int
}

func (s *street) openExchanges(ctx context.Context, options GatewayOptions, by, name string, what talk, count int) (meter, error) {
	e := &exchanges{duration: options.Duration / slicesPerPair, talk: what, heard: map[int32][]byte{}}
	var err error
	if e.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, err
	}
	for range count {
		one, err := dial(ctx, s.client, s.front(by, name))
		if err != nil {
			e.close()
			return nil, err
		}
		e.open = append(e.open, one)
		e.heard[int32(one.socket)] = nil
		if err := unix.EpollCtl(e.epoll, unix.EPOLL_CTL_ADD, one.socket, &unix.EpollEvent{Fd: int32(one.socket), Events: unix.EPOLLIN}); err != nil {
			e.close()
			return nil, err
		}
	}
	return e, nil
}

// measure gives answers a second.
func (e *exchanges) measure(ctx context.Context) (float64, error) {
	defer pin()()
	count, started := 0, time.Now()
	for _, one := range e.open {
		if err := one.write([]byte(e.request)); err != nil {
			return 0, err
		}
	}
	buffer, events := make([]byte, 4<<10), make([]unix.EpollEvent, len(e.open))
	request, end := []byte(e.request), []byte(e.answerEnd)
	if len(e.open) == 1 {
		events[0].Fd = int32(e.open[0].socket)
	}
	for under := len(e.open); under > 0; {
		n := 1
		if len(e.open) > 1 {
			var err error
			if n, err = unix.EpollWait(e.epoll, events, int(patience.Milliseconds())); err == unix.EINTR {
				continue
			} else if err != nil || n == 0 {
				return 0, fmt.Errorf("no answer on %d connections: %v", under, err)
			}
		}
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		over := time.Since(started) >= e.duration
		for _, event := range events[:n] {
			socket := stream{socket: int(event.Fd)}
			got, err := socket.read(buffer)
			if got == 0 || err != nil {
				return 0, fmt.Errorf("no answer: %d bytes, %v", got, err)
			}
			answer := buffer[:got]
			if before := e.heard[event.Fd]; len(before) > 0 {
				answer = append(before, answer...)
			}
			if !bytes.HasSuffix(answer, end) {
				e.heard[event.Fd] = bytes.Clone(answer)
				continue
			}
			if len(e.heard[event.Fd]) > 0 {
				e.heard[event.Fd] = nil
			}
			count++
			if over {
				under--
			} else if err := socket.write(request); err != nil {
				return 0, err
			}
		}
	}
	return float64(count) / time.Since(started).Seconds(), nil
}

func (e *exchanges) close() {
	for _, one := range e.open {
		one.file.Close()
	}
	unix.Close(e.epoll)
}

// callsMeter measures connections that carry one request each, several at once. The backend closes first.
type callsMeter struct {
	duration time.Duration
	from     *lab.Namespace
	to       unix.SockaddrInet4
	talk     // an empty end: the answer is the end of the connection
	epoll    int
	calls    map[int32]*placedCall
}

// placedCall is a connection of a callsMeter.
type placedCall struct {
	asked  bool
	answer []byte
}

func (s *street) openCalls(options GatewayOptions, by, name string, what talk) (meter, error) {
	to := s.front(by, name)
	c := &callsMeter{duration: options.Duration / slicesPerPair, from: s.client, talk: what, calls: map[int32]*placedCall{},
		to: unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()}}
	var err error
	c.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	return c, err
}

// place begins a connection.
func (c *callsMeter) place() error {
	socket, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	c.calls[int32(socket)] = &placedCall{}
	if err := prepare(socket); err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	if err := unix.Connect(socket, &c.to); err != nil && err != unix.EINPROGRESS && err != unix.EINTR {
		return fmt.Errorf("connect: %w", err)
	}
	return unix.EpollCtl(c.epoll, unix.EPOLL_CTL_ADD, socket, &unix.EpollEvent{Fd: int32(socket), Events: unix.EPOLLOUT})
}

// proceed does what a connection is ready for, and tells whether it has ended as it should.
func (c *callsMeter) proceed(socket int32, buffer []byte) (done bool, err error) {
	one := c.calls[socket]
	if !one.asked {
		one.asked = true
		if n, err := unix.Write(int(socket), []byte(c.request)); n != len(c.request) {
			code, _ := unix.GetsockoptInt(int(socket), unix.SOL_SOCKET, unix.SO_ERROR)
			return false, fmt.Errorf("a new connection takes %d bytes: %v, %v", n, err, unix.Errno(code))
		}
		return false, unix.EpollCtl(c.epoll, unix.EPOLL_CTL_MOD, int(socket), &unix.EpollEvent{Fd: socket, Events: unix.EPOLLIN})
	}
	n, err := unix.Read(int(socket), buffer)
	switch {
	case err == unix.EAGAIN || err == unix.EINTR:
		return false, nil
	case err != nil:
		return false, fmt.Errorf("a new connection ended with %w", err)
	case n > 0:
		one.answer = append(one.answer, buffer[:n]...)
		return false, nil
	case !bytes.HasSuffix(one.answer, []byte(c.answerEnd)):
		return false, fmt.Errorf("a new connection ended after %d bytes", len(one.answer))
	}
	delete(c.calls, socket)
	return true, unix.Close(int(socket))
}

// measure gives connections a second.
func (c *callsMeter) measure(ctx context.Context) (rate float64, err error) {
	err = c.from.Do(func() error {
		defer pin()()
		count, started := 0, time.Now()
		buffer, events := make([]byte, 4<<10), make([]unix.EpollEvent, manyCallers)
		for range manyCallers {
			if err := c.place(); err != nil {
				return err
			}
		}
		for len(c.calls) > 0 {
			n, err := unix.EpollWait(c.epoll, events, int(patience.Milliseconds()))
			if err == unix.EINTR {
				continue
			}
			if err != nil || n == 0 {
				return fmt.Errorf("no answer on %d new connections: %v", len(c.calls), err)
			}
			if err := ctx.Err(); err != nil {
				return err
			}
			for _, event := range events[:n] {
				done, err := c.proceed(event.Fd, buffer)
				if err != nil {
					return err
				}
				if !done {
					continue
				}
				count++
				if time.Since(started) < c.duration {
					if err := c.place(); err != nil {
						return err
					}
				}
			}
		}
		rate = float64(count) / time.Since(started).Seconds()
		return nil
	})
	return rate, err
}

func (c *callsMeter) close() {
	for socket := range c.calls {
		unix.Close(int(socket))
	}
	unix.Close(c.epoll)
}

// shakes measures TLS handshakes, each on a connection of its own, with one GET.
type shakes struct {
	duration time.Duration
	from     *lab.Namespace
	to       string
	config   *tls.Config
	request  string
}

func (s *street) openShakes(options GatewayOptions, by, name string) (meter, error) {
	return &shakes{duration: options.Duration / slicesPerPair, from: s.client, to: s.front(by, name).String(), request: get(name, true),
		config: &tls.Config{ServerName: hostOf(name), InsecureSkipVerify: true, MinVersion: tls.VersionTLS13, NextProtos: []string{"http/1.1"}}}, nil
}

// measure gives handshakes a second.
func (h *shakes) measure(ctx context.Context) (float64, error) {
	var count atomic.Int64
	var work sync.WaitGroup
	failures := make([]error, manyShakers)
	started := time.Now()
	for i := range manyShakers {
		work.Go(func() {
			failures[i] = h.from.Do(func() error { // its sockets are made on this thread
				for time.Since(started) < h.duration && ctx.Err() == nil {
					if err := h.once(ctx); err != nil {
						return err
					}
					count.Add(1)
				}
				return ctx.Err()
			})
		})
	}
	work.Wait()
	return float64(count.Load()) / time.Since(started).Seconds(), errors.Join(failures...)
}

func (h *shakes) once(ctx context.Context) error {
	dialer := net.Dialer{Timeout: patience}
	dialer.SetMultipathTCP(false)
	conn, err := dialer.DialContext(ctx, "tcp4", h.to)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	secure := tls.Client(conn, h.config)
	if _, err := io.WriteString(secure, h.request); err != nil {
		return fmt.Errorf("a TLS handshake: %w", err)
	}
	answer, err := io.ReadAll(secure)
	if err == nil && !strings.HasSuffix(string(answer), headEnd+webBody) {
		err = fmt.Errorf("an answer of %d bytes", len(answer))
	}
	if err != nil {
		return fmt.Errorf("a GET over TLS: %w", err)
	}
	return nil
}

func (h *shakes) close() {}

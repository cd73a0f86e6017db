package bench

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// meter measures one route again and again.
type meter interface {
	measure(context.Context) (float64, error)
	close()
}

// bufferSize is that of the bulk meters' reads and writes, in bytes.
const bufferSize = 256 << 10

// bulk measures the throughput of one connection.
type bulk struct {
	duration time.Duration
	from, to stream
	sent     int64
	held     int64 // at most so many of the bytes sent wait for others to come, on their way
	received atomic.Int64
	done     chan struct{} // the reader has ended
}

func openBulk(ctx context.Context, options Options, over route) (meter, error) {
	near, far, err := over.connect(ctx)
	if err != nil {
		return nil, err
	}
	return startBulk(options, near, far), nil
}

// openBulkBack is openBulk from the far end to the near one.
func openBulkBack(ctx context.Context, options Options, over route) (meter, error) {
	near, far, err := over.connect(ctx)
	if err != nil {
		return nil, err
	}
	return startBulk(options, far, near), nil
}

func startBulk(options Options, from, to stream) *bulk {
	b := &bulk{duration: options.Duration / slicesPerPair, from: from, to: to, done: make(chan struct{})}
	go func() {
		defer close(b.done)
		defer pin()()
		buffer := make([]byte, bufferSize)
		for {
			n, err := to.read(buffer)
			b.received.Add(int64(n))
			if err == unix.EAGAIN { // nobody measured for as long as patience lasts
				continue
			}
			if n == 0 || err != nil {
				return
			}
		}
	}()
	return b
}

// measure writes for the duration; what arrived in that time counts. Gbit/s of payload.
func (b *bulk) measure(ctx context.Context) (float64, error) {
	defer pin()()
	buffer := make([]byte, bufferSize)
	before, started := b.received.Load(), time.Now()
	for time.Since(started) < b.duration {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		if err := b.from.write(buffer); err != nil {
			return 0, err
		}
		b.sent += bufferSize
	}
	bytes, took := b.received.Load()-before, time.Since(started)
	// What is still under way must not meet the other side's turn.
	for deadline := time.Now().Add(patience); b.received.Load() < b.sent-b.held; {
		if time.Now().After(deadline) {
			return 0, fmt.Errorf("%d bytes sent, %d arrived", b.sent, b.received.Load())
		}
		select {
		case <-b.done:
			return 0, fmt.Errorf("the receiver ended: %d bytes sent, %d arrived", b.sent, b.received.Load())
		case <-time.After(time.Millisecond):
		}
	}
	return float64(bytes) * 8 / took.Seconds() / 1e9, nil
}

func (b *bulk) close() {
	b.from.end()
	b.to.end()
	<-b.done
	b.from.file.Close()
	b.to.file.Close()
}

// requestResponse measures transactions of one byte each way.
type requestResponse struct {
	duration  time.Duration
	near, far stream
	done      chan struct{} // the responder has ended
}

func openRequestResponse(ctx context.Context, options Options, over route) (meter, error) {
	near, far, err := over.connect(ctx)
	if err != nil {
		return nil, err
	}
	r := &requestResponse{options.Duration / slicesPerPair, near, far, make(chan struct{})}
	go func() {
		defer close(r.done)
		defer pin()()
		one := make([]byte, 1)
		for {
			n, err := far.read(one)
			if err == unix.EAGAIN {
				continue
			}
			if n == 0 || err != nil || far.write(one) != nil {
				return
			}
		}
	}()
	return r, nil
}

// measure gives transactions a second.
func (r *requestResponse) measure(ctx context.Context) (float64, error) {
	defer pin()()
	one, count, started := make([]byte, 1), 0, time.Now()
	for time.Since(started) < r.duration {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		if err := r.near.write(one); err != nil {
			return 0, err
		}
		if n, err := r.near.read(one); n != 1 || err != nil {
			return 0, fmt.Errorf("no response: %d bytes, %v", n, err)
		}
		count++
	}
	return float64(count) / time.Since(started).Seconds(), nil
}

func (r *requestResponse) close() {
	r.near.end()
	r.far.end()
	<-r.done
	r.near.file.Close()
	r.far.file.Close()
}

// connections measures connections that carry one byte. The server closes first, so that waiting sockets are its own,
// and the client's ports are soon free again.
type connections struct {
	duration time.Duration
	over     route
	listener int
	port     uint16
	running  sync.WaitGroup
}

func openConnections(_ context.Context, options Options, over route) (meter, error) {
	c := &connections{duration: options.Duration / slicesPerPair, over: over}
	if err := over.to.Do(c.listen); err != nil {
		return nil, err
	}
	c.running.Go(c.serve)
	return c, nil
}

func (c *connections) listen() (err error) {
	if c.listener, err = unix.Socket(unix.AF_INET6, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0); err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	err = errors.Join(
		unix.SetsockoptInt(c.listener, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 0),
		unix.Bind(c.listener, &unix.SockaddrInet6{}),
		unix.Listen(c.listener, 1024))
	var own unix.Sockaddr
	if err == nil {
		own, err = unix.Getsockname(c.listener)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("listen: %w", err), unix.Close(c.listener))
	}
	c.port = uint16(own.(*unix.SockaddrInet6).Port)
	return nil
}

func (c *connections) serve() {
	defer pin()()
	one := make([]byte, 1)
	for {
		socket, _, err := unix.Accept4(c.listener, unix.SOCK_CLOEXEC)
		if err == unix.EINTR || err == unix.ECONNABORTED {
			continue
		}
		if err != nil { // the listener was shut down
			return
		}
		if prepare(socket) == nil {
			_, _ = stream{socket: socket}.read(one)
		}
		unix.Close(socket)
	}
}

// measure gives connections a second, one after another.
func (c *connections) measure(ctx context.Context) (rate float64, err error) {
	err = c.over.from.Do(func() error {
		defer pin()()
		to, one := &unix.SockaddrInet4{Port: int(c.port), Addr: c.over.address.As4()}, make([]byte, 1)
		count, started := 0, time.Now()
		for time.Since(started) < c.duration {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := connectOnce(to, one); err != nil {
				return err
			}
			count++
		}
		rate = float64(count) / time.Since(started).Seconds()
		return nil
	})
	return rate, err
}

// connectOnce connects, sends one byte, and waits for the end.
func connectOnce(to *unix.SockaddrInet4, one []byte) error {
	socket, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer unix.Close(socket)
	if err := prepare(socket); err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	s := stream{socket: socket}
	if err := s.connect(to); err != nil {
		return err
	}
	if err := s.write(one); err != nil {
		return err
	}
	if n, err := s.read(one); n != 0 || err != nil {
		return fmt.Errorf("waiting for the end of a connection: %d bytes, %v", n, err)
	}
	return nil
}

func (c *connections) close() {
	_ = unix.Shutdown(c.listener, unix.SHUT_RDWR) // wakes the one who accepts
	c.running.Wait()
	unix.Close(c.listener)
}

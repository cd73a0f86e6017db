package bench

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"postern/lab"
)

// What is said on the lanes of HTTP.
const (
	headEnd   = "\r\n\r\n"
	webBody   = "ok"
	webAnswer = "HTTP/1.1 200 OK\r\nContent-Length: 2" + headEnd + webBody
	webLast   = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close" + headEnd + webBody
)

// backendServer is the backend of every way: one thread on the processor of the client serves the lanes of short messages,
// so that what it takes is work and not scheduling.
type backendServer struct {
	epoll     int
	stopper   int // an eventfd that ends the thread
	lanes     map[int]waiting
	conns     map[int]*served
	meters    map[netip.AddrPort]net.Listener // of the lanes that meters accept from
	tls       []net.Listener
	wait      sync.WaitGroup
	mu        sync.Mutex
	byWay     map[string]passages
	buffer    []byte
	certified tls.Certificate
}

// waiting is a listening socket of the thread's.
type waiting struct{ lane, by string }

// served is a connection of the thread's.
type served struct {
	lane string
	head []byte // of a GET, as far as it has come
}

// startBackend serves every lane of some ways, which have their ports, at an address.
func startBackend(inside *lab.Namespace, at netip.Addr, ports map[string]uint16) (b *backendServer, err error) {
	b = &backendServer{lanes: map[int]waiting{}, conns: map[int]*served{}, meters: map[netip.AddrPort]net.Listener{},
		byWay: map[string]passages{}, buffer: make([]byte, 64<<10), stopper: -1}
	if b.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			b.closeSockets()
		}
	}()
	if b.stopper, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		return nil, err
	}
	if err = b.add(b.stopper, unix.EPOLLIN); err != nil {
		return nil, err
	}
	if b.certified, err = certify(hostOf(laneTLS)); err != nil {
		return nil, err
	}
	if err = inside.Do(func() error {
		for by, first := range ports {
			for _, one := range lanes {
				if err := b.listen(by, one.name, netip.AddrPortFrom(at, first+placeOf(one.name))); err != nil {
					return fmt.Errorf("backend: %w", err)
				}
			}
		}
		return nil
	}); err != nil {
		return nil, err
	}
	for _, listener := range b.tls {
		b.wait.Go(func() { b.serveTLS(listener) })
	}
	b.wait.Go(b.serve)
	return b, nil
}

// listen opens a lane of a way. It runs inside the namespace.
func (b *backendServer) listen(by, name string, at netip.AddrPort) error {
	switch name {
	case laneHTTPS:
		return nil
	case laneRaw, laneStream, laneTLS:
		config := net.ListenConfig{}
		config.SetMultipathTCP(false)
		listener, err := config.Listen(context.Background(), "tcp", at.String())
		if err != nil {
			return err
		}
		if name == laneTLS {
			b.tls = append(b.tls, countedListener{listener, b, by})
		} else {
			b.meters[at] = countedListener{listener, b, by}
		}
		return nil
	}
	socket, err := unix.Socket(unix.AF_INET6, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	b.lanes[socket] = waiting{name, by}
	return errors.Join(
		unix.SetsockoptInt(socket, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1),
		unix.SetsockoptInt(socket, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 0),
		unix.Bind(socket, &unix.SockaddrInet6{Port: int(at.Port()), Addr: at.Addr().As16()}),
		unix.Listen(socket, 8192),
		b.add(socket, unix.EPOLLIN))
}

func (b *backendServer) add(file int, events uint32) error {
	return unix.EpollCtl(b.epoll, unix.EPOLL_CTL_ADD, file, &unix.EpollEvent{Fd: int32(file), Events: events})
}

// count notes a connection by a way.
func (b *backendServer) count(by string, peer netip.Addr) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if peer == clientJudged {
		by = byKernel
	}
	one := b.byWay[by]
	if peer == backendNear {
		one.fromGateway++
	} else {
		one.fromElsewhere++
	}
	b.byWay[by] = one
}

func (b *backendServer) counted() map[string]passages {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := map[string]passages{}
	for by, one := range b.byWay {
		out[by] = one
	}
	return out
}

// serve is the thread.
func (b *backendServer) serve() {
	defer pin()()
	events := make([]unix.EpollEvent, 256)
	for {
		n, err := unix.EpollWait(b.epoll, events, -1)
		if err != nil && err != unix.EINTR {
			return
		}
		for _, event := range events[:max(n, 0)] {
			file := int(event.Fd)
			if file == b.stopper {
				return
			}
			if lane, ok := b.lanes[file]; ok {
				b.accept(file, lane)
			} else {
				b.answer(file)
			}
		}
	}
}

func (b *backendServer) accept(listener int, lane waiting) {
	for {
		socket, peer, err := unix.Accept4(listener, unix.SOCK_CLOEXEC)
		if err != nil {
			return // nobody waits any more, or the one who did has gone
		}
		if from, ok := peer.(*unix.SockaddrInet6); ok {
			b.count(lane.by, netip.AddrFrom16(from.Addr).Unmap())
		}
		if prepare(socket) != nil || b.add(socket, unix.EPOLLIN) != nil {
			unix.Close(socket)
			continue
		}
		b.conns[socket] = &served{lane: lane.lane}
	}
}

// answer does what a lane does when bytes have come. The sockets block, but each is read once when it has something.
func (b *backendServer) answer(socket int) {
	one := b.conns[socket]
	n, err := stream{socket: socket}.read(b.buffer)
	over := n == 0 || err != nil
	if !over {
		switch one.lane {
		case laneEcho:
			over = stream{socket: socket}.write(b.buffer[:n]) != nil
		case laneByte:
			over = true
		case laneWeb:
			one.head = append(one.head, b.buffer[:n]...)
			if bytes.HasSuffix(one.head, []byte(headEnd)) {
				over = bytes.Contains(one.head, []byte("Connection: close"))
				text := webAnswer
				if over {
					text = webLast
				}
				over = stream{socket: socket}.write([]byte(text)) != nil || over
				one.head = one.head[:0]
			}
		}
	}
	if over {
		delete(b.conns, socket)
		unix.Close(socket)
	}
}

// serveTLS answers one GET a connection.
func (b *backendServer) serveTLS(listener net.Listener) {
	config := &tls.Config{Certificates: []tls.Certificate{b.certified}, SessionTicketsDisabled: true}
	var open sync.WaitGroup
	defer open.Wait()
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		open.Go(func() {
			defer conn.Close()
			secure := tls.Server(conn, config)
			if conn.SetDeadline(time.Now().Add(patience)) != nil || readHead(secure) != nil {
				return
			}
			_, _ = io.WriteString(secure, webLast)
			_ = secure.Close()
		})
	}
}

// readHead reads up to the end of a head, and no byte more.
func readHead(from io.Reader) error {
	one, head := make([]byte, 1), 0
	for head < len(headEnd) {
		if _, err := io.ReadFull(from, one); err != nil {
			return err
		}
		if one[0] == headEnd[head] {
			head++
		} else if head = 0; one[0] == headEnd[0] {
			head = 1
		}
	}
	return nil
}

// countedListener counts what it accepts.
type countedListener struct {
	net.Listener
	backend *backendServer
	by      string
}

// Accept implements net.Listener.
func (l countedListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err == nil {
		l.backend.count(l.by, conn.RemoteAddr().(*net.TCPAddr).AddrPort().Addr().Unmap())
	}
	return conn, err
}

func (b *backendServer) close() {
	_, _ = unix.Write(b.stopper, []byte{1, 0, 0, 0, 0, 0, 0, 0})
	for _, listener := range b.tls {
		listener.Close()
	}
	b.wait.Wait()
	b.closeSockets()
}

func (b *backendServer) closeSockets() {
	for socket := range b.conns {
		unix.Close(socket)
	}
	for socket := range b.lanes {
		unix.Close(socket)
	}
	for _, listener := range b.meters {
		listener.Close()
	}
	for _, listener := range b.tls {
		listener.Close()
	}
	if b.stopper >= 0 {
		unix.Close(b.stopper)
	}
	unix.Close(b.epoll)
}

// certify makes a certificate that nobody trusts: the clients of a benchmark do not ask.
func certify(name string) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
}

package cloud

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"time"

	"postern/model"
)

// echo answers connections and datagrams on a port: a connection is told its peer in a line and then gets back what it
// sends; a datagram is answered by its peer's address, a space, and itself.
func (s *stage) echo(at Machine, port int) {
	s.t.Helper()
	address := fmt.Sprintf(":%d", port)
	listener, err := at.Listen(s.ctx, "tcp", address)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { listener.Close() })
	go serveEach(listener, func(conn net.Conn) {
		fmt.Fprintf(conn, "%s\n", conn.RemoteAddr())
		_, _ = io.Copy(conn, conn)
	})
	datagrams := s.listenPacket(at, address)
	go func() {
		buffer := make([]byte, 2048)
		for {
			n, from, err := datagrams.ReadFrom(buffer)
			if err != nil {
				return
			}
			_, _ = datagrams.WriteTo(fmt.Appendf(nil, "%s %s", from, buffer[:n]), from)
		}
	}()
}

func (s *stage) listenPacket(at Machine, address string) net.PacketConn {
	s.t.Helper()
	var conn net.PacketConn
	var err error
	switch at := at.(type) {
	case interface {
		ListenPacket(ctx context.Context, network, address string) (net.PacketConn, error)
	}:
		conn, err = at.ListenPacket(s.ctx, "udp4", address)
	case interface {
		ListenPacket(network, address string) (net.PacketConn, error)
	}:
		conn, err = at.ListenPacket("udp4", address)
	default:
		err = fmt.Errorf("%T takes no datagrams", at)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { conn.Close() })
	return conn
}

// session is an open connection to an echo server. peer is who the server says it talks to.
type session struct {
	net.Conn
	peer netip.AddrPort
}

func dialEcho(ctx context.Context, from Machine, address string) (*session, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	conn, err := from.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	if err := conn.SetDeadline(time.Now().Add(limit)); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	var line []byte
	for one := make([]byte, 1); ; line = append(line, one[0]) {
		if _, err := io.ReadFull(conn, one); err != nil {
			return nil, errors.Join(fmt.Errorf("echo at %s: %w", address, err), conn.Close())
		}
		if one[0] == '\n' {
			break
		}
	}
	peer, err := netip.ParseAddrPort(string(line))
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return &session{conn, netip.AddrPortFrom(peer.Addr().Unmap(), peer.Port())}, nil
}

// dial opens a connection to an echo server.
func (s *stage) dial(from Machine, address string) *session {
	s.t.Helper()
	opened, err := dialEcho(s.ctx, from, address)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { opened.Close() })
	return opened
}

// roundTrip sends size bytes and compares what comes back.
func (c *session) roundTrip(size int) error {
	sent := make([]byte, size)
	for i := range sent {
		sent[i] = byte(i*7 + i>>8)
	}
	failed := make(chan error, 1)
	go func() {
		_, err := c.Write(sent)
		failed <- err
	}()
	got := make([]byte, size)
	if _, err := io.ReadFull(c, got); err != nil {
		return fmt.Errorf("read what was echoed: %w", err)
	}
	if !bytes.Equal(got, sent) {
		return fmt.Errorf("%d bytes came back changed", size)
	}
	return <-failed
}

func (s *stage) roundTrip(c *session, size int) {
	s.t.Helper()
	if err := c.roundTrip(size); err != nil {
		s.t.Fatal(err)
	}
}

// wantPeer checks from which address an echo server sees a machine.
func (s *stage) wantPeer(from Machine, address, peer string) *session {
	s.t.Helper()
	opened := s.dial(from, address)
	if opened.peer.Addr() != netip.MustParseAddr(peer) {
		s.t.Errorf("%s sees %s, want %s", address, opened.peer.Addr(), peer)
	}
	return opened
}

// datagram asks an echo server by UDP and answers who it says it talks to. Datagrams may be lost: it asks again.
func (s *stage) datagram(from Machine, address string) netip.Addr {
	s.t.Helper()
	conn, err := from.DialContext(s.ctx, "udp", address)
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.Close()
	buffer := make([]byte, 2048)
	for range 20 {
		if _, err := conn.Write([]byte("postern")); err != nil {
			s.t.Fatal(err)
		}
		if err := conn.SetReadDeadline(time.Now().Add(time.Second)); err != nil {
			s.t.Fatal(err)
		}
		n, err := conn.Read(buffer)
		if err != nil {
			continue
		}
		peer, text, _ := strings.Cut(string(buffer[:n]), " ")
		if text != "postern" {
			s.t.Fatalf("datagram came back as %q", buffer[:n])
		}
		return netip.MustParseAddrPort(peer).Addr().Unmap()
	}
	s.t.Fatalf("no datagram came back from %s", address)
	return netip.Addr{}
}

// wantBlocked checks that a connection is dropped for a reason, counted for a NIC.
func (s *stage) wantBlocked(from Machine, address, nic string, reason model.Reason) {
	s.t.Helper()
	before := s.counted(nic, reason)
	ctx, cancel := context.WithTimeout(s.ctx, patience)
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		conn, err := from.DialContext(ctx, "tcp", address)
		if err == nil {
			conn.Close()
		}
		ended <- err
	}()
	s.eventually(fmt.Sprintf("wait for a packet of %s counted as %s", nic, reason), func() error {
		if s.counted(nic, reason) == before {
			return errors.New("not counted")
		}
		return nil
	})
	cancel()
	if err := <-ended; err == nil {
		s.t.Errorf("the connection to %s was made, although packets were counted as %s", address, reason)
	}
}

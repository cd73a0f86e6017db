package platform

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// PacketConn is a UDP socket that serves many local addresses: it tells to which one a packet came, and answers from it.
// Both addresses are fabric addresses (package wire). Its methods may be called from several goroutines at once.
type PacketConn interface {
	// ReadFrom reads one datagram into b; what does not fit is lost. It fails with net.ErrClosed after Close.
	ReadFrom(b []byte) (n int, local, remote netip.AddrPort, err error)

	// WriteTo sends one datagram from local to remote.
	WriteTo(b []byte, local, remote netip.AddrPort) error

	Close() error
}

const (
	readers       = 4                // goroutines that read one PacketConn
	maxForwarding = 256              // questions that wait for upstream at once, of one PacketConn
	maxReadErrors = 16               // failures in a row after which a PacketConn counts as broken
	idleTimeout   = 10 * time.Second // of a TCP connection
	maxQuestion   = 4096             // bytes of a datagram that are looked at
)

// ServeDNS answers the datagrams of connection until ctx ends, and closes it. It returns nil at the end of ctx.
func (s *Service) ServeDNS(ctx context.Context, connection PacketConn) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = connection.Close() })
	defer func() {
		if stop() {
			_ = connection.Close()
		}
	}()
	slots := make(chan struct{}, maxForwarding)
	failures := make(chan error, readers)
	var group sync.WaitGroup
	for range readers {
		group.Go(func() {
			if err := s.readDatagrams(ctx, connection, slots, &group); err != nil {
				failures <- err
				cancel()
			}
		})
	}
	group.Wait()
	select {
	case err := <-failures:
		return fmt.Errorf("serve names over UDP: %w", err)
	default:
		return nil
	}
}

func (s *Service) readDatagrams(ctx context.Context, connection PacketConn, slots chan struct{}, group *sync.WaitGroup) error {
	buffer := make([]byte, maxQuestion)
	for failed := 0; ctx.Err() == nil; {
		n, local, remote, err := connection.ReadFrom(buffer)
		switch {
		case err == nil:
			failed = 0
		case errors.Is(err, net.ErrClosed):
			return nil
		default:
			if failed++; failed == maxReadErrors && ctx.Err() == nil {
				return err
			}
			continue
		}
		request, reply := s.parseQuestion(buffer[:n])
		forward := false
		if request != nil {
			reply, forward = s.resolve(request, local.Addr(), remote.Addr())
		}
		switch {
		case reply == nil:
		case !forward:
			s.send(connection, reply, request, local, remote)
		default:
			// Upstream may take seconds, and the cloud's own names shall not wait for it.
			select {
			case slots <- struct{}{}:
				group.Go(func() {
					defer func() { <-slots }()
					s.forward(ctx, request, reply)
					s.send(connection, reply, request, local, remote)
				})
			default:
				s.counters.upstreamFailed.Add(1)
				reply.Rcode = dns.RcodeServerFailure
				s.send(connection, reply, request, local, remote)
			}
		}
	}
	return nil
}

// headerLen is the fixed header of a message (RFC 1035 section 4.1.1).
const headerLen = 12

// parseQuestion reads a datagram: a request, or what to answer when it is none, or neither when silence is right: for a
// message without a header, and for an answer, since two servers would answer each other for ever.
func (s *Service) parseQuestion(data []byte) (request, refusal *dns.Msg) {
	if len(data) < headerLen || data[2]&0x80 != 0 {
		s.counters.malformed.Add(1)
		return nil, nil
	}
	request = new(dns.Msg)
	if err := request.Unpack(data); err != nil {
		s.counters.malformed.Add(1)
		refusal = new(dns.Msg)
		refusal.Id = binary.BigEndian.Uint16(data)
		refusal.Response = true
		refusal.Opcode = int(data[2]>>3) & 0xf
		refusal.Rcode = dns.RcodeFormatError
		return nil, refusal
	}
	return request, nil
}

// send packs reply within the size that the asker takes, and sends it back the way the request came.
func (s *Service) send(connection PacketConn, reply, request *dns.Msg, local, remote netip.AddrPort) {
	data, err := packDatagram(reply, request)
	if err == nil {
		err = connection.WriteTo(data, local, remote)
	}
	if err != nil {
		s.counters.sendFailed.Add(1)
	}
}

// packDatagram cuts reply to the asker's size, with TC set when something is missing (RFC 2181 section 9).
func packDatagram(reply, request *dns.Msg) ([]byte, error) {
	size := dns.MinMsgSize
	if request != nil {
		if option := request.IsEdns0(); option != nil {
			size = min(max(int(option.UDPSize()), dns.MinMsgSize), maxUDPSize)
		}
	}
	reply.Compress = true
	reply.Truncate(size)
	return reply.Pack()
}

// ServeDNSStream answers over TCP (RFC 7766) until ctx ends, and closes listener. It returns nil at the end of ctx.
func (s *Service) ServeDNSStream(ctx context.Context, listener net.Listener) error {
	server := &dns.Server{
		Listener: newFairListener(listener), ReadTimeout: idleTimeout, WriteTimeout: idleTimeout,
		IdleTimeout:   func() time.Duration { return idleTimeout },
		MaxTCPQueries: 128,
		Handler: dns.HandlerFunc(func(w dns.ResponseWriter, request *dns.Msg) {
			local, remote := addressOf(w.LocalAddr()), addressOf(w.RemoteAddr())
			reply := s.Resolve(ctx, request, local.Addr(), remote.Addr())
			reply.Compress = true
			reply.Truncate(dns.MaxMsgSize)
			if err := w.WriteMsg(reply); err != nil {
				s.counters.sendFailed.Add(1)
			}
		}),
	}
	// A server that has not started yet refuses to shut down; the closed listener ends that one.
	stop := context.AfterFunc(ctx, func() { _, _ = listener.Close(), server.Shutdown() })
	defer stop()
	err := server.ActivateAndServe()
	if ctx.Err() != nil {
		return nil
	}
	_ = listener.Close()
	return fmt.Errorf("serve names over TCP: %w", err)
}

// addressOf reads a socket's address. One that is no IP address becomes the unspecified one, which nobody has.
func addressOf(address net.Addr) netip.AddrPort {
	if address != nil {
		if parsed, err := netip.ParseAddrPort(address.String()); err == nil {
			return netip.AddrPortFrom(parsed.Addr().WithZone(""), parsed.Port())
		}
	}
	return netip.AddrPortFrom(netip.IPv6Unspecified(), 0)
}

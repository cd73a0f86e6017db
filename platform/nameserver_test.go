package platform

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/miekg/dns"

	"postern/model"
)

// datagram is one packet of memoryPackets.
type datagram struct {
	data          []byte
	local, remote netip.AddrPort
}

// memoryPackets is a PacketConn in memory, as a userspace stack would give one.
type memoryPackets struct {
	in, out chan datagram
	closed  chan struct{}
	broken  error // what ReadFrom gives instead of datagrams
}

func newMemoryPackets() *memoryPackets {
	return &memoryPackets{in: make(chan datagram, 1024), out: make(chan datagram, 1024), closed: make(chan struct{})}
}

func (m *memoryPackets) ReadFrom(b []byte) (int, netip.AddrPort, netip.AddrPort, error) {
	if m.broken != nil {
		return 0, netip.AddrPort{}, netip.AddrPort{}, m.broken
	}
	select {
	case d := <-m.in:
		return copy(b, d.data), d.local, d.remote, nil
	case <-m.closed:
		return 0, netip.AddrPort{}, netip.AddrPort{}, net.ErrClosed
	}
}

func (m *memoryPackets) WriteTo(b []byte, local, remote netip.AddrPort) error {
	m.out <- datagram{append([]byte(nil), b...), local, remote}
	return nil
}

func (m *memoryPackets) Close() error {
	close(m.closed)
	return nil
}

// stuck is an Upstream that answers no question before its time is over.
type stuck struct{ asked chan struct{} }

func (s stuck) Exchange(ctx context.Context, _ *dns.Msg) (*dns.Msg, error) {
	s.asked <- struct{}{}
	<-ctx.Done()
	return nil, ctx.Err()
}

func TestStuckUpstream(t *testing.T) {
	upstream := stuck{make(chan struct{}, 2*maxForwarding)}
	service := newService(t, upstream)
	packets := newMemoryPackets()
	serve(t, func(ctx context.Context) error { return service.ServeDNS(ctx, packets) })
	send := func(name string, port uint16) {
		t.Helper()
		data, err := new(dns.Msg).SetQuestion(name, dns.TypeA).Pack()
		if err != nil {
			t.Fatal(err)
		}
		packets.in <- datagram{data, netip.AddrPortFrom(to(model.PlatformDNS), 53), netip.AddrPortFrom(from(subnetApp, app), port)}
	}
	receive := func() (*dns.Msg, datagram) {
		t.Helper()
		select {
		case d := <-packets.out:
			got := new(dns.Msg)
			if err := got.Unpack(d.data); err != nil {
				t.Fatal(err)
			}
			return got, d
		case <-time.After(5 * time.Second):
			t.Fatal("no answer")
			return nil, datagram{}
		}
	}
	for range maxForwarding {
		send("example.org.", 1)
		<-upstream.asked
	}
	send(account+".table.core.windows.net.", 2)
	got, d := receive()
	if address(t, got) != accountAddress.String() || d.remote.Port() != 2 || d.local.Addr() != to(model.PlatformDNS) {
		t.Errorf("DNS-1: own names wait for upstream: %v from %s to %s", got, d.local, d.remote)
	}
	send("one.too.many.example.", 3)
	if got, d := receive(); got.Rcode != dns.RcodeServerFailure || d.remote.Port() != 3 {
		t.Errorf("beyond the bound: %v", got)
	}
}

func TestBrokenSocketEndsServing(t *testing.T) {
	packets := newMemoryPackets()
	packets.broken = errors.New("the socket is broken")
	if err := newService(t, nil).ServeDNS(context.Background(), packets); !errors.Is(err, packets.broken) {
		t.Errorf("got %v", err)
	}
	select {
	case <-packets.closed:
	default:
		t.Error("the socket was left open")
	}
}

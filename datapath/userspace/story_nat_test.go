package userspace

import (
	"errors"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"postern/model"
)

var natAddresses = []netip.Addr{netip.MustParseAddr("20.8.8.1"), netip.MustParseAddr("20.8.8.2")}

// natted is a machine behind a NAT gateway with some of natAddresses.
func natted(m machine, addresses ...netip.Addr) machine {
	m.nat = addresses
	return m
}

func TestNATGateway(t *testing.T) {
	c := newCloud(t, app(), neighbour())
	c.echoOn(func() (net.Listener, error) { return c.outsider.Listen("tcp", ":7") })
	target := outsiderAddress.String() + ":7"
	first, second := natAddresses[0], natAddresses[1]
	wantPeer := func(c *cloud, vm string, want netip.Addr) *session {
		c.t.Helper()
		s := c.dialEcho(c.vm(vm).Stack, target)
		if s.peer.Addr() != want {
			c.t.Errorf("the outsider sees %s from %s; want %s", s.peer, vm, want)
		}
		return s
	}
	t.Run("OUT-1 it comes before a public address and default outbound access", func(t *testing.T) {
		c := c.in(t)
		before := wantPeer(c, "vm-near", outboundAddress)
		c.apply(natted(app(), first), natted(neighbour(), first))
		for _, vm := range []string{"vm-app", "vm-near"} {
			if err := wantPeer(c, vm, first).roundTrip(300_000); err != nil {
				t.Error(err)
			}
		}
		if err := before.roundTrip(1000); err != nil {
			t.Errorf("what was open does not go on: %v", err)
		}
		if c.counted(1, model.ReasonNATGateway) == 0 {
			t.Error("nothing is counted as nat-gateway")
		}
	})
	t.Run("OUT-1 the public address goes on serving", func(t *testing.T) {
		c := c.in(t)
		c.echoOn(func() (net.Listener, error) { return c.vm("vm-app").Listen("tcp", ":22") })
		if err := c.dialEcho(c.outsider.Stack, "20.1.1.1:22").roundTrip(300_000); err != nil {
			t.Error(err)
		}
	})
	t.Run("OUT-1 new connections leave from a new address, open ones keep theirs while the gateway has it", func(t *testing.T) {
		c := c.in(t)
		open := wantPeer(c, "vm-near", first)
		c.apply(natted(app(), first), natted(neighbour(), second, first))
		wantPeer(c, "vm-near", second)
		if err := open.roundTrip(1000); err != nil {
			t.Errorf("the open connection does not go on: %v", err)
		}
		c.apply(natted(app(), first), natted(neighbour(), second))
		_ = open.SetDeadline(time.Now().Add(20 * time.Second))
		if err := open.roundTrip(1000); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("the gateway lost the address, and the open connection ends by %v; want a reset", err)
		}
		if err := wantPeer(c, "vm-app", first).roundTrip(1000); err != nil {
			t.Errorf("another gateway's connection: %v", err)
		}
	})
	t.Run("OUT-1 without a gateway the next connections go the old way", func(t *testing.T) {
		c := c.in(t)
		c.apply(app(), neighbour())
		wantPeer(c, "vm-near", outboundAddress)
		wantPeer(c, "vm-app", netip.MustParseAddr("20.1.1.1"))
		if c.internet.Has(first) || c.internet.Has(second) {
			t.Error("somebody has the gateway's addresses still")
		}
	})
}

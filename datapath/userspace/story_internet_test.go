package userspace

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip/header"

	"postern/model"
)

func TestInternet(t *testing.T) {
	c := newCloud(t, app(), neighbour(), twin())
	c.echoOn(func() (net.Listener, error) { return c.outsider.Listen("tcp", ":7") })
	target := outsiderAddress.String() + ":7"
	for _, story := range []struct {
		name, vm string
		source   netip.Addr
	}{
		{"OUT-1 a public address is the source", "vm-app", netip.MustParseAddr("20.1.1.1")},
		{"OUT-1 default outbound access comes from the shared address", "vm-near", outboundAddress},
		{"OUT-1 so it does from a VNet with the same addresses", "vm-twin", outboundAddress},
	} {
		t.Run(story.name, func(t *testing.T) {
			c := c.in(t)
			s := c.dialEcho(c.vm(story.vm).Stack, target)
			if s.peer.Addr() != story.source {
				t.Errorf("the outsider sees %s; want %s", s.peer, story.source)
			}
			if err := s.roundTrip(300_000); err != nil {
				t.Error(err)
			}
		})
	}
	t.Run("OUT-1 overlapping VNets at the same time, from the same port", func(t *testing.T) {
		c := c.in(t)
		local := netip.MustParseAddrPort("10.13.76.36:5555")
		remote := netip.AddrPortFrom(outsiderAddress, 7)
		plain := app()
		plain.public = ""
		c.apply(plain, neighbour(), twin())
		names, open := []string{"vm-app", "vm-twin"}, map[string]net.Conn{}
		for _, name := range names {
			conn, err := c.vm(name).dialTCP(c.ctx, local, remote)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			defer conn.Close()
			_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
			open[name] = conn
		}
		for _, name := range names {
			if _, err := io.WriteString(open[name], name); err != nil {
				t.Fatal(err)
			}
			_ = open[name].(*Conn).CloseWrite()
		}
		for _, name := range names {
			_, said, _ := strings.Cut(mustReadAll(t, open[name]), "\n")
			if said != name {
				t.Errorf("%s read %q", name, said)
			}
		}
		c.apply(app(), neighbour(), twin())
	})
	t.Run("OUT-1 a refusal is a refusal", func(t *testing.T) {
		c := c.in(t)
		for _, vm := range []string{"vm-app", "vm-near"} {
			if _, err := dialEcho(c.ctx, c.vm(vm).Stack, outsiderAddress.String()+":9"); !errors.Is(err, syscall.ECONNREFUSED) {
				t.Errorf("%s got %v; want connection refused", vm, err)
			}
		}
	})
	t.Run("OUT-1 UDP", func(t *testing.T) {
		c := c.in(t)
		server, err := c.outsider.ListenPacket("udp", ":7")
		if err != nil {
			t.Fatal(err)
		}
		defer server.Close()
		seen := make(chan string, 8)
		go func() {
			buffer := make([]byte, 2000)
			for {
				n, peer, err := server.ReadFrom(buffer)
				if err != nil {
					return
				}
				seen <- peer.(*net.UDPAddr).AddrPort().Addr().String()
				_, _ = server.WriteTo(buffer[:n], peer)
			}
		}()
		conn, err := c.vm("vm-near").DialContext(c.ctx, "udp", target)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
		for _, text := range []string{"one", "two"} {
			if _, err := io.WriteString(conn, text); err != nil {
				t.Fatal(err)
			}
			buffer := make([]byte, 10)
			n, err := conn.Read(buffer)
			if err != nil || string(buffer[:n]) != text {
				t.Fatalf("read %q, %v; want %q", buffer[:n], err, text)
			}
			if source := <-seen; source != outboundAddress.String() {
				t.Errorf("the outsider sees %s; want %s", source, outboundAddress)
			}
		}
		if flows := c.edge.Outbound().Datagrams; flows != 1 {
			t.Errorf("%d UDP flows were made; want one for both datagrams", flows)
		}
	})
	t.Run("OUT-1 neither TCP nor UDP is dropped and counted", func(t *testing.T) {
		c := c.in(t)
		echoRequest := frame(neighbour().nic().MAC, "10.13.77.4", outsiderAddress.String(), 0x0800, func(ip header.IPv4) {
			ip[9] = byte(model.ProtocolICMP)
			copy(ip.Payload(), []byte{byte(header.ICMPv4Echo), 0, 0, 0, 0, 0, 0, 0})
		})
		verdict, err := c.hosts[0].InjectFrame(2, echoRequest)
		if err != nil || verdict.Action != model.ToFabric {
			t.Fatalf("the host says %v %v, %v", verdict.Action, verdict.Reason, err)
		}
		// A connection behind it on the same way tells when the edge has seen it.
		conn, err := c.vm("vm-near").DialContext(c.ctx, "tcp", target)
		if err != nil {
			t.Fatal(err)
		}
		conn.Close()
		if dropped := c.edge.Outbound().Unsupported; dropped != 1 {
			t.Errorf("%d packets are counted as unsupported; want 1", dropped)
		}
	})
	t.Run("OUT-2 a private subnet has no way out", func(t *testing.T) {
		c := c.in(t)
		private := neighbour()
		private.noOutbound = true
		c.apply(app(), private, twin())
		ctx, cancel := context.WithTimeout(c.ctx, 300*time.Millisecond)
		defer cancel()
		if _, err := dialEcho(ctx, c.vm("vm-near").Stack, target); err == nil {
			t.Error("a VM without outbound access reached the Internet")
		}
		if c.counted(2, model.ReasonNoOutbound) == 0 {
			t.Error("the attempt was not counted as no-outbound-access")
		}
	})
	t.Run("an outsider reaches the public address", func(t *testing.T) {
		c := c.in(t)
		c.echoOn(func() (net.Listener, error) { return c.vm("vm-app").Listen("tcp", ":22") })
		s := c.dialEcho(c.outsider.Stack, "20.1.1.1:22")
		if s.peer.Addr() != outsiderAddress || s.server.Addr() != netip.MustParseAddr("10.13.76.36") {
			t.Errorf("peer %s, server %s; want the outsider and the VM's own address", s.peer, s.server)
		}
	})
}

func mustReadAll(t *testing.T, r io.Reader) string {
	t.Helper()
	got, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(got)
}

func TestHostInternet(t *testing.T) {
	server, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	echo(t, server)
	c := newCloud(t, neighbour())
	dialled := make(chan string, 8)
	edge, err := NewEdge(c.fabric, c.internet, "edge-host", EdgeOptions{
		HostInternet: func(ctx context.Context, network, address string) (net.Conn, error) {
			dialled <- address
			return (&net.Dialer{}).DialContext(ctx, network, server.Addr().String())
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer edge.Close()
	c.edge.Close()
	if err := edge.Apply(c.ctx, edgePlan(c.machines)); err != nil {
		t.Fatal(err)
	}
	t.Run("OUT-1 an address that nobody simulated has is dialled by the real machine", func(t *testing.T) {
		c := c.in(t)
		if err := c.dialEcho(c.vm("vm-near").Stack, "203.0.113.5:80").roundTrip(100_000); err != nil {
			t.Error(err)
		}
	})
	t.Run("its own addresses and its local network are not", func(t *testing.T) {
		c := c.in(t)
		ctx, cancel := context.WithTimeout(c.ctx, 200*time.Millisecond)
		defer cancel()
		if _, err := dialEcho(ctx, c.vm("vm-near").Stack, "192.168.1.1:80"); err == nil {
			t.Error("a private address was reached")
		}
		if edge.Outbound().Unanswered == 0 {
			t.Error("the attempt was not counted")
		}
	})
	if first := <-dialled; first != "203.0.113.5:80" || len(dialled) != 0 {
		t.Errorf("the real machine dialled %s and %d more; want the public address alone", first, len(dialled))
	}
}

package userspace

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"
	"gvisor.dev/gvisor/pkg/tcpip/header"

	"postern/model"
	"postern/plan"
	"postern/wire"
)

// app and its neighbours: the machines of most stories.
func app() machine {
	return machine{name: "vm-app", number: 1, host: 0, vnet: 7, subnet: 4096, address: "10.13.76.36", public: "20.1.1.1"}
}

func neighbour() machine {
	return machine{name: "vm-near", number: 2, host: 0, vnet: 7, subnet: 4097, address: "10.13.77.4"}
}

func remote() machine {
	return machine{name: "vm-far", number: 3, host: 1, vnet: 7, subnet: 4096, address: "10.13.76.50"}
}

// twin has the address of app in another VNet.
func twin() machine {
	return machine{name: "vm-twin", number: 4, host: 1, vnet: 8, subnet: 4098, address: "10.13.76.36"}
}

func TestVirtualMachinesTalk(t *testing.T) {
	c := newCloud(t, app(), neighbour(), remote())
	for _, story := range []struct{ name, server, address string }{
		{"on the same host, in another subnet", "vm-near", "10.13.77.4"},
		{"on another host, in the same subnet", "vm-far", "10.13.76.50"},
	} {
		t.Run("ROUTE-4 "+story.name, func(t *testing.T) {
			c := c.in(t)
			c.echoOn(func() (net.Listener, error) { return c.vm(story.server).Listen("tcp", ":7") })
			s := c.dialEcho(c.vm("vm-app").Stack, story.address+":7")
			if s.peer.Addr() != netip.MustParseAddr("10.13.76.36") {
				t.Errorf("the peer is %s; want the VM's own address", s.peer)
			}
			if err := s.roundTrip(300_000); err != nil {
				t.Error(err)
			}
			if c.counted(1, model.ReasonVirtualNetwork) == 0 {
				t.Error("no packet was counted as virtual-network")
			}
		})
	}
}

func TestServiceEndpoint(t *testing.T) {
	with := app()
	with.endpoint = true
	c := newCloud(t, with, remote())
	c.echoOn(func() (net.Listener, error) { return c.gateway.Listen("tcp", ":443") })

	t.Run("SE-2 the service sees subnet and private address", func(t *testing.T) {
		c := c.in(t)
		s := c.dialEcho(c.vm("vm-app").Stack, account.String()+":443")
		want := wire.Parts{Locator: hostLocators[0], Function: model.FunctionNIC, Identity: 4096, IPv4: netip.MustParseAddr("10.13.76.36")}
		if got := wire.Parse(s.peer.Addr()); got != want {
			t.Errorf("the peer is %+v; want %+v", got, want)
		}
		want = wire.Parts{Locator: serviceLocator, Function: model.FunctionService, Identity: storageIdentity, IPv4: account}
		if got := wire.Parse(s.server.Addr()); got != want {
			t.Errorf("the service's own address is %+v; want %+v", got, want)
		}
		if err := s.roundTrip(300_000); err != nil {
			t.Error(err)
		}
	})
	t.Run("FW-5 without the endpoint it sees a platform address", func(t *testing.T) {
		c := c.in(t)
		s := c.dialEcho(c.vm("vm-far").Stack, account.String()+":443")
		if s.peer.Addr() != platformAddress(3) || s.server.Addr() != account {
			t.Errorf("peer %s, server %s; want %s and %s", s.peer, s.server, platformAddress(3), account)
		}
		if err := s.roundTrip(100_000); err != nil {
			t.Error(err)
		}
	})
	t.Run("an Internet client reaches the same listener", func(t *testing.T) {
		c := c.in(t)
		s := c.dialEcho(c.outsider.Stack, account.String()+":443")
		if s.peer.Addr() != outsiderAddress || s.server.Addr() != account {
			t.Errorf("peer %s, server %s; want %s and %s", s.peer, s.server, outsiderAddress, account)
		}
	})
	t.Run("SE-12 without any way out to the Internet", func(t *testing.T) {
		c := c.in(t)
		private := with
		private.public, private.noOutbound = "", true
		c.apply(private, remote())
		if err := c.dialEcho(c.vm("vm-app").Stack, account.String()+":443").roundTrip(1000); err != nil {
			t.Error(err)
		}
	})
	t.Run("SE-14 the service cannot connect to the VM", func(t *testing.T) {
		c := c.in(t)
		c.echoOn(func() (net.Listener, error) { return c.vm("vm-app").Listen("tcp", ":22") })
		from := wire.Parts{Locator: serviceLocator, Function: model.FunctionService, Identity: storageIdentity, IPv4: account}
		to := wire.Parts{Locator: hostLocators[0], Function: model.FunctionNIC, Identity: 4096, IPv4: netip.MustParseAddr("10.13.76.36")}
		ctx, cancel := context.WithTimeout(c.ctx, 300*time.Millisecond)
		defer cancel()
		conn, err := c.gateway.DialFrom(ctx, netip.AddrPortFrom(from.Address(), 4000), netip.AddrPortFrom(to.Address(), 22))
		if err == nil {
			conn.Close()
			t.Fatal("the service connected to the VM")
		}
		if c.counted(1, model.ReasonUnsolicited) == 0 {
			t.Errorf("the attempt (%v) was not counted as unsolicited", err)
		}
	})
	for name, end := range map[string]func(*Conn) error{
		"Reset":               (*Conn).Reset,
		"SetLinger and Close": func(conn *Conn) error { _ = conn.SetLinger(0); return conn.Close() },
	} {
		t.Run("the gateway ends a connection by "+name, func(t *testing.T) {
			c := c.in(t)
			listener, err := c.gateway.ListenTCP(444)
			if err != nil {
				t.Fatal(err)
			}
			defer listener.Close()
			conn, err := c.vm("vm-app").DialContext(c.ctx, "tcp", account.String()+":444")
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			accepted, err := listener.Accept()
			if err != nil {
				t.Fatal(err)
			}
			reading := make(chan error)
			go func() { _, err := accepted.Read(make([]byte, 1)); reading <- err }()
			if err := end(accepted.(*Conn)); err != nil {
				t.Error(err)
			}
			_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
			if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("the VM read %v; want a reset", err)
			}
			if err := <-reading; !errors.Is(err, net.ErrClosed) {
				t.Errorf("the gateway's own reader got %v; want that it is closed", err)
			}
			if err := accepted.Close(); !errors.Is(err, net.ErrClosed) {
				t.Errorf("a second close answers %v", err)
			}
		})
	}
}

func TestPathChange(t *testing.T) {
	c := newCloud(t, app())
	c.echoOn(func() (net.Listener, error) { return c.gateway.ListenTCP(443) })
	with := app()
	with.endpoint = true
	for _, change := range []struct {
		name string
		to   machine
	}{{"enable", with}, {"disable", app()}} {
		t.Run("SE-3 open connections are reset on "+change.name, func(t *testing.T) {
			c := c.in(t)
			before := c.dialEcho(c.vm("vm-app").Stack, account.String()+":443")
			if err := before.roundTrip(1000); err != nil {
				t.Fatal(err)
			}
			counted := c.counted(1, model.ReasonPathChanged)
			c.apply(change.to)
			if err := before.roundTrip(1000); !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("after the change the old connection says %v; want a reset", err)
			}
			if c.counted(1, model.ReasonPathChanged) == counted {
				t.Error("no packet was counted as path-changed")
			}
			if err := c.dialEcho(c.vm("vm-app").Stack, account.String()+":443").roundTrip(1000); err != nil {
				t.Errorf("a new connection: %v", err)
			}
		})
	}
}

func TestEndpointPolicy(t *testing.T) {
	with := app()
	with.endpoint, with.policy = true, []netip.Addr{account}
	c := newCloud(t, with)
	c.echoOn(func() (net.Listener, error) { return c.gateway.ListenTCP(443) })
	t.Run("SEP-2 the listed account works", func(t *testing.T) {
		c := c.in(t)
		if err := c.dialEcho(c.vm("vm-app").Stack, account.String()+":443").roundTrip(1000); err != nil {
			t.Error(err)
		}
	})
	t.Run("SEP-2 another one is refused", func(t *testing.T) {
		c := c.in(t)
		_, err := dialEcho(c.ctx, c.vm("vm-app").Stack, rogueAccount.String()+":443")
		if !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("got %v; want connection refused", err)
		}
		if c.counted(1, model.ReasonEndpointPolicy) == 0 {
			t.Error("the refusal was not counted as endpoint-policy")
		}
	})
}

func TestRouteToNobody(t *testing.T) {
	stuck := app()
	c := newCloud(t, stuck)
	c.echoOn(func() (net.Listener, error) { return c.outsider.Listen("tcp", ":7") })
	s := c.dialEcho(c.vm("vm-app").Stack, outsiderAddress.String()+":7")
	t.Run("ROUTE-14 an appliance that nobody owns", func(t *testing.T) {
		c := c.in(t)
		node := hostPlan(0, c.machines)
		routes := node.Host.Routes["routes-1"]
		node.Host.Routes = map[plan.Ref][]plan.Route{"routes-udr": {
			{Prefix: netip.MustParsePrefix("0.0.0.0/0"), Hop: plan.Hop{
				Type: model.NextHopVirtualAppliance, Source: model.SourceUser, Address: netip.MustParseAddr("10.10.10.10"), VNet: 7}},
			routes[len(routes)-1],
		}}
		node.Host.NICs[0].Routes = "routes-udr"
		if err := c.hosts[0].Apply(c.ctx, node); err != nil {
			t.Fatal(err)
		}
		_ = s.SetDeadline(time.Now().Add(300 * time.Millisecond))
		if err := s.roundTrip(100); err == nil {
			t.Error("the session went on through an appliance that nobody owns")
		}
		if c.counted(1, model.ReasonApplianceUnowned) == 0 {
			t.Error("no drop was counted as appliance-unowned")
		}
	})
	t.Run("ROUTE-14 the same session goes on when the route is gone", func(t *testing.T) {
		c := c.in(t)
		c.apply(stuck)
		_ = s.SetDeadline(time.Now().Add(20 * time.Second))
		got := make([]byte, 100)
		if _, err := io.ReadFull(s.reader, got); err != nil {
			t.Errorf("what was sent while the route led nowhere did not come back: %v", err)
		}
	})
}

func TestPlatform(t *testing.T) {
	c := newCloud(t, app(), twin())
	packets, err := c.gateway.ListenUDP(53)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := c.gateway.ListenTCP(53)
	if err != nil {
		t.Fatal(err)
	}
	asked := make(chan wire.Parts, 64)
	handler := dns.HandlerFunc(func(w dns.ResponseWriter, question *dns.Msg) {
		remote, err := netip.ParseAddrPort(w.RemoteAddr().String())
		if err != nil {
			return
		}
		asked <- wire.Parse(remote.Addr())
		answer := new(dns.Msg).SetReply(question)
		if question.Question[0].Name == "big.example." && w.RemoteAddr().Network() == "udp" {
			answer.Truncated = true
		} else {
			answer.Answer = append(answer.Answer, &dns.A{
				Hdr: dns.RR_Header{Name: question.Question[0].Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 1}, A: account.AsSlice(),
			})
		}
		_ = w.WriteMsg(answer)
	})
	for _, server := range []*dns.Server{{PacketConn: packets, Handler: handler}, {Listener: stream, Handler: handler}} {
		started := make(chan struct{})
		server.NotifyStartedFunc = func() { close(started) }
		go server.ActivateAndServe()
		<-started
		defer server.Shutdown()
	}
	for _, story := range []struct {
		rule, vm, name string
		subnet         model.Identity
		locator        model.Locator
	}{
		{"DNS-1 over UDP", "vm-app", "account.example", 4096, hostLocators[0]},
		{"DNS-1 over TCP when the answer is cut off", "vm-app", "big.example", 4096, hostLocators[0]},
		{"ID-1 the same address in another VNet is told apart", "vm-twin", "account.example", 4098, hostLocators[1]},
	} {
		t.Run(story.rule, func(t *testing.T) {
			c := c.in(t)
			ips, err := c.vm(story.vm).Resolver().LookupNetIP(c.ctx, "ip4", story.name+".")
			if err != nil {
				t.Fatal(err)
			}
			if len(ips) != 1 || ips[0].Unmap() != account {
				t.Errorf("the name has addresses %v; want %s", ips, account)
			}
			want := wire.Parts{Locator: story.locator, Identity: story.subnet, IPv4: netip.MustParseAddr("10.13.76.36")}
			for range len(asked) { // the resolver may have asked again, over TCP
				if got := <-asked; got != want {
					t.Errorf("the name server was asked by %+v; want %+v", got, want)
				}
			}
		})
	}
	t.Run("ID-1 metadata by HTTP", func(t *testing.T) {
		c := c.in(t)
		listener, err := c.gateway.ListenTCP(80)
		if err != nil {
			t.Fatal(err)
		}
		server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			local := r.Context().Value(http.LocalAddrContextKey).(net.Addr).(*net.TCPAddr).AddrPort().Addr()
			_, _ = io.WriteString(w, wire.Parse(local).IPv4.String())
		})}
		go server.Serve(listener)
		defer server.Close()
		transport := &http.Transport{DialContext: c.vm("vm-app").DialContext}
		defer transport.CloseIdleConnections()
		response, err := (&http.Client{Transport: transport, Timeout: 10 * time.Second}).Get("http://169.254.169.254/metadata")
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		if body, err := io.ReadAll(response.Body); err != nil || string(body) != "169.254.169.254" {
			t.Errorf("read %q, %v; want the address that was asked", body, err)
		}
	})
}

func TestSecurityGroup(t *testing.T) {
	guarded := neighbour()
	guarded.incoming = []plan.Rule{
		{Name: "web", Priority: 100, Allow: true, Protocol: model.ProtocolTCP, SourcePorts: model.AllPorts, DestinationPorts: model.PortRange{First: 80, Last: 80}},
		{Name: "rest", Priority: 200, SourcePorts: model.AllPorts, DestinationPorts: model.AllPorts},
	}
	c := newCloud(t, app(), guarded)
	for _, port := range []string{":80", ":81"} {
		c.echoOn(func() (net.Listener, error) { return c.vm("vm-near").Listen("tcp", port) })
	}
	t.Run("NSG-2 what a rule allows passes both ways", func(t *testing.T) {
		c := c.in(t)
		if err := c.dialEcho(c.vm("vm-app").Stack, "10.13.77.4:80").roundTrip(100_000); err != nil {
			t.Error(err)
		}
	})
	t.Run("NSG-1 the next port is denied in silence", func(t *testing.T) {
		c := c.in(t)
		ctx, cancel := context.WithTimeout(c.ctx, 200*time.Millisecond)
		defer cancel()
		if _, err := dialEcho(ctx, c.vm("vm-app").Stack, "10.13.77.4:81"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v; want silence", err)
		}
		if c.counted(2, model.ReasonSecurityGroup) == 0 {
			t.Error("the denial was not counted as security-group")
		}
	})
}

func TestAppliance(t *testing.T) {
	// All that leaves the VNet goes through vm-far, which forwards it as it is.
	client, router := neighbour(), remote()
	router.forwarding, router.public = true, "20.1.1.3"
	client.routes = []plan.Route{{Prefix: netip.MustParsePrefix("10.13.76.36/32"), Hop: plan.Hop{
		Type: model.NextHopVirtualAppliance, Source: model.SourceUser, Address: netip.MustParseAddr("10.13.76.50"), VNet: 7}}}
	c := newCloud(t, app(), client, router)
	t.Run("ROUTE-14 a packet goes through the NIC that owns the next hop", func(t *testing.T) {
		c := c.in(t)
		c.echoOn(func() (net.Listener, error) { return c.vm("vm-app").Listen("tcp", ":7") })
		s := c.dialEcho(c.vm("vm-near").Stack, "10.13.76.36:7")
		if s.peer.Addr() != netip.MustParseAddr("10.13.77.4") {
			t.Errorf("the peer is %s; want the client", s.peer)
		}
		if err := s.roundTrip(10_000); err != nil {
			t.Error(err)
		}
		if c.counted(2, model.ReasonAppliance) == 0 || c.counted(3, model.ReasonVirtualNetwork) == 0 {
			t.Error("the appliance saw no packet")
		}
	})
}

func TestForward(t *testing.T) {
	router := remote()
	router.forwarding = true
	vm := newCloud(t, router).vm("vm-far")
	passing := frame(neighbour().nic().MAC, "10.13.77.4", "10.13.76.36", 0x0800, nil)
	if !vm.forward(passing) {
		t.Fatal("a packet for somebody else is not forwarded")
	}
	ip := header.IPv4(passing[header.EthernetMinimumSize:])
	if ip.TTL() != 63 || !ip.IsChecksumValid() || model.MAC(passing[6:12]) != vm.nic.MAC || model.MAC(passing[:6]) != model.RouterMAC {
		t.Errorf("what is forwarded is %x", passing)
	}
	expiring := func(ip header.IPv4) { ip.SetTTL(1) }
	for name, stays := range map[string][]byte{
		"for the router itself":  frame(neighbour().nic().MAC, "10.13.77.4", "10.13.76.50", 0x0800, nil),
		"at the end of its time": frame(neighbour().nic().MAC, "10.13.77.4", "10.13.76.36", 0x0800, expiring),
		"of another EtherType":   frame(neighbour().nic().MAC, "10.13.77.4", "10.13.76.36", 0x0806, nil),
		"that is cut off":        passing[:20],
	} {
		if vm.forward(stays) {
			t.Errorf("a frame %s is forwarded", name)
		}
	}
}

package userspace

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"runtime"
	"syscall"
	"testing"
	"time"

	"postern/model"
	"postern/plan"
	"postern/wire"
)

func TestHostApply(t *testing.T) {
	c := newCloud(t, app(), neighbour())
	first, second := c.vm("vm-app"), c.vm("vm-near")
	t.Run("the same plan again changes nothing", func(t *testing.T) {
		c := c.in(t)
		c.apply(app(), neighbour())
		if c.vm("vm-app") != first || c.vm("vm-near") != second {
			t.Error("a VM was made again")
		}
	})
	t.Run("a change of what is judged alone keeps the VM", func(t *testing.T) {
		c := c.in(t)
		changed := app()
		changed.endpoint = true
		c.apply(changed, neighbour())
		if c.vm("vm-app") != first {
			t.Error("the VM was made again")
		}
	})
	t.Run("another address makes the VM again", func(t *testing.T) {
		c := c.in(t)
		moved := app()
		moved.address = "10.13.76.99"
		c.apply(moved, neighbour())
		vm := c.vm("vm-app")
		if vm == first {
			t.Fatal("the VM was kept")
		}
		c.echoOn(func() (net.Listener, error) { return c.vm("vm-near").Listen("tcp", ":7") })
		if s := c.dialEcho(vm.Stack, "10.13.77.4:7"); s.peer.Addr() != netip.MustParseAddr("10.13.76.99") {
			t.Errorf("the peer is %s; want the new address", s.peer)
		}
		if _, err := dialEcho(c.ctx, first.Stack, "10.13.77.4:7"); err == nil {
			t.Error("the VM that was replaced still sends")
		}
	})
	t.Run("a NIC that went takes its VM along", func(t *testing.T) {
		c := c.in(t)
		c.apply(app())
		if _, found := c.hosts[0].VM("vm-near"); found {
			t.Error("the VM is still there")
		}
		if _, found := c.hosts[0].VM(string(app().nic().ID)); !found {
			t.Error("the other VM is not found by its id")
		}
	})
	t.Run("a wrong plan changes nothing", func(t *testing.T) {
		c := c.in(t)
		if err := c.hosts[0].Apply(c.ctx, gatewayPlan(gatewayLocator)); err == nil {
			t.Error("a host took a gateway's plan")
		}
		broken := hostPlan(0, c.machines)
		broken.Host.NICs[0].Routes = "nothing"
		if err := c.hosts[0].Apply(c.ctx, broken); err == nil {
			t.Error("a host took a plan whose routes are missing")
		}
		ended, cancel := context.WithCancel(c.ctx)
		cancel()
		if err := c.hosts[0].Apply(ended, hostPlan(0, nil)); !errors.Is(err, context.Canceled) {
			t.Errorf("after its context ended Apply answers %v", err)
		}
		if len(c.hosts[0].VMs()) != 1 {
			t.Error("the VM is gone")
		}
	})
}

func TestAnycastGateways(t *testing.T) {
	with := app()
	with.endpoint = true
	c := newCloud(t, with)
	second, err := NewGateway(c.fabric, c.internet, "gateway-2")
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	if err := second.Apply(c.ctx, gatewayPlan(model.MustLocator("fd00:1:1:500::/56"))); err != nil {
		t.Fatal(err)
	}
	c.echoOn(func() (net.Listener, error) { return c.gateway.ListenTCP(443) })
	c.echoOn(func() (net.Listener, error) { return second.ListenTCP(443) })
	for _, stopped := range []*Gateway{c.gateway, second} {
		stopped.Stop()
		if err := c.dialEcho(c.vm("vm-app").Stack, account.String()+":443").roundTrip(10_000); err != nil {
			t.Errorf("with %s stopped: %v", stopped.name, err)
		}
		stopped.Start()
	}
	c.gateway.Stop()
	second.Stop()
	before := c.fabric.Counters().Stopped
	ctx, cancel := context.WithTimeout(c.ctx, 200*time.Millisecond)
	defer cancel()
	if _, err := dialEcho(ctx, c.vm("vm-app").Stack, account.String()+":443"); err == nil {
		t.Error("with both gateways stopped somebody answered")
	}
	if c.fabric.Counters().Stopped == before {
		t.Error("no packet was counted as for a stopped node")
	}
}

// TestGatewayFunctions sends the gateway packets that are for none of its functions.
func TestGatewayFunctions(t *testing.T) {
	c := newCloud(t, app())
	for _, to := range []wire.Parts{
		{Locator: gatewayLocator, Function: model.FunctionNIC, Identity: 1},
		{Locator: serviceLocator, Function: model.FunctionPlatform, Identity: 1},
		{Locator: platformLocator, Function: model.FunctionService, Identity: 16},
	} {
		to.IPv4 = account
		ctx, cancel := context.WithTimeout(c.ctx, 100*time.Millisecond)
		before := c.gateway.NotOurs()
		// The gateway's own stack may send to any address: the packet comes back to it over the fabric.
		from := wire.Parts{Locator: serviceLocator, Function: model.FunctionService, Identity: 16, IPv4: account}
		_, err := c.gateway.DialFrom(ctx, netip.AddrPortFrom(from.Address(), 4000), netip.AddrPortFrom(to.Address(), 443))
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("to %+v: %v; want silence", to, err)
		}
		if c.gateway.NotOurs() == before {
			t.Errorf("to %+v: not counted", to)
		}
	}
}

func TestJoinBySOCKS(t *testing.T) {
	with := app()
	with.endpoint = true
	c := newCloud(t, with)
	listener, err := c.gateway.ListenTCP(80)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.RemoteAddr) })}
	go server.Serve(listener)
	defer server.Close()
	address, err := c.hosts[0].SOCKS("vm-app")
	if err != nil {
		t.Fatal(err)
	}
	if again, err := c.hosts[0].SOCKS("vm-app"); err != nil || again != address {
		t.Errorf("the second call gives %s, %v; want %s", again, err, address)
	}
	if _, err := c.hosts[0].SOCKS("vm-none"); err == nil {
		t.Error("a NIC that is not there can be joined")
	}
	transport := &http.Transport{Proxy: http.ProxyURL(&url.URL{Scheme: "socks5h", Host: address})}
	defer transport.CloseIdleConnections()
	response, err := (&http.Client{Transport: transport, Timeout: 10 * time.Second}).Get("http://" + account.String() + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	peer, err := netip.ParseAddrPort(string(body))
	if err != nil || wire.Parse(peer.Addr()).Identity != 4096 {
		t.Errorf("the service saw %q; want a fabric address of subnet 4096", body)
	}
	c.apply()
	if conn, err := net.Dial("tcp", address); !errors.Is(err, syscall.ECONNREFUSED) {
		if err == nil {
			conn.Close()
		}
		t.Errorf("after the NIC went the server answers %v; want connection refused", err)
	}
}

// TestCloseEndsEverything counts goroutines before and after a cloud with traffic of every kind.
func TestCloseEndsEverything(t *testing.T) {
	before := runtime.NumGoroutine()
	t.Run("cloud", func(t *testing.T) {
		with := app()
		with.endpoint = true
		c := newCloud(t, with, neighbour(), remote())
		c.echoOn(func() (net.Listener, error) { return c.gateway.ListenTCP(443) })
		c.echoOn(func() (net.Listener, error) { return c.outsider.Listen("tcp", ":7") })
		c.echoOn(func() (net.Listener, error) { return c.vm("vm-far").Listen("tcp", ":7") })
		for _, address := range []string{account.String() + ":443", outsiderAddress.String() + ":7", "10.13.76.50:7"} {
			for _, vm := range []string{"vm-app", "vm-near"} {
				if err := c.dialEcho(c.vm(vm).Stack, address).roundTrip(10_000); err != nil {
					t.Errorf("%s to %s: %v", vm, address, err)
				}
			}
		}
		datagram, err := c.vm("vm-near").DialContext(c.ctx, "udp", outsiderAddress.String()+":9")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(datagram, "nobody listens"); err != nil {
			t.Fatal(err)
		}
		if _, err := c.hosts[0].SOCKS("vm-app"); err != nil {
			t.Fatal(err)
		}
	})
	// What a goroutine does after it told that it is done cannot be waited for, only given time.
	deadline := time.Now().Add(10 * time.Second)
	for runtime.NumGoroutine() > before && time.Now().Before(deadline) {
		runtime.Gosched()
	}
	if after := runtime.NumGoroutine(); after > before {
		stacks := make([]byte, 1<<20)
		t.Errorf("%d goroutines before, %d after:\n%s", before, after, stacks[:runtime.Stack(stacks, true)])
	}
}

// TestCloseDuringHandshake closes an edge while a VM leaves the edge's half of a handshake without an answer.
func TestCloseDuringHandshake(t *testing.T) {
	c := newCloud(t, neighbour())
	listener, err := c.outsider.Listen("tcp", ":7")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	c.hosts[0].Stop() // what comes back is lost
	ctx, cancel := context.WithCancel(c.ctx)
	dialled := make(chan struct{})
	go func() {
		defer close(dialled)
		if conn, err := c.vm("vm-near").DialContext(ctx, "tcp", outsiderAddress.String()+":7"); err == nil {
			conn.Close()
			t.Error("the VM got an answer over a host that is stopped")
		}
	}()
	accepted, err := listener.Accept() // the edge dials before it answers the VM
	if err != nil {
		t.Fatal(err)
	}
	defer accepted.Close()
	closed := make(chan struct{})
	go func() { c.edge.Close(); close(closed) }()
	select {
	case <-closed:
	case <-time.After(10 * time.Second):
		t.Error("Close waits for the VM")
	}
	cancel()
	<-dialled
}

func TestClosedNodes(t *testing.T) {
	c := newCloud(t, app())
	c.close()
	c.close()
	if err := c.hosts[0].Apply(c.ctx, hostPlan(0, c.machines)); err == nil {
		t.Error("a closed host took a plan")
	}
	if err := c.gateway.Apply(c.ctx, gatewayPlan(gatewayLocator)); err == nil {
		t.Error("a closed gateway took a plan")
	}
	if err := c.edge.Apply(c.ctx, edgePlan(nil)); err == nil {
		t.Error("a closed edge took a plan")
	}
	var none plan.Node
	for _, apply := range []func(context.Context, plan.Node) error{c.hosts[0].Apply, c.gateway.Apply, c.edge.Apply} {
		if err := apply(c.ctx, none); err == nil {
			t.Error("a plan of no role was taken")
		}
	}
}

// TestResetIsToldTwice meets a reset with a Write, after which gVisor's Read would answer the end of the stream.
func TestResetIsToldTwice(t *testing.T) {
	c := newCloud(t, app())
	listener, err := c.outsider.Listen("tcp", ":7")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	conn, err := c.vm("vm-app").DialContext(c.ctx, "tcp", outsiderAddress.String()+":7")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	accepted, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if err := accepted.(*Conn).Reset(); err != nil {
		t.Fatal(err)
	}
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	for err = nil; err == nil; _, err = conn.Write([]byte{1}) {
		runtime.Gosched() // until the reset is here
	}
	if !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("Write answers %v; want a reset", err)
	}
	if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("Read answers %v; want a reset", err)
	}
}

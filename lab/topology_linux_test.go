//go:build linux

package lab

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sys/unix"

	"postern/model"
	"postern/wire"
)

func TestFabric(t *testing.T) {
	c := newCloud(t)
	nodes := []struct {
		*Namespace
		node model.Node
	}{{c.hosts[0].Namespace, c.hosts[0].Node}, {c.hosts[1].Namespace, c.hosts[1].Node},
		{c.gateway.Namespace, c.gateway.Node}, {c.edge.Namespace, c.edge.Node}}
	for _, to := range nodes {
		number := port(serve(t, to.Namespace, "[::]:0"))
		for _, from := range nodes {
			if from.Namespace == to.Namespace {
				continue
			}
			t.Run(from.node.Name+" to "+to.node.Name, func(t *testing.T) {
				ping(t, from.Namespace, NodeAddress(to.node))
				server, client, own := ask(t, from.Namespace, net.JoinHostPort(NodeAddress(to.node).String(), number))
				if client != own || client.Addr() != NodeAddress(from.node) || server.Addr() != NodeAddress(to.node) {
					t.Errorf("server saw %s from %s, client is %s; want the nodes' own addresses", server, client, own)
				}
			})
		}
	}
}

// ping sends one ICMPv6 echo request, and waits for its reply.
func ping(t *testing.T, from *Namespace, to netip.Addr) {
	t.Helper()
	conn, err := from.ListenPacket(bounded(t), "ip6:ipv6-icmp", "::")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	const echoRequest, echoReply = 128, 129
	request := []byte{echoRequest, 0, 0, 0, 0x12, 0x34, 0, 1}
	if _, err := conn.WriteTo(request, &net.IPAddr{IP: to.AsSlice()}); err != nil {
		t.Fatal(err)
	}
	reply := make([]byte, 256)
	for range 100 {
		count, source, err := conn.ReadFrom(reply)
		if err != nil {
			t.Fatalf("wait for the echo reply of %s: %v", to, err)
		}
		if count >= 8 && reply[0] == echoReply && reply[4] == 0x12 && source.String() == to.String() {
			return
		}
	}
	t.Fatalf("no echo reply of %s among 100 packets", to)
}

func TestFabricMTU(t *testing.T) {
	c := newCloud(t)
	for _, mtu := range []int{model.DefaultSettings.FabricMTU, 2000, 1400} {
		if err := c.SetFabricMTU(mtu); err != nil {
			t.Fatal(err)
		}
		for _, namespace := range []*Namespace{c.hosts[0].Namespace, c.gateway.Namespace, c.edge.Namespace} {
			wantMTU(t, namespace, FabricLink, mtu)
		}
		wantMTU(t, c.edge.Namespace, ShadowLink, mtu-40)
	}
	if err := c.SetFabricMTU(1279); err == nil {
		t.Error("an MTU that IPv6 cannot live with was taken")
	}
}

func wantMTU(t *testing.T, namespace *Namespace, ifname string, mtu int) {
	t.Helper()
	if err := namespace.Do(func() error {
		link, err := net.InterfaceByName(ifname)
		if err == nil && link.MTU != mtu {
			t.Errorf("%s on %s: MTU %d, want %d", ifname, namespace.Name, link.MTU, mtu)
		}
		return err
	}); err != nil {
		t.Error(err)
	}
}

func TestRemoveNode(t *testing.T) {
	c := newCloud(t)
	gone := c.hosts[1].Namespace
	if err := c.RemoveNode(gone); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat("/run/netns/" + gone.Name); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the namespace of a removed node: %v, want none", err)
	}
	ping(t, c.hosts[0].Namespace, NodeAddress(c.gateway.Node))
	if _, err := c.AddHost(c.hosts[1].Node); err != nil {
		t.Fatalf("a node of the same name and locator again: %v", err)
	}
	ping(t, c.hosts[0].Namespace, NodeAddress(c.hosts[1].Node))
}

func TestAnyIP(t *testing.T) {
	c := newCloud(t)
	number := port(serve(t, c.gateway.Namespace, "[::]:0"))
	addresses := []netip.Addr{
		wire.Parts{Locator: c.gateway.Node.ServiceLocator, Function: model.FunctionService, Identity: 16, IPv4: serviceAddress}.Address(),
		wire.Parts{Locator: c.gateway.Node.ServiceLocator, Function: 255, Identity: 1<<32 - 1,
			IPv4: netip.MustParseAddr("255.255.255.255")}.Address(),
		wire.Parts{Locator: c.gateway.Node.PlatformLocator, Function: model.FunctionPlatform,
			Identity: model.IdentityPlatform, IPv4: model.PlatformDNS}.Address(),
	}
	for _, address := range addresses {
		server, _, _ := ask(t, c.hosts[0].Namespace, net.JoinHostPort(address.String(), number))
		if server.Addr() != address {
			t.Errorf("server's own address is %s, want %s", server.Addr(), address)
		}
	}
}

func TestSharedAnycast(t *testing.T) {
	c := newCloud(t)
	second, err := c.AddGateway(testGateway("gateway-b", "fd00:1:2:200::/56"))
	if err != nil {
		t.Fatal(err)
	}
	number := port(serve(t, c.gateway.Namespace, "[::]:4430"))
	serve(t, second.Namespace, "[::]:4430")
	served := map[string]int{}
	for i := range 32 { // which one is a matter of the addresses' hash: all to one side is a chance of 1 in 2^31
		parts := wire.Parts{Locator: second.Node.ServiceLocator, Function: model.FunctionService, Identity: 16,
			IPv4: netip.AddrFrom4([4]byte{20, 60, 1, byte(i)})}
		answer, _ := answerOf(t, c.hosts[0].Namespace, net.JoinHostPort(parts.Address().String(), number))
		served[answer[2]]++
	}
	if len(served) != 2 {
		t.Errorf("32 addresses were served by %v, want by both gateways", served)
	}
	ping(t, c.hosts[0].Namespace, NodeAddress(second.Node))
}

func TestGatewayPublicAddress(t *testing.T) {
	c := newCloud(t)
	number := port(serve(t, c.gateway.Namespace, "[::]:0"))
	target := net.JoinHostPort(serviceAddress.String(), number)
	if _, err := c.outsider.DialContext(bounded(t), "tcp", target); !errors.Is(err, unix.ENETUNREACH) && !errors.Is(err, unix.EHOSTUNREACH) {
		t.Errorf("before it is set: got %v, want unreachable", err)
	}
	for range 2 { // setting the same again changes nothing
		if err := c.gateway.SetPublic([]netip.Addr{serviceAddress, netip.MustParseAddr("20.60.1.8")}); err != nil {
			t.Fatal(err)
		}
	}
	server, client, _ := ask(t, c.outsider, target)
	if server.Addr().Unmap() != serviceAddress || client.Addr().Unmap() != outsiderAddress {
		t.Errorf("server saw %s from %s, want %s from %s", server, client, serviceAddress, outsiderAddress)
	}
	if err := c.edge.SetPublic([]netip.Addr{serviceAddress}, nil); err == nil {
		t.Error("an edge took an address that a gateway has")
	}
	if server, _, _ := ask(t, c.outsider, target); server.Addr().Unmap() != serviceAddress {
		t.Errorf("after a refused change: server is %s", server)
	}
	if err := c.gateway.SetPublic(nil); err != nil {
		t.Fatal(err)
	}
	if _, err := c.outsider.DialContext(bounded(t), "tcp", target); !errors.Is(err, unix.ENETUNREACH) && !errors.Is(err, unix.EHOSTUNREACH) {
		t.Errorf("after it was taken away: got %v, want unreachable", err)
	}
}

func TestWrongNodes(t *testing.T) {
	c := newCloud(t)
	nowhere := testHost(0, "host-z")
	nowhere.Locator = model.Locator{}
	for what, try := range map[string]func() error{
		"a name that is taken":       func() error { _, err := c.AddHost(testHost(1, "host-a")); return err },
		"a name with a slash":        func() error { _, err := c.AddHost(testHost(1, "../host")); return err },
		"a locator that is taken":    func() error { _, err := c.AddHost(testHost(1, "host-c")); return err },
		"no locator":                 func() error { _, err := c.AddHost(nowhere); return err },
		"a gateway as host":          func() error { _, err := c.AddHost(testGateway("host-d", "fd00:9::/56")); return err },
		"an outsider with IPv6":      func() error { _, err := c.AddOutsider("six", netip.IPv6Loopback()); return err },
		"an outsider's own address":  func() error { _, err := c.AddOutsider("twin", outsiderAddress); return err },
		"an IPv6 public address":     func() error { return c.gateway.SetPublic([]netip.Addr{netip.IPv6Loopback()}) },
		"a VM outside of its subnet": func() error { _, err := c.AddVM(c.hosts[0], "vm", NIC{Address: testNIC().Address}); return err },
	} {
		if err := try(); err == nil {
			t.Errorf("%s: no error", what)
		}
	}
}

func TestDialByName(t *testing.T) {
	c := newCloud(t)
	platform, err := c.AddOutsider("platform", model.PlatformDNS)
	if err != nil {
		t.Fatal(err)
	}
	packets, err := platform.ListenPacket(bounded(t), "udp", "0.0.0.0:53")
	if err != nil {
		t.Fatal(err)
	}
	server := &dns.Server{PacketConn: packets, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, query *dns.Msg) {
		answer := new(dns.Msg).SetReply(query)
		if question := query.Question[0]; question.Qtype == dns.TypeA && question.Name == "two.example." {
			for _, address := range []string{"203.0.113.99", outsiderAddress.String()} { // nobody has the first
				answer.Answer = append(answer.Answer, &dns.A{A: net.ParseIP(address),
					Hdr: dns.RR_Header{Name: question.Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 1}})
			}
		}
		w.WriteMsg(answer)
	})}
	ended := make(chan error, 1)
	go func() { ended <- server.ActivateAndServe() }()
	t.Cleanup(func() { packets.Close(); <-ended })

	client, err := c.AddOutsider("client", netip.MustParseAddr("203.0.113.60"))
	if err != nil {
		t.Fatal(err)
	}
	number := port(serve(t, c.outsider, "0.0.0.0:0"))
	if _, err := client.DialContext(bounded(t), "tcp", "two.example:"+number); err == nil {
		t.Error("a machine without a resolver resolved a name")
	}
	client.resolver = model.PlatformDNS
	if server, _, _ := ask(t, client, "two.example:"+number); server.Addr() != outsiderAddress {
		t.Errorf("reached %s, want %s", server, outsiderAddress)
	}
}

// withMark gives a socket a firewall mark.
func withMark(mark int) func(network, address string, conn syscall.RawConn) error {
	return func(_, _ string, conn syscall.RawConn) (failure error) {
		err := conn.Control(func(socket uintptr) {
			failure = unix.SetsockoptInt(int(socket), unix.SOL_SOCKET, unix.SO_MARK, mark)
		})
		return errors.Join(err, failure)
	}
}

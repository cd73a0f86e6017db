package userspace

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"postern/model"
	"postern/plan"
)

// Addresses of the cloud that the stories are set in.
var (
	hostLocators    = []model.Locator{model.MustLocator("fd00:1:1:100::/56"), model.MustLocator("fd00:1:1:200::/56")}
	gatewayLocator  = model.MustLocator("fd00:1:1:300::/56")
	edgeLocator     = model.MustLocator("fd00:1:1:400::/56")
	serviceLocator  = model.MustLocator("fd00:1:1:a00::/56")
	platformLocator = model.MustLocator("fd00:1:1:b00::/56")

	storagePrefix   = netip.MustParsePrefix("20.60.0.0/16")
	account         = netip.MustParseAddr("20.60.1.1")
	rogueAccount    = netip.MustParseAddr("20.60.1.2")
	outboundAddress = netip.MustParseAddr("20.9.9.9")
	outsiderAddress = netip.MustParseAddr("198.51.100.7")
)

const storageIdentity model.Identity = 16

// machine is one NIC of a story.
type machine struct {
	name       string
	number     uint32
	host       int // 0 or 1
	vnet       uint32
	subnet     model.Identity
	address    string
	public     string // "" for none
	noOutbound bool
	nat        []netip.Addr // of its NAT gateway, the first one for its new connections; nil for none
	endpoint   bool         // Microsoft.Storage is enabled
	policy     []netip.Addr // nil for no service endpoint policy
	incoming   []plan.Rule  // nil lets all in
	forwarding bool
	routes     []plan.Route // before the default ones
}

func (m machine) nic() plan.NIC {
	nic := plan.NIC{
		Number: m.number, VNet: m.vnet, Subnet: m.subnet, IPv4: netip.MustParseAddr(m.address),
		ID:         model.ResourceID("/subscriptions/s/resourceGroups/g/providers/Microsoft.Network/networkInterfaces/" + m.name),
		MAC:        model.MAC{0x02, 0, 0, 0, 0, byte(m.number)},
		Outbound:   !m.noOutbound || m.public != "" || m.nat != nil,
		NATGateway: m.nat != nil,
		Forwarding: m.forwarding,
		Routes:     plan.Ref(fmt.Sprintf("routes-%d", m.number)),
		Services:   "services",
	}
	if m.endpoint {
		nic.EnabledServices = 1
	}
	if m.policy != nil {
		nic.Policy = plan.Ref(fmt.Sprintf("policy-%d", m.number))
	}
	if m.incoming != nil {
		nic.Incoming[0] = plan.Ref(fmt.Sprintf("rules-%d", m.number))
	}
	return nic
}

// hostPlan is the plan of one host of the machines' cloud.
func hostPlan(host int, machines []machine) plan.Node {
	h := &plan.Host{
		Platform: platformLocator, Egress: edgeLocator, Routes: map[plan.Ref][]plan.Route{}, Rules: map[plan.Ref][]plan.Rule{},
		Sets: map[plan.Ref][]netip.Prefix{}, Policies: map[plan.Ref][]netip.Addr{},
		Services: map[plan.Ref]plan.ServiceTable{"services": {
			Targets: []plan.ServiceTarget{{Service: storageIdentity, Region: "westeurope", Locator: serviceLocator}},
			Entries: []plan.ServiceEntry{{Prefix: storagePrefix, Regional: true,
				Candidates: []plan.ServiceCandidate{{Bit: 0, Bits: uint8(storagePrefix.Bits()), Target: 0}}}},
		}},
	}
	for _, m := range machines {
		nic := m.nic()
		h.Directory = append(h.Directory, plan.Location{
			VNet: m.vnet, IPv4: nic.IPv4, Subnet: m.subnet, Locator: hostLocators[m.host], Forwarding: m.forwarding,
		})
		if m.host != host {
			continue
		}
		h.NICs = append(h.NICs, nic)
		h.Routes[nic.Routes] = append(append([]plan.Route{}, m.routes...),
			plan.Route{Prefix: netip.MustParsePrefix("0.0.0.0/0"), Hop: plan.Hop{Type: model.NextHopInternet}},
			plan.Route{Prefix: netip.MustParsePrefix("10.13.0.0/16"), Hop: plan.Hop{Type: model.NextHopVnetLocal, VNet: m.vnet}})
		if m.policy != nil {
			h.Policies[nic.Policy] = m.policy
		}
		if m.incoming != nil {
			h.Rules[nic.Incoming[0]] = m.incoming
		}
	}
	return plan.Node{
		Node: fmt.Sprintf("host-%d", host), Role: model.RoleHost, Location: "westeurope", Locator: hostLocators[host],
		FabricMTU: model.DefaultSettings.FabricMTU, Host: h,
	}
}

func gatewayPlan(locator model.Locator) plan.Node {
	return plan.Node{
		Node: "gateway", Role: model.RoleGateway, Location: "westeurope", Locator: locator,
		FabricMTU: model.DefaultSettings.FabricMTU,
		Gateway: &plan.Gateway{
			ServiceLocator: serviceLocator, PlatformLocator: platformLocator, Addresses: []netip.Addr{account, rogueAccount},
		},
	}
}

func platformAddress(number uint32) netip.Addr {
	return netip.AddrFrom4([4]byte{100, 64, 0, byte(number)})
}

func edgePlan(machines []machine) plan.Node {
	e := &plan.Edge{OutboundAddress: outboundAddress, PlatformPool: netip.MustParsePrefix("100.64.0.0/10"), NATGateways: map[plan.Ref]plan.NATGateway{}}
	for _, m := range machines {
		nic := plan.EgressNIC{
			Subnet: m.subnet, IPv4: netip.MustParseAddr(m.address), Locator: hostLocators[m.host],
			PlatformAddress: platformAddress(m.number), Outbound: !m.noOutbound,
		}
		if m.public != "" {
			nic.Public = netip.MustParseAddr(m.public)
		}
		if m.nat != nil {
			nic.NATGateway, nic.NATAddress = plan.Ref("nat-"+m.name), m.nat[0]
			e.NATGateways[nic.NATGateway] = plan.NATGateway{ID: model.ResourceID(nic.NATGateway), Addresses: m.nat}
		}
		e.NICs = append(e.NICs, nic)
	}
	return plan.Node{
		Node: "edge", Role: model.RoleEdge, Location: "westeurope", Locator: edgeLocator,
		FabricMTU: model.DefaultSettings.FabricMTU, Edge: e,
	}
}

// cloud is everything that a story needs, running.
type cloud struct {
	t        testing.TB
	ctx      context.Context
	fabric   *Fabric
	internet *Internet
	hosts    []*Host
	gateway  *Gateway
	edge     *Edge
	outsider *Outsider
	machines []machine
}

// newCloud starts two hosts, a gateway, an edge and an outsider, and applies the plans of the machines.
func newCloud(t testing.TB, machines ...machine) *cloud {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	c := &cloud{t: t, ctx: ctx, fabric: NewFabric(model.DefaultSettings.FabricMTU), internet: NewInternet()}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	prefix := func(nic plan.NIC) netip.Prefix { return netip.PrefixFrom(nic.IPv4, 24).Masked() }
	for i := range hostLocators {
		c.hosts = append(c.hosts, NewHost(c.fabric, fmt.Sprintf("host-%d", i), HostOptions{Prefix: prefix}))
	}
	var err error
	c.gateway, err = NewGateway(c.fabric, c.internet, "gateway")
	must(err)
	c.edge, err = NewEdge(c.fabric, c.internet, "edge", EdgeOptions{})
	must(err)
	c.outsider, err = c.internet.AddOutsider("outsider", outsiderAddress)
	must(err)
	t.Cleanup(func() {
		cancel()
		c.close()
	})
	c.apply(machines...)
	must(c.gateway.Apply(ctx, gatewayPlan(gatewayLocator)))
	return c
}

// in is the cloud for a subtest: failures are the subtest's.
func (c *cloud) in(t testing.TB) *cloud {
	same := *c
	same.t = t
	return &same
}

func (c *cloud) close() {
	for _, host := range c.hosts {
		host.Close()
	}
	c.gateway.Close()
	c.edge.Close()
	c.internet.Close()
}

// apply makes machines those of the cloud.
func (c *cloud) apply(machines ...machine) {
	c.t.Helper()
	c.machines = machines
	for i, host := range c.hosts {
		if err := host.Apply(c.ctx, hostPlan(i, machines)); err != nil {
			c.t.Fatal(err)
		}
	}
	if err := c.edge.Apply(c.ctx, edgePlan(machines)); err != nil {
		c.t.Fatal(err)
	}
}

func (c *cloud) vm(name string) *VM {
	c.t.Helper()
	for _, host := range c.hosts {
		if vm, ok := host.VM(name); ok {
			return vm
		}
	}
	c.t.Fatalf("no VM %s", name)
	return nil
}

// counted is how many packets of a NIC met a reason, on all hosts.
func (c *cloud) counted(nic uint32, reason model.Reason) uint64 {
	var packets uint64
	for _, host := range c.hosts {
		for _, counter := range host.Counters() {
			if counter.NIC == nic && counter.Reason == reason {
				packets += counter.Packets
			}
		}
	}
	return packets
}

// echo serves connections: each is told both its addresses in a line, then gets back what it sends.
func echo(t testing.TB, listener net.Listener) {
	t.Helper()
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				fmt.Fprintf(conn, "%s %s\n", conn.RemoteAddr(), conn.LocalAddr())
				_, _ = io.Copy(conn, conn)
			}()
		}
	}()
}

func (c *cloud) echoOn(listen func() (net.Listener, error)) {
	c.t.Helper()
	listener, err := listen()
	if err != nil {
		c.t.Fatal(err)
	}
	echo(c.t, listener)
}

// session is an open connection to an echo server, with what the server sees of it.
type session struct {
	net.Conn
	reader       *bufio.Reader
	peer, server netip.AddrPort
}

func dialEcho(ctx context.Context, from *Stack, address string) (*session, error) {
	conn, err := from.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	s := &session{Conn: conn, reader: bufio.NewReader(conn)}
	line, err := s.reader.ReadString('\n')
	if err != nil {
		conn.Close()
		return nil, err
	}
	peer, server, _ := strings.Cut(strings.TrimSpace(line), " ")
	s.peer, s.server = netip.MustParseAddrPort(peer), netip.MustParseAddrPort(server)
	return s, nil
}

func (c *cloud) dialEcho(from *Stack, address string) *session {
	c.t.Helper()
	s, err := dialEcho(c.ctx, from, address)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { s.Close() })
	return s
}

// roundTrip sends size bytes and compares what comes back.
func (s *session) roundTrip(size int) error {
	sent := make([]byte, size)
	for i := range sent {
		sent[i] = byte(i * 7)
	}
	failed := make(chan error, 1)
	go func() {
		_, err := s.Write(sent)
		failed <- err
	}()
	got := make([]byte, size)
	if _, err := io.ReadFull(s.reader, got); err != nil {
		return fmt.Errorf("read what was echoed: %w", err)
	}
	if string(got) != string(sent) {
		return fmt.Errorf("%d bytes came back changed", size)
	}
	return <-failed
}

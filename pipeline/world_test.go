package pipeline

import (
	"net/netip"
	"testing"
	"time"

	"postern/model"
	"postern/plan"
)

// The small cloud of the tests: two hosts, an edge, a gateway's locators.
//
//	host a: NIC 1 10.1.0.4 (subnet 5000), NIC 2 10.1.1.4 (subnet 5001, an appliance),
//	        NIC 5 10.1.2.4 (subnet 5003: private, endpoint policy, platform denied), NIC 6 10.1.2.5 (no routes)
//	host b: NIC 3 10.1.0.5 (subnet 5000), NIC 4 10.2.0.4 (subnet 5002, of the peered VNet 2)
var (
	locatorA        = model.MustLocator("fd00:1:1:100::/56")
	locatorB        = model.MustLocator("fd00:1:1:200::/56")
	locatorService  = model.MustLocator("fd00:1:2:100::/56")
	locatorPlatform = model.MustLocator("fd00:1:2:200::/56")
	locatorEdge     = model.MustLocator("fd00:1:3:100::/56")
)

const (
	subnetApp, subnetAppliance, subnetPeer, subnetPrivate = model.Identity(5000), model.Identity(5001), model.Identity(5002), model.Identity(5003)
	identityStorage                                       = model.Identity(16)
	identitySQL                                           = model.Identity(17)

	vmApp, vmAppliance, vmPeer, vmNeighbour, vmPrivate, vmRouteless = "10.1.0.4", "10.1.1.4", "10.2.0.4", "10.1.0.5", "10.1.2.4", "10.1.2.5"

	storage      = "20.60.0.10"    // by endpoint, of the own region
	storageAway  = "20.61.0.10"    // by endpoint, no gateway serves it
	sqlServer    = "20.62.0.10"    // of the own region, not enabled
	outsider     = "93.184.216.34" // the Internet
	publicApp    = "52.1.1.4"      // NIC 1's instance-level public address
	platformApp  = "25.0.0.1"      // NIC 1's platform address
	rogueStorage = "20.60.0.66"    // not in NIC 5's policy
	dns          = "168.63.129.16" // the platform
	metadata     = "169.254.169.254"
)

func macOf(number uint32) model.MAC { return model.MAC{2, 0, 0, 0, 0, byte(number)} }

func prefix(text string) netip.Prefix { return netip.MustParsePrefix(text) }

func hopTo(kind model.NextHopType, source model.RouteSource, vnet uint32, address string) plan.Hop {
	h := plan.Hop{Type: kind, Source: source, VNet: vnet}
	if address != "" {
		h.Address = netip.MustParseAddr(address)
	}
	return h
}

func hostPlan(name string, locator model.Locator) plan.Node {
	locations := []plan.Location{
		{VNet: 1, IPv4: netip.MustParseAddr(vmApp), Subnet: subnetApp, Locator: locatorA},
		{VNet: 1, IPv4: netip.MustParseAddr(vmNeighbour), Subnet: subnetApp, Locator: locatorB},
		{VNet: 1, IPv4: netip.MustParseAddr(vmAppliance), Subnet: subnetAppliance, Locator: locatorA, Forwarding: true},
		{VNet: 1, IPv4: netip.MustParseAddr(vmPrivate), Subnet: subnetPrivate, Locator: locatorA},
		{VNet: 2, IPv4: netip.MustParseAddr(vmPeer), Subnet: subnetPeer, Locator: locatorB},
	}
	appliance := func(address string) plan.Hop {
		return hopTo(model.NextHopVirtualAppliance, model.SourceUser, 1, address)
	}
	routes := []plan.Route{
		{Prefix: prefix("0.0.0.0/0"), Hop: hopTo(model.NextHopInternet, model.SourceDefault, 0, "")},
		{Prefix: prefix("10.0.0.0/8"), Hop: hopTo(model.NextHopNone, model.SourceDefault, 0, "")},
		{Prefix: prefix("10.1.0.0/16"), Hop: hopTo(model.NextHopVnetLocal, model.SourceDefault, 1, "")},
		{Prefix: prefix("10.2.0.0/16"), Hop: hopTo(model.NextHopVNetPeering, model.SourceDefault, 2, "")},
		{Prefix: prefix("203.0.113.0/24"), Hop: appliance(vmAppliance)},
		{Prefix: prefix("198.51.100.0/26"), Hop: appliance("10.1.0.99")},
		{Prefix: prefix("198.51.100.64/26"), Hop: appliance(vmNeighbour)},
		{Prefix: prefix("198.51.100.128/26"), Hop: hopTo(model.NextHopVirtualNetworkGateway, model.SourceVirtualNetworkGateway, 0, "")},
		{Prefix: prefix("198.51.100.192/26"), Hop: hopTo(model.NextHopInterfaceEndpoint, model.SourceDefault, 0, "")},
	}
	any := model.AllPorts
	rules := map[plan.Ref][]plan.Rule{
		"out": {
			{Name: "no-mail", Priority: 100, Protocol: 6, SourcePorts: any, DestinationPorts: model.PortRange{First: 25, Last: 25}},
			{Name: "AllowAllOutBound", Priority: 65001, Allow: true, SourcePorts: any, DestinationPorts: any},
		},
		"in": {
			{Name: "web", Priority: 100, Allow: true, Protocol: 6, SourcePorts: any, DestinationPorts: model.PortRange{First: 80, Last: 80}},
			{Name: "AllowVnetInBound", Priority: 65000, Allow: true, Source: "vnet", SourcePorts: any, DestinationPorts: any},
			{Name: "DenyAllInBound", Priority: 65500, SourcePorts: any, DestinationPorts: any},
		},
	}
	services := plan.ServiceTable{
		Targets: []plan.ServiceTarget{{Service: identityStorage, Locator: locatorService}, {Service: identityStorage},
			{Service: identitySQL, Locator: locatorService}},
		Entries: []plan.ServiceEntry{
			{Prefix: prefix("20.60.0.0/16"), Regional: true, Candidates: []plan.ServiceCandidate{{Bit: 0, Bits: 16, Target: 0}}},
			{Prefix: prefix("20.61.0.0/16"), Candidates: []plan.ServiceCandidate{{Bit: 0, Bits: 16, Target: 1}}},
			{Prefix: prefix("20.62.0.0/16"), Regional: true, Candidates: []plan.ServiceCandidate{{Bit: 2, Bits: 16, Target: 2}}},
		},
	}
	node := plan.Node{Node: name, Role: model.RoleHost, Locator: locator, FabricMTU: 1600, Host: &plan.Host{
		Platform: locatorPlatform, Egress: locatorEdge, Directory: locations,
		Routes: map[plan.Ref][]plan.Route{"routes": routes}, Rules: rules,
		Sets:     map[plan.Ref][]netip.Prefix{"vnet": {prefix("10.1.0.0/16"), prefix("10.2.0.0/16")}},
		Policies: map[plan.Ref][]netip.Addr{"own": {netip.MustParseAddr(storage), netip.MustParseAddr(storageAway)}},
		Services: map[plan.Ref]plan.ServiceTable{"westeurope": services},
	}}
	nic := func(number uint32, subnet model.Identity, address string) plan.NIC {
		return plan.NIC{Number: number, VNet: 1, Subnet: subnet, IPv4: netip.MustParseAddr(address), MAC: macOf(number),
			Outbound: true, Routes: "routes", Services: "westeurope", EnabledServices: 1,
			Outgoing: [2]plan.Ref{"out", ""}, Incoming: [2]plan.Ref{"", "in"}}
	}
	if locator == locatorB {
		peer := nic(4, subnetPeer, vmPeer)
		peer.VNet = 2
		node.Host.NICs = []plan.NIC{nic(3, subnetApp, vmNeighbour), peer}
		return node
	}
	appliance2, private, routeless := nic(2, subnetAppliance, vmAppliance), nic(5, subnetPrivate, vmPrivate), nic(6, subnetPrivate, vmRouteless)
	appliance2.Forwarding, appliance2.Incoming = true, [2]plan.Ref{}
	private.Outbound, private.Policy, private.DenyDNS, private.DenyMetadata = false, "own", true, true
	routeless.Routes, routeless.Services = "", ""
	node.Host.NICs = []plan.NIC{nic(1, subnetApp, vmApp), appliance2, private, routeless}
	return node
}

func edgePlan() plan.Node {
	return plan.Node{Node: "edge", Role: model.RoleEdge, Locator: locatorEdge, FabricMTU: 1600, Edge: &plan.Edge{
		OutboundAddress: netip.MustParseAddr("52.1.1.1"), PlatformPool: prefix("25.0.0.0/16"),
		NICs: []plan.EgressNIC{
			{Subnet: subnetApp, IPv4: netip.MustParseAddr(vmApp), Locator: locatorA, Public: netip.MustParseAddr(publicApp),
				PlatformAddress: netip.MustParseAddr(platformApp)},
			{Subnet: subnetApp, IPv4: netip.MustParseAddr(vmNeighbour), Locator: locatorB, Outbound: true,
				PlatformAddress: netip.MustParseAddr("25.0.0.2")},
			{Subnet: subnetPrivate, IPv4: netip.MustParseAddr(vmPrivate), Locator: locatorA, PlatformAddress: netip.MustParseAddr("25.0.0.3")},
		}}}
}

// world is the cloud with its plans applied and a clock that only the test moves.
type world struct {
	clock        int64
	a, b         *Host
	edge         *Edge
	planA, planB plan.Node
	out          []byte
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{clock: int64(time.Hour), edge: NewEdge(), planA: hostPlan("a", locatorA), planB: hostPlan("b", locatorB),
		out: make([]byte, 0, 70000)}
	now := func() int64 { return w.clock }
	w.a, w.b = NewHost(now), NewHost(now)
	w.apply(t)
	if err := w.edge.Apply(edgePlan()); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) apply(t testing.TB) {
	t.Helper()
	if err := w.a.Apply(w.planA); err != nil {
		t.Fatal(err)
	}
	if err := w.b.Apply(w.planB); err != nil {
		t.Fatal(err)
	}
}

func (w *world) wait(d time.Duration) { w.clock += int64(d) }

// send judges an IPv4 packet of a NIC of host a; the answer is the caller's to keep.
func (w *world) send(nic uint32, ip []byte) Result {
	return kept(w.a.FromVM(nic, frameFrom(macOf(nic), 0x0800, ip), w.out))
}

// receive judges a fabric packet at host a.
func (w *world) receive(ip []byte) Result { return kept(w.a.FromFabric(ip, w.out)) }

func kept(r Result) Result {
	r.Data = append([]byte(nil), r.Data...)
	return r
}

// tunnelled is an IPv4 packet from NIC 3 to NIC 1 on the fabric.
func tunnelled(ip []byte) []byte {
	return ip6(fabric(locatorB, model.FunctionNIC, subnetApp, vmNeighbour), fabric(locatorA, model.FunctionNIC, subnetApp, vmApp), 4, ip)
}

// fromStorage is a packet of the storage service to NIC 1.
func fromStorage(next byte, payload []byte) []byte {
	return ip6(fabric(locatorService, model.FunctionService, identityStorage, storage),
		fabric(locatorA, model.FunctionNIC, subnetApp, vmApp), next, payload)
}

func want(t testing.TB, r Result, action model.Action, reason model.Reason) Result {
	t.Helper()
	if r.Verdict != (model.Verdict{Action: action, Reason: reason}) {
		t.Fatalf("verdict %v, %v; want %v, %v", r.Verdict.Action, r.Verdict.Reason, action, reason)
	}
	return r
}

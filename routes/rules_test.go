package routes

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"postern/model"
	"postern/plan"
	"postern/servicetag"
	"postern/servicetag/tagtest"
)

func prefixes(texts ...string) []netip.Prefix {
	var list []netip.Prefix
	for _, text := range texts {
		list = append(list, netip.MustParsePrefix(text))
	}
	return list
}

// user makes a route of a user: a prefix or a service tag, and "VirtualAppliance 10.0.0.4" or another next hop.
func user(name, destination, hop string) model.UserRoute {
	route := model.UserRoute{Name: name}
	if prefix, err := netip.ParsePrefix(destination); err == nil {
		route.Prefix = prefix
	} else {
		route.ServiceTag = destination
	}
	kind, address, _ := strings.Cut(hop, " ")
	for t := model.NextHopNone; t <= model.NextHopInterfaceEndpoint; t++ {
		if t.String() == kind {
			route.NextHopType = t
		}
	}
	if address != "" {
		route.NextHopIPAddress = netip.MustParseAddr(address)
	}
	return route
}

func learnt(texts ...string) []GatewayRoute {
	var list []GatewayRoute
	for _, prefix := range prefixes(texts...) {
		list = append(list, GatewayRoute{prefix, netip.MustParseAddr("10.13.255.4")})
	}
	return list
}

func regionOf(t testing.TB, catalogue *servicetag.Catalogue) *Region {
	t.Helper()
	region, err := NewRegion(catalogue, "westeurope")
	if err != nil {
		t.Fatal(err)
	}
	return region
}

// input is VNet 1, 10.13.0.0/16, in westeurope, with some routes and endpoints.
func input(t testing.TB, routes []model.UserRoute, endpoints ...string) Input {
	return Input{
		VirtualNetwork: &model.VirtualNetwork{ID: "/subscriptions/s/vnets/own", Number: 1, Location: "westeurope", AddressSpace: prefixes("10.13.0.0/16")},
		Subnet:         &model.Subnet{Prefixes: prefixes("10.13.76.0/24"), ServiceEndpoints: endpoints},
		RouteTable:     &model.RouteTable{Routes: routes},
		Region:         regionOf(t, servicetag.BuiltIn()),
	}
}

// lines writes the effective routes but for the endpoints' prefixes, of which it gives the number.
func lines(table *Table) string {
	var text strings.Builder
	for _, line := range table.Effective() {
		what := fmt.Sprint(line.Prefixes)
		if len(line.Prefixes) > 4 {
			what = fmt.Sprintf("%d prefixes", len(line.Prefixes))
		}
		fmt.Fprintf(&text, "%s %s %s %s %s %s %s %s %s\n", line.State, line.Source, what, line.NextHopType, line.NextHopIPs,
			line.Name, strings.Join(line.ServiceTags, ","), line.OverriddenBy, line.Rule)
	}
	return text.String()
}

// has wants a line with all these words, in their order, among the effective routes.
func has(t *testing.T, table *Table, words string) {
	t.Helper()
	all := lines(table)
	for line := range strings.Lines(all) {
		if strings.Join(strings.Fields(line), " ") == words {
			return
		}
	}
	t.Errorf("no line %q among\n%s", words, all)
}

// goes wants a packet's next hop, and the rule that decided.
func goes(t *testing.T, in Input, dst string, hop model.NextHopType, rule string) Decision {
	t.Helper()
	decision := New(in).Lookup(netip.MustParseAddr(dst), model.ProtocolTCP)
	if decision.Winner == nil || decision.Winner.NextHopType != hop || decision.Winner.Rule != rule {
		t.Errorf("%s: %+v, want %s by %s", dst, decision.Winner, hop, rule)
	}
	return decision
}

// stored is an address of Storage.WestEurope, in 191.239.203.0/28.
const stored = "191.239.203.1"

func TestRoutes(t *testing.T) {
	const appliance = "VirtualAppliance 10.13.0.4"

	t.Run("ROUTE-1 the longest prefix wins", func(t *testing.T) {
		in := input(t, []model.UserRoute{user("wide", "20.0.0.0/8", "None"), user("narrow", "20.1.0.0/16", appliance)})
		goes(t, in, "20.1.2.3", model.NextHopVirtualAppliance, "ROUTE-1")
		goes(t, in, "20.2.2.3", model.NextHopNone, "ROUTE-1")
	})
	t.Run("ROUTE-2 user beats gateway beats system", func(t *testing.T) {
		in := input(t, nil)
		in.GatewayRoutes = learnt("0.0.0.0/0", "10.0.0.0/8")
		goes(t, in, "8.8.8.8", model.NextHopVirtualNetworkGateway, "ROUTE-2")
		goes(t, in, "10.99.0.1", model.NextHopVirtualNetworkGateway, "ROUTE-2")
		has(t, New(in), "Invalid Default [0.0.0.0/0] Internet [] VirtualNetworkGateway VirtualNetworkGateway ROUTE-2")
		in.RouteTable.Routes = []model.UserRoute{user("all", "0.0.0.0/0", appliance)}
		goes(t, in, "8.8.8.8", model.NextHopVirtualAppliance, "ROUTE-2")
		has(t, New(in), "Invalid VirtualNetworkGateway [0.0.0.0/0] VirtualNetworkGateway [10.13.255.4] all ROUTE-2")
	})
	t.Run("ROUTE-3 VNet, peering and endpoint beat a gateway's longer route", func(t *testing.T) {
		in := input(t, nil, "Microsoft.Storage")
		in.Peers = []*model.VirtualNetwork{{ID: "/vnets/hub", Number: 2, AddressSpace: prefixes("10.20.0.0/16")}}
		in.GatewayRoutes = learnt("10.13.76.0/24", "10.20.1.0/24", "191.239.203.1/32", "191.239.203.0/24")
		goes(t, in, "10.13.76.9", model.NextHopVnetLocal, "ROUTE-3")
		goes(t, in, "10.20.1.9", model.NextHopVNetPeering, "ROUTE-3")
		decision := goes(t, in, stored, model.NextHopServiceEndpoint, "ROUTE-3")
		if got := len(decision.Losers); got != 3 {
			t.Errorf("%d losers, want 3: %+v", got, decision.Losers)
		}
		has(t, New(in), "Invalid VirtualNetworkGateway [10.20.1.0/24] VirtualNetworkGateway [10.13.255.4] hub ROUTE-3")
		has(t, New(in), "Invalid VirtualNetworkGateway [191.239.203.1/32] VirtualNetworkGateway [10.13.255.4] Microsoft.Storage ROUTE-3")
		goes(t, in, "191.239.203.77", model.NextHopVirtualNetworkGateway, "ROUTE-1")
	})
	t.Run("ROUTE-3 the data path knows what is beneath a gateway's route", func(t *testing.T) {
		in := input(t, []model.UserRoute{user("all", "0.0.0.0/0", appliance)})
		in.GatewayRoutes = learnt("191.239.203.0/24", "10.13.1.0/24")
		for _, route := range New(in).Winners() {
			switch route.Prefix.String() {
			case "10.13.1.0/24":
				t.Error("a gateway's route inside the VNet is among the winners")
			case "191.239.203.0/24":
				if route.Beneath == nil || route.Beneath.Type != model.NextHopVirtualAppliance || route.BeneathBits != 0 {
					t.Errorf("beneath is %+v of %d bits", route.Beneath, route.BeneathBits)
				}
				return
			}
		}
		t.Error("the gateway's route is not among the winners")
	})
	t.Run("ROUTE-4 defaults of every subnet", func(t *testing.T) {
		in := input(t, nil)
		in.RouteTable = nil
		want := `Active Default [10.13.0.0/16] VnetLocal []
Active Default [0.0.0.0/0] Internet []
Active Default [10.0.0.0/8] None []
Active Default [100.64.0.0/10] None []
Active Default [172.16.0.0/12] None []
Active Default [192.168.0.0/16] None []`
		var got []string
		for line := range strings.Lines(lines(New(in))) {
			got = append(got, strings.Join(strings.Fields(line), " "))
		}
		if strings.Join(got, "\n") != want {
			t.Errorf("%s\nwant\n%s", strings.Join(got, "\n"), want)
		}
	})
	t.Run("ROUTE-5 an address space displaces reserved prefixes", func(t *testing.T) {
		for _, test := range []struct{ space, reserved, dst string }{
			{"10.0.0.0/8", "10.0.0.0/8", "10.1.1.1"},
			{"172.0.0.0/8", "172.16.0.0/12", "172.16.1.1"},
			{"100.64.0.0/9", "100.64.0.0/10", "100.64.1.1"},
		} {
			in := input(t, nil)
			in.VirtualNetwork.AddressSpace = prefixes(test.space)
			goes(t, in, test.dst, model.NextHopVnetLocal, "ROUTE-1")
			for _, line := range New(in).Effective() {
				if line.NextHopType == model.NextHopNone && line.Prefixes[0].String() == test.reserved {
					t.Errorf("%s leaves the None route %s", test.space, test.reserved)
				}
			}
			if got := strings.Count(lines(New(in)), " None "); got != 3 {
				t.Errorf("%s leaves %d None routes, want 3", test.space, got)
			}
		}
		in := input(t, nil) // 10.13.0.0/16 is only a part
		goes(t, in, "10.14.0.1", model.NextHopNone, "ROUTE-1")
		in.Peers = []*model.VirtualNetwork{{ID: "/vnets/hub", Number: 2, AddressSpace: prefixes("172.16.0.0/12")}}
		goes(t, in, "172.16.0.1", model.NextHopVNetPeering, "ROUTE-1")
	})
	t.Run("ROUTE-6 one route per address-space prefix, none per subnet", func(t *testing.T) {
		in := input(t, nil)
		in.VirtualNetwork.AddressSpace = prefixes("10.13.0.0/16", "10.14.0.0/16")
		in.VirtualNetwork.Subnets = []model.Subnet{*in.Subnet}
		if got := strings.Count(lines(New(in)), "VnetLocal"); got != 2 || strings.Contains(lines(New(in)), "10.13.76.0/24") {
			t.Errorf("%d VnetLocal routes, want 2:\n%s", got, lines(New(in)))
		}
	})
	t.Run("ROUTE-7 a connected peering adds its address spaces, and is not transitive", func(t *testing.T) {
		own := &model.VirtualNetwork{ID: "/vnets/own", Number: 1, AddressSpace: prefixes("10.13.0.0/16"),
			Peerings: []model.Peering{{RemoteVirtualNetwork: "/VNETS/HUB"}, {RemoteVirtualNetwork: "/vnets/half"}, {RemoteVirtualNetwork: "/vnets/gone"}}}
		hub := &model.VirtualNetwork{ID: "/vnets/hub", Number: 2, AddressSpace: prefixes("10.20.0.0/16", "10.21.0.0/16"),
			Peerings: []model.Peering{{RemoteVirtualNetwork: "/vnets/own"}, {RemoteVirtualNetwork: "/vnets/far"}}}
		half := &model.VirtualNetwork{ID: "/vnets/half", Number: 3, AddressSpace: prefixes("10.30.0.0/16")}
		far := &model.VirtualNetwork{ID: "/vnets/far", Number: 4, AddressSpace: prefixes("10.40.0.0/16"),
			Peerings: []model.Peering{{RemoteVirtualNetwork: "/vnets/hub"}}}
		in := input(t, nil)
		in.VirtualNetwork = own
		in.Peers = ConnectedPeers(own, func(id model.ResourceID) *model.VirtualNetwork {
			for _, vnet := range []*model.VirtualNetwork{own, hub, half, far} {
				if vnet.ID.Is(id) {
					return vnet
				}
			}
			return nil
		})
		for dst, want := range map[string]plan.Hop{
			"10.20.0.1": {Type: model.NextHopVNetPeering, VNet: 2}, "10.21.0.1": {Type: model.NextHopVNetPeering, VNet: 2},
			"10.30.0.1": {Type: model.NextHopNone}, "10.40.0.1": {Type: model.NextHopNone}, "10.13.0.1": {Type: model.NextHopVnetLocal, VNet: 1},
		} {
			if got := New(in).Lookup(netip.MustParseAddr(dst), model.ProtocolTCP).Hop; got != want {
				t.Errorf("%s: %+v, want %+v", dst, got, want)
			}
		}
	})
	t.Run("ROUTE-8 gateway routes come unless propagation is off", func(t *testing.T) {
		in := input(t, nil)
		in.GatewayRoutes = append(learnt("192.168.5.0/24"), GatewayRoute{netip.MustParsePrefix("192.168.5.0/24"), netip.MustParseAddr("10.13.255.5")})
		has(t, New(in), "Active VirtualNetworkGateway [192.168.5.0/24] VirtualNetworkGateway [10.13.255.4 10.13.255.5]")
		in.RouteTable.DisableBGPRoutePropagation = true
		goes(t, in, "192.168.5.1", model.NextHopNone, "ROUTE-1")
		if strings.Contains(lines(New(in)), "VirtualNetworkGateway") {
			t.Errorf("a gateway's route in\n%s", lines(New(in)))
		}
	})
	t.Run("ROUTE-9 an endpoint adds one route per prefix of the service", func(t *testing.T) {
		in := input(t, nil, "Microsoft.Storage")
		goes(t, in, stored, model.NextHopServiceEndpoint, "ROUTE-1")
		want := len(in.Region.catalogue.IPv4("Storage.WestEurope")) + len(in.Region.catalogue.IPv4("Storage.NorthEurope"))
		has(t, New(in), fmt.Sprintf("Active Default %d prefixes VirtualNetworkServiceEndpoint [] Microsoft.Storage Storage.WestEurope,Storage.NorthEurope", want))
		in.Subnet = &model.Subnet{} // the subnet beside it
		goes(t, in, stored, model.NextHopInternet, "ROUTE-4")
	})
	t.Run("ROUTE-10 what a user's next hop may be", func(t *testing.T) {
		catalogue := servicetag.BuiltIn()
		for hop, want := range map[string]bool{appliance: true, "VirtualNetworkGateway": true, "VnetLocal": true, "Internet": true,
			"None": true, "VNetPeering": false, "VirtualNetworkServiceEndpoint": false, "InterfaceEndpoint": false,
			"VirtualAppliance": false, "Internet 10.0.0.4": false} {
			route := user("r", "20.0.0.0/8", hop)
			err := CheckUserRoute(route, catalogue)
			if (err == nil) != want || err != nil && !strings.HasPrefix(err.Error(), `route "r": `) {
				t.Errorf("%s: error %v, want fine %v", hop, err, want)
			}
			in := input(t, []model.UserRoute{route})
			if got := New(in).Lookup(netip.MustParseAddr("20.1.1.1"), model.ProtocolTCP).Hop; (got.Source == model.SourceUser) != want {
				t.Errorf("%s: next hop %+v", hop, got)
			}
			if invalid := strings.Contains(lines(New(in)), "Invalid User [20.0.0.0/8] "+route.NextHopType.String()); invalid == want {
				t.Errorf("%s: Invalid %v\n%s", hop, invalid, lines(New(in)))
			}
		}
		goes(t, input(t, []model.UserRoute{user("r", "8.8.0.0/16", "VnetLocal")}), "8.8.8.8", model.NextHopVnetLocal, "ROUTE-1")
		if got := New(input(t, []model.UserRoute{user("r", "8.8.0.0/16", "VnetLocal")})).Lookup(netip.MustParseAddr("8.8.8.8"), 6).Hop.VNet; got != 1 {
			t.Errorf("a VnetLocal route of a user leads into VNet %d", got)
		}
	})
	t.Run("ROUTE-11 service tags and their order on a tie", func(t *testing.T) {
		catalogue, err := servicetag.Parse(strings.NewReader(`{"values": [
			{"name": "Storage", "properties": {"addressPrefixes": ["20.0.0.0/24"]}},
			{"name": "Storage.WestEurope", "properties": {"region": "westeurope", "addressPrefixes": ["20.0.0.0/24"]}},
			{"name": "AzureCloud.westeurope", "properties": {"region": "westeurope", "addressPrefixes": ["20.0.0.0/24"]}},
			{"name": "AzureCloud", "properties": {"addressPrefixes": ["20.0.0.0/24"]}}]}`))
		if err != nil {
			t.Fatal(err)
		}
		order := []string{"AzureCloud", "AzureCloud.WESTeurope", "storage", "Storage.WestEurope", "20.0.0.0/24"}
		in := input(t, nil)
		in.Region = regionOf(t, catalogue)
		for i, destination := range order {
			in.RouteTable.Routes = append(in.RouteTable.Routes, user(fmt.Sprintf("r%d", i), destination, "None"))
			decision := New(in).Lookup(netip.MustParseAddr("20.0.0.1"), model.ProtocolTCP)
			if want := fmt.Sprintf("r%d", i); decision.Winner.Name != want || i > 0 && decision.Winner.Rule != "ROUTE-11" {
				t.Errorf("with %s: %+v, want %s", destination, decision.Winner, want)
			}
		}
		has(t, New(in), "Invalid User [20.0.0.0/24] None [] r1 AzureCloud.westeurope r4 ROUTE-11")
		in.RouteTable.Routes = []model.UserRoute{user("r", "Nothing", "None")}
		has(t, New(in), "Invalid User [] None [] r Nothing ROUTE-11")
		if err := CheckUserRoute(in.RouteTable.Routes[0], catalogue); err == nil || !strings.Contains(err.Error(), `no service tag "Nothing"`) {
			t.Errorf("error %v", err)
		}
		if err := CheckUserRoute(model.UserRoute{Name: "r"}, catalogue); err == nil {
			t.Error("a route without prefix and tag is fine")
		}
	})
	t.Run("ROUTE-12 an overridden route stays, Invalid", func(t *testing.T) {
		table := New(input(t, []model.UserRoute{user("all", "0.0.0.0/0", appliance)}))
		has(t, table, "Invalid Default [0.0.0.0/0] Internet [] all ROUTE-2")
		has(t, table, "Active User [0.0.0.0/0] VirtualAppliance [10.13.0.4] all")
	})
	t.Run("ROUTE-13 observed", func(t *testing.T) {
		in := func(destination, hop string) Input {
			return input(t, []model.UserRoute{user("mine", destination, hop)}, "Microsoft.Storage")
		}
		goes(t, in("0.0.0.0/0", appliance), stored, model.NextHopServiceEndpoint, "ROUTE-1")
		goes(t, in("191.239.203.0/29", appliance), stored, model.NextHopVirtualAppliance, "ROUTE-1")
		goes(t, in("191.239.203.0/29", "Internet"), stored, model.NextHopInternet, "ROUTE-1")
		goes(t, in("191.239.203.0/28", appliance), stored, model.NextHopVirtualAppliance, "ROUTE-13")
		goes(t, in("191.239.203.0/28", "None"), stored, model.NextHopNone, "ROUTE-13")
		goes(t, in("191.239.203.0/28", "Internet"), stored, model.NextHopServiceEndpoint, "ROUTE-13")

		has(t, New(in("191.239.203.0/28", "None")), "Invalid Default [191.239.203.0/28] VirtualNetworkServiceEndpoint [] Microsoft.Storage Storage.WestEurope,Storage.NorthEurope mine ROUTE-13")
		has(t, New(in("191.239.203.0/28", "Internet")), "Invalid User [191.239.203.0/28] Internet [] mine Microsoft.Storage ROUTE-13")
	})
	t.Run("ROUTE-13 documented", func(t *testing.T) {
		for _, destination := range []string{"0.0.0.0/0", "191.239.203.0/28", "191.239.203.1/32", "Storage"} {
			in := input(t, []model.UserRoute{user("mine", destination, appliance)}, "Microsoft.Storage")
			in.DocumentedRoutes = true
			goes(t, in, stored, model.NextHopServiceEndpoint, "ROUTE-13")
		}
	})
	t.Run("ROUTE-14 the VNet whose NIC an appliance is", func(t *testing.T) {
		in := input(t, nil)
		in.Peers = []*model.VirtualNetwork{{ID: "/vnets/hub", Number: 2, AddressSpace: prefixes("10.20.0.0/16")}}
		for address, want := range map[string]uint32{"10.13.0.4": 1, "10.20.0.4": 2, "10.10.10.10": 1} {
			in.RouteTable.Routes = []model.UserRoute{user("all", "0.0.0.0/0", "VirtualAppliance "+address)}
			got := New(in).Lookup(netip.MustParseAddr("8.8.8.8"), model.ProtocolTCP).Hop
			if got.VNet != want || got.Address.String() != address || got.Source != model.SourceUser {
				t.Errorf("%s: %+v, want VNet %d", address, got, want)
			}
		}
	})
	t.Run("ROUTE-17 the winner, every loser, and why", func(t *testing.T) {
		in := input(t, []model.UserRoute{user("all", "0.0.0.0/0", appliance), user("cloud", "AzureCloud.westeurope", "None"),
			user("wrong", "191.239.203.0/28", "VNetPeering")}, "Microsoft.Storage")
		in.GatewayRoutes = learnt("191.239.203.0/30")
		decision := New(in).Lookup(netip.MustParseAddr(stored), model.ProtocolTCP)
		var got []string
		for _, c := range append([]Candidate{*decision.Winner}, decision.Losers...) {
			got = append(got, strings.TrimSpace(fmt.Sprintf("%s %s %s %s", c.Prefix, c.NextHopType, c.Rule, c.ServiceTag)))
		}
		want := []string{
			"191.239.203.0/28 VirtualNetworkServiceEndpoint ROUTE-3 Storage.WestEurope",
			"191.239.203.0/30 VirtualNetworkGateway ROUTE-3",
			"191.239.203.0/28 VNetPeering ROUTE-10",
			"191.239.200.0/22 None ROUTE-1 AzureCloud.westeurope",
			"0.0.0.0/0 VirtualAppliance ROUTE-1",
			"0.0.0.0/0 Internet ROUTE-1",
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		if decision.Service == nil || decision.Service.Endpoint != "Microsoft.Storage" {
			t.Errorf("service %+v", decision.Service)
		}
	})
	t.Run("SE-6 ICMP takes no endpoint", func(t *testing.T) {
		decision := New(input(t, nil, "Microsoft.Storage")).Lookup(netip.MustParseAddr(stored), model.ProtocolICMP)
		if decision.Hop.Type != model.NextHopInternet || decision.Winner.Rule != "SE-6" {
			t.Errorf("%+v", decision.Winner)
		}
	})
	t.Run("ROUTE-18 one entry for a service, with its tag", func(t *testing.T) {
		in := input(t, nil, "Microsoft.Storage.Global", "Microsoft.KeyVault")
		in.Region = regionOf(t, tagtest.Real(t))
		has(t, New(in), "Active Default 495 prefixes VirtualNetworkServiceEndpoint [] Microsoft.Storage.Global Storage")
		if got := strings.Count(lines(New(in)), "VirtualNetworkServiceEndpoint"); got != 2 {
			t.Errorf("%d entries of two services:\n%s", got, lines(New(in)))
		}
	})
}

// allServices are the endpoints that one subnet can have at once (SE-9).
func allServices() []string {
	var list []string
	for _, service := range model.Services {
		if service.Endpoint != "Microsoft.Storage" {
			list = append(list, service.Endpoint)
		}
	}
	return list
}

// BenchmarkEffective is the effective routes of a NIC with all services, the real tag file and a route table: the
// promise is at most 1 ms.
func BenchmarkEffective(b *testing.B) {
	in := input(b, nil, allServices()...)
	in.Region = regionOf(b, tagtest.Real(b))
	for i := range 100 {
		in.RouteTable.Routes = append(in.RouteTable.Routes, user(fmt.Sprint("r", i), fmt.Sprintf("30.%d.0.0/16", i), "VirtualAppliance 10.13.0.4"))
	}
	for i, prefix := range in.Region.catalogue.IPv4("Storage")[:100] {
		in.RouteTable.Routes = append(in.RouteTable.Routes, user(fmt.Sprint("s", i), prefix.String(), "None"))
	}
	run := func(name string, in Input) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				New(in).Effective()
			}
		})
	}
	run("200 routes", in)
	tags := in
	tags.RouteTable = &model.RouteTable{Routes: []model.UserRoute{user("cloud", "AzureCloud", "Internet"), user("sql", "Sql", "None")}}
	run("AzureCloud tag route", tags)
}

func BenchmarkLookupDecision(b *testing.B) {
	in := input(b, nil, allServices()...)
	in.Region = regionOf(b, tagtest.Real(b))
	table, dst := New(in), netip.MustParseAddr(stored)
	for b.Loop() {
		table.Lookup(dst, model.ProtocolTCP)
	}
}

func BenchmarkNewRegion(b *testing.B) {
	catalogue := tagtest.Real(b)
	for b.Loop() {
		regionOf(b, catalogue)
	}
}

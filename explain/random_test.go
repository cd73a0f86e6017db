package explain

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"

	"postern/model"
	"postern/pipeline"
	"postern/servicetag"
)

// TestSameAsRealPackets asks about random packets in random clouds and sends them too: what explain says is what becomes of
// them, at the same node, for the same reason (ROUTE-17).
func TestSameAsRealPackets(t *testing.T) {
	const clouds, packets = 150, 40
	seen := map[string]int{}
	for seed := range uint64(clouds) {
		r := rand.New(rand.NewPCG(seed, 17))
		snapshot := randomCloud(r)
		cloud, real := cloudOf(t, snapshot), networkOf(t, snapshot)
		for i := range packets {
			nic := snapshot.NetworkInterfaces[r.IntN(len(snapshot.NetworkInterfaces))]
			protocol := []model.Protocol{model.ProtocolTCP, model.ProtocolTCP, model.ProtocolUDP}[r.IntN(3)]
			host, account, address := randomTarget(r, snapshot)
			port := []uint16{443, 443, 22}[r.IntN(3)]
			if address == model.PlatformDNS {
				port = 53
			}
			e := explained(t, cloud, Question{From: string(nic.ID), To: fmt.Sprintf("%s:%d", host, port), Protocol: protocol})
			want := end{}
			if host != address.String() {
				// The name must be asked for first.
				want = real.send(nic, netip.AddrPortFrom(model.PlatformDNS, 53), uint16(20000+i), model.ProtocolUDP, "")
			}
			if want.outcome != Denied {
				want = real.send(nic, netip.AddrPortFrom(address, port), uint16(30000+i), protocol, account)
			}
			if got := (end{e.Verdict.Outcome, e.Verdict.At, e.Verdict.Reason}); got != want {
				t.Fatalf("cloud %d, packet %d, %s %s:%d by %d: explain says %v, real packets get %v\n%s",
					seed, i, nic.ID.Name(), host, port, protocol, got, want, text(t, e))
			}
			seen[string(want.outcome)]++
			seen[want.reason]++
			checkWinner(t, cloud, nic, e, protocol)
		}
	}
	for _, must := range []string{"denied", "delivered", "appliance", "service", "platform", "internet", "endpoint-policy", "appliance-unowned",
		"security-group", "same-region", "no-virtual-network-rule", "no-outbound-access", "no-such-address", "ip-rule", "route-none", "nat-gateway"} {
		if seen[must] == 0 {
			t.Errorf("no random packet met %q: %v", must, seen)
		}
	}
}

// checkWinner compares the winner among all routes with the one that the pipeline took.
func checkWinner(t *testing.T, cloud *Cloud, nic *model.NetworkInterface, e *Explanation, protocol model.Protocol) {
	t.Helper()
	if len(e.Routes) == 0 {
		return
	}
	host, err := cloud.host(cloud.plans[nic.Node])
	if err != nil {
		t.Fatal(err)
	}
	steps, _ := host.Explain(nic.Number, firstFrame(nic, netip.AddrPortFrom(nic.IPv4, sourcePort), netip.AddrPortFrom(e.To.Address, e.To.Port), protocol))
	for _, step := range steps {
		if step.Name != StepRoute {
			continue
		}
		active := pipeline.Candidate{}
		for _, candidate := range step.Candidates {
			if candidate.Active {
				active = candidate
			}
		}
		won := e.Routes[0]
		if won.State != Winner || won.Prefix != active.Prefix || won.NextHopType.String() != active.NextHopType || won.NextHopIP != active.NextHop {
			t.Fatalf("the routes' winner is %+v, the pipeline's %+v\n%s", won, active, text(t, e))
		}
		for _, loser := range e.Routes[1:] {
			if loser.State == Winner || loser.Rule == "" || loser.Why == "" {
				t.Fatalf("a loser without a rule: %+v", loser)
			}
		}
	}
}

// randomTarget is a host as it is asked for, the account that it means or has the address of, and the address.
func randomTarget(r *rand.Rand, s *model.Snapshot) (host, account string, address netip.Addr) {
	switch r.IntN(8) {
	case 0, 1, 2:
		one := s.Instances[r.IntN(len(s.Instances))]
		if r.IntN(4) == 0 {
			return one.Address.String(), one.Name, one.Address
		}
		return one.Name + ".blob.core.windows.net", one.Name, one.Address
	case 3, 4:
		address = s.NetworkInterfaces[r.IntN(len(s.NetworkInterfaces))].IPv4
	case 5:
		address = s.PublicIPAddresses[r.IntN(len(s.PublicIPAddresses))].IPv4
	case 6:
		address = model.PlatformDNS
	default:
		text := []string{"198.51.100.9", "192.168.7.7", "10.13.76.200", "10.20.0.9", "203.0.113.250", "100.64.0.1", natAddress}[r.IntN(7)]
		address = netip.MustParseAddr(text)
	}
	return address.String(), "", address
}

// randomCloud changes the demo's cloud at every turn that a packet can notice.
func randomCloud(r *rand.Rand) *model.Snapshot {
	s := demo()
	coin := func(of int) bool { return r.IntN(of) == 0 }
	s.Settings.DocumentedRoutes = coin(4)
	addPeer(s, r)
	for i := range s.NetworkInterfaces {
		s.NetworkInterfaces[i].EnableIPForwarding = coin(2)
	}
	for i := range s.VirtualNetworks {
		for j := range s.VirtualNetworks[i].Subnets {
			subnet := &s.VirtualNetworks[i].Subnets[j]
			subnet.DefaultOutboundAccess = !coin(3)
			subnet.ServiceEndpoints = [][]string{nil, {"Microsoft.Storage"}, {"Microsoft.Storage.Global"}, {"Microsoft.Sql", "Microsoft.Storage"}}[r.IntN(4)]
			if coin(4) {
				subnet.NatGateway = natGateway(s)
			}
			if coin(3) {
				subnet.RouteTable = randomRoutes(s, r)
			}
			if coin(3) {
				subnet.NetworkSecurityGroup = randomGroup(s, r)
			}
			if coin(4) {
				policies := s.ServiceEndpointPolicies
				onlyOwn(s)
				subnet.ServiceEndpointPolicies = app(s).ServiceEndpointPolicies
				if len(policies) > 0 {
					s.ServiceEndpointPolicies = policies
				}
			}
		}
	}
	for i := range s.Instances {
		account := s.Instances[i]
		account.Rules.PublicNetworkAccess = !coin(8)
		if coin(2) {
			denyAllBut(s, account.Name, publicIP)
			subnets := s.VirtualNetworks[r.IntN(len(s.VirtualNetworks))].Subnets
			letIn(s, account.Name, &subnets[r.IntN(len(subnets))])
		}
	}
	return s
}

// addPeer adds a VNet, perhaps peered with the first, with a NIC on the other host.
func addPeer(s *model.Snapshot, r *rand.Rand) {
	peer := id("Microsoft.Network/virtualNetworks", "peer")
	s.VirtualNetworks = append(s.VirtualNetworks, &model.VirtualNetwork{ID: peer, Number: 2, Location: "westeurope",
		AddressSpace: []netip.Prefix{netip.MustParsePrefix("10.20.0.0/16")},
		Subnets:      []model.Subnet{{ID: peer + "/subnets/snet-peer", Identity: 4098, Prefixes: []netip.Prefix{netip.MustParsePrefix("10.20.0.0/24")}}}})
	if r.IntN(3) > 0 {
		s.VirtualNetworks[0].Peerings = []model.Peering{{ID: vnetID + "/virtualNetworkPeerings/p", RemoteVirtualNetwork: peer}}
		s.VirtualNetworks[1].Peerings = []model.Peering{{ID: peer + "/virtualNetworkPeerings/p", RemoteVirtualNetwork: vnetID}}
	}
	s.NetworkInterfaces = append(s.NetworkInterfaces, &model.NetworkInterface{ID: nicID("nic-peer"), Number: 3, Location: "westeurope",
		Subnet: peer + "/subnets/snet-peer", IPv4: netip.MustParseAddr("10.20.0.4"), MAC: model.MAC{2, 0, 0, 0, 0, 3}, Node: "host-we-2"})
	if r.IntN(2) == 0 {
		public := model.PublicIPAddress{ID: id("Microsoft.Network/publicIPAddresses", "pip-peer"), Location: "westeurope", IPv4: netip.MustParseAddr("203.0.113.37")}
		s.PublicIPAddresses = append(s.PublicIPAddresses, &public)
		s.NetworkInterfaces[2].PublicIPAddress = public.ID
	}
}

func randomRoutes(s *model.Snapshot, r *rand.Rand) model.ResourceID {
	storage, _ := servicetag.BuiltIn().Regional("Storage", "westeurope")
	table := model.RouteTable{ID: id("Microsoft.Network/routeTables", fmt.Sprintf("rt-%d", len(s.RouteTables))), Location: "westeurope"}
	prefixes := []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), storage.Prefixes[0], netip.MustParsePrefix("10.13.77.0/24"),
		netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("203.0.113.0/24"), netip.PrefixFrom(frontAddress("westeurope", 1), 32)}
	for i := range 1 + r.IntN(3) {
		route := model.UserRoute{Name: fmt.Sprintf("r-%d", i), Prefix: prefixes[r.IntN(len(prefixes))]}
		if r.IntN(5) == 0 {
			route.Prefix, route.ServiceTag = netip.Prefix{}, []string{"Storage", "Storage.WestEurope"}[r.IntN(2)]
		}
		route.NextHopType = []model.NextHopType{model.NextHopVirtualAppliance, model.NextHopVirtualAppliance, model.NextHopInternet,
			model.NextHopNone, model.NextHopVnetLocal, model.NextHopVirtualNetworkGateway}[r.IntN(6)]
		if route.NextHopType == model.NextHopVirtualAppliance {
			route.NextHopIPAddress = netip.MustParseAddr([]string{"10.10.10.10", "10.13.77.4", "10.13.76.36", "10.20.0.4"}[r.IntN(4)])
		}
		table.Routes = append(table.Routes, route)
	}
	s.RouteTables = append(s.RouteTables, &table)
	return table.ID
}

func randomGroup(s *model.Snapshot, r *rand.Rand) model.ResourceID {
	group := model.NetworkSecurityGroup{ID: id("Microsoft.Network/networkSecurityGroups", fmt.Sprintf("nsg-%d", len(s.NetworkSecurityGroups))), Location: "westeurope"}
	for i := range 1 + r.IntN(3) {
		peers := []model.SecurityPeers{{Any: true}, {Tag: "VirtualNetwork"}, {Tag: "Internet"}, {Tag: "Storage"}, {Tag: "AzurePlatformDNS"},
			{Prefixes: []netip.Prefix{netip.MustParsePrefix("10.13.76.0/24")}}}[r.IntN(6)]
		rule := model.SecurityRule{Name: fmt.Sprintf("rule-%d", i), Priority: 100 + i, Inbound: r.IntN(2) == 0, Allow: r.IntN(2) == 0,
			Protocol:         []model.Protocol{model.ProtocolAny, model.ProtocolTCP, model.ProtocolUDP}[r.IntN(3)],
			Source:           model.SecurityPeers{Any: true},
			Destination:      model.SecurityPeers{Any: true},
			DestinationPorts: []model.PortRange{{First: []uint16{0, 443, 22}[r.IntN(3)], Last: []uint16{443, 65535}[r.IntN(2)]}}}
		if rule.Inbound {
			rule.Source = peers
		} else {
			rule.Destination = peers
		}
		group.Rules = append(group.Rules, rule)
	}
	s.NetworkSecurityGroups = append(s.NetworkSecurityGroups, &group)
	return group.ID
}

package explain

import (
	"strings"
	"testing"

	"postern/model"
)

// TestStories asks about the acts of the demo: what each one expects, with the rule that decides.
func TestStories(t *testing.T) {
	appliance := func(s *model.Snapshot) { routeVia(s, "0.0.0.0/0", model.NextHopVirtualAppliance, "10.10.10.10") }
	endpoint := func(s *model.Snapshot) { app(s).ServiceEndpoints = []string{"Microsoft.Storage"} }
	deny := func(s *model.Snapshot) { denyAllBut(s, ownAccount, publicIP) }
	tests := []struct {
		name    string
		change  []func(*model.Snapshot)
		from    string
		to      string
		outcome Outcome
		at      string
		reason  string
		rule    string
		caller  string
	}{
		{"open: rows arrive from the platform address in the same region, FW-5", nil,
			"nic-app", table(ownAccount), Service, "gateway-we", "default-allow", "FW-1", "100.64.0.1:49152"},
		{"open: and from the public address in the other region", nil,
			"nic-app", table(germanAccount), Service, "gateway-de", "default-allow", "FW-1", publicIP + ":49152"},
		{"open: without a public address from the shared one, OUT-1", nil,
			"nic-other", table(germanAccount), Service, "gateway-de", "default-allow", "FW-1", "203.0.113.250:49152"},
		{"ip-rule: FW-5 does not match in the same region", []func(*model.Snapshot){deny},
			"nic-app", table(ownAccount), Denied, "gateway-we", "same-region", "FW-5", "100.64.0.1:49152"},
		{"ip-rule: FW-1 matches toward the other region", []func(*model.Snapshot){func(s *model.Snapshot) { denyAllBut(s, germanAccount, publicIP) }},
			"nic-app", table(germanAccount), Service, "gateway-de", "ip-rule", "FW-1", publicIP + ":49152"},
		{"udr: ROUTE-14 nobody owns the appliance", []func(*model.Snapshot){appliance},
			"nic-app", table(ownAccount), Denied, "host-we-1", "appliance-unowned", "ROUTE-14", ""},
		{"udr: the other subnet has no such route", []func(*model.Snapshot){appliance},
			"nic-other", table(ownAccount), Service, "gateway-we", "default-allow", "FW-1", "100.64.0.2:49152"},
		{"fail-closed: SE-2 SE-4 FW-6 the private caller, and no rule for it", []func(*model.Snapshot){deny, endpoint},
			"nic-app", table(ownAccount), Denied, "gateway-we", "no-virtual-network-rule", "FW-6", "10.13.76.36:49152"},
		{"allowed: FW-6", []func(*model.Snapshot){deny, endpoint, func(s *model.Snapshot) { letIn(s, ownAccount, app(s)) }},
			"nic-app", table(ownAccount), Service, "gateway-we", "virtual-network-rule", "FW-6", "10.13.76.36:49152"},
		{"udr-endpoint: ROUTE-13 the endpoint's prefixes are longer", []func(*model.Snapshot){deny, endpoint, appliance, func(s *model.Snapshot) { letIn(s, ownAccount, app(s)) }},
			"nic-app", table(ownAccount), Service, "gateway-we", "virtual-network-rule", "FW-6", "10.13.76.36:49152"},
		{"second subnet: SE-1 has no endpoint, so the platform address", []func(*model.Snapshot){deny, endpoint, func(s *model.Snapshot) { letIn(s, ownAccount, app(s)) }},
			"nic-other", table(ownAccount), Denied, "gateway-we", "same-region", "FW-5", "100.64.0.2:49152"},
		{"policy: SEP-2 the rogue account is refused on the host", []func(*model.Snapshot){endpoint, onlyOwn},
			"nic-app", table(rogueAccount), Denied, "host-we-1", "endpoint-policy", "SEP-2", ""},
		{"policy: SEP-2 the own account works", []func(*model.Snapshot){endpoint, onlyOwn},
			"nic-app", table(ownAccount), Service, "gateway-we", "default-allow", "FW-1", "10.13.76.36:49152"},
		{"policy: without it the rogue account works", []func(*model.Snapshot){endpoint},
			"nic-app", table(rogueAccount), Service, "gateway-we", "default-allow", "FW-1", "10.13.76.36:49152"},
		{"policy: without the endpoint it does not hold", []func(*model.Snapshot){onlyOwn},
			"nic-app", table(rogueAccount), Service, "gateway-we", "default-allow", "FW-1", "100.64.0.1:49152"},
		{"own address: FW-6 the packet goes to the backend", []func(*model.Snapshot){deny, endpoint, direct("[::1]:7000"), func(s *model.Snapshot) { letIn(s, ownAccount, app(s)) }},
			"nic-app", directPort, Service, "gateway-we", "virtual-network-rule", "FW-6", "10.13.76.36:49152"},
		{"own address: FW-6 the packet is answered with a reset", []func(*model.Snapshot){deny, endpoint, direct("[::1]:7000")},
			"nic-app", directPort, Denied, "gateway-we", "no-virtual-network-rule", "FW-6", "10.13.76.36:49152"},
		{"own address: FW-5 from the same region", []func(*model.Snapshot){deny, direct("[::1]:7000")},
			"nic-app", directPort, Denied, "gateway-we", "same-region", "FW-5", "100.64.0.1:49152"},
		{"own address: nobody behind it", []func(*model.Snapshot){endpoint, direct("")},
			"nic-app", directPort, Denied, "gateway-we", "no-backend", "", "10.13.76.36:49152"},
		{"FW-8 publicNetworkAccess outranks", []func(*model.Snapshot){func(s *model.Snapshot) { account(s, ownAccount).Rules.PublicNetworkAccess = false }},
			"nic-app", table(ownAccount), Denied, "gateway-we", "public-access-off", "FW-8", "100.64.0.1:49152"},
		{"FW-7 a rule of a deleted subnet", []func(*model.Snapshot){deny, endpoint, func(s *model.Snapshot) {
			letIn(s, ownAccount, app(s))
			account(s, ownAccount).Rules.VirtualNetworkRules[0].Identity = model.IdentityNone
		}}, "nic-app", table(ownAccount), Denied, "gateway-we", "network-source-gone", "FW-7", "10.13.76.36:49152"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			snapshot := demo()
			for _, change := range test.change {
				change(snapshot)
			}
			e := explained(t, cloudOf(t, snapshot), Question{From: test.from, To: test.to})
			got := e.Verdict
			if got.Outcome != test.outcome || got.At != test.at || got.Reason != test.reason || got.Rule != test.rule || got.Caller != test.caller {
				t.Errorf("got %s at %s (%s, %s) caller %q\n%s", got.Outcome, got.At, got.Reason, got.Rule, got.Caller, text(t, e))
			}
			if got.Allowed == (test.outcome == Denied) {
				t.Errorf("allowed is %v at outcome %s", got.Allowed, got.Outcome)
			}
			if denied := e.Steps[len(e.Steps)-1].Denied; denied == got.Allowed {
				t.Errorf("the last step says denied %v\n%s", denied, text(t, e))
			}
		})
	}
}

// TestNATGateway covers that the NAT gateway is named, and the source that the other side sees (OUT-1).
func TestNATGateway(t *testing.T) {
	snapshot := demo()
	app(snapshot).NatGateway = natGateway(snapshot)
	cloud := cloudOf(t, snapshot)
	e := explained(t, cloud, Question{From: "nic-app", To: "198.51.100.9:22"})
	if e.Verdict.Caller != natAddress+":49152" {
		t.Errorf("the other side sees %q, want %s\n%s", e.Verdict.Caller, natAddress, text(t, e))
	}
	for _, want := range []string{"NAT gateway nat", "the source becomes " + natAddress, "leaves to the Internet as " + natAddress} {
		if !strings.Contains(text(t, e), want) {
			t.Errorf("explain does not say %q:\n%s", want, text(t, e))
		}
	}
	t.Run("FW-5 a service of the region sees the platform address all the same", func(t *testing.T) {
		if e := explained(t, cloud, Question{From: "nic-app", To: table(ownAccount)}); e.Verdict.Caller != "100.64.0.1:49152" {
			t.Errorf("it sees %q\n%s", e.Verdict.Caller, text(t, e))
		}
	})
	t.Run("OUT-1 one of another region the NAT gateway's", func(t *testing.T) {
		if e := explained(t, cloud, Question{From: "nic-app", To: table(germanAccount)}); e.Verdict.Caller != natAddress+":49152" {
			t.Errorf("it sees %q\n%s", e.Verdict.Caller, text(t, e))
		}
	})
}

// TestOtherWays asks about what the demo's story does not meet.
func TestOtherWays(t *testing.T) {
	private := func(s *model.Snapshot) { s.VirtualNetworks[0].Subnets[1].DefaultOutboundAccess = false }
	denyHTTPS := func(s *model.Snapshot) {
		s.NetworkSecurityGroups = []*model.NetworkSecurityGroup{{ID: id("Microsoft.Network/networkSecurityGroups", "nsg"), Location: "westeurope",
			Rules: []model.SecurityRule{{Name: "no-other", Priority: 100, Protocol: model.ProtocolTCP, Source: model.SecurityPeers{Any: true},
				Destination: model.SecurityPeers{Any: true}, DestinationPorts: []model.PortRange{{First: 443, Last: 443}}}}}}
		app(s).NetworkSecurityGroup = s.NetworkSecurityGroups[0].ID
	}
	denyDNS := func(s *model.Snapshot) {
		denyHTTPS(s)
		rule := &s.NetworkSecurityGroups[0].Rules[0]
		rule.Destination, rule.Protocol = model.SecurityPeers{Tag: "AzurePlatformDNS"}, model.ProtocolAny
		rule.DestinationPorts = []model.PortRange{model.AllPorts}
	}
	forwarder := func(s *model.Snapshot) {
		s.NetworkInterfaces[1].EnableIPForwarding = true
		routeVia(s, "0.0.0.0/0", model.NextHopVirtualAppliance, "10.13.77.4")
	}
	natted := func(s *model.Snapshot) {
		s.VirtualNetworks[0].Subnets[1].DefaultOutboundAccess = false
		for i := range s.VirtualNetworks[0].Subnets {
			s.VirtualNetworks[0].Subnets[i].NatGateway = natGateway(s)
		}
	}
	both := func(changes ...func(*model.Snapshot)) func(*model.Snapshot) {
		return func(s *model.Snapshot) {
			for _, change := range changes {
				change(s)
			}
		}
	}
	udp := model.ProtocolUDP
	tests := []struct {
		name     string
		change   func(*model.Snapshot)
		from, to string
		protocol model.Protocol
		outcome  Outcome
		at       string
		reason   string
		rule     string
	}{
		{"another NIC", nil, "nic-app", "10.13.77.4:22", 0, Delivered, "host-we-2", "delivered", ""},
		{"another NIC by UDP", nil, "nic-app", "10.13.77.4:5000", udp, Delivered, "host-we-2", "delivered", ""},
		{"an address of the VNet that no NIC has", nil, "nic-app", "10.13.77.99:22", 0, Denied, "host-we-1", "no-such-address", ""},
		{"another NIC's public address, in through the edge", nil, "nic-other", publicIP + ":22", 0, Delivered, "host-we-1", "delivered", ""},
		{"ROUTE-4 a private address of nobody", nil, "nic-app", "192.168.1.1:22", 0, Denied, "host-we-1", "route-none", "ROUTE-4"},
		{"ROUTE-14 to an appliance that forwards", forwarder, "nic-app", "198.51.100.9:22", 0, Appliance, "host-we-2", "delivered", "ROUTE-14"},
		{"OUT-1 to the Internet", nil, "nic-app", "198.51.100.9:22", 0, Internet, "edge-we", "internet", "OUT-1"},
		{"OUT-1 a private subnet", private, "nic-other", "198.51.100.9:22", 0, Denied, "host-we-2", "no-outbound-access", "OUT-1"},
		{"OUT-1 by the NAT gateway, whatever public address the NIC has", natted, "nic-app", "198.51.100.9:22", 0, Internet, "edge-we", "nat-gateway", "OUT-1"},
		{"OUT-1 by the NAT gateway out of a private subnet", natted, "nic-other", "198.51.100.9:22", udp, Internet, "edge-we", "nat-gateway", "OUT-1"},
		{"OUT-1 an appliance comes before the NAT gateway", both(natted, forwarder), "nic-app", "198.51.100.9:22", 0, Appliance, "host-we-2", "delivered", "ROUTE-14"},
		{"OUT-1 nobody is behind a NAT gateway's address", natted, "nic-app", natAddress + ":22", 0, Denied, "edge-we", ReasonNoListener, "OUT-1"},
		{"the edge's own address", nil, "nic-app", "203.0.113.250:22", 0, Denied, "edge-we", ReasonNoListener, "OUT-1"},
		{"NSG-1 an outbound rule", denyHTTPS, "nic-app", table(ownAccount), 0, Denied, "host-we-1", "security-group", "NSG-1"},
		{"NSG-5 names cannot be asked for", denyDNS, "nic-app", table(ownAccount), 0, Denied, "host-we-1", "security-group", "NSG-5"},
		{"DNS-1 the platform's name service", nil, "nic-app", "168.63.129.16:53", udp, Platform, "gateway-we", "platform", "DNS-1"},
		{"ID-1 the platform's tokens", nil, "nic-app", "169.254.169.254:80", 0, Platform, "gateway-we", "platform", "ID-1"},
		{"the platform has no SSH", nil, "nic-app", "169.254.169.254:22", 0, Denied, "gateway-we", ReasonNoListener, ""},
		{"DNS-1 a name of no account", nil, "nic-app", table("nosuchaccount"), 0, Denied, "gateway-we", ReasonNoSuchName, "DNS-1"},
		{"a service has no SSH", nil, "nic-app", ownAccount + ".blob.core.windows.net:22", 0, Denied, "gateway-we", ReasonNoListener, ""},
		{"a NIC that no host carries", func(s *model.Snapshot) { s.NetworkInterfaces[0].Node = "" }, "nic-app", "10.13.77.4:22", 0, Denied, "", "unsynced", ""},
		{"a region without a gateway", func(s *model.Snapshot) { s.Nodes = append(s.Nodes[:2], s.Nodes[3:]...) }, "nic-app", table(germanAccount), 0, Denied, "host-we-1", "no-node", ""},
		{"a storage address without an account", nil, "nic-app", frontAddress("westeurope", 9).String() + ":443", 0, Denied, "internet", ReasonNoSuchHost, ""},
		{"the account by its address", nil, "nic-app", frontAddress("westeurope", 1).String() + ":443", 0, Service, "gateway-we", "default-allow", "FW-1"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			snapshot := demo()
			if test.change != nil {
				test.change(snapshot)
			}
			e := explained(t, cloudOf(t, snapshot), Question{From: test.from, To: test.to, Protocol: test.protocol})
			got := e.Verdict
			if got.Outcome != test.outcome || got.At != test.at || got.Reason != test.reason || got.Rule != test.rule {
				t.Errorf("got %s at %s (%s, %s)\n%s", got.Outcome, got.At, got.Reason, got.Rule, text(t, e))
			}
			if got.Outcome == Denied && got.Detail == "" {
				t.Errorf("a denial without a word\n%s", text(t, e))
			}
		})
	}
}

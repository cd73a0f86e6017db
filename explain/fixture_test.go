package explain

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"postern/compile"
	"postern/model"
	"postern/service/all"
	"postern/servicetag"
)

const group = "/subscriptions/s/resourceGroups/rg/providers/"

// The names of the demo cloud: one account in the VM's region, one in another, one of somebody else's.
const (
	ownAccount    = "stvnetstorageendpoints"
	germanAccount = "storagetest1138germany"
	rogueAccount  = "rogue"
	publicIP      = "203.0.113.36"
)

func id(typ, name string) model.ResourceID { return model.ResourceID(group + typ + "/" + name) }

func accountID(name string) model.ResourceID { return id("Microsoft.Storage/storageAccounts", name) }

func nicID(name string) model.ResourceID {
	return id("Microsoft.Network/networkInterfaces", name)
}

var vnetID = id("Microsoft.Network/virtualNetworks", "vnet")

// frontAddress is an address of a region's Storage prefixes, by number.
func frontAddress(region model.Location, number int) netip.Addr {
	tag, _ := servicetag.BuiltIn().Regional("Storage", region)
	address := tag.Prefixes[0].Addr()
	for range number {
		address = address.Next()
	}
	return address
}

// demo is the cloud of the demo, open to everybody.
func demo() *model.Snapshot {
	s := &model.Snapshot{Revision: 7, Settings: model.DefaultSettings}
	for i, region := range []model.Location{"westeurope", "germanywestcentral"} {
		locator := func(n int) model.Locator { return model.MustLocator(fmt.Sprintf("fd00:%d:%d:100::/56", i+1, n)) }
		short := []string{"we", "de"}[i]
		s.Nodes = append(s.Nodes,
			&model.Node{Name: "host-" + short + "-1", Role: model.RoleHost, Location: region, Locator: locator(1)},
			&model.Node{Name: "host-" + short + "-2", Role: model.RoleHost, Location: region, Locator: locator(2)},
			&model.Node{Name: "gateway-" + short, Role: model.RoleGateway, Location: region, Locator: locator(3),
				ServiceLocator: locator(4), PlatformLocator: locator(5)},
			&model.Node{Name: "edge-" + short, Role: model.RoleEdge, Location: region, Locator: locator(6),
				OutboundAddress: netip.AddrFrom4([4]byte{203, 0, 113, byte(250 + i)}),
				PlatformPool:    netip.MustParsePrefix(fmt.Sprintf("100.%d.0.0/16", 64+i))})
	}
	s.VirtualNetworks = []*model.VirtualNetwork{{ID: vnetID, Number: 1, Location: "westeurope",
		AddressSpace: []netip.Prefix{netip.MustParsePrefix("10.13.0.0/16")},
		Subnets: []model.Subnet{
			{ID: vnetID + "/subnets/snet-app", Identity: 4096, Prefixes: []netip.Prefix{netip.MustParsePrefix("10.13.76.0/24")}, DefaultOutboundAccess: true},
			{ID: vnetID + "/subnets/snet-other", Identity: 4097, Prefixes: []netip.Prefix{netip.MustParsePrefix("10.13.77.0/24")}, DefaultOutboundAccess: true},
		}}}
	s.PublicIPAddresses = []*model.PublicIPAddress{{ID: id("Microsoft.Network/publicIPAddresses", "pip-app"), Location: "westeurope", IPv4: netip.MustParseAddr(publicIP)}}
	s.NetworkInterfaces = []*model.NetworkInterface{
		{ID: nicID("nic-app"), Number: 1, Location: "westeurope", Subnet: vnetID + "/subnets/snet-app", IPv4: netip.MustParseAddr("10.13.76.36"),
			PublicIPAddress: s.PublicIPAddresses[0].ID, MAC: model.MAC{2, 0, 0, 0, 0, 1}, Node: "host-we-1"},
		{ID: nicID("nic-other"), Number: 2, Location: "westeurope", Subnet: vnetID + "/subnets/snet-other", IPv4: netip.MustParseAddr("10.13.77.4"),
			MAC: model.MAC{2, 0, 0, 0, 0, 2}, Node: "host-we-2"},
	}
	storage, _ := model.ServiceByEndpoint("Microsoft.Storage")
	s.Zones = all.Zones(s.Settings)
	ports := []model.ServicePort{{Number: 80, Way: model.WayHTTP}, {Number: 443, Way: model.WayHTTPS}}
	for _, account := range []struct {
		name   string
		region model.Location
		number int
	}{{ownAccount, "westeurope", 1}, {germanAccount, "germanywestcentral", 1}, {rogueAccount, "westeurope", 2}} {
		s.Instances = append(s.Instances, &model.ServiceInstance{ID: accountID(account.name), Name: account.name, Location: account.region,
			Address: frontAddress(account.region, account.number), Service: "storage", Space: "storage", Endpoint: storage, Ports: ports,
			Rules: model.NetworkRules{PublicNetworkAccess: true, DefaultAllow: true}})
	}
	return s
}

func app(s *model.Snapshot) *model.Subnet { return &s.VirtualNetworks[0].Subnets[0] }

func account(s *model.Snapshot, name string) *model.ServiceInstance {
	for i := range s.Instances {
		if s.Instances[i].Name == name {
			return s.Instances[i]
		}
	}
	panic("no account " + name)
}

// denyAllBut gives an account default Deny with IP rules.
func denyAllBut(s *model.Snapshot, name string, rules ...string) {
	acls := &account(s, name).Rules
	acls.DefaultAllow = false
	for _, rule := range rules {
		acls.IPRules = append(acls.IPRules, netip.PrefixFrom(netip.MustParseAddr(rule), 32))
	}
}

// direct gives the own account a port that is judged packet by packet.
func direct(backend string) func(*model.Snapshot) {
	return func(s *model.Snapshot) {
		own := account(s, ownAccount)
		own.Ports = append(slices.Clone(own.Ports), model.ServicePort{Number: 6379, Way: model.WayDirect})
		if backend != "" {
			own.Backends = []model.Backend{{Address: backend, Weight: 1}}
		}
	}
}

const directPort = ownAccount + ".table.core.windows.net:6379"

// letIn adds a VNet rule for a subnet.
func letIn(s *model.Snapshot, name string, subnet *model.Subnet) {
	acls := &account(s, name).Rules
	acls.VirtualNetworkRules = append(acls.VirtualNetworkRules, model.VirtualNetworkRule{Subnet: subnet.ID, Identity: subnet.Identity})
}

// routeVia gives snet-app a route table with one route.
func routeVia(s *model.Snapshot, prefix string, hop model.NextHopType, address string) {
	table := model.RouteTable{ID: id("Microsoft.Network/routeTables", "rt"), Location: "westeurope"}
	route := model.UserRoute{Name: "udr", Prefix: netip.MustParsePrefix(prefix), NextHopType: hop}
	if address != "" {
		route.NextHopIPAddress = netip.MustParseAddr(address)
	}
	table.Routes = append(table.Routes, route)
	s.RouteTables = []*model.RouteTable{&table}
	app(s).RouteTable = table.ID
}

// onlyOwn gives snet-app an endpoint policy with the own account.
func onlyOwn(s *model.Snapshot) {
	policy := model.ServiceEndpointPolicy{ID: id("Microsoft.Network/serviceEndpointPolicies", "own"), Location: "westeurope",
		Definitions: []model.ServiceEndpointPolicyDefinition{{Name: "own", Service: "Microsoft.Storage", ServiceResources: []string{string(accountID(ownAccount))}}}}
	s.ServiceEndpointPolicies = []*model.ServiceEndpointPolicy{&policy}
	app(s).ServiceEndpointPolicies = []model.ResourceID{policy.ID}
}

const natAddress = "203.0.113.40"

// natGateway is the NAT gateway nat, with natAddress.
func natGateway(s *model.Snapshot) model.ResourceID {
	gateway := &model.NatGateway{ID: id("Microsoft.Network/natGateways", "nat"), Location: "westeurope"}
	if len(s.NatGateways) == 0 {
		public := &model.PublicIPAddress{ID: id("Microsoft.Network/publicIPAddresses", "pip-nat"), Location: "westeurope", IPv4: netip.MustParseAddr(natAddress), Standard: true}
		s.PublicIPAddresses = append(s.PublicIPAddresses, public)
		gateway.PublicIPAddresses = []model.ResourceID{public.ID}
		s.NatGateways = append(s.NatGateways, gateway)
	}
	return gateway.ID
}

func table(account string) string { return account + ".table.core.windows.net:443" }

func cloudOf(t testing.TB, snapshot *model.Snapshot) *Cloud {
	t.Helper()
	cloud, err := NewCloud(snapshot, servicetag.BuiltIn(), new(compile.Compiler))
	if err != nil {
		t.Fatal(err)
	}
	return cloud
}

func explained(t testing.TB, cloud *Cloud, question Question) *Explanation {
	t.Helper()
	e, err := Packet(cloud, question)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func text(t testing.TB, e *Explanation) string {
	t.Helper()
	var b strings.Builder
	if err := e.WriteText(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

package compile_test

import (
	"fmt"
	"net/netip"

	"postern/model"
)

// largeSnapshot is a cloud of so many NICs: 100 VNets with a subnet each, endpoints and a security group, on 100 hosts.
func largeSnapshot(nics int) *model.Snapshot {
	const many = 100
	id := func(typ, format string, args ...any) model.ResourceID {
		return model.ResourceID("/subscriptions/s/resourceGroups/g/providers/Microsoft.Network/" + typ + "/" + fmt.Sprintf(format, args...))
	}
	locator := func(a, b int) model.Locator { return model.MustLocator(fmt.Sprintf("fd00:1:%x:%x00::/56", a, b)) }
	snapshot := &model.Snapshot{Settings: model.DefaultSettings, Nodes: []*model.Node{
		{Name: "gateway", Role: model.RoleGateway, Location: "westeurope", Locator: locator(2, 1), ServiceLocator: locator(2, 2), PlatformLocator: locator(2, 3)},
		{Name: "edge", Role: model.RoleEdge, Location: "westeurope", Locator: locator(2, 4), OutboundAddress: netip.MustParseAddr("203.0.113.250"), PlatformPool: netip.MustParsePrefix("100.64.0.0/12")},
	}}
	snapshot.NetworkSecurityGroups = []*model.NetworkSecurityGroup{{ID: id("networkSecurityGroups", "nsg"), Rules: []model.SecurityRule{
		{Name: "ssh", Priority: 100, Inbound: true, Allow: true, Protocol: model.ProtocolTCP, Source: model.SecurityPeers{Tag: "Internet"},
			Destination: model.SecurityPeers{Any: true}, SourcePorts: []model.PortRange{model.AllPorts}, DestinationPorts: []model.PortRange{{First: 22, Last: 22}}}}}}
	for i := range many {
		snapshot.Nodes = append(snapshot.Nodes, &model.Node{Name: fmt.Sprintf("host-%d", i), Role: model.RoleHost, Location: "westeurope", Locator: locator(1, i)})
		vnet := id("virtualNetworks", "vnet-%d", i)
		snapshot.VirtualNetworks = append(snapshot.VirtualNetworks, &model.VirtualNetwork{
			ID: vnet, Number: uint32(i + 1), Location: "westeurope", AddressSpace: []netip.Prefix{netip.MustParsePrefix(fmt.Sprintf("10.%d.0.0/16", i))},
			Subnets: []model.Subnet{{ID: vnet + "/subnets/app", Identity: model.FirstSubnetIdentity + model.Identity(i), DefaultOutboundAccess: true,
				Prefixes: []netip.Prefix{netip.MustParsePrefix(fmt.Sprintf("10.%d.0.0/20", i))}, ServiceEndpoints: []string{"Microsoft.Storage", "Microsoft.Sql"},
				NetworkSecurityGroup: snapshot.NetworkSecurityGroups[0].ID}},
		})
	}
	for i := range nics {
		snapshot.NetworkInterfaces = append(snapshot.NetworkInterfaces, &model.NetworkInterface{
			ID: id("networkInterfaces", "nic-%d", i), Number: uint32(i + 1), Location: "westeurope", Subnet: snapshot.VirtualNetworks[i%many].Subnets[0].ID,
			IPv4: netip.AddrFrom4([4]byte{10, byte(i % many), byte(i / many / 250), byte(i/many%250 + 4)}), MAC: model.MAC{2, 0, 0, byte(i >> 16), byte(i >> 8), byte(i)},
			Node: fmt.Sprintf("host-%d", i/many%many),
		})
	}
	return snapshot
}

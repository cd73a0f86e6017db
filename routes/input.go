package routes

import (
	"fmt"
	"net/netip"

	"postern/model"
	"postern/servicetag"
)

// Input is everything that the routes of a subnet depend on. New reads it, and keeps nothing that it could change.
type Input struct {
	VirtualNetwork *model.VirtualNetwork
	Subnet         *model.Subnet
	RouteTable     *model.RouteTable       // nil for none
	Peers          []*model.VirtualNetwork // by a connected peering: see ConnectedPeers
	GatewayRoutes  []GatewayRoute          // what the VNet's gateway has learnt
	Region         *Region                 // of the VNet's location

	// DocumentedRoutes is model.Settings.DocumentedRoutes (ROUTE-13).
	DocumentedRoutes bool
}

// GatewayRoute is a prefix that a virtual network gateway learnt by BGP.
type GatewayRoute struct {
	Prefix  netip.Prefix
	NextHop netip.Addr
}

// ConnectedPeers lists the VNets that a VNet is peered with in both directions, in the order of its peerings, each once
// (ROUTE-7). find gives a VNet by its id, nil for none.
func ConnectedPeers(vnet *model.VirtualNetwork, find func(model.ResourceID) *model.VirtualNetwork) []*model.VirtualNetwork {
	var peers []*model.VirtualNetwork
	seen := map[string]bool{vnet.ID.Key(): true}
	for _, peering := range vnet.Peerings {
		remote := find(peering.RemoteVirtualNetwork)
		if remote == nil || seen[remote.ID.Key()] {
			continue
		}
		for _, back := range remote.Peerings {
			if back.RemoteVirtualNetwork.Is(vnet.ID) {
				seen[remote.ID.Key()] = true
				peers = append(peers, remote)
				break
			}
		}
	}
	return peers
}

// CheckUserRoute tells what is wrong with a route of a user, as the API must answer it (ROUTE-10, ROUTE-11). The number of
// tags in a table is not its matter.
func CheckUserRoute(route model.UserRoute, catalogue *servicetag.Catalogue) error {
	_, err := checkUserRoute(route, catalogue)
	return err
}

// checkUserRoute names the rule that is broken besides.
func checkUserRoute(route model.UserRoute, catalogue *servicetag.Catalogue) (rule string, err error) {
	fail := func(rule, format string, values ...any) (string, error) {
		return rule, fmt.Errorf("route %q: %s", route.Name, fmt.Sprintf(format, values...))
	}
	switch route.NextHopType {
	case model.NextHopVirtualAppliance:
		if !route.NextHopIPAddress.Is4() {
			return fail("ROUTE-10", "next hop VirtualAppliance needs an IPv4 nextHopIpAddress")
		}
	case model.NextHopNone, model.NextHopVnetLocal, model.NextHopInternet, model.NextHopVirtualNetworkGateway:
		if route.NextHopIPAddress.IsValid() {
			return fail("ROUTE-10", "next hop %s takes no nextHopIpAddress; remove it", route.NextHopType)
		}
	default:
		return fail("ROUTE-10", "next hop %s cannot be set; use VirtualAppliance, VirtualNetworkGateway, VnetLocal, Internet or None",
			route.NextHopType)
	}
	switch {
	case (route.ServiceTag == "") == !route.Prefix.IsValid():
		return fail("ROUTE-11", "want either a prefix or a service tag")
	case route.ServiceTag == "" && !route.Prefix.Addr().Is4():
		return fail("ROUTE-11", "prefix %s is not IPv4", route.Prefix)
	case route.ServiceTag != "":
		if _, ok := catalogue.Tag(route.ServiceTag); !ok {
			return fail("ROUTE-11", "no service tag %q in the catalogue; see postern tags, or import a newer file", route.ServiceTag)
		}
	}
	return "", nil
}

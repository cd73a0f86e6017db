package compile

import (
	"postern/model"
	"postern/plan"
)

// natGateways are the NAT gateways that have an effect: those with a public address (OUT-1).
type natGateways struct {
	byID   map[string]*plan.NATGateway // by the gateway's key
	byVNet map[string]*plan.NATGateway // by the key of the VNet that it serves wherever a subnet names no other
}

func natGatewaysOf(snapshot *model.Snapshot) *natGateways {
	g := &natGateways{byID: map[string]*plan.NATGateway{}, byVNet: map[string]*plan.NATGateway{}}
	addresses := snapshot.NATAddresses()
	for _, gateway := range snapshot.NatGateways {
		key := gateway.ID.Key()
		if len(addresses[key]) == 0 {
			continue
		}
		made := &plan.NATGateway{ID: gateway.ID, Addresses: addresses[key]}
		g.byID[key] = made
		if gateway.SourceVirtualNetwork != "" {
			g.byVNet[gateway.SourceVirtualNetwork.Key()] = made
		}
	}
	return g
}

// of is the NAT gateway that a subnet's packets leave by, nil for none: its own, or its VNet's where it names none.
func (g *natGateways) of(subnet *subnet) *plan.NATGateway {
	if subnet.NatGateway != "" {
		return g.byID[subnet.NatGateway.Key()]
	}
	return g.byVNet[subnet.vnet.ID.Key()]
}

package compile

import (
	"net/netip"
	"reflect"

	"postern/model"
	"postern/plan"
)

// natGateways are the NAT gateways that have an effect: those with a public address (OUT-1). They are never changed once
// they are made.
type natGateways struct {
	byID     map[string]*natGateway // by the gateway's key
	byVNet   map[string]*natGateway // by the key of the VNet that it serves wherever a subnet names no other
	byRegion map[model.Location]map[plan.Ref]plan.NATGateway
}

type natGateway struct {
	plan.NATGateway
	ref plan.Ref
}

func natGatewaysOf(snapshot *model.Snapshot) *natGateways {
	g := &natGateways{map[string]*natGateway{}, map[string]*natGateway{}, map[model.Location]map[plan.Ref]plan.NATGateway{}}
	addresses := snapshot.NATAddresses()
	for _, gateway := range snapshot.NatGateways {
		key := gateway.ID.Key()
		if len(addresses[key]) == 0 {
			continue
		}
		made := &natGateway{NATGateway: plan.NATGateway{ID: gateway.ID, Addresses: addresses[key]}}
		if g.byRegion[gateway.Location] == nil {
			g.byRegion[gateway.Location] = map[plan.Ref]plan.NATGateway{}
		}
		made.ref = share(g.byRegion[gateway.Location], "natGateway", made.NATGateway)
		g.byID[key] = made
		if gateway.SourceVirtualNetwork != "" {
			g.byVNet[gateway.SourceVirtualNetwork.Key()] = made
		}
	}
	return g
}

// of is the NAT gateway that a subnet's packets leave by, nil for none: its own, or its VNet's where it names none.
func (g *natGateways) of(subnet *subnet) *natGateway {
	if subnet.NatGateway != "" {
		return g.byID[subnet.NatGateway.Key()]
	}
	return g.byVNet[subnet.network.vnet.ID.Key()]
}

// addressOf is the address that a NIC's new connections leave from.
func (g *natGateway) addressOf(number uint32) netip.Addr {
	return g.Addresses[int(number%uint32(len(g.Addresses)))]
}

// followNATGateways goes on to the NAT gateways of the next snapshot.
func (in *indexed) followNATGateways(next *model.Snapshot, changed map[string]bool) {
	before := in.nats
	in.nats = natGatewaysOf(next)
	for key := range unlike(before.byID, in.nats.byID) {
		changed[key] = true
	}
	for vnet := range unlike(before.byVNet, in.nats.byVNet) {
		in.stale[vnet] = true
	}
}

// unlike are the keys whose gateways differ between two maps.
func unlike(before, after map[string]*natGateway) map[string]bool {
	keys := map[string]bool{}
	for _, some := range []map[string]*natGateway{before, after} {
		for key := range some {
			if !reflect.DeepEqual(before[key], after[key]) {
				keys[key] = true
			}
		}
	}
	return keys
}

package compile

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"postern/model"
	"postern/plan"
)

// edge is the plan of one edge: every NIC of its region as the Internet sees it (OUT-1).
func (in *indexed) edge(node *model.Node) (*plan.Edge, error) {
	if !node.PlatformPool.IsValid() || !node.PlatformPool.Addr().Is4() {
		return nil, fmt.Errorf("an edge needs a platformPool, a part of 100.64.0.0/10 of its own")
	}
	whole := in.wholeOf(node.Name)
	before := whole.egress.list
	nics := whole.egress.of(in.ordered, node.Name, func(p *part) []plan.EgressNIC { return p.egress })
	if before == nil || !same(before, nics) {
		if err := in.distinct(nics, node); err != nil {
			return nil, err
		}
	}
	return &plan.Edge{OutboundAddress: node.OutboundAddress, PlatformPool: node.PlatformPool, NICs: nics,
		NATGateways: in.nats.byRegion[node.Location]}, nil
}

// edgePart is what an edge has of one network: the NICs that are in the edge's region.
func (in *indexed) edgePart(network *network, node *model.Node) *part {
	out := &part{}
	if !node.PlatformPool.IsValid() || !node.PlatformPool.Addr().Is4() {
		return out // see edge
	}
	for _, nic := range network.nics {
		if nic.subnet == nil || nic.Location != node.Location || in.locators[nic.Node].IsZero() {
			continue
		}
		entry := plan.EgressNIC{
			Subnet: nic.subnet.Identity, IPv4: nic.IPv4, Locator: in.locators[nic.Node], Public: in.public(nic.NetworkInterface),
			PlatformAddress: platformAddress(node.PlatformPool, nic.Number), Outbound: nic.subnet.DefaultOutboundAccess,
		}
		if gateway := in.nats.of(nic.subnet); gateway != nil {
			entry.NATGateway, entry.NATAddress = gateway.ref, gateway.addressOf(nic.Number)
		}
		out.egress = append(out.egress, entry)
	}
	return out
}

// distinct refuses NICs that share a platform address, for an edge's pool is too small then.
func (in *indexed) distinct(nics []plan.EgressNIC, node *model.Node) error {
	first := binary.BigEndian.Uint32(node.PlatformPool.Masked().Addr().AsSlice())
	taken := make([]bool, 1<<(32-node.PlatformPool.Bits()))
	for _, nic := range nics {
		place := binary.BigEndian.Uint32(nic.PlatformAddress.AsSlice()) - first
		if taken[place] {
			return fmt.Errorf("platformPool %s is too small: two NICs, one of them %v, would share the address %v", node.PlatformPool, nic.IPv4, nic.PlatformAddress)
		}
		taken[place] = true
	}
	return nil
}

// platformAddress is a NIC's place in the pool, by its number: the same as long as the NIC lives.
func platformAddress(pool netip.Prefix, number uint32) netip.Addr {
	bytes := pool.Masked().Addr().As4()
	size := uint32(1)<<(32-pool.Bits()) - 1
	binary.BigEndian.PutUint32(bytes[:], binary.BigEndian.Uint32(bytes[:])|number&size)
	return netip.AddrFrom4(bytes)
}

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
	out := &plan.Edge{OutboundAddress: node.OutboundAddress, PlatformPool: node.PlatformPool, NICs: []plan.EgressNIC{}}
	if !node.PlatformPool.IsValid() || !node.PlatformPool.Addr().Is4() {
		return nil, fmt.Errorf("an edge needs a platformPool, a part of 100.64.0.0/10 of its own")
	}
	taken := map[netip.Addr]model.ResourceID{}
	for _, nic := range in.nics {
		if nic.subnet == nil || nic.Location != node.Location || in.locators[nic.Node].IsZero() {
			continue
		}
		address := platformAddress(node.PlatformPool, nic.Number)
		if other, ok := taken[address]; ok {
			return nil, fmt.Errorf("platformPool %s is too small: NICs %s and %s would share an address", node.PlatformPool, other, nic.ID)
		}
		taken[address] = nic.ID
		entry := plan.EgressNIC{
			Subnet: nic.subnet.Identity, IPv4: nic.IPv4, Locator: in.locators[nic.Node],
			Public: in.public(nic), PlatformAddress: address, Outbound: nic.subnet.DefaultOutboundAccess,
		}
		if gateway := in.nats.of(nic.subnet); gateway != nil {
			if out.NATGateways == nil {
				out.NATGateways = map[plan.Ref]plan.NATGateway{}
			}
			entry.NATGateway = share(out.NATGateways, "natGateway", *gateway)
			entry.NATAddress = gateway.Addresses[int(nic.Number)%len(gateway.Addresses)]
		}
		out.NICs = append(out.NICs, entry)
	}
	return out, nil
}

// platformAddress is a NIC's place in the pool, by its number: the same as long as the NIC lives.
func platformAddress(pool netip.Prefix, number uint32) netip.Addr {
	bytes := pool.Masked().Addr().As4()
	size := uint32(1)<<(32-pool.Bits()) - 1
	binary.BigEndian.PutUint32(bytes[:], binary.BigEndian.Uint32(bytes[:])|number&size)
	return netip.AddrFrom4(bytes)
}

func (in *indexed) public(nic nic) netip.Addr {
	if nic.PublicIPAddress == "" {
		return netip.Addr{}
	}
	if public := in.publics[nic.PublicIPAddress.Key()]; public != nil {
		return public.IPv4
	}
	return netip.Addr{}
}

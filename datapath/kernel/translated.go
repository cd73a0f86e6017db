//go:build linux

package kernel

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"postern/plan"
)

// leaving is from which addresses the connections of a platform address may leave.
type leaving map[netip.Addr][]netip.Addr

func leavingOf(edge *plan.Edge) leaving {
	out := make(leaving, len(edge.NICs))
	for _, nic := range edge.NICs {
		addresses := slices.Clone(edge.NATGateways[nic.NATGateway].Addresses)
		if nic.Outbound {
			addresses = append(addresses, edge.OutboundAddress)
		}
		out[nic.PlatformAddress] = addresses
	}
	return out
}

// covers tells whether whatever may leave by other may leave by l too.
func (l leaving) covers(other leaving) bool {
	for platform, addresses := range other {
		for _, address := range addresses {
			if !slices.Contains(l[platform], address) {
				return false
			}
		}
	}
	return true
}

// endTranslated makes the kernel's NAT forget the connections that left from an address which their NIC may not use any
// more: its NAT gateway lost it, or it has another gateway or none (OUT-1). The next packet of such a TCP connection
// meets the NAT as one that it does not know. A process that has just begun does not know what was before, and looks.
func (d *Driver) endTranslated(edge *plan.Edge) error {
	now := leavingOf(edge)
	if d.current != nil && d.current.Edge != nil && now.covers(leavingOf(d.current.Edge)) {
		return nil
	}
	filter := staleConnections{edge.PlatformPool, now}
	if _, err := netlink.ConntrackDeleteFilters(netlink.ConntrackTable, unix.AF_INET, filter); err != nil {
		return fmt.Errorf("end connections of addresses that are gone: %w", err)
	}
	return nil
}

// staleConnections are the tracked connections of a pool that may not go on.
type staleConnections struct {
	pool netip.Prefix
	now  leaving
}

// MatchConntrackFlow tells whether a connection is to be forgotten.
func (s staleConnections) MatchConntrackFlow(flow *netlink.ConntrackFlow) bool {
	source, _ := netip.AddrFromSlice(flow.Forward.SrcIP)
	left, _ := netip.AddrFromSlice(flow.Reverse.DstIP)
	source, left = source.Unmap(), left.Unmap()
	return s.pool.Contains(source) && left != source && !slices.Contains(s.now[source], left)
}

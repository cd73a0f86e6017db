//go:build linux

package kernel

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"postern/plan"
)

// endTranslated makes the kernel's NAT forget the connections that left from an address which their NIC may not use any
// more: its NAT gateway lost it, or it has another gateway or none (OUT-1). The next packet of such a TCP connection
// meets the NAT as one that it does not know. A process that has just begun does not know what was before, and looks.
func (d *Driver) endTranslated(edge *plan.Edge) error {
	now := edge.Exits()
	if d.current != nil && d.current.Edge != nil && covers(now, d.current.Edge.Exits()) {
		return nil
	}
	filter := staleConnections{edge.PlatformPool, now}
	for {
		_, err := netlink.ConntrackDeleteFilters(netlink.ConntrackTable, unix.AF_INET, filter)
		if errors.Is(err, netlink.ErrDumpInterrupted) {
			continue // the table was made anew meanwhile, as it is when it grows
		}
		if err != nil {
			return fmt.Errorf("end connections of addresses that are gone: %w", err)
		}
		return nil
	}
}

// covers tells whether every exit of some is still there.
func covers(now, some map[netip.Addr][]netip.Addr) bool {
	for platform, exits := range some {
		for _, exit := range exits {
			if !slices.Contains(now[platform], exit) {
				return false
			}
		}
	}
	return true
}

// staleConnections are the tracked connections of a pool that leave by no exit of now.
type staleConnections struct {
	pool netip.Prefix
	now  map[netip.Addr][]netip.Addr
}

// MatchConntrackFlow tells whether a connection is to be forgotten.
func (s staleConnections) MatchConntrackFlow(flow *netlink.ConntrackFlow) bool {
	source, _ := netip.AddrFromSlice(flow.Forward.SrcIP)
	left, _ := netip.AddrFromSlice(flow.Reverse.DstIP)
	source, left = source.Unmap(), left.Unmap()
	return s.pool.Contains(source) && left != source && !slices.Contains(s.now[source], left)
}

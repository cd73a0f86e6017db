package pipeline

import (
	"net/netip"

	"github.com/gaissmai/bart"

	"postern/model"
	"postern/packet"
	"postern/plan"
)

// route is a plan.Route with the length of its prefix at hand.
type route struct {
	prefix  netip.Prefix
	hop     hop
	beneath *hop
}

// hop is a plan.Hop with the length of the prefix that it stands on.
type hop struct {
	plan.Hop
	bits uint8
}

// serviceTable is a plan.ServiceTable as a trie.
type serviceTable struct {
	entries bart.Table[*serviceEntry]
}

type serviceEntry struct {
	prefix     netip.Prefix
	regional   bool
	candidates []serviceCandidate
}

type serviceCandidate struct {
	plan.ServiceCandidate
	target *plan.ServiceTarget
}

// choice is what step 7 found and chose. Hop is nil where no route matches or a gateway's was set aside and none is
// beneath it; service is nil where no enabled service has the address.
type choice struct {
	route     *route
	entry     *serviceEntry // whatever the NIC has enabled
	hop       *hop
	service   *serviceCandidate
	byService bool // the service wins
}

// none tells that there is no way at all.
func (c *choice) none() bool { return c.hop == nil && !c.byService }

// choose is step 7 for any address but the platform's: ROUTE-1, ROUTE-2, ROUTE-3 and ROUTE-13 over two tables.
func (s *snapshot) choose(n *nic, destination [4]byte, protocol model.Protocol) choice {
	address := netip.AddrFrom4(destination)
	var c choice
	if n.routes != nil {
		if found, ok := n.routes.Lookup(address); ok {
			c.route, c.hop = found, &found.hop
		}
	}
	if n.services != nil {
		c.entry, _ = n.services.entries.Lookup(address)
	}
	if c.entry != nil && hasPorts(protocol) {
		for i := range c.entry.candidates {
			if candidate := &c.entry.candidates[i]; n.enabledServices>>candidate.Bit&1 != 0 {
				c.service = candidate
				break
			}
		}
	}
	if c.service == nil {
		return c
	}
	if s.documentedRoutes {
		c.byService = true
		return c
	}
	if c.hop != nil && c.hop.Source == model.SourceVirtualNetworkGateway {
		c.hop = c.route.beneath
	}
	c.byService = serviceWins(c.service.Bits, c.hop)
	return c
}

// serviceWins is ROUTE-13 as labs observe it: by length, and at equal length unless the route is the user's and leads
// elsewhere than to the Internet.
func serviceWins(bits uint8, other *hop) bool {
	switch {
	case other == nil || bits > other.bits:
		return true
	case bits < other.bits:
		return false
	}
	return other.Source != model.SourceUser || other.Type == model.NextHopInternet
}

// hasPorts tells whether a protocol can take a service tunnel (SE-6).
func hasPorts(protocol model.Protocol) bool {
	return protocol == model.ProtocolTCP || protocol == model.ProtocolUDP
}

// way is where a packet of the VM goes: one line of the table of step 12.
type way struct {
	reason     model.Reason // of the packet that takes it
	translated bool
	via        model.Identity
	function   model.Function
	locator    model.Locator
	identity   model.Identity
	ipv4       [4]byte
}

// wayOf is step 8 up to the locator: where the chosen hop leads.
func (j *judge) wayOf(c *choice, d *datagram) (way, model.Reason) {
	if c.byService {
		return j.wayToService(c.service.target, d)
	}
	switch h := c.hop; h.Type {
	case model.NextHopVnetLocal, model.NextHopVNetPeering:
		place, ok := j.snapshot.directory[directoryKey{h.VNet, d.destination}]
		if !ok {
			return way{}, model.ReasonNoSuchAddress
		}
		return way{reason: model.ReasonVirtualNetwork, function: model.FunctionNIC, locator: place.locator,
			identity: place.subnet, ipv4: d.destination}, model.ReasonNone
	case model.NextHopVirtualAppliance:
		return j.wayToAppliance(h)
	case model.NextHopInternet:
		return j.wayToInternet(c, d)
	case model.NextHopVirtualNetworkGateway:
		return way{}, model.ReasonNoGateway
	case model.NextHopInterfaceEndpoint:
		return way{}, model.ReasonNoNode
	}
	return way{}, model.ReasonRouteNone
}

func (j *judge) wayToService(target *plan.ServiceTarget, d *datagram) (way, model.Reason) {
	if j.nic.policy != nil {
		_, listed := j.nic.policy[d.destination]
		if j.trace != nil {
			j.trace.policyLooked(listed)
		}
		if !listed {
			return way{}, model.ReasonEndpointPolicy
		}
	}
	if target.Locator.IsZero() {
		return way{}, model.ReasonNoNode
	}
	return way{reason: model.ReasonServiceEndpoint, translated: true, via: target.Service,
		function: model.FunctionService, locator: target.Locator, identity: target.Service, ipv4: d.destination}, model.ReasonNone
}

// wayToAppliance is ROUTE-14.
func (j *judge) wayToAppliance(h *hop) (way, model.Reason) {
	address := h.Address.As4()
	place, ok := j.snapshot.directory[directoryKey{h.VNet, address}]
	switch {
	case !ok:
		return way{}, model.ReasonApplianceUnowned
	case !place.forwarding:
		return way{}, model.ReasonApplianceNotForwarding
	case place.subnet == j.nic.subnet && address == j.nic.ipv4:
		return way{}, model.ReasonApplianceLoop
	}
	return way{reason: model.ReasonAppliance, function: model.FunctionAppliance, locator: place.locator,
		identity: place.subnet, ipv4: address}, model.ReasonNone
}

func (j *judge) wayToInternet(c *choice, d *datagram) (way, model.Reason) {
	if !j.nic.outbound {
		return way{}, model.ReasonNoOutbound
	}
	if j.snapshot.egress.IsZero() {
		return way{}, model.ReasonNoNode
	}
	out := way{reason: model.ReasonInternet, function: model.FunctionInternetEgress, locator: j.snapshot.egress,
		ipv4: d.destination}
	if c.entry != nil && c.entry.regional && hasPorts(d.protocol) {
		out.reason, out.function = model.ReasonRegionalEgress, model.FunctionRegionalEgress
	} else if j.nic.natGateway && j.ofGateway(d) {
		out.reason, out.function = model.ReasonNATGateway, model.FunctionNATEgress
	}
	return out, model.ReasonNone
}

// ofGateway tells whether a packet that leaves to the Internet is of a flow of the subnet's NAT gateway, or begins one
// (OUT-1). An ICMP error goes the way of the flow that it is about, a later fragment that of its first one.
func (j *judge) ofGateway(d *datagram) bool {
	key := d.outgoingKey(j.nic.number)
	if d.icmpError {
		if about, ok := describeQuoted(d.layer4[packet.ICMPLen:]); ok {
			key = about.incomingKey(j.nic.number)
		}
	}
	have, ok := j.host.flows.find(key, j.now)
	return !ok || have.ofGateway
}

func (j *judge) wayToPlatform(d *datagram) (way, model.Reason) {
	if j.snapshot.platform.IsZero() {
		return way{}, model.ReasonNoNode
	}
	return way{reason: model.ReasonPlatform, translated: true, via: model.IdentityPlatform,
		function: model.FunctionPlatform, locator: j.snapshot.platform, identity: model.IdentityPlatform,
		ipv4: d.destination}, model.ReasonNone
}

package model

// Action is what happens to a packet.
type Action uint8

// The actions of a data path.
const (
	Drop       Action = iota // nothing leaves; the reason is counted
	Pass                     // not ours: the node's own stack has it
	Reply                    // answered toward the sender: ARP, a TCP reset, an ICMP error
	ToFabric                 // an IPv6 packet for the fabric
	Deliver                  // a frame for a NIC of this node
	ToInternet               // an IPv4 packet for the Internet (an edge's)
)

func (a Action) String() string {
	return [...]string{"drop", "pass", "reply", "to-fabric", "deliver", "to-internet"}[a]
}

// Reason says why a packet met its action. It is one type for the data paths, the counters, the log and explain.
// The numbers are shared with datapath/kernel/bpf/reason.h; a test compares the two.
type Reason uint8

// Reasons for what is let through come first, reasons for what is not after ReasonFirstDenial.
const (
	ReasonNone            Reason = iota
	ReasonARP                    // an ARP request, answered with RouterMAC
	ReasonVirtualNetwork         // to a NIC of the VNet or of a peered one
	ReasonAppliance              // through a virtual appliance
	ReasonServiceEndpoint        // translated into a service tunnel
	ReasonPlatform               // translated to the platform
	ReasonInternet               // to the Internet, from the public or default outbound address
	ReasonRegionalEgress         // to a service of the region without an endpoint, from a platform address
	ReasonNATGateway             // to the Internet, from an address of the subnet's NAT gateway (OUT-1)
	ReasonDelivered              // to a local NIC
	ReasonTooBig                 // answered with ICMP "fragmentation needed"
	ReasonPathChanged            // an open TCP connection whose way changed was reset (SE-3)
	ReasonNotOurs                // not for this data path
	ReasonOwnAddress             // of a connection to an instance's own address that its rules admit, or its backend's answer

	ReasonMalformed              // a header cut off or inconsistent
	ReasonSourceMAC              // not the NIC's MAC (SE-13)
	ReasonVLAN                   // a VLAN tag (SE-13)
	ReasonIPv6                   // IPv6 from a VM: the fabric is not for it (SE-13)
	ReasonEtherType              // neither IPv4 nor ARP
	ReasonARPIgnored             // ARP that is no request for another address, or lies about its sender
	ReasonSourceAddress          // not the NIC's address (SE-13)
	ReasonDestination            // multicast, broadcast, loopback or zero
	ReasonFragmentFirstMissing   // a later fragment whose first one was not seen
	ReasonFragmentTiny           // a first fragment that hides its ports
	ReasonFragmentOverlap        // a later fragment that would overwrite the ports
	ReasonSecurityGroup          // denied by an NSG rule
	ReasonUnrelatedError         // an ICMP error about no known flow
	ReasonNoRoute                // no route at all
	ReasonRouteNone              // next hop None
	ReasonNoGateway              // next hop VirtualNetworkGateway, and there is none
	ReasonNoSuchAddress          // inside the VNet, but no NIC has the address
	ReasonApplianceUnowned       // next hop VirtualAppliance that no NIC owns (ROUTE-14)
	ReasonApplianceNotForwarding // its NIC has no IP forwarding (ROUTE-14)
	ReasonApplianceLoop          // the appliance's own packet would come back to it
	ReasonNoOutbound             // the subnet has no way out to the Internet (OUT-1)
	ReasonNoNode                 // no gateway or edge carries that function now
	ReasonEndpointPolicy         // not in the subnet's service endpoint policies (SEP-2)
	ReasonForwardedToService     // an appliance must translate what it forwards to a service or the platform (AF-2)
	ReasonUnsupportedProtocol    // a protocol that cannot be translated
	ReasonSourceRoute            // an unexpired IPv4 source route
	ReasonUDPZeroChecksum        // a first fragment of UDP without checksum
	ReasonUnsolicited            // from a service or the platform, and no flow asked for it (SE-14)
	ReasonNoSuchNIC              // the fabric address names no NIC of this node
	ReasonExtensionHeader        // an IPv6 extension header that is not translated
	ReasonMartian                // a private source from the Internet
	ReasonUnsynced               // the node has no plan yet (fail closed)
	ReasonNetworkRules           // the instance's network rules, or the endpoint's, do not admit the caller (FW-1)
	ReasonPortClosed             // a port that no instance answers on
	ReasonNoBackend              // the instance has no backend that lives
	ReasonNoConnection           // neither of a known connection nor the beginning of one
	ReasonRevoked                // of a connection that a change of rules ended
	ReasonConnectionsFull        // no room for another connection
	ReasonPortTaken              // the caller has a connection from that port to the same server by another address

	ReasonCount // how many there are; at most 64
)

// ReasonFirstDenial is the first reason that stands for a packet not let through.
const ReasonFirstDenial = ReasonMalformed

var reasonNames = [ReasonCount]string{
	ReasonNone: "none", ReasonARP: "arp", ReasonVirtualNetwork: "virtual-network", ReasonAppliance: "appliance",
	ReasonServiceEndpoint: "service-endpoint", ReasonPlatform: "platform", ReasonInternet: "internet",
	ReasonRegionalEgress: "regional-egress", ReasonNATGateway: "nat-gateway", ReasonDelivered: "delivered",
	ReasonTooBig: "too-big", ReasonPathChanged: "path-changed", ReasonNotOurs: "not-ours", ReasonOwnAddress: "own-address",
	ReasonMalformed: "malformed", ReasonSourceMAC: "source-mac", ReasonVLAN: "vlan-tag", ReasonIPv6: "ipv6-from-vm",
	ReasonEtherType: "ether-type", ReasonARPIgnored: "arp-ignored", ReasonSourceAddress: "source-address",
	ReasonDestination: "destination", ReasonFragmentFirstMissing: "fragment-first-missing",
	ReasonFragmentTiny: "fragment-tiny", ReasonFragmentOverlap: "fragment-overlap",
	ReasonSecurityGroup: "security-group", ReasonUnrelatedError: "unrelated-error", ReasonNoRoute: "no-route",
	ReasonRouteNone: "route-none", ReasonNoGateway: "no-virtual-network-gateway",
	ReasonNoSuchAddress: "no-such-address", ReasonApplianceUnowned: "appliance-unowned",
	ReasonApplianceNotForwarding: "appliance-not-forwarding", ReasonApplianceLoop: "appliance-loop",
	ReasonNoOutbound: "no-outbound-access", ReasonNoNode: "no-node", ReasonEndpointPolicy: "endpoint-policy",
	ReasonForwardedToService: "forwarded-to-service", ReasonUnsupportedProtocol: "unsupported-protocol",
	ReasonSourceRoute: "source-route", ReasonUDPZeroChecksum: "udp-zero-checksum",
	ReasonUnsolicited: "unsolicited", ReasonNoSuchNIC: "no-such-nic", ReasonExtensionHeader: "extension-header",
	ReasonMartian: "martian", ReasonUnsynced: "unsynced",
	ReasonNetworkRules: "network-rules", ReasonPortClosed: "port-closed", ReasonNoBackend: "no-backend",
	ReasonNoConnection: "no-connection", ReasonRevoked: "revoked", ReasonConnectionsFull: "connections-full",
	ReasonPortTaken: "port-taken",
}

func (r Reason) String() string {
	if r < ReasonCount {
		return reasonNames[r]
	}
	return "unknown-reason"
}

// Rule names the rule of docs/semantics.md that a denial stands on, or "" where plain protocol sense does.
func (r Reason) Rule() string {
	switch r {
	case ReasonSourceMAC, ReasonVLAN, ReasonIPv6, ReasonSourceAddress,
		ReasonFragmentFirstMissing, ReasonFragmentTiny, ReasonFragmentOverlap:
		return "SE-13"
	case ReasonUnsolicited:
		return "SE-14"
	case ReasonPathChanged:
		return "SE-3"
	case ReasonSecurityGroup:
		return "NSG-1"
	case ReasonRouteNone:
		return "ROUTE-4"
	case ReasonApplianceUnowned, ReasonApplianceNotForwarding, ReasonApplianceLoop:
		return "ROUTE-14"
	case ReasonEndpointPolicy:
		return "SEP-2"
	case ReasonNoOutbound:
		return "OUT-1"
	case ReasonForwardedToService:
		return "AF-2"
	case ReasonNetworkRules, ReasonRevoked:
		return "FW-1"
	}
	return ""
}

// Verdict is what a data path decided about a packet.
type Verdict struct {
	Action Action
	Reason Reason
}

// Denied tells whether the packet did not get where it was going.
func (v Verdict) Denied() bool { return v.Reason >= ReasonFirstDenial }

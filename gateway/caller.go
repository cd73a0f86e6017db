package gateway

import (
	"fmt"
	"net/netip"

	"postern/firewall"
	"postern/model"
	"postern/wire"
)

// Caller is who a connection comes from, read from nothing but its two addresses.
type Caller struct {
	Kind    firewall.Kind
	Subnet  model.Identity   // of an endpoint caller; else IdentityNone
	Service model.Identity   // by whose endpoint an endpoint caller came; else IdentityNone
	Address netip.AddrPort   // private IPv4 of an endpoint caller; public or platform IPv4; the raw peer where unknown
	Dialled netip.Addr       // the public IPv4 address that it dialled; zero where unknown
	Port    uint16           // that it dialled
	Managed firewall.Managed // the identity of a token in the request; zero for none
	Problem string           // why the kind is firewall.Unknown, in words
}

// platformAddresses are what clients of the service's own region arrive from when they use no endpoint (FW-5). No
// client of the Internet can have one (RFC 6598).
var platformAddresses = netip.MustParsePrefix("100.64.0.0/10")

// Identify reads who calls from the local and the peer address of an accepted connection (wire format: the peer
// address is the identity). A caller on the service locator is an endpoint caller if its address is a NIC's; an IPv4
// caller on one of the plan's public addresses is a public or a platform one; everything else is unknown.
// Whether the identity exists is for Judge.
func Identify(snapshot *Snapshot, local, peer netip.AddrPort) Caller {
	localIP, peerIP := local.Addr().Unmap().WithZone(""), peer.Addr().Unmap().WithZone("")
	peer = netip.AddrPortFrom(peerIP, peer.Port())
	unknown := func(format string, args ...any) Caller {
		return Caller{Kind: firewall.Unknown, Address: peer, Problem: fmt.Sprintf(format, args...)}
	}
	if snapshot == nil {
		return unknown("the gateway has no plan yet")
	}
	if !localIP.IsValid() || !peerIP.IsValid() {
		return unknown("the connection has no IP addresses")
	}
	if localIP.Is6() {
		to := wire.Parse(localIP)
		if to.Locator != snapshot.plan.ServiceLocator || to.Function != model.FunctionService {
			return unknown("%s is not a service address of this gateway", localIP)
		}
		if snapshot.endpoints[to.Identity] == nil {
			return unknown("%s asks for service identity %d, of which no instance is served here", localIP, to.Identity)
		}
		if !peerIP.Is6() {
			return unknown("%s on a service address is not a fabric address", peerIP)
		}
		from := wire.Parse(peerIP)
		if from.Function != model.FunctionNIC || from.Identity < model.FirstSubnetIdentity {
			return unknown("%s is not the address of a NIC", peerIP)
		}
		if !unicast(from.IPv4) {
			return unknown("%s carries %s, which no NIC can have", peerIP, from.IPv4)
		}
		return Caller{Kind: firewall.Endpoint, Subnet: from.Identity, Service: to.Identity,
			Address: netip.AddrPortFrom(from.IPv4, peer.Port()), Dialled: to.IPv4, Port: local.Port()}
	}
	if _, ours := snapshot.addresses[localIP]; !ours {
		return unknown("%s is not a public address of this gateway", localIP)
	}
	kind := firewall.Public
	switch {
	case !peerIP.Is4():
		return unknown("%s is not an IPv4 address", peerIP)
	case platformAddresses.Contains(peerIP):
		kind = firewall.Platform
	case !unicast(peerIP) || peerIP.IsPrivate():
		return unknown("%s cannot come from the Internet", peerIP)
	}
	return Caller{Kind: kind, Address: peer, Dialled: localIP, Port: local.Port()}
}

// unicast tells whether one host can have the address. Private ones can: VNets may use public ranges too, so nothing
// more is asked of a NIC's.
func unicast(address netip.Addr) bool {
	first := address.As4()[0]
	return first != 0 && first != 127 && first < 224 && !address.IsLinkLocalUnicast()
}

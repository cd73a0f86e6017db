package own

import (
	"net/netip"
	"slices"

	"postern/model"
	"postern/service"
)

// maxDirectBackends is plan.MaxDirectBackends: as many as the packets' judge chooses from.
const maxDirectBackends = 8

// checkDirect refuses what packets that are judged one by one could not be brought to: nobody reads the connection, so
// nothing can be said in it, and its ends speak the same protocol.
func checkDirect(into *service.Instance) error {
	if !slices.ContainsFunc(into.Ports, func(port model.ServicePort) bool { return port.Way == model.WayDirect }) {
		return nil
	}
	if into.Delivery.ProxyProtocol {
		return service.Refuse(service.CodeInvalidFormat, "properties.proxyProtocol",
			"No PROXY header can go before a connection of the protocol direct, and none is needed: its backend sees the caller's address itself.")
	}
	if len(into.Backends) == 0 || len(into.Backends) > maxDirectBackends {
		return service.Refuse(service.CodeInvalidFormat, "properties.backends",
			"A service with a port of the protocol direct has 1 to %d backends; it has %d.", maxDirectBackends, len(into.Backends))
	}
	for i, backend := range into.Backends {
		address, err := netip.ParseAddrPort(backend.Address)
		if ip := address.Addr(); err != nil || !ip.Is6() || ip.Is4In6() || ip.Zone() != "" || ip.IsLinkLocalUnicast() || ip.IsMulticast() || ip.IsUnspecified() ||
			address.Port() == 0 {
			return service.Refuse(service.CodeInvalidFormat, service.Index("properties.backends", i),
				"'%s' must be [::1]:PORT, a server on the gateway's own host that listens on all its addresses, or [ADDRESS]:PORT, one that the "+
					"host routes IPv6 to and from: what is sent to a port of the protocol direct reaches the server unread, as IPv6, from the caller's "+
					"own address.", backend.Address)
		}
	}
	return nil
}

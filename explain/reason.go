package explain

import "postern/model"

// reasonText is what a data path's denial means, and what would change it.
type reasonText struct{ detail, hint string }

// reasonTexts are those that a first packet of a connection can meet.
var reasonTexts = map[model.Reason]reasonText{
	model.ReasonUnsynced:    {"no host carries the NIC", "start its VM if that is powered off; name an existing host in the NIC's tag postern.node, or leave the tag out"},
	model.ReasonDestination: {"multicast, broadcast, loopback and zero addresses are nobody's", "use the address of one machine"},
	model.ReasonSecurityGroup: {"a network security group denies it",
		"allow it by a security rule with a lower priority number"},
	model.ReasonNoRoute:   {"no route has the destination", "add a route to the subnet's route table"},
	model.ReasonRouteNone: {"the winning route's next hop is None, which drops the packet", "add a route that is longer or equally long, or peer the VNet that has the address"},
	model.ReasonNoGateway: {"the winning route's next hop is VirtualNetworkGateway, and the VNet has none", "change the route's next hop"},
	model.ReasonNoSuchAddress: {"the address is in the VNet's or a peer's address space, but no NIC has it whose machine runs",
		"check the address: postern get networkInterfaces lists the NICs"},
	model.ReasonApplianceUnowned: {"the winning route's next hop is a VirtualAppliance whose address no NIC has",
		"give a NIC with IP forwarding that address, or remove the route"},
	model.ReasonApplianceNotForwarding: {"the NIC of the VirtualAppliance has no IP forwarding", "set enableIPForwarding on the appliance's NIC"},
	model.ReasonApplianceLoop:          {"the next hop is the sender itself", "give the appliance's subnet another route table"},
	model.ReasonNoOutbound: {"the subnet has no way out to the Internet: it is private without a NAT gateway, and the NIC has no public address",
		"give the subnet a NAT gateway or the NIC a public IP address, or set defaultOutboundAccess on the subnet"},
	model.ReasonNoNode: {"no gateway or edge of the region carries that function", "add the gateway or edge as a Postern.Fabric/nodes resource"},
	model.ReasonEndpointPolicy: {"the subnet's service endpoint policies do not list the account",
		"add the account to a policy of the subnet, or remove the policies"},
	model.ReasonMartian:    {"a private or platform address cannot come in from the Internet", "give the NIC a public IP address"},
	model.ReasonNoBackend:  {"the service has no backend that could take it", "name a backend in properties.backends"},
	model.ReasonPortClosed: {"no instance answers on that port", "use a port of the service"},
	model.ReasonTooBig:     {"the packet is larger than the fabric's MTU", ""},
	model.ReasonNoSuchNIC: {"no NIC has the address",
		"check the address: postern get networkInterfaces lists the NICs"},
}

func describe(reason model.Reason) string { return reasonTexts[reason].detail }

func hint(reason model.Reason) string { return reasonTexts[reason].hint }

package resource

import (
	"postern/model"
)

// natGateway is Microsoft.Network/natGateways. It is kept, answered and referred to; the data paths do not use it yet:
// a subnet's packets leave as its defaultOutboundAccess says, with or without one.
type natGateway struct {
	id              model.ResourceID
	location        model.Location
	publicAddresses []model.ResourceID
	prefixes        []model.ResourceID
	source          model.ResourceID // the VNet whose subnets it serves by default, of the SKU StandardV2 alone; "" for none
}

// Bounds of a NAT gateway's idle timeout, in minutes.
const (
	minNATTimeout = 4
	maxNATTimeout = 120
)

func decodeNatGateway(r *Record) (any, error) {
	var body struct {
		header
		SKU struct {
			Name string `json:"name"`
		} `json:"sku"`
		Properties struct {
			SourceVirtualNetwork *reference  `json:"sourceVirtualNetwork"`
			PublicIPAddresses    []reference `json:"publicIpAddresses"`
			PublicIPPrefixes     []reference `json:"publicIpPrefixes"`
			PublicIPAddressesV6  []reference `json:"publicIpAddressesV6"`
			PublicIPPrefixesV6   []reference `json:"publicIpPrefixesV6"`
			IdleTimeout          *int        `json:"idleTimeoutInMinutes"`
		} `json:"properties"`
	}
	if err := leniently(r.Body, &body); err != nil {
		return nil, err
	}
	location, err := body.location()
	if err != nil {
		return nil, err
	}
	gateway := &natGateway{id: model.ResourceID(r.ID), location: location}
	if timeout := body.Properties.IdleTimeout; timeout != nil && (*timeout < minNATTimeout || *timeout > maxNATTimeout) {
		return nil, refuse("InvalidIdleTimeout", "properties.idleTimeoutInMinutes", "The idle timeout of a NAT gateway is %d to %d minutes, not %d.",
			minNATTimeout, maxNATTimeout, *timeout)
	}
	if gateway.source, err = referTo(body.Properties.SourceVirtualNetwork, TypeVirtualNetwork, "properties.sourceVirtualNetwork"); err != nil {
		return nil, err
	}
	if gateway.source != "" && body.SKU.Name != "StandardV2" {
		return nil, refuse(CodeInvalidRequestFormat, "properties.sourceVirtualNetwork", "NAT gateway '%s' has a sourceVirtualNetwork, which only the SKU "+
			"StandardV2 takes.", gateway.id.Name())
	}
	for i := range body.Properties.PublicIPAddresses {
		public, err := referTo(&body.Properties.PublicIPAddresses[i], TypePublicIPAddress, index("properties.publicIpAddresses", i))
		if err != nil {
			return nil, err
		}
		gateway.publicAddresses = append(gateway.publicAddresses, public)
	}
	for i := range body.Properties.PublicIPPrefixes {
		prefix, err := referTo(&body.Properties.PublicIPPrefixes[i], TypePublicIPPrefix, index("properties.publicIpPrefixes", i))
		if err != nil {
			return nil, err
		}
		gateway.prefixes = append(gateway.prefixes, prefix)
	}
	for field, list := range map[string][]reference{"publicIpAddressesV6": body.Properties.PublicIPAddressesV6, "publicIpPrefixesV6": body.Properties.PublicIPPrefixesV6} {
		if len(list) > 0 {
			return nil, refuse(CodeInvalidRequestFormat, "properties."+field, "NAT gateway '%s' has IPv6 addresses: all are IPv4 here.", gateway.id.Name())
		}
	}
	return gateway, nil
}

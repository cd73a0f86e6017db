package resource

import (
	"postern/model"
)

// Bounds of a NAT gateway: its idle timeout, in minutes, and its public addresses.
const (
	minNATTimeout   = 4
	maxNATTimeout   = 120
	maxNATAddresses = 16
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
	gateway := &model.NatGateway{ID: model.ResourceID(r.ID), Location: location}
	if timeout := body.Properties.IdleTimeout; timeout != nil && (*timeout < minNATTimeout || *timeout > maxNATTimeout) {
		return nil, refuse("InvalidIdleTimeout", "properties.idleTimeoutInMinutes", "The idle timeout of a NAT gateway is %d to %d minutes, not %d.",
			minNATTimeout, maxNATTimeout, *timeout)
	}
	if gateway.SourceVirtualNetwork, err = referTo(body.Properties.SourceVirtualNetwork, TypeVirtualNetwork, "properties.sourceVirtualNetwork"); err != nil {
		return nil, err
	}
	if gateway.SourceVirtualNetwork != "" && body.SKU.Name != "StandardV2" {
		return nil, refuse(CodeInvalidRequestFormat, "properties.sourceVirtualNetwork", "NAT gateway '%s' has a sourceVirtualNetwork, which only the SKU "+
			"StandardV2 takes.", gateway.ID.Name())
	}
	if count := len(body.Properties.PublicIPAddresses); count > maxNATAddresses {
		return nil, refuse("NatGatewayPublicIPCountLimitReached", "properties.publicIpAddresses", "A NAT gateway has at most %d public IP addresses, not %d.",
			maxNATAddresses, count)
	}
	for i := range body.Properties.PublicIPAddresses {
		public, err := referTo(&body.Properties.PublicIPAddresses[i], TypePublicIPAddress, index("properties.publicIpAddresses", i))
		if err != nil {
			return nil, err
		}
		gateway.PublicIPAddresses = append(gateway.PublicIPAddresses, public)
	}
	for i := range body.Properties.PublicIPPrefixes {
		prefix, err := referTo(&body.Properties.PublicIPPrefixes[i], TypePublicIPPrefix, index("properties.publicIpPrefixes", i))
		if err != nil {
			return nil, err
		}
		gateway.PublicIPPrefixes = append(gateway.PublicIPPrefixes, prefix)
	}
	for _, six := range []struct {
		field string
		list  []reference
	}{{"publicIpAddressesV6", body.Properties.PublicIPAddressesV6}, {"publicIpPrefixesV6", body.Properties.PublicIPPrefixesV6}} {
		if len(six.list) > 0 {
			return nil, refuse(CodeInvalidRequestFormat, "properties."+six.field, "NAT gateway '%s' has IPv6 addresses: all are IPv4 here.", gateway.ID.Name())
		}
	}
	return gateway, nil
}

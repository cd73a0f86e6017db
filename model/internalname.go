package model

import (
	"crypto/sha256"
	"encoding/base32"
	"strings"
)

// InternalZone is the zone below which each VNet has one of its own, with the names of its VMs
// (https://learn.microsoft.com/azure/virtual-network/virtual-networks-name-resolution-for-vms-and-role-instances).
const InternalZone = "bx.internal.cloudapp.net"

// foreignSuffix stands for the suffix where a VNet has DNS servers of its own, which the platform's names are not in.
const foreignSuffix = "reddog.microsoft.com"

// InternalSuffix is the zone of a VNet's VMs: a word that the VNet's id gives, below InternalZone.
func InternalSuffix(vnet ResourceID) string {
	sum := sha256.Sum256([]byte(vnet.Key()))
	return strings.ToLower(base32.StdEncoding.EncodeToString(sum[:])[:26]) + "." + InternalZone
}

// DomainSuffix is what the NICs of a VNet have as their domain: its InternalSuffix, unless others answer for its names.
func (v *VirtualNetwork) DomainSuffix() string {
	if len(v.DNSServers) > 0 {
		return foreignSuffix
	}
	return InternalSuffix(v.ID)
}

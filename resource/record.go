// Package resource turns ARM bodies into the nouns of package model, and judges whether a body may be written. It is
// pure: what it needs from outside (free addresses, random numbers) comes in as functions.
//
// A Record is one top-level resource as the store keeps it. Child resources (a subnet, a route, a security rule) live
// inside their parent's body, as they do in ARM's answers; a write of a child is a write of its parent. A Cloud is all
// records together, a Change is a set of writes to a Cloud that is judged as a whole.
package resource

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"time"

	"postern/model"
	"postern/service"
)

// Record is a top-level resource: what its writer said, and what the control plane allotted to it.
type Record struct {
	ID       string          `json:"id"`   // as first written, with the type's own spelling
	Type     string          `json:"type"` // canonical: "Microsoft.Network/virtualNetworks"
	Body     json.RawMessage `json:"body"` // the ARM body as written, less id, name, type and etag
	Allotted Allotted        `json:"allotted,omitzero"`

	// Revision is the store's revision of the record's last write; 0 before the first. It makes the etag.
	Revision int64 `json:"-"`
}

// Key is the form of the id that compares.
func (r *Record) Key() string { return model.ResourceID(r.ID).Key() }

// ETag is the record's etag as ARM writes it.
func (r *Record) ETag() string { return fmt.Sprintf(`W/"%d"`, r.Revision) }

// Allotted is what the control plane gave to a resource when it was written. Numbers and identities are never used
// again; the rest stays for the resource's life.
type Allotted struct {
	Number      uint32                    `json:"number,omitempty"`      // a VNet's or a NIC's
	Subnets     map[string]model.Identity `json:"subnets,omitempty"`     // a VNet's: lower-case subnet name to identity
	Address     netip.Addr                `json:"address,omitzero"`      // a NIC's, a public IP's, an instance's
	Block       netip.Prefix              `json:"block,omitzero"`        // a public IP prefix's
	MAC         model.MAC                 `json:"mac,omitzero"`          // a NIC's
	Node        string                    `json:"node,omitempty"`        // a NIC's host
	PrincipalID string                    `json:"principalId,omitempty"` // a VM's system-assigned identity
	ClientID    string                    `json:"clientId,omitempty"`    // a managed identity's, beside its PrincipalID
	VMID        string                    `json:"vmId,omitempty"`        // a VM's own GUID
	GUID        string                    `json:"guid,omitempty"`        // resourceGuid of a network resource
	Created     time.Time                 `json:"created,omitzero"`      // an instance's, a VM's
	Power       string                    `json:"power,omitempty"`       // a VM's power state, "" for PowerRunning
	Keys        [2]string                 `json:"keys,omitzero"`         // an instance's shared keys, base64 of 64 bytes
	Kerberos    [2]string                 `json:"kerberos,omitzero"`     // a storage account's keys for Active Directory, "" until asked for
	Region      model.Location            `json:"region,omitempty"`      // where a storage account has failed over to
	Conversion  service.Conversion        `json:"conversion,omitzero"`   // a storage account's last change of SKU

	// Secondary are a NIC's: lower-case name of an ipConfiguration that is not the primary one to its address or block.
	Secondary map[string]netip.Prefix `json:"secondary,omitempty"`

	// Parted are a VNet's: number of a VNet that it was peered with, to the revision of the cloud before its half of the
	// peering was deleted (HYB-3).
	Parted map[uint32]int64 `json:"parted,omitempty"`

	// Endpoint is an own service's: the identity and the bit of its endpoint, which all services with the same one share.
	Endpoint OwnEndpoint `json:"endpoint,omitzero"`

	// Rules are an instance's: key of a subnet's id to the identity that the subnet had when the rule was written;
	// IdentityNone for a rule that was written as networkSourceDeleted (FW-7).
	Rules map[string]model.Identity `json:"rules,omitempty"`
}

// OwnEndpoint is what was allotted to an endpoint of the operator's own.
type OwnEndpoint struct {
	Identity model.Identity `json:"identity"` // from the same counter as subnets': never used again
	Bit      uint8          `json:"bit"`      // free again when the last service with the endpoint is deleted
}

// Counters are the next numbers to allot. They never go back.
type Counters struct {
	Identity model.Identity `json:"identity"`
	VNet     uint32         `json:"vnet"`
	NIC      uint32         `json:"nic"`
}

// FirstCounters are those of an empty cloud. Number 0 is nobody's.
var FirstCounters = Counters{Identity: model.FirstSubnetIdentity, VNet: 1, NIC: 1}

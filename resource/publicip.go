package resource

import (
	"encoding/binary"
	"hash/fnv"
	"net/netip"

	"postern/model"
)

// publicIPPrefix is Microsoft.Network/publicIPPrefixes: neighbouring public addresses, allotted out of the region's. Public
// IPs that name it get theirs out of it, and nobody else does.
type publicIPPrefix struct {
	id       model.ResourceID
	location model.Location
	bits     int
	block    netip.Prefix // allotted
}

// The sizes of a public IP prefix (https://learn.microsoft.com/azure/virtual-network/ip-services/public-ip-address-prefix).
const (
	minPublicPrefix = 24
	maxPublicPrefix = 31
)

func decodePublicIPPrefix(r *Record) (any, error) {
	var body struct {
		header
		Properties struct {
			Length  *int   `json:"prefixLength"`
			Version string `json:"publicIPAddressVersion"`
		} `json:"properties"`
	}
	if err := leniently(r.Body, &body); err != nil {
		return nil, err
	}
	location, err := body.location()
	if err != nil {
		return nil, err
	}
	if _, err := oneOf(body.Properties.Version, "properties.publicIPAddressVersion", "IPv4"); err != nil {
		return nil, err
	}
	prefix := &publicIPPrefix{id: model.ResourceID(r.ID), location: location, block: r.Allotted.Block}
	if length := body.Properties.Length; length == nil || *length < minPublicPrefix || *length > maxPublicPrefix {
		return nil, refuse("InvalidPublicIPPrefixLength", "properties.prefixLength", "The prefixLength of public IP prefix '%s' must be %d to %d.",
			prefix.id.Name(), minPublicPrefix, maxPublicPrefix)
	}
	prefix.bits = *body.Properties.Length
	return prefix, nil
}

// publicIPPrefix allots a block that no other prefix and no public IP has a part of.
func (j *judge) publicIPPrefix(e *entry, prefix *publicIPPrefix) error {
	if prefix.block.IsValid() {
		if prefix.block.Bits() != prefix.bits {
			return refuse("PublicIPPrefixLengthCannotBeChanged", "properties.prefixLength", "Public IP prefix '%s' has the length %d, which cannot be changed.",
				prefix.id.Name(), prefix.block.Bits())
		}
		return nil
	}
	var pools []netip.Prefix
	if !j.checkOnly {
		pools = j.options.PublicAddresses(prefix.location)
	}
	for _, pool := range pools {
		if block, ok := j.freeBlock(pool, prefix); ok {
			prefix.block, e.record.Allotted.Block = block, block
			return nil
		}
	}
	return conflict("PublicIPPrefixCountLimitReached", "properties.prefixLength", "There is no free block of public addresses of the length %d in region %s.",
		prefix.bits, prefix.location)
}

// freeBlock finds a free block of a prefix's length in a pool, beginning at a place that the hash of its id gives.
func (j *judge) freeBlock(pool netip.Prefix, prefix *publicIPPrefix) (netip.Prefix, bool) {
	if !pool.Addr().Is4() || pool.Bits() > prefix.bits {
		return netip.Prefix{}, false
	}
	hash := fnv.New32a()
	hash.Write([]byte(prefix.id.Key()))
	count := uint64(1) << (prefix.bits - pool.Bits())
	start := uint64(hash.Sum32()) % count
	base := pool.Masked().Addr().As4()
	for i := range count {
		var bytes [4]byte
		binary.BigEndian.PutUint32(bytes[:], binary.BigEndian.Uint32(base[:])+uint32((start+i)%count)<<(32-prefix.bits))
		if block := netip.PrefixFrom(netip.AddrFrom4(bytes), prefix.bits); j.blockIsFree(block) {
			return block, true
		}
	}
	return netip.Prefix{}, false
}

func (j *judge) blockIsFree(block netip.Prefix) bool {
	x := j.nicsIndex()
	for _, other := range x.blocks {
		if other.block.IsValid() && other.block.Overlaps(block) {
			return false
		}
	}
	for address := block.Addr(); block.Contains(address); address = address.Next() {
		if x.pool[address] != nil {
			return false
		}
	}
	return true
}

// prefixOf is the public IP prefix that an address is in, nil for none.
func (x *nicIndex) prefixOf(address netip.Addr) *publicIPPrefix {
	for _, prefix := range x.blocks {
		if prefix.block.IsValid() && prefix.block.Contains(address) {
			return prefix
		}
	}
	return nil
}

// publicIPAddress allots an address: out of the prefix that it names, or out of the region's and of no prefix.
func (j *judge) publicIPAddress(e *entry, public *model.PublicIPAddress) error {
	x := j.nicsIndex()
	if old := j.before.entries.find(e.key); old != nil && !old.noun.(*model.PublicIPAddress).Prefix.Is(public.Prefix) {
		return refuse("PublicIPPrefixCannotBeChanged", "properties.publicIPPrefix", "Public IP address '%s' cannot be given another prefix, or be taken out of one.", public.ID.Name())
	}
	taken := func(address netip.Addr) bool { return x.pool[address] != nil || x.prefixOf(address) != nil }
	var pools []netip.Prefix
	if !j.checkOnly && !public.IPv4.IsValid() && public.Prefix == "" {
		pools = j.options.PublicAddresses(public.Location)
	}
	if public.Prefix != "" {
		block := j.after.entries.find(public.Prefix.Key()).noun.(*publicIPPrefix).block // referTo saw to the type, refersWell that it is there
		for address := block.Addr(); !public.IPv4.IsValid() && block.Contains(address) && !j.checkOnly; address = address.Next() {
			if x.pool[address] == nil {
				public.IPv4 = address
			}
		}
		if !public.IPv4.IsValid() {
			return conflict("PublicIPPrefixOutOfAddresses", "properties.publicIPPrefix.id", "All addresses of public IP prefix %s (%s) are taken.", public.Prefix, block)
		}
		if !block.Contains(public.IPv4) {
			return refuse("PublicIPAddressNotInPrefix", "properties.ipAddress", "The address %s is not in public IP prefix %s (%s).", public.IPv4, public.Prefix, block)
		}
	}
	for _, pool := range pools {
		if address, ok := free(pool, public.ID.Key(), taken); ok {
			public.IPv4 = address
			break
		}
	}
	if !public.IPv4.IsValid() {
		return conflict("PublicIPCountLimitReached", "properties.ipAddress", "There is no free public address in region %s: give the resource an ipAddress.", public.Location)
	}
	if other := x.pool[public.IPv4]; other != nil && other != public {
		return refuse("PublicIPAddressInUse", "properties.ipAddress", "The address %s is already that of %s.", public.IPv4, other.ID)
	}
	if prefix := x.prefixOf(public.IPv4); prefix != nil && !prefix.id.Is(public.Prefix) {
		return refuse("PublicIPAddressInUse", "properties.ipAddress", "The address %s is in public IP prefix %s: name it as publicIPPrefix.", public.IPv4, prefix.id)
	}
	if !j.checkOnly {
		x.pool[public.IPv4] = public
		e.record.Allotted.Address = public.IPv4
	}
	return nil
}

func (a *answer) publicIPPrefix(object, properties map[string]any, prefix *publicIPPrefix) {
	sku := objectIn(object, "sku")
	fill(sku, "name", "Standard")
	fill(sku, "tier", "Regional")
	fill(properties, "publicIPAddressVersion", "IPv4")
	fill(properties, "ipTags", []any{})
	properties["ipPrefix"] = prefix.block.String()
	links := a.cloud.links()
	a.references(properties, "publicIPAddresses", links.publics[prefix.id.Key()])
	if gateway := links.natGateway[prefix.id.Key()]; gateway != "" {
		properties["natGateway"] = map[string]any{"id": gateway}
	} else {
		delete(properties, "natGateway")
	}
}

package resource

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"io"
	"net/netip"
	"slices"
	"strings"
	"time"

	"postern/model"
	"postern/service"
	"postern/service/all"
)

// instanceIndex is what the judging of instances needs of all the others.
type instanceIndex struct {
	names     map[string]*instance // by label and space, and by full host name
	addresses map[netip.Addr]bool
}

// namesOf are the names that are an instance's alone.
func namesOf(i *instance) []string {
	names := slices.Clone(i.Hosts)
	if i.Space != "" {
		names = append(names, i.Space+"/"+strings.ToLower(i.ServiceInstance.Name))
		for _, label := range i.Labels {
			names = append(names, i.Space+"/"+label)
		}
	}
	return names
}

func (j *judge) instancesIndex() *instanceIndex {
	if j.instances != nil {
		return j.instances
	}
	j.instances = &instanceIndex{make(map[string]*instance), make(map[netip.Addr]bool)}
	var types []string
	for _, s := range all.Services() {
		for i := range s.Types {
			if !s.Types[i].Kept {
				types = append(types, s.Types[i].Name)
			}
		}
	}
	// All types at once: who has a name keeps it, also against a new instance of another type.
	for _, e := range j.claimants(types...) {
		one := e.noun.(*instance)
		for _, name := range namesOf(one) {
			if j.instances.names[name] == nil {
				j.instances.names[name] = one
			}
		}
		if one.Address.IsValid() {
			j.instances.addresses[one.Address] = true
		}
	}
	return j.instances
}

// instance allots address and keys, and the identities of the network rules.
func (j *judge) instance(e *entry, one *instance) error {
	x := j.instancesIndex()
	for _, name := range namesOf(one) {
		if other := x.names[name]; other != one {
			if taken := one.typ.NameTaken; taken != nil {
				return asError(taken(one.ServiceInstance.Name, other.ID))
			}
			return conflict("NameAlreadyTaken", "name", "The name '%s' is already taken: by %s.", name[strings.IndexByte(name, '/')+1:], other.ID)
		}
	}
	identities, err := j.admitted(e, one)
	if err != nil || j.checkOnly {
		return err
	}
	allotted := &e.record.Allotted
	if one.service.Endpoint == "" {
		if err := j.ownEndpoint(e, one); err != nil {
			return err
		}
	}
	allotted.Rules = identities
	one.identify(identities)
	if err := j.frontAddress(one, x); err != nil {
		return err
	}
	allotted.Address = one.Address
	if one.Endpoint.IsOwn() {
		one.ownPrefixes()
	}
	j.date(e)
	if err := j.identity(e, &one.identity); err != nil {
		return err
	}
	j.converted(e, one)
	one.Created = allotted.Created.UnixMicro()
	for i := range allotted.Keys {
		if one.typ.Keys && allotted.Keys[i] == "" {
			if allotted.Keys[i], err = j.key(); err != nil {
				return fmt.Errorf("make a key for %s: %w", one.ID, err)
			}
		}
		if allotted.Kerberos[i] == wanted {
			if allotted.Kerberos[i], err = j.key(); err != nil {
				return fmt.Errorf("make a key for %s: %w", one.ID, err)
			}
		}
	}
	if one.typ.KeysServed {
		one.Keys = allotted.Keys
	}
	return nil
}

// wanted stands where the judge is to allot a key that not every account has.
const wanted = "wanted"

// key is 64 random bytes in base64.
func (j *judge) key() (string, error) {
	var key [64]byte
	if _, err := io.ReadFull(j.options.Random, key[:]); err != nil {
		return "", err
	}
	return base64.StdEncoding.EncodeToString(key[:]), nil
}

// converted notes that an instance has got another SKU. What a failover makes of it is no conversion.
func (j *judge) converted(e *entry, one *instance) {
	old := j.before.entries.find(e.key)
	if old == nil || old.record.Allotted.Region != e.record.Allotted.Region {
		return
	}
	if was := old.noun.(*instance).SKU; was != "" && was != one.SKU {
		e.record.Allotted.Conversion = service.Conversion{Target: one.SKU, At: j.options.Now().UTC().Truncate(time.Microsecond),
			Started: e.record.Allotted.Conversion.Started && e.record.Allotted.Conversion.Target == one.SKU}
	}
}

// admitted finds the identities of the subnets that an instance's rules name: IdentityNone for those that were written
// as deleted (FW-7). A rule that is a resource of its own keeps the one that it has while others are written.
func (j *judge) admitted(e *entry, one *instance) (map[string]model.Identity, error) {
	identities := make(map[string]model.Identity, len(one.Sources))
	admit := func(subnet model.ResourceID) (err error) {
		source := one.Sources[subnet.Key()]
		if _, done := identities[subnet.Key()]; done {
			return nil
		}
		identity := model.IdentityNone
		if was, known := e.record.Allotted.Rules[subnet.Key()]; known && source.Apart && !j.writesNow(e, source) {
			identity = was
		} else if !source.Deleted {
			identity, err = j.admit(one, subnet, source)
		}
		identities[subnet.Key()] = identity
		return err
	}
	for _, rule := range one.Rules.VirtualNetworkRules {
		if err := admit(rule.Subnet); err != nil {
			return nil, err
		}
	}
	for _, filter := range one.Rules.Filters {
		if filter.Subnet == "" {
			continue
		}
		if err := admit(filter.Subnet); err != nil {
			return nil, err
		}
	}
	return identities, nil
}

// writesNow tells whether the child that a source stands in is the one that the change writes.
func (j *judge) writesNow(e *entry, source service.Source) bool {
	prefix := j.nested[e.key]
	return prefix != "" && strings.HasPrefix(source.Field, prefix)
}

// admit finds the identity of the subnet that a network rule lets in. The subnet must have the endpoint, unless the rule
// says that it may come later (FW-6).
func (j *judge) admit(one *instance, id model.ResourceID, source service.Source) (model.Identity, error) {
	subnet, vnet := j.after.subnet(id)
	if subnet == nil {
		return 0, refuse(CodeInvalidResourceReference, source.Field, "The subnet %s of a virtual network rule was not found: create it first, or remove the rule.", id)
	}
	if source.IgnoreMissing || enabled(subnet, one.Endpoint) {
		return subnet.Identity, nil
	}
	refusal := service.Refuse("VirtualNetworkRuleBadRequest", source.Field, "The subnet %s of virtual network %s has no service endpoint for %s: "+
		"enable it on the subnet first.", subnet.ID.Name(), vnet.ID, one.Endpoint.Endpoint)
	if missing := one.typ.EndpointMissing; missing != nil {
		refusal = missing(subnet.ID, vnet.ID)
		refusal.Field = source.Field
	}
	return 0, asError(refusal)
}

func (j *judge) frontAddress(one *instance, x *instanceIndex) error {
	if one.Address.IsValid() {
		return nil
	}
	prefixes := one.Prefixes
	if one.Endpoint.IsOwn() && prefixes == nil && one.ownTag() {
		prefixes = []netip.Prefix{DefaultServiceAddresses}
	} else if prefixes == nil && j.options.FrontAddresses != nil {
		prefixes = j.options.FrontAddresses(one.Endpoint.Tag, one.Location)
	}
	for _, prefix := range prefixes {
		if address, ok := free(prefix, one.ServiceInstance.Name, func(a netip.Addr) bool { return x.addresses[a] }); ok {
			one.Address = address
			x.addresses[address] = true
			return nil
		}
	}
	return conflict("LocationNotAvailableForResourceType", "location", "There is no free public address for a %s in region '%s': "+
		"the service tag %s has no IPv4 prefix there. Use another region, or import a tag file that has it.", one.typ.Noun, one.Location, one.Endpoint.Tag)
}

// free finds an address in an IPv4 prefix that is not taken, beginning at a place that a name's hash gives, so that
// the same resources get the same addresses. The first and the last address stay free where there are more than two.
func free(prefix netip.Prefix, name string, taken func(netip.Addr) bool) (netip.Addr, bool) {
	if !prefix.Addr().Is4() || prefix.Bits() < 8 {
		return netip.Addr{}, false
	}
	first, count := uint32(0), uint32(1)<<(32-prefix.Bits())
	if count > 2 {
		first, count = 1, count-2
	}
	hash := fnv.New32a()
	hash.Write([]byte(name))
	base := prefix.Masked().Addr().As4()
	start := hash.Sum32() % count
	for i := range count {
		var bytes [4]byte
		binary.BigEndian.PutUint32(bytes[:], binary.BigEndian.Uint32(base[:])+first+(start+i)%count)
		if address := netip.AddrFrom4(bytes); !taken(address) {
			return address, true
		}
	}
	return netip.Addr{}, false
}

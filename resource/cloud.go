package resource

import (
	"iter"
	"slices"
	"sync"

	"postern/model"
	"postern/service/all"
)

// Cloud is every record at one revision of the store, decoded. It is immutable; a Change makes the next one.
type Cloud struct {
	Revision int64
	Counters Counters

	entries  entries
	snapshot func() *model.Snapshot
}

// entry is a record with its noun. Both are immutable once the entry is in a Cloud.
type entry struct {
	key    string // the record's
	record *Record
	noun   any
	body   *parsedBody

	subnets memo // a VNet's: see subnet
}

// NewCloud decodes records. The error names the first record, by id, that cannot be decoded.
func NewCloud(records []Record, counters Counters, revision int64) (*Cloud, error) {
	decoded := make([]*entry, len(records))
	for i := range records {
		var err error
		if decoded[i], err = decode(&records[i]); err != nil {
			return nil, err
		}
	}
	return newCloud(entries(nil).with(decoded, nil), counters, revision), nil
}

func newCloud(entries entries, counters Counters, revision int64) *Cloud {
	c := &Cloud{Revision: revision, Counters: counters, entries: entries}
	c.snapshot = sync.OnceValue(c.assemble)
	return c
}

// Decode is the nouns of records: for readers that need no more than the snapshot.
func Decode(records []Record) (*model.Snapshot, error) {
	cloud, err := NewCloud(records, FirstCounters, 0)
	if err != nil {
		return nil, err
	}
	return cloud.Snapshot(), nil
}

func decode(r *Record) (*entry, error) {
	for i := range types {
		if types[i].name == r.Type {
			noun, err := types[i].decode(r)
			if err != nil {
				return nil, about(err, r.ID)
			}
			return &entry{key: r.Key(), record: r, noun: noun, body: new(parsedBody)}, nil
		}
	}
	return nil, about(refuse(CodeInvalidResourceType, "type", "The resource type '%s' is not known here.", r.Type), r.ID)
}

// about notes which resource an error is about.
func about(err error, id string) error {
	if e, ok := err.(*Error); ok && e.Resource == "" {
		e.Resource = id
	}
	return err
}

// At is the same cloud under the revision that the store gave to the write that made it. Records that were written
// carry the revision too.
func (c *Cloud) At(revision int64, written []Record) *Cloud {
	var dated []*entry
	for i := range written {
		if e := c.entries.find(written[i].Key()); e != nil {
			record := *e.record
			record.Revision = revision
			dated = append(dated, &entry{key: e.key, record: &record, noun: e.noun, body: e.body})
		}
	}
	return newCloud(c.entries.with(dated, nil), c.Counters, revision)
}

// Record finds the record that holds a resource: its own, or its parent's.
func (c *Cloud) Record(id ID) (*Record, bool) {
	e := c.entries.find(id.Root().Key())
	if e == nil {
		return nil, false
	}
	return e.record, true
}

// Records lists the records of one type, or all for "", sorted by key.
func (c *Cloud) Records(typ string) []*Record {
	return slices.Collect(c.RecordsAfter(typ, ""))
}

// RecordsAfter walks the records of one type, or all for "", whose keys come behind a key, sorted by key. The records that
// it passes over cost nothing.
func (c *Cloud) RecordsAfter(typ, key string) iter.Seq[*Record] {
	chosen := c.entries
	if typ != "" {
		chosen = entries{{sorted: c.entries.of(typ)}}
	}
	return func(yield func(*Record) bool) {
		for e := range chosen.after(key) {
			if !yield(e.record) {
				return
			}
		}
	}
}

// Snapshot is the cloud's nouns, each list sorted by the ids' keys. It is made once; do not change it.
func (c *Cloud) Snapshot() *model.Snapshot { return c.snapshot() }

func (c *Cloud) assemble() *model.Snapshot {
	s := &model.Snapshot{Revision: c.Revision, Settings: model.DefaultSettings}
	for _, e := range c.entries.of(TypeSettings) {
		s.Settings = *e.noun.(*model.Settings)
	}
	s.Nodes = slices.Clone(nounsOf(c.entries, TypeNode, itself[model.Node]))
	s.VirtualNetworks = nounsOf(c.entries, TypeVirtualNetwork, itself[model.VirtualNetwork])
	s.RouteTables = nounsOf(c.entries, TypeRouteTable, itself[model.RouteTable])
	s.NetworkSecurityGroups = nounsOf(c.entries, TypeNetworkSecurityGroup, itself[model.NetworkSecurityGroup])
	s.NetworkInterfaces = nounsOf(c.entries, TypeNetworkInterface, func(noun *networkInterface) *model.NetworkInterface { return &noun.NetworkInterface })
	s.PublicIPAddresses = nounsOf(c.entries, TypePublicIPAddress, itself[model.PublicIPAddress])
	s.NatGateways = nounsOf(c.entries, TypeNatGateway, itself[model.NatGateway])
	s.VirtualMachines = nounsOf(c.entries, TypeVirtualMachine, func(noun *virtualMachine) *model.VirtualMachine { return &noun.VirtualMachine })
	s.ServiceEndpointPolicies = nounsOf(c.entries, TypeServiceEndpointPolicy, itself[model.ServiceEndpointPolicy])
	for _, described := range all.Services() {
		for i := range described.Types {
			if described.Types[i].Kept {
				continue
			}
			instances := nounsOf(c.entries, described.Types[i].Name, func(noun *instance) *model.ServiceInstance { return &noun.ServiceInstance })
			s.Instances = append(s.Instances, instances...)
		}
	}
	sortedBy(s.Instances, func(i **model.ServiceInstance) string { return (*i).ID.Key() })
	s.Zones = all.Zones(s.Settings)
	for i, instance := range s.Instances {
		s.Instances[i] = c.forgetDeleted(instance)
	}
	sortedBy(s.Nodes, func(n **model.Node) string { return (*n).Name })
	return s
}

// nounsOf lists the nouns of one type. Clouds with the same entries of the type share the list, and all share its nouns.
func nounsOf[N, M any](x entries, typ string, noun func(*N) *M) []*M {
	list := x[order(typ)]
	return remembered(&list.listed, func() (nouns []*M) {
		for _, one := range list.nouns {
			nouns = append(nouns, noun(one.(*N)))
		}
		return nouns
	})
}

func itself[N any](noun *N) *N { return noun }

// forgetDeleted takes the identity from rules whose subnet is gone (FW-7). Identities are never used again, so a rule
// that lost its subnet never gets it back. An instance without such rules is answered as it is.
func (c *Cloud) forgetDeleted(instance *model.ServiceInstance) *model.ServiceInstance {
	dead := func(id model.ResourceID, identity model.Identity) bool {
		if identity == model.IdentityNone {
			return false
		}
		subnet, _ := c.subnet(id)
		return subnet == nil || subnet.Identity != identity
	}
	rule := func(r model.VirtualNetworkRule) bool { return dead(r.Subnet, r.Identity) }
	filter := func(f model.Filter) bool { return dead(f.Subnet, f.Identity) }
	if !slices.ContainsFunc(instance.Rules.VirtualNetworkRules, rule) && !slices.ContainsFunc(instance.Rules.Filters, filter) {
		return instance
	}
	forgetful := *instance
	rules := &forgetful.Rules
	rules.VirtualNetworkRules, rules.Filters = slices.Clone(rules.VirtualNetworkRules), slices.Clone(rules.Filters)
	for i := range rules.VirtualNetworkRules {
		if rule(rules.VirtualNetworkRules[i]) {
			rules.VirtualNetworkRules[i].Identity = model.IdentityNone
		}
	}
	for i := range rules.Filters {
		if filter(rules.Filters[i]) {
			rules.Filters[i].Identity = model.IdentityNone
		}
	}
	return &forgetful
}

// vnet finds a VNet; nil for none.
func (c *Cloud) vnet(id model.ResourceID) *model.VirtualNetwork {
	if e := c.entries.find(id.Key()); e != nil {
		vnet, _ := e.noun.(*model.VirtualNetwork)
		return vnet
	}
	return nil
}

// subnet finds a subnet and its VNet; nil for none.
func (c *Cloud) subnet(id model.ResourceID) (*model.Subnet, *model.VirtualNetwork) {
	e := c.entries.find(id.Parent().Key())
	if e == nil {
		return nil, nil
	}
	vnet, ok := e.noun.(*model.VirtualNetwork)
	if !ok {
		return nil, nil
	}
	places := remembered(&e.subnets, func() map[string]int {
		places := make(map[string]int, len(vnet.Subnets))
		for i := range vnet.Subnets {
			places[vnet.Subnets[i].ID.Key()] = i
		}
		return places
	})
	if i, ok := places[id.Key()]; ok {
		return &vnet.Subnets[i], vnet
	}
	return nil, nil
}

// has tells whether an id names something that is there. Of child resources only subnets are ever referred to.
func (c *Cloud) has(id model.ResourceID) bool {
	if c.entries.find(id.Key()) != nil {
		return true
	}
	subnet, _ := c.subnet(id)
	return subnet != nil
}

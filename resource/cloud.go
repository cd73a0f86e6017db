package resource

import (
	"maps"
	"slices"
	"strings"
	"sync"

	"postern/model"
	"postern/service/all"
)

// Cloud is every record at one revision of the store, decoded. It is immutable; a Change makes the next one.
type Cloud struct {
	Revision int64
	Counters Counters

	entries  map[string]*entry // by Record.Key
	snapshot func() *model.Snapshot
	links    func() *links
}

// entry is a record with its noun. Both are immutable once the entry is in a Cloud.
type entry struct {
	record *Record
	noun   any
	body   *parsedBody
}

// NewCloud decodes records. The error names the first record, by id, that cannot be decoded.
func NewCloud(records []Record, counters Counters, revision int64) (*Cloud, error) {
	entries := make(map[string]*entry, len(records))
	for i := range records {
		entry, err := decode(&records[i])
		if err != nil {
			return nil, err
		}
		entries[records[i].Key()] = entry
	}
	return newCloud(entries, counters, revision), nil
}

func newCloud(entries map[string]*entry, counters Counters, revision int64) *Cloud {
	c := &Cloud{Revision: revision, Counters: counters, entries: entries}
	c.snapshot = sync.OnceValue(c.assemble)
	c.links = sync.OnceValue(c.linked)
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
			return &entry{r, noun, new(parsedBody)}, nil
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
	entries := maps.Clone(c.entries)
	for i := range written {
		if e, ok := entries[written[i].Key()]; ok {
			record := *e.record
			record.Revision = revision
			entries[written[i].Key()] = &entry{&record, e.noun, e.body}
		}
	}
	return newCloud(entries, c.Counters, revision)
}

// Record finds the record that holds a resource: its own, or its parent's.
func (c *Cloud) Record(id ID) (*Record, bool) {
	e, ok := c.entries[id.Root().Key()]
	if !ok {
		return nil, false
	}
	return e.record, true
}

// Records lists the records of one type, or all for "", sorted by key.
func (c *Cloud) Records(typ string) []*Record {
	var list []*Record
	for _, key := range slices.Sorted(maps.Keys(c.entries)) {
		if r := c.entries[key].record; typ == "" || strings.EqualFold(typ, r.Type) {
			list = append(list, r)
		}
	}
	return list
}

// Snapshot is the cloud's nouns, each list sorted by the ids' keys. It is made once; do not change it.
func (c *Cloud) Snapshot() *model.Snapshot { return c.snapshot() }

func (c *Cloud) assemble() *model.Snapshot {
	s := &model.Snapshot{Revision: c.Revision, Settings: model.DefaultSettings}
	live := make(map[model.Identity]bool)
	for _, key := range slices.Sorted(maps.Keys(c.entries)) {
		switch noun := c.entries[key].noun.(type) {
		case *model.Settings:
			s.Settings = *noun
		case *model.Node:
			s.Nodes = append(s.Nodes, *noun)
		case *model.VirtualNetwork:
			s.VirtualNetworks = append(s.VirtualNetworks, *noun)
			for _, subnet := range noun.Subnets {
				live[subnet.Identity] = true
			}
		case *model.RouteTable:
			s.RouteTables = append(s.RouteTables, *noun)
		case *model.NetworkSecurityGroup:
			s.NetworkSecurityGroups = append(s.NetworkSecurityGroups, *noun)
		case *networkInterface:
			s.NetworkInterfaces = append(s.NetworkInterfaces, noun.NetworkInterface)
		case *model.PublicIPAddress:
			s.PublicIPAddresses = append(s.PublicIPAddresses, *noun)
		case *virtualMachine:
			s.VirtualMachines = append(s.VirtualMachines, noun.VirtualMachine)
		case *model.ServiceEndpointPolicy:
			s.ServiceEndpointPolicies = append(s.ServiceEndpointPolicies, *noun)
		case *instance:
			s.Instances = append(s.Instances, noun.ServiceInstance)
		}
	}
	s.Zones = all.Zones(s.Settings)
	for i := range s.Instances {
		forgetDeleted(&s.Instances[i].Rules, live)
	}
	sortedBy(s.Nodes, func(n *model.Node) string { return n.Name })
	return s
}

// forgetDeleted takes the identity from rules whose subnet is gone (FW-7). Identities are never used again, so a rule
// that lost its subnet never gets it back.
func forgetDeleted(rules *model.NetworkRules, live map[model.Identity]bool) {
	rules.VirtualNetworkRules = slices.Clone(rules.VirtualNetworkRules)
	for i := range rules.VirtualNetworkRules {
		if rule := &rules.VirtualNetworkRules[i]; !live[rule.Identity] {
			rule.Identity = model.IdentityNone
		}
	}
	rules.Filters = slices.Clone(rules.Filters)
	for i := range rules.Filters {
		if filter := &rules.Filters[i]; !live[filter.Identity] {
			filter.Identity = model.IdentityNone
		}
	}
}

// vnet finds a VNet; nil for none.
func (c *Cloud) vnet(id model.ResourceID) *model.VirtualNetwork {
	if e, ok := c.entries[id.Key()]; ok {
		vnet, _ := e.noun.(*model.VirtualNetwork)
		return vnet
	}
	return nil
}

// subnet finds a subnet and its VNet; nil for none.
func (c *Cloud) subnet(id model.ResourceID) (*model.Subnet, *model.VirtualNetwork) {
	vnet := c.vnet(id.Parent())
	if vnet == nil {
		return nil, nil
	}
	for i := range vnet.Subnets {
		if vnet.Subnets[i].ID.Is(id) {
			return &vnet.Subnets[i], vnet
		}
	}
	return nil, nil
}

// has tells whether an id names something that is there. Of child resources only subnets are ever referred to.
func (c *Cloud) has(id model.ResourceID) bool {
	if _, ok := c.entries[id.Key()]; ok {
		return true
	}
	subnet, _ := c.subnet(id)
	return subnet != nil
}

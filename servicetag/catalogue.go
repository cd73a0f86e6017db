package servicetag

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	"github.com/gaissmai/bart"

	"postern/model"
)

// Catalogue is every tag of one file. It is immutable, and safe for use from many goroutines.
type Catalogue struct {
	changeNumber int
	cloud        string
	tags         []Tag
	byName       map[string]int32            // lower case
	regional     map[regionKey]int32         // tags with a region
	regions      map[string][]model.Location // of a service, in lower case, sorted
	byPrefix     *bart.Table[[]int32]        // tags that list exactly this prefix
	sortedNames  []string
}

type regionKey struct {
	service  string // lower case
	location model.Location
}

// Match is one tag that contains an address.
type Match struct {
	Tag           string         `json:"tag"`
	Prefix        netip.Prefix   `json:"prefix"` // the tag's longest that contains it
	SystemService string         `json:"systemService"`
	Region        string         `json:"region"`             // as the file spells it
	Location      model.Location `json:"location,omitempty"` // as resources spell it
}

func newCatalogue(changeNumber int, cloud string, tags []Tag) *Catalogue {
	c := &Catalogue{
		changeNumber: changeNumber, cloud: cloud, tags: tags,
		byName: make(map[string]int32, len(tags)), regional: make(map[regionKey]int32, len(tags)),
		regions: map[string][]model.Location{}, byPrefix: new(bart.Table[[]int32]),
	}
	for i, tag := range tags {
		index := int32(i)
		c.sortedNames = append(c.sortedNames, tag.Name)
		c.byName[strings.ToLower(tag.Name)] = index
		if tag.Location != "" {
			key := regionKey{strings.ToLower(tag.Service()), tag.Location}
			if _, taken := c.regional[key]; !taken {
				c.regional[key] = index
				c.regions[key.service] = append(c.regions[key.service], tag.Location)
			}
		}
		for _, prefix := range tag.Prefixes {
			c.byPrefix.Modify(prefix, func(have []int32, _ bool) ([]int32, bool) { return append(have, index), false })
		}
	}
	slices.Sort(c.sortedNames)
	for _, locations := range c.regions {
		slices.Sort(locations)
	}
	return c
}

// ChangeNumber is the file's own: it grows from week to week.
func (c *Catalogue) ChangeNumber() int { return c.changeNumber }

// Cloud is the cloud that the file is of: "Public".
func (c *Catalogue) Cloud() string { return c.cloud }

// Names lists every tag, sorted.
func (c *Catalogue) Names() []string { return slices.Clone(c.sortedNames) }

// Tag finds a tag by its name, whatever its case.
func (c *Catalogue) Tag(name string) (Tag, bool) {
	index, ok := c.byName[strings.ToLower(name)]
	if !ok {
		return Tag{}, false
	}
	return c.tags[index], true
}

// IPv4 lists a tag's IPv4 prefixes, sorted; nil for an unknown tag. The slice is shared: do not write to it.
func (c *Catalogue) IPv4(name string) []netip.Prefix {
	tag, _ := c.Tag(name)
	// IPv4 sorts before IPv6.
	end, _ := slices.BinarySearchFunc(tag.Prefixes, 0, func(prefix netip.Prefix, _ int) int {
		if prefix.Addr().Is4() {
			return -1
		}
		return 1
	})
	return tag.Prefixes[:end:end]
}

// Regional finds the tag of a service in one region: Regional("Storage", "westeurope") is Storage.WestEurope.
func (c *Catalogue) Regional(service string, region model.Location) (Tag, bool) {
	index, ok := c.regional[regionKey{strings.ToLower(service), region}]
	if !ok {
		return Tag{}, false
	}
	return c.tags[index], true
}

// Regions lists the regions in which a service has a tag of its own, sorted; nil for none.
func (c *Catalogue) Regions(service string) []model.Location {
	return slices.Clone(c.regions[strings.ToLower(service)])
}

// RegionOf tells in which region an address of a service is: that of the service's regional tag with the longest prefix
// that contains it; between equals the first by name. False: no regional tag has it.
func (c *Catalogue) RegionOf(service string, addr netip.Addr) (model.Location, bool) {
	for _, match := range c.Lookup(addr) {
		if match.Location == "" {
			continue
		}
		if name, _, _ := strings.Cut(match.Tag, "."); strings.EqualFold(name, service) {
			return match.Location, true
		}
	}
	return "", false
}

// VSE lists the tags of the services that have endpoints (SE-15), by name.
func (c *Catalogue) VSE() []Tag {
	var tags []Tag
	for _, tag := range c.tags {
		if tag.HasEndpoints() {
			tags = append(tags, tag)
		}
	}
	slices.SortFunc(tags, func(a, b Tag) int { return cmp.Compare(a.Name, b.Name) })
	return tags
}

// Lookup lists every tag that contains the address, each with its longest prefix: longest prefix first, then by name.
func (c *Catalogue) Lookup(addr netip.Addr) []Match {
	addr = addr.Unmap().WithZone("")
	if !addr.IsValid() {
		return nil
	}
	var matches []Match
	seen := map[int32]bool{}
	for prefix, indexes := range c.byPrefix.Supernets(netip.PrefixFrom(addr, addr.BitLen())) { // longest first
		for _, index := range indexes {
			if seen[index] {
				continue
			}
			seen[index] = true
			tag := &c.tags[index]
			matches = append(matches, Match{tag.Name, prefix, tag.SystemService, tag.Region, tag.Location})
		}
	}
	slices.SortFunc(matches, func(a, b Match) int {
		return cmp.Or(cmp.Compare(b.Prefix.Bits(), a.Prefix.Bits()), cmp.Compare(a.Tag, b.Tag))
	})
	return matches
}

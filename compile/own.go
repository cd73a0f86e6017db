package compile

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"postern/model"
	"postern/routes"
	"postern/servicetag"
)

// overlay is a catalogue with the tags of the services of the operator's own, and all services of the cloud. It is kept as
// long as those services declare the same.
type overlay struct {
	from      *servicetag.Catalogue
	key       string // what the services declare
	catalogue *servicetag.Catalogue
	services  []model.Service
	regions   map[model.Location]*routes.Region // guarded by the compiler's lock
}

// overlaid is the overlay of a snapshot: the same as the last one's where nothing changed in it. A cloud without services
// of its own has the catalogue as it is.
func (c *Compiler) overlaid(snapshot *model.Snapshot, catalogue *servicetag.Catalogue) *overlay {
	var key strings.Builder
	for i := range snapshot.Instances {
		if one := snapshot.Instances[i]; one.Endpoint.IsOwn() {
			fmt.Fprintln(&key, one.Endpoint, one.Location, one.Prefixes)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if last := c.overlay; last != nil && last.from == catalogue && last.key == key.String() {
		return last
	}
	c.overlay = &overlay{from: catalogue, key: key.String(), catalogue: catalogue.With(ownTags(snapshot)), services: snapshot.Services(),
		regions: map[model.Location]*routes.Region{}}
	return c.overlay
}

// ownTags are the tags of own services: one for each tag, and one for each of its regions (SE-9: an address is served where
// its regional tag says).
func ownTags(snapshot *model.Snapshot) []servicetag.Tag {
	type scope struct {
		name     string
		location model.Location
	}
	prefixes := map[scope][]netip.Prefix{}
	for i := range snapshot.Instances {
		one := snapshot.Instances[i]
		if !one.Endpoint.IsOwn() || one.Prefixes == nil {
			continue
		}
		for _, at := range []scope{{one.Endpoint.Tag, ""}, {one.Endpoint.Tag, one.Location}} {
			prefixes[at] = append(prefixes[at], one.Prefixes...)
		}
	}
	var tags []servicetag.Tag
	for at, list := range prefixes {
		tag := servicetag.Tag{Name: at.name, SystemService: at.name, Platform: "Postern", Location: at.location, Region: string(at.location),
			NetworkFeatures: []string{"NSG", "UDR", "VSE"}}
		if at.location != "" {
			tag.Name += "." + string(at.location)
		}
		slices.SortFunc(list, netip.Prefix.Compare)
		tag.Prefixes = slices.Compact(list)
		tags = append(tags, tag)
	}
	slices.SortFunc(tags, func(a, b servicetag.Tag) int { return strings.Compare(a.Name, b.Name) })
	return tags
}

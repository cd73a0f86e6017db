package routes

import (
	"cmp"
	"net/netip"
	"slices"

	"github.com/gaissmai/bart"

	"postern/plan"
)

// Table is the routes of one subnet. It is immutable.
type Table struct {
	region     *Region
	documented bool
	entries    []entry
	groups     []group
	services   []*service // enabled ones, by bit
	enabled    uint64
	winners    []plan.Route
}

// group is the routes of one prefix that are in force or would be without a better one, best first. It has no broken
// ones, and none of a gateway inside a system route.
type group struct {
	prefix netip.Prefix
	routes []*entry
}

// New works out the routes of a subnet. A user's route that CheckUserRoute refuses, since the catalogue has changed say,
// counts for nothing, and shows as Invalid.
func New(in Input) *Table {
	t := &Table{region: in.Region, documented: in.DocumentedRoutes, entries: entries(in)}
	t.services, t.enabled = in.Region.enabled(in.Subnet.ServiceEndpoints)
	t.group()
	t.win()
	return t
}

// group sorts the routes by prefix.
func (t *Table) group() {
	type route struct {
		prefix netip.Prefix
		entry  *entry
		number int // of the entry: what no rule tells apart stays as the user wrote it
	}
	systems := new(bart.Lite)
	count := 0
	for i := range t.entries {
		e := &t.entries[i]
		count += len(e.prefixes)
		if e.system() {
			systems.Insert(e.prefixes[0])
		}
	}
	list := make([]route, 0, count)
	for i := range t.entries {
		e := &t.entries[i]
		if e.broken != "" {
			continue
		}
		for _, prefix := range e.prefixes {
			if e.gateway() && systems.LookupPrefix(prefix) { // ROUTE-3
				continue
			}
			list = append(list, route{prefix, e, i})
		}
	}
	slices.SortFunc(list, func(a, b route) int {
		if order := a.prefix.Compare(b.prefix); order != 0 {
			return order
		}
		return cmp.Or(prefer(a.entry, b.entry), cmp.Compare(a.number, b.number))
	})
	routes := make([]*entry, len(list))
	t.groups = make([]group, 0, len(list))
	for start := 0; start < len(list); {
		end := start
		for ; end < len(list) && list[end].prefix == list[start].prefix; end++ {
			routes[end] = list[end].entry
		}
		t.groups = append(t.groups, group{list[start].prefix, routes[start:end:end]})
		start = end
	}
}

// win takes the best route of each prefix, and for a gateway's what is beneath it.
func (t *Table) win() {
	t.winners = make([]plan.Route, 0, len(t.groups))
	type layer struct {
		prefix netip.Prefix
		hop    plan.Hop
	}
	var around []layer // routes of no gateway around the present prefix, innermost last
	for _, group := range t.groups {
		for len(around) > 0 && !covers(around[len(around)-1].prefix, group.prefix) {
			around = around[:len(around)-1]
		}
		if i := slices.IndexFunc(group.routes, func(e *entry) bool { return !e.gateway() }); i >= 0 {
			around = append(around, layer{group.prefix, group.routes[i].hop})
		}
		route := plan.Route{Prefix: group.prefix, Hop: group.routes[0].hop}
		if group.routes[0].gateway() && len(around) > 0 {
			beneath := around[len(around)-1]
			route.Beneath, route.BeneathBits = &beneath.hop, uint8(beneath.prefix.Bits())
		}
		t.winners = append(t.winners, route)
	}
}

// Winners lists the routes for the data path, sorted by prefix. Service prefixes are not among them: those stand in the
// region's service table. The slice is shared: do not write to it.
func (t *Table) Winners() []plan.Route { return t.winners }

// EnabledServices is the set of the subnet's services, by model.Service.Bit.
func (t *Table) EnabledServices() uint64 { return t.enabled }

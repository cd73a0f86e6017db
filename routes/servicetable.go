package routes

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"

	"github.com/gaissmai/bart"

	"postern/model"
	"postern/plan"
	"postern/servicetag"
)

// Targets tells where a service is served in a region: the anycast locator of its gateways there, zero for none.
type Targets func(service model.Identity, region model.Location) model.Locator

// ServiceTable is NewRegion and Region.ServiceTable in one, for a caller that needs the table alone.
func ServiceTable(region model.Location, targets Targets, catalogue *servicetag.Catalogue) (plan.ServiceTable, error) {
	r, err := NewRegion(catalogue, region)
	if err != nil {
		return plan.ServiceTable{}, err
	}
	return r.ServiceTable(targets), nil
}

// ServiceTable is the table that all VNets of the region share. A service's address that none of its regional tags has
// gets a target with an empty region and a zero locator: nobody can say who would serve it. A service without regional
// tags is served in the region itself. The entries are shared between calls: do not write to them.
func (r *Region) ServiceTable(targets Targets) plan.ServiceTable {
	table := plan.ServiceTable{Targets: slices.Clone(r.targets), Entries: r.entries}
	for i := range table.Targets {
		if target := &table.Targets[i]; target.Region != "" {
			target.Locator = targets(target.Service, target.Region)
		}
	}
	return table
}

// flatten cuts the services' prefixes so that the longest entry of an address has all its answers: its own, and what
// every shorter one would add. An entry that says what the one around it says is left out.
func (r *Region) flatten() error {
	local := new(bart.Lite) // the addresses that are Regional
	cuts := map[netip.Prefix]struct{}{}
	for _, tag := range r.catalogue.VSE() {
		regional, ok := r.catalogue.Regional(tag.Name, r.location)
		if !ok {
			continue
		}
		for _, prefix := range r.catalogue.IPv4(regional.Name) {
			local.Insert(prefix)
			cuts[prefix] = struct{}{}
		}
	}
	for _, s := range r.services {
		if s == nil {
			continue
		}
		for _, prefix := range s.prefixes {
			cuts[prefix] = struct{}{}
		}
		for prefix := range s.regions.All4() {
			cuts[prefix] = struct{}{}
		}
	}

	sorted := make([]netip.Prefix, 0, len(cuts))
	for prefix := range cuts {
		sorted = append(sorted, prefix)
	}
	slices.SortFunc(sorted, netip.Prefix.Compare) // what is around comes before what is inside
	var around []int                              // entries around the present one, innermost last
	for _, prefix := range sorted {
		_, regional := local.LookupPrefixLPM(prefix)
		entry := plan.ServiceEntry{Prefix: prefix, Regional: regional}
		for _, s := range r.services {
			if s == nil {
				continue
			}
			own, ok := s.own.LookupPrefixLPM(prefix)
			if !ok {
				continue
			}
			region, ok := s.regions.LookupPrefix(prefix)
			if !ok {
				region = s.defaultRegion(r.location)
			}
			entry.Candidates = append(entry.Candidates, plan.ServiceCandidate{
				Bit: s.Bit, Bits: uint8(own.Bits()), Target: r.target(s.Identity, region)})
		}
		if len(entry.Candidates) > plan.MaxServiceCandidates {
			return fmt.Errorf("service table of %s: %s belongs to %d services, more than %d; import another service-tag file",
				r.location, prefix, len(entry.Candidates), plan.MaxServiceCandidates)
		}
		slices.SortStableFunc(entry.Candidates, func(a, b plan.ServiceCandidate) int {
			return cmp.Or(cmp.Compare(b.Bits, a.Bits), cmp.Compare(a.Bit, b.Bit))
		})
		for len(around) > 0 && !r.entries[around[len(around)-1]].Prefix.Contains(prefix.Addr()) {
			around = around[:len(around)-1]
		}
		outer := plan.ServiceEntry{}
		if len(around) > 0 {
			outer = r.entries[around[len(around)-1]]
		}
		if entry.Regional == outer.Regional && slices.Equal(entry.Candidates, outer.Candidates) {
			continue
		}
		around = append(around, len(r.entries))
		r.entries = append(r.entries, entry)
	}
	r.sortTargets()
	return nil
}

// target is the number of a target, made at its first use.
func (r *Region) target(service model.Identity, region model.Location) uint16 {
	for i, target := range r.targets {
		if target.Service == service && target.Region == region {
			return uint16(i)
		}
	}
	r.targets = append(r.targets, plan.ServiceTarget{Service: service, Region: region})
	return uint16(len(r.targets) - 1)
}

// sortTargets gives the targets an order that does not depend on that of the prefixes.
func (r *Region) sortTargets() {
	before := slices.Clone(r.targets)
	slices.SortFunc(r.targets, func(a, b plan.ServiceTarget) int {
		return cmp.Or(cmp.Compare(a.Service, b.Service), cmp.Compare(a.Region, b.Region))
	})
	number := make([]uint16, len(before))
	for i, target := range before {
		number[i] = r.target(target.Service, target.Region)
	}
	for _, entry := range r.entries {
		for i := range entry.Candidates {
			entry.Candidates[i].Target = number[entry.Candidates[i].Target]
		}
	}
}

// defaultRegion is where the addresses are that no regional tag has.
func (s *service) defaultRegion(own model.Location) model.Location {
	if s.anywhere {
		return own
	}
	return ""
}

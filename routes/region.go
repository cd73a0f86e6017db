// Package routes works out the effective routes of a subnet (rules ROUTE-1 to ROUTE-14, -17 and -18) and the service
// table that all VNets of a region share. It is pure: the same input gives the same output. IPv4 only.
package routes

import (
	"math/bits"
	"net/netip"
	"slices"

	"github.com/gaissmai/bart"

	"postern/model"
	"postern/plan"
	"postern/servicetag"
)

// Region is what the endpoint routes of all subnets in one region have in common. It is made once for a catalogue and a
// region, is immutable, and is safe for use from many goroutines.
type Region struct {
	location  model.Location
	catalogue *servicetag.Catalogue
	services  []*service           // by bit; nil where there is none
	exact     *bart.Table[uint64]  // the services that have exactly this prefix, as a set of bits
	shared    []sharedPrefix       // prefixes of several services
	targets   []plan.ServiceTarget // without locators
	entries   []plan.ServiceEntry
}

// service is one service as the VNets of the region see it.
type service struct {
	model.Service
	tags     []string                    // whose prefixes these are (ROUTE-18)
	prefixes []netip.Prefix              // sorted, each once
	own      *bart.Lite                  // the same
	regions  *bart.Table[model.Location] // in which region an address is
	anywhere bool                        // the catalogue has no regional tags of it
}

type sharedPrefix struct {
	prefix netip.Prefix
	bits   uint64
}

// NewRegion works out the services of the VNets of one region: which prefixes each has by its scope (SE-9, SE-10), and
// in which region each address is. It fails when one address belongs to more than plan.MaxServiceCandidates services.
func NewRegion(catalogue *servicetag.Catalogue, location model.Location) (*Region, error) {
	return NewRegionOf(model.Services, catalogue, location)
}

// NewRegionOf is NewRegion for a cloud that has other services too: see model.Snapshot.Services.
func NewRegionOf(services []model.Service, catalogue *servicetag.Catalogue, location model.Location) (*Region, error) {
	r := &Region{location: location, catalogue: catalogue, exact: new(bart.Table[uint64])}
	for _, known := range services {
		s := newService(catalogue, location, known)
		for len(r.services) <= int(known.Bit) {
			r.services = append(r.services, nil)
		}
		r.services[known.Bit] = s
		for _, prefix := range s.prefixes {
			r.exact.Modify(prefix, func(have uint64, _ bool) (uint64, bool) { return have | 1<<known.Bit, false })
		}
	}
	for prefix, set := range r.exact.AllSorted4() {
		if bits.OnesCount64(set) > 1 {
			r.shared = append(r.shared, sharedPrefix{prefix, set})
		}
	}
	return r, r.flatten()
}

// Location is the region's name.
func (r *Region) Location() model.Location { return r.location }

// newService takes a service's prefixes from the tags of its scope. A service without any regional tag in the catalogue
// has its top-level tag's, and is served in the VNet's own region.
func newService(catalogue *servicetag.Catalogue, location model.Location, known model.Service) *service {
	s := &service{Service: known, own: new(bart.Lite), regions: new(bart.Table[model.Location])}
	everywhere := catalogue.Regions(known.Tag)
	s.anywhere = len(everywhere) == 0

	near := []model.Location{location}
	if pair := model.RegionPair(location); known.Scope == model.ScopeRegionPair && pair != "" {
		near = append(near, pair)
	}
	global := known.Scope == model.ScopeGlobal || s.anywhere
	if global {
		if tag, ok := catalogue.Tag(known.Tag); ok {
			s.tags, s.prefixes = []string{tag.Name}, slices.Clone(catalogue.IPv4(tag.Name))
		}
		near = append(near, everywhere...)
	}
	for _, region := range near {
		tag, ok := catalogue.Regional(known.Tag, region)
		if !ok {
			continue
		}
		prefixes := catalogue.IPv4(tag.Name)
		for _, prefix := range prefixes {
			// The VNet's own region comes first, and keeps what two regions claim.
			if _, taken := s.regions.Get(prefix); !taken {
				s.regions.Insert(prefix, region)
			}
		}
		if !global {
			s.tags = append(s.tags, tag.Name)
			s.prefixes = append(s.prefixes, prefixes...)
		}
	}
	slices.SortFunc(s.prefixes, netip.Prefix.Compare)
	s.prefixes = slices.Compact(s.prefixes)
	for _, prefix := range s.prefixes {
		s.own.Insert(prefix)
	}
	return s
}

// enabled lists the services of a subnet by bit. Names that are no service's are left out: they are refused when the
// subnet is written.
func (r *Region) enabled(endpoints []string) (list []*service, set uint64) {
	for _, endpoint := range endpoints {
		at := slices.IndexFunc(r.services, func(s *service) bool { return s != nil && s.Endpoint == endpoint })
		if at < 0 || set&(1<<at) != 0 {
			continue
		}
		set |= 1 << at
		list = append(list, r.services[at])
	}
	slices.SortFunc(list, func(a, b *service) int { return int(a.Bit) - int(b.Bit) })
	return list, set
}

// equal finds the enabled service that has exactly this prefix; of several the one with the lowest bit.
func (r *Region) equal(prefix netip.Prefix, enabled uint64) *service {
	set, _ := r.exact.Get(prefix)
	if set &= enabled; set == 0 {
		return nil
	}
	return r.services[bits.TrailingZeros64(set)]
}

// covering finds the enabled service with the longest prefix that covers all of this one, itself included.
func (r *Region) covering(prefix netip.Prefix, enabled uint64) (*service, netip.Prefix) {
	if enabled == 0 {
		return nil, netip.Prefix{}
	}
	for above, set := range r.exact.Supernets(prefix) { // longest first
		if set &= enabled; set != 0 {
			return r.services[bits.TrailingZeros64(set)], above
		}
	}
	return nil, netip.Prefix{}
}

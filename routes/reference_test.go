package routes

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"postern/model"
	"postern/plan"
	"postern/servicetag"
)

// This file is the slow twin: it applies ROUTE-1 to ROUTE-3, -11 and -13 to a plain list of candidates, word for word,
// and compares the winner with what a data path makes of Winners and ServiceTable, with Lookup and with Effective.

type reference struct {
	prefix netip.Prefix
	hop    plan.Hop
	name   string
	class  int
	bit    int // of the service, -1 for no endpoint
}

func (r reference) system() bool {
	return r.bit >= 0 || r.hop.Source == model.SourceDefault && (r.hop.Type == model.NextHopVnetLocal || r.hop.Type == model.NextHopVNetPeering)
}

// referenceServicePrefixes lists a service's prefixes by its scope.
func referenceServicePrefixes(catalogue *servicetag.Catalogue, s model.Service, region model.Location) []netip.Prefix {
	var names []string
	hasRegional := false
	for _, name := range catalogue.Names() {
		tag, _ := catalogue.Tag(name)
		if !strings.HasPrefix(name, s.Tag+".") || tag.Location == "" {
			continue
		}
		hasRegional = true
		if tag.Location == region || s.Scope == model.ScopeRegionPair && tag.Location == model.RegionPair(region) {
			names = append(names, name)
		}
	}
	if s.Scope == model.ScopeGlobal || !hasRegional {
		names = []string{s.Tag}
	}
	var list []netip.Prefix
	for _, name := range names {
		tag, _ := catalogue.Tag(name)
		for _, prefix := range tag.Prefixes {
			if prefix.Addr().Is4() && !slices.Contains(list, prefix) {
				list = append(list, prefix)
			}
		}
	}
	return list
}

func references(in Input) []reference {
	catalogue := in.Region.catalogue
	var list []reference
	put := func(prefix netip.Prefix, hop plan.Hop, name string, class, bit int) {
		list = append(list, reference{prefix.Masked(), hop, name, class, bit})
	}
	own := in.VirtualNetwork
	spaces := slices.Clone(own.AddressSpace)
	for _, prefix := range own.AddressSpace {
		put(prefix, plan.Hop{Type: model.NextHopVnetLocal, VNet: own.Number}, "", 0, -1)
	}
	for _, peer := range in.Peers {
		spaces = append(spaces, peer.AddressSpace...)
		for _, prefix := range peer.AddressSpace {
			put(prefix, plan.Hop{Type: model.NextHopVNetPeering, VNet: peer.Number}, peer.ID.Name(), 0, -1)
		}
	}
	put(netip.MustParsePrefix("0.0.0.0/0"), plan.Hop{Type: model.NextHopInternet}, "", 0, -1)
none:
	for _, text := range []string{"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10"} {
		prefix := netip.MustParsePrefix(text)
		for _, space := range spaces {
			if space.Bits() <= prefix.Bits() && space.Contains(prefix.Addr()) { // ROUTE-5
				continue none
			}
		}
		put(prefix, plan.Hop{Type: model.NextHopNone}, "", 0, -1)
	}
	for _, s := range model.Services {
		if slices.Contains(in.Subnet.ServiceEndpoints, s.Endpoint) {
			for _, prefix := range referenceServicePrefixes(catalogue, s, in.Region.location) {
				put(prefix, plan.Hop{Type: model.NextHopServiceEndpoint}, s.Endpoint, 0, int(s.Bit))
			}
		}
	}
	if in.RouteTable == nil || !in.RouteTable.DisableBGPRoutePropagation {
		for _, route := range in.GatewayRoutes {
			put(route.Prefix, plan.Hop{Type: model.NextHopVirtualNetworkGateway, Source: model.SourceVirtualNetworkGateway}, "", 0, -1)
		}
	}
	if in.RouteTable == nil {
		return list
	}
	for _, route := range in.RouteTable.Routes {
		hop := plan.Hop{Type: route.NextHopType, Source: model.SourceUser, Address: route.NextHopIPAddress}
		if route.NextHopType == model.NextHopVnetLocal {
			hop.VNet = own.Number
		}
		if route.NextHopType == model.NextHopVirtualAppliance {
			hop.VNet = own.Number
			longest := -1
			for _, vnet := range append([]*model.VirtualNetwork{own}, in.Peers...) {
				for _, prefix := range vnet.AddressSpace {
					if prefix.Contains(route.NextHopIPAddress) && prefix.Bits() > longest {
						longest, hop.VNet = prefix.Bits(), vnet.Number
					}
				}
			}
		}
		prefixes, class := []netip.Prefix{route.Prefix}, 0
		if route.ServiceTag != "" {
			tag, ok := catalogue.Tag(route.ServiceTag)
			if !ok {
				continue
			}
			prefixes = tag.Prefixes
			cloud, regional := strings.HasPrefix(tag.Name, "AzureCloud"), tag.Location != ""
			class = map[[2]bool]int{{false, true}: 1, {false, false}: 2, {true, true}: 3, {true, false}: 4}[[2]bool{cloud, regional}]
		}
		for _, prefix := range prefixes {
			if prefix.Addr().Is4() {
				put(prefix, hop, route.Name, class, -1)
			}
		}
	}
	return list
}

// judgeByRules picks the winner of candidates that all cover the same thing; false for none.
func judgeByRules(list []reference, inTunnel, documented bool) (reference, bool) {
	list = slices.Clone(list)
	drop := func(which func(reference) bool) { list = slices.DeleteFunc(list, which) }
	endpoint := func(r reference) bool { return r.bit >= 0 }
	if !inTunnel { // SE-6
		drop(endpoint)
	}
	if slices.ContainsFunc(list, reference.system) { // ROUTE-3
		drop(func(r reference) bool { return r.hop.Source == model.SourceVirtualNetworkGateway })
	}
	if documented && slices.ContainsFunc(list, endpoint) { // ROUTE-13, documented
		drop(func(r reference) bool { return !endpoint(r) })
	}
	longest := 0
	for _, r := range list {
		longest = max(longest, r.prefix.Bits())
	}
	drop(func(r reference) bool { return r.prefix.Bits() < longest }) // ROUTE-1
	var endpoints, others []reference
	for _, r := range list {
		if endpoint(r) {
			endpoints = append(endpoints, r)
		} else {
			others = append(others, r)
		}
	}
	defaults := []model.NextHopType{model.NextHopVnetLocal, model.NextHopVNetPeering, model.NextHopInternet, model.NextHopNone}
	slices.SortStableFunc(others, func(a, b reference) int {
		order := cmp.Compare(b.hop.Source, a.hop.Source) // ROUTE-2
		if order == 0 && a.hop.Source == model.SourceUser {
			order = cmp.Compare(a.class, b.class) // ROUTE-11
		}
		if order == 0 && a.hop.Source == model.SourceDefault {
			order = cmp.Compare(slices.Index(defaults, a.hop.Type), slices.Index(defaults, b.hop.Type))
		}
		return cmp.Or(order, cmp.Compare(a.name, b.name))
	})
	slices.SortStableFunc(endpoints, func(a, b reference) int { return cmp.Compare(a.bit, b.bit) })
	switch {
	case len(endpoints) == 0 && len(others) == 0:
		return reference{}, false
	case len(endpoints) == 0:
		return others[0], true
	case len(others) == 0:
		return endpoints[0], true
	case others[0].hop.Source == model.SourceUser && others[0].hop.Type != model.NextHopInternet: // ROUTE-13
		return others[0], true
	}
	return endpoints[0], true
}

// asDataPath is step 7 of docs/packet.md with plain scans in place of tries. bit is the winning service's, or -1.
func asDataPath(routes []plan.Route, services plan.ServiceTable, enabled uint64, documented, inTunnel bool, dst netip.Addr) (hop plan.Hop, bit int, ok bool) {
	var r *plan.Route
	for i := range routes {
		if routes[i].Prefix.Contains(dst) && (r == nil || routes[i].Prefix.Bits() > r.Prefix.Bits()) {
			r = &routes[i]
		}
	}
	var s *plan.ServiceCandidate
	if entry := longestEntry(services, dst); entry != nil && inTunnel {
		for i, candidate := range entry.Candidates {
			if enabled&(1<<candidate.Bit) != 0 {
				s = &entry.Candidates[i]
				break
			}
		}
	}
	var present *plan.Hop
	var bits uint8
	if r != nil {
		present, bits = &r.Hop, uint8(r.Prefix.Bits())
		if s != nil && r.Hop.Source == model.SourceVirtualNetworkGateway {
			present, bits = r.Beneath, r.BeneathBits
		}
	}
	switch {
	case s == nil && present == nil:
		return plan.Hop{}, -1, false
	case s == nil:
		return *present, -1, true
	case documented || present == nil || s.Bits > bits:
		return plan.Hop{Type: model.NextHopServiceEndpoint}, int(s.Bit), true
	case s.Bits == bits && !(present.Source == model.SourceUser && present.Type != model.NextHopInternet):
		return plan.Hop{Type: model.NextHopServiceEndpoint}, int(s.Bit), true
	}
	return *present, -1, true
}

func longestEntry(table plan.ServiceTable, dst netip.Addr) *plan.ServiceEntry {
	var best *plan.ServiceEntry
	for i := range table.Entries {
		entry := &table.Entries[i]
		if entry.Prefix.Contains(dst) && (best == nil || entry.Prefix.Bits() > best.Prefix.Bits()) {
			best = entry
		}
	}
	return best
}

// drawAddress and drawPrefix use few values, so that prefixes nest and are equal often.
func drawAddress(t *rapid.T) netip.Addr {
	first := rapid.SampledFrom([]byte{10, 10, 20, 100}).Draw(t, "first")
	rest := rapid.SampledFrom([]byte{0, 64, 128})
	return netip.AddrFrom4([4]byte{first, rest.Draw(t, "second"), rest.Draw(t, "third"), rest.Draw(t, "fourth")})
}

func drawPrefix(t *rapid.T) netip.Prefix {
	prefix, err := drawAddress(t).Prefix(rapid.SampledFrom([]int{0, 8, 8, 10, 16, 16, 17, 24, 25, 32}).Draw(t, "bits"))
	if err != nil {
		t.Fatal(err)
	}
	return prefix
}

func drawPrefixes(t *rapid.T, most int) []netip.Prefix {
	var list []netip.Prefix
	for range rapid.IntRange(0, most).Draw(t, "prefixes") {
		if prefix := drawPrefix(t); !slices.Contains(list, prefix) {
			list = append(list, prefix)
		}
	}
	return list
}

var drawnTags = []string{"Storage", "Storage.WestEurope", "Storage.NorthEurope", "Storage.GermanyWestCentral", "Sql",
	"Sql.WestEurope", "AzureKeyVault", "AzureKeyVault.WestEurope", "AzureKeyVault.NorthEurope", "AzureActiveDirectory",
	"AzureCloud", "AzureCloud.westeurope"}

func drawCatalogue(t *rapid.T) *servicetag.Catalogue {
	var values []string
	for _, name := range drawnTags {
		_, suffix, _ := strings.Cut(name, ".")
		var prefixes []string
		for _, prefix := range drawPrefixes(t, 5) {
			prefixes = append(prefixes, `"`+prefix.String()+`"`)
		}
		features := `["VSE"]`
		if suffix != "" || name == "AzureCloud" {
			features = "[]"
		}
		values = append(values, `{"name": "`+name+`", "properties": {"region": "`+strings.ToLower(suffix)+`", "networkFeatures": `+
			features+`, "addressPrefixes": [`+strings.Join(prefixes, ",")+`]}}`)
	}
	catalogue, err := servicetag.Parse(strings.NewReader(`{"values": [` + strings.Join(values, ",") + `]}`))
	if err != nil {
		t.Fatal(err)
	}
	return catalogue
}

func drawInput(t *rapid.T, catalogue *servicetag.Catalogue) Input {
	region, err := NewRegion(catalogue, rapid.SampledFrom([]model.Location{"westeurope", "northeurope", "germanynorth"}).Draw(t, "region"))
	if err != nil {
		t.Fatal(err)
	}
	in := Input{Region: region, DocumentedRoutes: rapid.Bool().Draw(t, "documented"), Subnet: &model.Subnet{},
		VirtualNetwork: &model.VirtualNetwork{ID: "/vnets/own", Number: 1, AddressSpace: drawPrefixes(t, 2)}}
	for i := range rapid.IntRange(0, 2).Draw(t, "peers") {
		in.Peers = append(in.Peers, &model.VirtualNetwork{ID: model.ResourceID("/vnets/peer" + string(rune('0'+i))), Number: uint32(i + 2),
			AddressSpace: drawPrefixes(t, 2)})
	}
	for _, endpoint := range []string{"Microsoft.Storage", "Microsoft.Storage.Global", "Microsoft.Sql", "Microsoft.KeyVault",
		"Microsoft.AzureActiveDirectory"} {
		if rapid.Bool().Draw(t, endpoint) {
			in.Subnet.ServiceEndpoints = append(in.Subnet.ServiceEndpoints, endpoint)
		}
	}
	for _, prefix := range drawPrefixes(t, 4) {
		in.GatewayRoutes = append(in.GatewayRoutes, GatewayRoute{prefix, netip.MustParseAddr("10.0.0.4")})
	}
	if rapid.IntRange(0, 3).Draw(t, "table") == 0 {
		return in
	}
	in.RouteTable = &model.RouteTable{DisableBGPRoutePropagation: rapid.IntRange(0, 3).Draw(t, "no BGP") == 0}
	for i := range rapid.IntRange(0, 8).Draw(t, "user routes") {
		route := model.UserRoute{Name: "user" + string(rune('a'+i)), NextHopType: rapid.SampledFrom([]model.NextHopType{
			model.NextHopNone, model.NextHopVnetLocal, model.NextHopVirtualAppliance, model.NextHopInternet,
			model.NextHopVirtualNetworkGateway}).Draw(t, "next hop")}
		if route.NextHopType == model.NextHopVirtualAppliance {
			route.NextHopIPAddress = drawAddress(t)
		}
		if rapid.Bool().Draw(t, "tag") {
			route.ServiceTag = rapid.SampledFrom(append(drawnTags, "Unknown")).Draw(t, "which")
		} else {
			route.Prefix = drawPrefix(t)
		}
		in.RouteTable.Routes = append(in.RouteTable.Routes, route)
	}
	return in
}

var noTargets = func(model.Identity, model.Location) model.Locator { return model.Locator{} }

func TestWinnersAreThoseOfTheRules(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := drawInput(t, drawCatalogue(t))
		table, all, services := New(in), references(in), in.Region.ServiceTable(noTargets)
		for range 6 {
			dst := drawAddress(t)
			protocol := rapid.SampledFrom([]model.Protocol{model.ProtocolTCP, model.ProtocolUDP, model.ProtocolICMP}).Draw(t, "protocol")
			inTunnel := protocol != model.ProtocolICMP
			var here []reference
			for _, r := range all {
				if r.prefix.Contains(dst) {
					here = append(here, r)
				}
			}
			want, wantOK := judgeByRules(here, inTunnel, in.DocumentedRoutes)
			hop, bit, ok := asDataPath(table.Winners(), services, table.EnabledServices(), in.DocumentedRoutes, inTunnel, dst)
			if ok != wantOK || ok && (hop != want.hop || bit != want.bit) {
				t.Fatalf("%s %s: the data path takes %+v of service %d (%v), the rules %+v of %d (%v)", dst, protocolName(protocol), hop, bit, ok, want.hop, want.bit, wantOK)
			}
			decision := table.Lookup(dst, protocol)
			if (decision.Winner != nil) != wantOK {
				t.Fatalf("%s: Lookup says %+v, the rules %+v", dst, decision.Winner, want)
			}
			if wantOK && (decision.Winner.Prefix != want.prefix || decision.Winner.Name != want.name || decision.Hop != want.hop) {
				t.Fatalf("%s: Lookup says %+v, the rules %+v", dst, decision.Winner, want)
			}
			if got := len(decision.Losers) + 1; wantOK && got != len(here) {
				t.Fatalf("%s: Lookup names %d routes, there are %d", dst, got, len(here))
			}
			for _, loser := range decision.Losers {
				if !strings.Contains(loser.Rule, "-") || loser.Why == "" {
					t.Fatalf("%s: a loser without a rule: %+v", dst, loser)
				}
			}
		}
	})
}

func protocolName(p model.Protocol) string {
	return map[model.Protocol]string{model.ProtocolTCP: "TCP", model.ProtocolUDP: "UDP", model.ProtocolICMP: "ICMP"}[p]
}

// TestEffectiveStatesAreThoseOfTheRules asks the twin about whole prefixes: a prefix is Active when its route wins
// among the routes that cover all of it.
func TestEffectiveStatesAreThoseOfTheRules(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := drawInput(t, drawCatalogue(t))
		all := references(in)
		type key struct {
			name, source, hop string
			prefix            netip.Prefix
		}
		got := map[key][]State{}
		for _, line := range New(in).Effective() {
			if line.Rule == "" != (line.State == Active) {
				t.Fatalf("state %s with rule %q: %+v", line.State, line.Rule, line)
			}
			for _, prefix := range line.Prefixes {
				k := key{line.Name, line.Source.String(), line.NextHopType.String(), prefix}
				got[k] = append(got[k], line.State)
			}
		}
		want := map[key][]State{}
		for _, r := range all {
			var covering []reference
			for _, other := range all {
				if other.prefix.Bits() <= r.prefix.Bits() && other.prefix.Contains(r.prefix.Addr()) {
					covering = append(covering, other)
				}
			}
			winner, _ := judgeByRules(covering, true, in.DocumentedRoutes)
			state := Invalid
			if winner == r {
				state = Active
			}
			k := key{r.name, r.hop.Source.String(), r.hop.Type.String(), r.prefix}
			want[k] = append(want[k], state)
		}
		for k := range want {
			if !slices.Equal(got[k], want[k]) {
				t.Fatalf("%+v: %v, the rules say %v", k, got[k], want[k])
			}
		}
		if len(got) != len(want) {
			t.Fatalf("%d prefixes listed, %d exist", len(got), len(want))
		}
	})
}

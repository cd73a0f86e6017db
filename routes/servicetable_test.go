package routes

import (
	"cmp"
	"encoding/binary"
	"encoding/json"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"postern/model"
	"postern/plan"
	"postern/servicetag"
	"postern/servicetag/tagtest"
)

// answer is what the service table says about an address.
type answer struct {
	bit     uint8
	bits    uint8
	service model.Identity
	region  model.Location
	locator model.Locator
}

// targetOf gives each service and region a locator of its own.
func targetOf(service model.Identity, region model.Location) model.Locator {
	locator := model.Locator{0xfd, byte(service)}
	copy(locator[2:], []byte(string(region))[:3])
	locator[6] = byte(len(region))
	return locator
}

func ask(table plan.ServiceTable, addr netip.Addr) (list []answer, regional bool) {
	entry := longestEntry(table, addr)
	if entry == nil {
		return nil, false
	}
	for _, candidate := range entry.Candidates {
		target := table.Targets[candidate.Target]
		list = append(list, answer{candidate.Bit, candidate.Bits, target.Service, target.Region, target.Locator})
	}
	return list, entry.Regional
}

type scopeKey struct {
	catalogue *servicetag.Catalogue
	bit       uint8
	region    model.Location
}

// scopes remembers referenceServicePrefixes: the real file takes it milliseconds, for every address anew.
var scopes = map[scopeKey][]netip.Prefix{}

func scopeOf(catalogue *servicetag.Catalogue, service model.Service, region model.Location) []netip.Prefix {
	key := scopeKey{catalogue, service.Bit, region}
	if _, ok := scopes[key]; !ok {
		scopes[key] = referenceServicePrefixes(catalogue, service, region)
	}
	return scopes[key]
}

// scan is the slow twin of the service table: it looks at every prefix of every tag for one address.
func scan(catalogue *servicetag.Catalogue, region model.Location, addr netip.Addr) (list []answer, regional bool) {
	longest := func(prefixes []netip.Prefix) int {
		best := -1
		for _, prefix := range prefixes {
			if prefix.Contains(addr) {
				best = max(best, prefix.Bits())
			}
		}
		return best
	}
	for _, service := range model.Services {
		bits := longest(scopeOf(catalogue, service, region))
		if bits < 0 {
			continue
		}
		scope := catalogue.Regions(service.Tag)
		anywhere := len(scope) == 0
		if service.Scope == model.ScopeRegionPair {
			scope = []model.Location{model.RegionPair(region)}
		} else if service.Scope == model.ScopeRegion {
			scope = nil
		}
		found, best := model.Location(""), -1
		for _, candidate := range append([]model.Location{region}, scope...) { // own first keeps what two claim
			tag, ok := catalogue.Regional(service.Tag, candidate)
			if length := longest(tag.Prefixes); ok && length > best {
				found, best = candidate, length
			}
		}
		if anywhere {
			found = region
		}
		a := answer{bit: service.Bit, bits: uint8(bits), service: service.Identity, region: found}
		if found != "" {
			a.locator = targetOf(service.Identity, found)
		}
		list = append(list, a)
	}
	slices.SortStableFunc(list, func(a, b answer) int { return cmp.Or(cmp.Compare(b.bits, a.bits), cmp.Compare(a.bit, b.bit)) })
	for _, tag := range catalogue.VSE() {
		if own, ok := catalogue.Regional(tag.Name, region); ok && longest(own.Prefixes) >= 0 {
			regional = true
		}
	}
	return list, regional
}

func compareTables(t interface{ Fatalf(string, ...any) }, catalogue *servicetag.Catalogue, region model.Location, table plan.ServiceTable, addr netip.Addr) {
	got, gotRegional := ask(table, addr)
	want, wantRegional := scan(catalogue, region, addr)
	if !slices.Equal(got, want) || gotRegional != wantRegional {
		t.Fatalf("%s from %s: %+v, regional %v; the scan says %+v, %v", addr, region, got, gotRegional, want, wantRegional)
	}
}

func TestServiceTableIsTheScan(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		catalogue := drawCatalogue(t)
		region := rapid.SampledFrom([]model.Location{"westeurope", "northeurope", "germanynorth"}).Draw(t, "region")
		table, err := ServiceTable(region, targetOf, catalogue)
		if err != nil {
			t.Fatal(err)
		}
		for range 10 {
			compareTables(t, catalogue, region, table, drawAddress(t))
		}
	})
}

// TestServiceTableOnTheRealFile asks about addresses in, at the ends of, and just beside the services' real prefixes.
func TestServiceTableOnTheRealFile(t *testing.T) {
	catalogue := tagtest.Real(t)
	random := rand.New(rand.NewPCG(3, 4))
	for _, region := range []model.Location{"westeurope", "germanywestcentral", "eastus2", "italynorth"} {
		table, err := ServiceTable(region, targetOf, catalogue)
		if err != nil {
			t.Fatal(err)
		}
		for range 40 {
			service := model.Services[random.IntN(len(model.Services))]
			prefixes := catalogue.IPv4(service.Tag)
			if tag, ok := catalogue.Regional(service.Tag, region); ok && random.IntN(2) == 0 {
				prefixes = catalogue.IPv4(tag.Name)
			}
			prefix := prefixes[random.IntN(len(prefixes))]
			bytes := prefix.Addr().As4()
			first, size := binary.BigEndian.Uint32(bytes[:]), uint32(1)<<(32-prefix.Bits())
			for _, number := range []uint32{first - 1, first, first + random.Uint32N(size), first + size - 1, first + size} {
				binary.BigEndian.PutUint32(bytes[:], number)
				compareTables(t, catalogue, region, table, netip.AddrFrom4(bytes))
			}
		}
	}
}

// TestServiceTableOfEveryRealRegion shows that no real address has more services than an entry can hold.
func TestServiceTableOfEveryRealRegion(t *testing.T) {
	catalogue := tagtest.Real(t)
	most := 0
	for _, region := range catalogue.Regions("AzureCloud") {
		table, err := ServiceTable(region, targetOf, catalogue)
		if err != nil {
			t.Fatal(err)
		}
		for i, entry := range table.Entries {
			most = max(most, len(entry.Candidates))
			if i > 0 && table.Entries[i-1].Prefix.Compare(entry.Prefix) >= 0 {
				t.Fatalf("%s: %s does not come after %s", region, entry.Prefix, table.Entries[i-1].Prefix)
			}
		}
	}
	t.Logf("at most %d of %d candidates", most, plan.MaxServiceCandidates)
}

func TestServiceTableIsDeterministic(t *testing.T) {
	var texts [2]string
	for i := range texts {
		table, err := ServiceTable("westeurope", targetOf, servicetag.BuiltIn())
		if err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(table)
		if err != nil {
			t.Fatal(err)
		}
		texts[i] = string(text)
	}
	if texts[0] != texts[1] || len(texts[0]) < 1000 {
		t.Errorf("two tables of one catalogue differ, or are empty:\n%.300s\n%.300s", texts[0], texts[1])
	}
}

func TestServiceTableRefusesTooManyServices(t *testing.T) {
	var values []string
	for _, service := range model.Services[1:] {
		values = append(values, `{"name": "`+service.Tag+`", "properties": {"addressPrefixes": ["20.0.0.0/8"]}}`)
	}
	catalogue, err := servicetag.Parse(strings.NewReader(`{"values": [` + strings.Join(values, ",") + `]}`))
	if err != nil {
		t.Fatal(err)
	}
	_, err = ServiceTable("westeurope", targetOf, catalogue)
	if err == nil || !strings.Contains(err.Error(), "20.0.0.0/8 belongs to 11 services, more than 6") {
		t.Errorf("error %v", err)
	}
}

func TestServiceScopes(t *testing.T) {
	catalogue := servicetag.BuiltIn()
	table, err := ServiceTable("westeurope", targetOf, catalogue)
	if err != nil {
		t.Fatal(err)
	}
	// region is where the endpoint leads for the first address of a tag, "-" for nowhere.
	region := func(tag string, endpoint string) model.Location {
		service, ok := model.ServiceByEndpoint(endpoint)
		prefixes := catalogue.IPv4(tag)
		if !ok || len(prefixes) == 0 {
			t.Fatalf("no service %s or tag %s", endpoint, tag)
		}
		answers, _ := ask(table, prefixes[0].Addr())
		for _, a := range answers {
			if a.bit == service.Bit {
				if (a.region == "") != a.locator.IsZero() {
					t.Errorf("%s: region %q with locator %s", tag, a.region, a.locator)
				}
				return a.region
			}
		}
		return "-"
	}
	for _, test := range []struct {
		name, tag, endpoint string
		want                model.Location
	}{
		{"SE-9 Storage covers the own region", "Storage.WestEurope", "Microsoft.Storage", "westeurope"},
		{"SE-9 Storage covers the pair", "Storage.NorthEurope", "Microsoft.Storage", "northeurope"},
		{"SE-9 Storage covers no other region", "Storage.GermanyWestCentral", "Microsoft.Storage", "-"},
		{"SE-9 Storage.Global covers all regions", "Storage.GermanyWestCentral", "Microsoft.Storage.Global", "germanywestcentral"},
		{"SE-10 Sql covers the own region", "Sql.WestEurope", "Microsoft.Sql", "westeurope"},
		{"SE-10 Sql does not cover the pair", "Sql.NorthEurope", "Microsoft.Sql", "-"},
		{"KeyVault leads to the address's region", "AzureKeyVault.GermanyNorth", "Microsoft.KeyVault", "germanynorth"},
		{"a service without regional tags leads to the own region", "AzureActiveDirectory", "Microsoft.AzureActiveDirectory", "westeurope"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := region(test.tag, test.endpoint); got != test.want {
				t.Errorf("region %q, want %q", got, test.want)
			}
		})
	}
	t.Run("FW-5 Regional is the own region's services alone", func(t *testing.T) {
		for tag, want := range map[string]bool{"Storage.WestEurope": true, "Sql.WestEurope": true, "Storage.NorthEurope": false, "Sql.GermanyNorth": false} {
			if _, got := ask(table, catalogue.IPv4(tag)[0].Addr()); got != want {
				t.Errorf("%s: regional %v, want %v", tag, got, want)
			}
		}
	})
	t.Run("an address of no known region has no locator", func(t *testing.T) {
		catalogue, err := servicetag.Parse(strings.NewReader(`{"values": [
			{"name": "AzureKeyVault", "properties": {"addressPrefixes": ["20.0.0.0/16"], "networkFeatures": ["VSE"]}},
			{"name": "AzureKeyVault.WestEurope", "properties": {"region": "westeurope", "addressPrefixes": ["20.0.1.0/24"]}}]}`))
		if err != nil {
			t.Fatal(err)
		}
		table, err := ServiceTable("northeurope", targetOf, catalogue)
		if err != nil {
			t.Fatal(err)
		}
		for addr, want := range map[string]answer{
			"20.0.0.1": {bit: 4, bits: 16, service: 19},
			"20.0.1.1": {bit: 4, bits: 16, service: 19, region: "westeurope", locator: targetOf(19, "westeurope")},
		} {
			if got, _ := ask(table, netip.MustParseAddr(addr)); !slices.Equal(got, []answer{want}) {
				t.Errorf("%s: %+v, want %+v", addr, got, want)
			}
		}
	})
}

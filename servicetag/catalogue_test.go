package servicetag_test

import (
	"cmp"
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"postern/model"
	"postern/servicetag"
	"postern/servicetag/tagtest"
)

// services are those with endpoints, by their tags.
var services = []string{"AppService", "AzureActiveDirectory", "AzureContainerRegistry", "AzureCosmosDB", "AzureKeyVault",
	"EventHub", "ServiceBus", "Sql", "Storage"}

func TestRealFile(t *testing.T) {
	c := tagtest.Real(t)
	prefixes, unknown := 0, 0
	for _, name := range c.Names() {
		tag, _ := c.Tag(name)
		prefixes += len(tag.Prefixes)
		if (tag.Region == "") != (tag.Location == "") {
			unknown++
		}
	}
	if len(c.Names()) != 2967 || prefixes != 90489 || unknown != 0 {
		t.Errorf("%d tags, %d prefixes, %d regions unknown; want 2967, 90489, 0", len(c.Names()), prefixes, unknown)
	}
	t.Run("SE-15 the tags with VSE are the services with endpoints", func(t *testing.T) {
		var names []string
		for _, tag := range c.VSE() {
			names = append(names, tag.Name)
		}
		if !slices.Equal(names, services) {
			t.Errorf("VSE tags %v, want %v", names, services)
		}
		for _, service := range model.Services {
			if _, ok := c.Tag(service.Tag); !ok {
				t.Errorf("no tag %q of service %s", service.Tag, service.Endpoint)
			}
		}
	})
	if got := len(c.IPv4("Storage")); got != 495 {
		t.Errorf("Storage has %d IPv4 prefixes, want 495", got)
	}
	for _, region := range []model.Location{"westeurope", "germanywestcentral", "germanynorth", "francecentral", "francesouth",
		"norwayeast", "norwaywest", "switzerlandnorth", "switzerlandwest", "swedencentral", "swedensouth", "brazilsoutheast",
		"chilecentral", "eastus2"} {
		for _, service := range []string{"Storage", "AzureCloud"} {
			if tag, ok := c.Regional(service, region); !ok || tag.Location != region {
				t.Errorf("no tag of %s in %s", service, region)
			}
		}
	}
	if tag, _ := c.Regional("storage", "eastus2"); tag.Name != "Storage.EastUS2" {
		t.Errorf("Storage in eastus2 is %q", tag.Name)
	}
	if got := c.Regions("AzureActiveDirectory"); got != nil {
		t.Errorf("AzureActiveDirectory has regions %v, want none", got)
	}
}

func TestLookupNamesEveryTag(t *testing.T) {
	for name, c := range map[string]func(testing.TB) *servicetag.Catalogue{
		"built in": func(testing.TB) *servicetag.Catalogue { return servicetag.BuiltIn() }, "real": tagtest.Real,
	} {
		t.Run(name, func(t *testing.T) {
			c := c(t)
			have := map[string]string{}
			matches := c.Lookup(netip.MustParseAddr("191.239.203.0"))
			for _, match := range matches {
				have[match.Tag] = match.Prefix.String()
			}
			for tag, prefix := range map[string]string{"Storage": "191.239.203.0/28", "Storage.WestEurope": "191.239.203.0/28",
				"AzureCloud.westeurope": "191.239.200.0/22"} {
				if have[tag] != prefix {
					t.Errorf("%s by %q, want %q; all: %v", tag, have[tag], prefix, matches)
				}
			}
			if matches[0].Tag != "Storage" || matches[0].SystemService != "AzureStorage" || matches[1].Region != "westeurope" {
				t.Errorf("matches %+v", matches)
			}
			if got := c.Lookup(netip.MustParseAddr("::ffff:191.239.203.0")); !slices.Equal(got, matches) {
				t.Errorf("the mapped form gives %v", got)
			}
			if got := c.Lookup(netip.MustParseAddr("10.0.0.1")); got != nil {
				t.Errorf("10.0.0.1 is in %v", got)
			}
			if got := c.Lookup(netip.Addr{}); got != nil {
				t.Errorf("no address is in %v", got)
			}
			if region, ok := c.RegionOf("Storage", netip.MustParseAddr("191.239.203.15")); region != "westeurope" || !ok {
				t.Errorf("region %q, %v", region, ok)
			}
			if region, ok := c.RegionOf("Sql", netip.MustParseAddr("191.239.203.15")); ok {
				t.Errorf("Sql has it in %q", region)
			}
		})
	}
}

// naive scans every prefix of every tag.
func naive(c *servicetag.Catalogue, addr netip.Addr) []servicetag.Match {
	var matches []servicetag.Match
	for _, name := range c.Names() {
		tag, _ := c.Tag(name)
		best := netip.Prefix{}
		for _, prefix := range tag.Prefixes {
			if prefix.Contains(addr) && (!best.IsValid() || prefix.Bits() > best.Bits()) {
				best = prefix
			}
		}
		if best.IsValid() {
			matches = append(matches, servicetag.Match{Tag: tag.Name, Prefix: best, SystemService: tag.SystemService,
				Region: tag.Region, Location: tag.Location})
		}
	}
	slices.SortStableFunc(matches, func(a, b servicetag.Match) int { return cmp.Compare(b.Prefix.Bits(), a.Prefix.Bits()) })
	return matches
}

func TestLookupIsTheNaiveScan(t *testing.T) {
	// Few octets and all lengths, so that prefixes nest, repeat and share tags.
	rapid.Check(t, func(t *rapid.T) {
		octet := rapid.SampledFrom([]byte{0, 1, 128, 255})
		address := rapid.Custom(func(t *rapid.T) netip.Addr {
			return netip.AddrFrom4([4]byte{octet.Draw(t, "a"), octet.Draw(t, "b"), octet.Draw(t, "c"), octet.Draw(t, "d")})
		})
		var values []string
		for i := range rapid.IntRange(1, 6).Draw(t, "tags") {
			var prefixes []string
			for range rapid.IntRange(0, 6).Draw(t, "prefixes") {
				prefix, _ := address.Draw(t, "address").Prefix(rapid.IntRange(0, 32).Draw(t, "bits"))
				prefixes = append(prefixes, `"`+prefix.String()+`"`)
			}
			values = append(values, `{"name": "`+string(rune('A'+i))+`", "properties": {"addressPrefixes": [`+strings.Join(prefixes, ",")+`]}}`)
		}
		c, err := servicetag.Parse(strings.NewReader(`{"values": [` + strings.Join(values, ",") + `]}`))
		if err != nil {
			t.Fatal(err)
		}
		for range 8 {
			addr := address.Draw(t, "asked")
			if got, want := c.Lookup(addr), naive(c, addr); !slices.Equal(got, want) {
				t.Fatalf("%s: %v, want %v", addr, got, want)
			}
		}
	})
}

func TestLookupIsTheNaiveScanOnTheRealFile(t *testing.T) {
	c := tagtest.Real(t)
	random := rand.New(rand.NewPCG(1, 2))
	cloud := c.IPv4("AzureCloud")
	for range 200 {
		base := cloud[random.IntN(len(cloud))]
		bytes := base.Addr().As4()
		number := binary.BigEndian.Uint32(bytes[:]) + uint32(random.Uint64N(1<<(32-base.Bits())))
		binary.BigEndian.PutUint32(bytes[:], number)
		addr := netip.AddrFrom4(bytes)
		if got, want := c.Lookup(addr), naive(c, addr); !slices.Equal(got, want) {
			t.Fatalf("%s: %v, want %v", addr, got, want)
		}
	}
}

func TestBuiltIn(t *testing.T) {
	c := servicetag.BuiltIn()
	if info, err := os.Stat("builtin.json"); err != nil || info.Size() > 60<<10 {
		t.Errorf("builtin.json: %v, %v; want at most 60 KB", info, err)
	}
	if got := len(c.VSE()); got != 9 {
		t.Errorf("%d services with endpoints, want 9", got)
	}
	regions := []model.Location{"germanynorth", "germanywestcentral", "northeurope", "westeurope"}
	for _, service := range slices.Concat(services, []string{"CognitiveServicesManagement", "AzureCloud"}) {
		if len(c.IPv4(service)) == 0 {
			t.Errorf("%s has no IPv4 prefix", service)
		}
		if service == "AzureActiveDirectory" || service == "CognitiveServicesManagement" {
			continue // the file has no regional tags of them
		}
		if got := c.Regions(service); !slices.Equal(got, regions) {
			t.Errorf("%s has regions %v", service, got)
		}
		for _, region := range regions {
			tag, _ := c.Regional(service, region)
			cloud, _ := c.Regional("AzureCloud", region)
			if len(tag.Prefixes) == 0 || len(tag.Prefixes) > 12 {
				t.Errorf("%s has %d prefixes, want 1 to 12", tag.Name, len(tag.Prefixes))
			}
			for _, prefix := range tag.Prefixes {
				for _, above := range [][]netip.Prefix{c.IPv4(service), cloud.Prefixes, c.IPv4("AzureCloud")} {
					if !covered(prefix, above) {
						t.Errorf("%s: %s is not covered", tag.Name, prefix)
					}
				}
			}
		}
	}
}

func TestBuiltInIsPartOfTheRealFile(t *testing.T) {
	real, c := tagtest.Real(t), servicetag.BuiltIn()
	for _, name := range c.Names() {
		tag, _ := c.Tag(name)
		whole, ok := real.Tag(name)
		if !ok {
			t.Fatalf("the file has no tag %s", name)
		}
		for _, prefix := range tag.Prefixes {
			if !slices.Contains(whole.Prefixes, prefix) {
				t.Errorf("the file's %s has no %s", name, prefix)
			}
		}
		whole.Prefixes, tag.Prefixes = nil, nil
		if diff := gocmp.Diff(whole, tag); diff != "" {
			t.Errorf("%s (-file +built in)\n%s", name, diff)
		}
	}
}

func covered(prefix netip.Prefix, by []netip.Prefix) bool {
	return slices.ContainsFunc(by, func(above netip.Prefix) bool {
		return above.Bits() <= prefix.Bits() && above.Contains(prefix.Addr())
	})
}

func BenchmarkLookup(b *testing.B) {
	c := tagtest.Real(b)
	addr := netip.MustParseAddr("191.239.203.0")
	for b.Loop() {
		c.Lookup(addr)
	}
}

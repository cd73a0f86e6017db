package resource

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestEntries compares the sorted lists with a map, over random changes that share what they do not touch.
func TestEntries(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		twin := map[string]*entry{}
		current := entries(nil).with(nil, nil)
		typ := rapid.SampledFrom([]string{TypeRouteTable, TypeVirtualNetwork, TypeResourceGroup})
		name := func() *entry {
			r := &Record{ID: fmt.Sprintf("/S/%c", rapid.IntRange('a', 'z').Draw(t, "name")), Type: typ.Draw(t, "type")}
			r.ID += "/" + r.Type
			return &entry{key: r.Key(), record: r}
		}
		for range rapid.IntRange(1, 6).Draw(t, "changes") {
			var written []*entry
			var deleted []string
			before := slices.Collect(current.after(""))
			for range rapid.IntRange(0, 12).Draw(t, "deletions") {
				key := name().key
				deleted = append(deleted, key)
				delete(twin, key)
			}
			for range rapid.IntRange(0, 12).Draw(t, "writes") {
				e := name()
				written = append(written, e)
				twin[e.key] = e
			}
			former := current
			current = current.with(written, deleted)
			if !slices.Equal(before, slices.Collect(former.after(""))) {
				t.Fatal("a change has changed the entries that it was made from")
			}
			check(t, current, twin)
		}
	})
}

func check(t *rapid.T, have entries, twin map[string]*entry) {
	keys := slices.Sorted(maps.Keys(twin))
	from := fmt.Sprintf("/s/%c", rapid.IntRange('a', 'z').Draw(t, "from"))
	var want []*entry
	for _, key := range keys {
		if have.find(key) != twin[key] {
			t.Fatalf("find %s", key)
		}
		if key > from {
			want = append(want, twin[key])
		}
	}
	if got := slices.Collect(have.after(from)); !slices.Equal(got, want) {
		t.Fatalf("%d entries behind %s, want %d", len(got), from, len(want))
	}
	if have.find(from) != nil {
		t.Fatalf("found %s", from)
	}
	if got := have.anyBelow(from + "/"); got != slices.ContainsFunc(keys, func(key string) bool { return key[:4] == from }) {
		t.Fatalf("below %s: %t", from, got)
	}
	count := 0
	for place, list := range have {
		for _, e := range list.sorted {
			if order(e.record.Type) != place {
				t.Fatalf("%s stands among %s", e.key, types[place].name)
			}
			count++
		}
	}
	if count != len(twin) {
		t.Fatalf("%d entries, want %d", count, len(twin))
	}
}

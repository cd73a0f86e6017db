package resource

import (
	"iter"
	"slices"
	"strings"
	"sync"
)

// entries are all records of a cloud: a list for each type, in the order of types. They are immutable: a change copies the
// lists that it touches and shares the others, so it costs little more than what it writes, and what is worked out of a
// list is kept as long as the list.
type entries []*entryList

// entryList is the records of one type.
type entryList struct {
	sorted []*entry // by key
	nouns  []any    // theirs: walked without touching the entries

	listed memo // see nounsOf
	links  memo // see linksOf
}

// memo is something worked out once.
type memo struct {
	once  sync.Once
	value any
}

// remembered works something out the first time.
func remembered[T any](m *memo, work func() T) T {
	m.once.Do(func() { m.value = work() })
	return m.value.(T)
}

func byKey(e *entry, key string) int { return strings.Compare(e.key, key) }

// find is the entry with a key; nil for none.
func (x entries) find(key string) *entry {
	for _, list := range x {
		if at, ok := slices.BinarySearchFunc(list.sorted, key, byKey); ok {
			return list.sorted[at]
		}
	}
	return nil
}

// of are the entries of one type, sorted by key.
func (x entries) of(typ string) []*entry {
	if place := order(typ); place < len(x) {
		return x[place].sorted
	}
	return nil
}

// with is the same entries with some written, in the place of those with the same keys, and some deleted.
func (x entries) with(written []*entry, deleted []string) entries {
	changes := make([]map[string]*entry, len(types)) // by type and key; nil stands for a deletion
	note := func(place int, key string, e *entry) {
		if changes[place] == nil {
			changes[place] = make(map[string]*entry)
		}
		changes[place][key] = e
	}
	for _, key := range deleted {
		if e := x.find(key); e != nil {
			note(order(e.record.Type), key, nil)
		}
	}
	for _, e := range written {
		note(order(e.record.Type), e.key, e)
	}
	out := make(entries, len(types))
	for place := range out {
		old := new(entryList)
		if place < len(x) {
			out[place], old = x[place], x[place]
		}
		if changes[place] != nil || out[place] == nil {
			out[place] = old.with(changes[place])
		}
	}
	return out
}

// with copies a list with some entries replaced, added and, where they are nil, left out.
func (l *entryList) with(changes map[string]*entry) *entryList {
	size := len(l.sorted) + len(changes)
	merged := &entryList{sorted: make([]*entry, 0, size), nouns: make([]any, 0, size)}
	from := 0
	keep := func(to int) {
		merged.sorted, merged.nouns = append(merged.sorted, l.sorted[from:to]...), append(merged.nouns, l.nouns[from:to]...)
		from = to
	}
	for _, key := range sortedKeys(changes) {
		at, found := slices.BinarySearchFunc(l.sorted, key, byKey)
		keep(at)
		if e := changes[key]; e != nil {
			merged.sorted, merged.nouns = append(merged.sorted, e), append(merged.nouns, e.noun)
		}
		if found {
			from++
		}
	}
	keep(len(l.sorted))
	return merged
}

// after walks all entries whose keys come behind a key, "" for all, sorted by key.
func (x entries) after(key string) iter.Seq[*entry] {
	return func(yield func(*entry) bool) {
		rest := make([][]*entry, 0, len(x))
		for _, list := range x {
			at, found := slices.BinarySearchFunc(list.sorted, key, byKey)
			if found {
				at++
			}
			if at < len(list.sorted) {
				rest = append(rest, list.sorted[at:])
			}
		}
		for len(rest) > 0 {
			least := 0
			for i := range rest {
				if rest[i][0].key < rest[least][0].key {
					least = i
				}
			}
			if !yield(rest[least][0]) {
				return
			}
			if rest[least] = rest[least][1:]; len(rest[least]) == 0 {
				rest = slices.Delete(rest, least, least+1)
			}
		}
	}
}

// first is the first entry's record behind a key, with its own key; nil for none.
func (x entries) first(key string) (*Record, string) {
	for e := range x.after(key) {
		return e.record, e.key
	}
	return nil, ""
}

// anyBelow tells whether some key begins with a path, which is in lower case.
func (x entries) anyBelow(path string) bool {
	for _, list := range x {
		at, _ := slices.BinarySearchFunc(list.sorted, path, byKey)
		if at < len(list.sorted) && strings.HasPrefix(list.sorted[at].key, path) {
			return true
		}
	}
	return false
}

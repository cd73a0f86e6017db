package pipeline

// lru is a map with a bound: where a new entry would pass it, the entry longest unused goes. It is not safe for
// concurrent use; shards.go locks around it. Entries stand in one slice and are linked by index, so that a full
// table takes and gives entries without allocating.
type lru[K comparable, V any] struct {
	limit   int
	index   map[K]int32
	entries []lruEntry[K, V]
	newest  int32 // head of the list by last use; none when empty
	oldest  int32
	free    int32 // head of the list of entries to use again, linked by older
}

type lruEntry[K comparable, V any] struct {
	key          K
	value        V
	newer, older int32
}

const none = int32(-1)

func newLRU[K comparable, V any](limit int) lru[K, V] {
	return lru[K, V]{limit: limit, index: make(map[K]int32), newest: none, oldest: none, free: none}
}

// peek gives the value of a key without making it the newest; nil where there is none. The pointer is good until the
// next put.
func (l *lru[K, V]) peek(key K) *V {
	at, ok := l.index[key]
	if !ok {
		return nil
	}
	return &l.entries[at].value
}

// get is peek, and makes the key the newest.
func (l *lru[K, V]) get(key K) *V {
	at, ok := l.index[key]
	if !ok {
		return nil
	}
	l.unlink(at)
	l.link(at)
	return &l.entries[at].value
}

// put makes or replaces the value of a key and makes it the newest.
func (l *lru[K, V]) put(key K, value V) {
	if have := l.get(key); have != nil {
		*have = value
		return
	}
	if len(l.index) >= l.limit {
		l.remove(l.entries[l.oldest].key)
	}
	at := l.free
	if at != none {
		l.free = l.entries[at].older
	} else {
		at = int32(len(l.entries))
		l.entries = append(l.entries, lruEntry[K, V]{})
	}
	l.entries[at].key, l.entries[at].value = key, value
	l.index[key] = at
	l.link(at)
}

// remove takes a key out, if it is there.
func (l *lru[K, V]) remove(key K) {
	at, ok := l.index[key]
	if !ok {
		return
	}
	delete(l.index, key)
	l.unlink(at)
	l.entries[at] = lruEntry[K, V]{older: l.free}
	l.free = at
}

func (l *lru[K, V]) size() int { return len(l.index) }

// link puts an entry that is in no list at the head.
func (l *lru[K, V]) link(at int32) {
	entry := &l.entries[at]
	entry.newer, entry.older = none, l.newest
	if l.newest != none {
		l.entries[l.newest].newer = at
	} else {
		l.oldest = at
	}
	l.newest = at
}

func (l *lru[K, V]) unlink(at int32) {
	entry := &l.entries[at]
	if entry.newer != none {
		l.entries[entry.newer].older = entry.older
	} else {
		l.newest = entry.older
	}
	if entry.older != none {
		l.entries[entry.older].newer = entry.newer
	} else {
		l.oldest = entry.newer
	}
}

package tableservice

import (
	"slices"
	"strings"
	"sync"
	"time"
)

// account is the tables of one storage account. Each lock guards what is below it but the entities themselves, which are
// immutable. A writer has writing from its first look to its end, and mu besides only to change what readers see: so nobody
// reads what is not on the disk yet, or waits for the disk.
type account struct {
	limit int // bytes of all entities together
	name  string
	owner string // whose it is: see Service.Keep
	disk  *disk

	missed time.Time // since when the account is not there; zero: it is. Service.mu guards it

	writing sync.Mutex
	gone    bool      // the account was deleted
	last    time.Time // the newest timestamp given

	mu     sync.RWMutex
	tables []*table // sorted by folded name
	size   int
}

type table struct {
	name     string    // as its creator spelled it
	folded   string    // lower case: names do not depend on case
	entities []*entity // sorted by key
}

// maxTables bounds the tables of an account.
const maxTables = 10_000

func (a *account) findTable(name string) (int, bool) {
	folded := strings.ToLower(name)
	return slices.BinarySearchFunc(a.tables, folded, func(t *table, want string) int { return strings.Compare(t.folded, want) })
}

func (a *account) createTable(name string) *Fault {
	a.writing.Lock()
	defer a.writing.Unlock()
	at, found := a.findTable(name)
	switch {
	case a.gone:
		return faultGone
	case found:
		return faultTableExists
	case len(a.tables) == maxTables:
		return faultFull
	}
	t := &table{name: name, folded: strings.ToLower(name)}
	if err := a.disk.createTable(a, t.name, t.folded); err != nil {
		return faultDisk
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.tables = slices.Insert(a.tables, at, t)
	return nil
}

func (a *account) deleteTable(name string) *Fault {
	a.writing.Lock()
	defer a.writing.Unlock()
	at, found := a.findTable(name)
	if !found {
		return faultNotFound
	}
	if err := a.disk.deleteTable(a, a.tables[at].folded); err != nil {
		return faultDisk
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, e := range a.tables[at].entities {
		a.size -= e.size()
	}
	a.tables = slices.Delete(a.tables, at, at+1)
	return nil
}

// listTables gives the names from the given one on that match, at most top, and the name to go on from, "" at the end.
func (a *account) listTables(from string, top int, matches func(name string) bool) (names []string, next string) {
	a.mu.RLock()
	defer a.mu.RUnlock()
	at, _ := a.findTable(from)
	for ; at < len(a.tables); at++ {
		if !matches(a.tables[at].name) {
			continue
		}
		if len(names) == top {
			return names, a.tables[at].name
		}
		names = append(names, a.tables[at].name)
	}
	return names, ""
}

func (t *table) find(k key) (int, bool) {
	return slices.BinarySearchFunc(t.entities, k, func(e *entity, want key) int { return e.key.compare(want) })
}

func (a *account) get(tableName string, k key) (*entity, *Fault) {
	a.mu.RLock()
	defer a.mu.RUnlock()
	at, found := a.findTable(tableName)
	if !found {
		return nil, faultTableNotFound
	}
	row, found := a.tables[at].find(k)
	if !found {
		return nil, faultNotFound
	}
	return a.tables[at].entities[row], nil
}

// maxScan bounds the entities that one query looks at, and so the time that it keeps the lock. A query that gets that far
// answers with what it has and a continuation, as Azure does at a partition's border or after five seconds.
const maxScan = 100_000

// query gives the entities from key from on that hold, at most top, and the key to go on from, nil at the end.
func (a *account) query(tableName string, from key, top int, holds func(*entity) bool) ([]*entity, *key, *Fault) {
	a.mu.RLock()
	defer a.mu.RUnlock()
	at, found := a.findTable(tableName)
	if !found {
		return nil, nil, faultTableNotFound
	}
	entities := a.tables[at].entities
	start, _ := a.tables[at].find(from)
	var result []*entity
	for i := start; i < len(entities); i++ {
		if i-start == maxScan {
			return result, &entities[i].key, nil
		}
		if !holds(entities[i]) {
			continue
		}
		if len(result) == top {
			return result, &entities[i].key, nil
		}
		result = append(result, entities[i])
	}
	return result, nil, nil
}

// changeKind is what a change does to an entity.
type changeKind uint8

const (
	changeInsert  changeKind = iota
	changeReplace            // Insert Or Replace; Update with a match
	changeMerge              // Insert Or Merge; Merge with a match
	changeDelete
)

// change is one write. match is the If-Match header: "" asks for nothing, "*" that the entity exists, else that its etag
// is this one.
type change struct {
	kind       changeKind
	key        key
	properties []property
	match      string
}

// apply does all changes or none, at one moment. It gives the entity after each change (nil after a delete), or the fault
// and the index of the change that it belongs to. Each entity may stand in one change only.
func (a *account) apply(tableName string, changes []change, now time.Time) ([]*entity, int, *Fault) {
	a.writing.Lock()
	defer a.writing.Unlock()
	at, found := a.findTable(tableName)
	if !found {
		return nil, 0, faultTableNotFound
	}
	t := a.tables[at]
	result := make([]*entity, len(changes))
	size := a.size
	last := a.last
	for i, c := range changes {
		if slices.ContainsFunc(changes[:i], func(earlier change) bool { return earlier.key == c.key }) {
			return nil, i, faultDuplicateRow
		}
		row, exists := t.find(c.key)
		var have *entity
		if exists {
			have = t.entities[row]
			size -= have.size()
		}
		if f := c.permitted(have); f != nil {
			return nil, i, f
		}
		if c.kind == changeDelete {
			continue
		}
		properties := c.properties
		if c.kind == changeMerge && exists {
			properties = have.merged(properties)
		}
		last = tick(now, last)
		next := &entity{key: c.key, timestamp: last, properties: properties}
		if f := next.check(); f != nil {
			return nil, i, f
		}
		result[i] = next
		if size += next.size(); size > a.limit {
			return nil, i, faultFull
		}
	}
	if err := a.disk.change(a, t.folded, changes, result); err != nil {
		return nil, 0, faultDisk
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for i, c := range changes {
		row, exists := t.find(c.key)
		switch {
		case c.kind == changeDelete:
			t.entities = slices.Delete(t.entities, row, row+1)
		case exists:
			t.entities[row] = result[i]
		default:
			t.entities = slices.Insert(t.entities, row, result[i])
		}
	}
	a.size, a.last = size, last
	return result, 0, nil
}

// permitted tells whether the change may happen to the entity as it is, nil for none.
func (c change) permitted(have *entity) *Fault {
	switch {
	case c.kind == changeInsert && have != nil:
		return faultEntityExists
	case have == nil && (c.kind == changeDelete || c.match != ""):
		return faultNotFound
	case have != nil && c.match != "" && c.match != "*" && c.match != have.etag():
		return faultCondition
	}
	return nil
}

// tick gives a timestamp later than last, so that no two versions of an entity share an etag.
func tick(now, last time.Time) time.Time {
	now = now.UTC().Truncate(100 * time.Nanosecond)
	if now.After(last) {
		return now
	}
	return last.Add(100 * time.Nanosecond)
}

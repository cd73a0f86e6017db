package tableservice

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.etcd.io/bbolt"
	bbolterrors "go.etcd.io/bbolt/errors"
)

// disk is the file of all accounts. A change is in it, and the file on the medium, before anybody hears of the change; what a
// killed process had not finished is not there. It is bbolt's: one writer at a time, one process at a time.
//
//	ACCOUNT (bucket)
//	    "owner"             which account of the name it is
//	    "missed"            since when it is not there: a time as appendTime writes it; absent where it is
//	    "t" TABLE (bucket)  by its folded name
//	        "n"                          the name as its creator spelled it
//	        "r" PARTITION 0x00 ROW       a row: appendRow. Keys hold no 0x00, so bytes are in the order of key.compare
//
// A nil *disk keeps nothing.
type disk struct{ db *bbolt.DB }

var (
	keyOwner  = []byte("owner")
	keyMissed = []byte("missed")
	keyName   = []byte("n")
)

const (
	prefixTable = 't'
	prefixRow   = 'r'
)

// lockTimeout bounds the wait for another process that has the file: one that is being killed.
const lockTimeout = 10 * time.Second

// openDisk opens the file at a path, or makes it.
func openDisk(path string) (*disk, error) {
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: lockTimeout, FreelistType: bbolt.FreelistMapType})
	if err != nil {
		return nil, fmt.Errorf("open tables %s: %w", path, err)
	}
	return &disk{db}, nil
}

func (d *disk) close() error {
	if d == nil {
		return nil
	}
	return d.db.Close()
}

func rowKey(k key) []byte { return []byte(string(rune(prefixRow)) + k.partition + "\x00" + k.row) }

func tableKey(folded string) []byte { return []byte(string(rune(prefixTable)) + folded) }

// load reads all accounts.
func (d *disk) load(limit int) (map[string]*account, error) {
	accounts := make(map[string]*account)
	if d == nil {
		return accounts, nil
	}
	err := d.db.View(func(tx *bbolt.Tx) error {
		return tx.ForEach(func(name []byte, stored *bbolt.Bucket) error {
			a := &account{limit: limit, name: string(name), owner: string(stored.Get(keyOwner)), disk: d}
			accounts[a.name] = a
			if missed := stored.Get(keyMissed); missed != nil {
				r := rowReader{rest: missed}
				a.missed = r.time()
			}
			return stored.ForEachBucket(func(folded []byte) error {
				t, err := loadTable(string(folded[1:]), stored.Bucket(folded))
				if err != nil {
					return fmt.Errorf("read table %s of account %s: %w", folded[1:], name, err)
				}
				a.tables = append(a.tables, t)
				for _, e := range t.entities {
					a.size += e.size()
					if e.timestamp.After(a.last) {
						a.last = e.timestamp
					}
				}
				return nil
			})
		})
	})
	return accounts, err
}

func loadTable(folded string, stored *bbolt.Bucket) (*table, error) {
	t := &table{folded: folded, name: string(stored.Get(keyName))}
	if !strings.EqualFold(t.name, folded) {
		return nil, fmt.Errorf("its name is %q", t.name)
	}
	return t, stored.ForEach(func(at, data []byte) error {
		if at[0] != prefixRow {
			return nil
		}
		partition, row, ok := bytes.Cut(at[1:], []byte{0})
		if !ok {
			return errRow
		}
		e, err := parseRow(key{string(partition), string(row)}, data)
		if err != nil {
			return fmt.Errorf("row %q: %w", at[1:], err)
		}
		t.entities = append(t.entities, e)
		return nil
	})
}

// createTable keeps a new table, and its account with it.
func (d *disk) createTable(a *account, name, folded string) error {
	if d == nil {
		return nil
	}
	return d.db.Update(func(tx *bbolt.Tx) error {
		stored, err := tx.CreateBucketIfNotExists([]byte(a.name))
		if err != nil {
			return err
		}
		fresh, err := stored.CreateBucket(tableKey(folded))
		if err != nil {
			return err
		}
		return errors.Join(stored.Put(keyOwner, []byte(a.owner)), fresh.Put(keyName, []byte(name)))
	})
}

func (d *disk) deleteTable(a *account, folded string) error {
	if d == nil {
		return nil
	}
	return d.db.Update(func(tx *bbolt.Tx) error { return tx.Bucket([]byte(a.name)).DeleteBucket(tableKey(folded)) })
}

// change keeps all changes or none. after has the entity after each: nil after a delete.
func (d *disk) change(a *account, folded string, changes []change, after []*entity) error {
	if d == nil {
		return nil
	}
	return d.db.Update(func(tx *bbolt.Tx) error {
		stored := tx.Bucket([]byte(a.name)).Bucket(tableKey(folded))
		for i, c := range changes {
			var err error
			if at := rowKey(c.key); after[i] == nil {
				err = stored.Delete(at)
			} else {
				err = stored.Put(at, appendRow(nil, after[i]))
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// miss notes since when an account is not there. One that has nothing is not on the disk.
func (d *disk) miss(name string, since time.Time) error {
	if d == nil {
		return nil
	}
	return d.db.Update(func(tx *bbolt.Tx) error {
		stored := tx.Bucket([]byte(name))
		switch {
		case stored == nil:
			return nil
		case since.IsZero():
			return stored.Delete(keyMissed)
		}
		return stored.Put(keyMissed, appendTime(nil, since))
	})
}

// forget drops all that an account has.
func (d *disk) forget(name string) error {
	if d == nil {
		return nil
	}
	return d.db.Update(func(tx *bbolt.Tx) error {
		if err := tx.DeleteBucket([]byte(name)); !errors.Is(err, bbolterrors.ErrBucketNotFound) {
			return err
		}
		return nil
	})
}

//go:build linux

package kernel

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
)

// table keeps a BPF map as a plan wants it: desired, actual, difference, apply. Adding and removing are two
// steps, so that new content can be there before anything refers to it and old content go after nothing does.
type table[K comparable, V comparable] struct {
	name   string
	bpf    *ebpf.Map
	actual map[K]V // nil until the first read-back
}

func newTable[K comparable, V comparable](name string, bpf *ebpf.Map) *table[K, V] {
	return &table[K, V]{name: name, bpf: bpf}
}

// readBack learns what an earlier process left in the map.
func (t *table[K, V]) readBack() error {
	if t.actual != nil {
		return nil
	}
	actual := map[K]V{}
	var key K
	var value V
	entries := t.bpf.Iterate()
	for entries.Next(&key, &value) {
		actual[key] = value
	}
	if err := entries.Err(); err != nil {
		return fmt.Errorf("read back map %s: %w", t.name, err)
	}
	t.actual = actual
	return nil
}

// add puts what is missing or different.
func (t *table[K, V]) add(desired map[K]V) error {
	if err := t.readBack(); err != nil {
		return err
	}
	for key, value := range desired {
		if have, ok := t.actual[key]; ok && have == value {
			continue
		}
		if err := t.bpf.Put(&key, &value); err != nil {
			if errors.Is(err, ebpf.ErrKeyNotExist) || t.full() {
				return fmt.Errorf("fill map %s: %d entries are its limit: %w", t.name, t.bpf.MaxEntries(), err)
			}
			return fmt.Errorf("fill map %s: %w", t.name, err)
		}
		t.actual[key] = value
	}
	return nil
}

// prune deletes what desired does not have.
func (t *table[K, V]) prune(desired map[K]V) error {
	for key := range t.actual {
		if _, ok := desired[key]; ok {
			continue
		}
		if err := t.bpf.Delete(&key); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return fmt.Errorf("prune map %s: %w", t.name, err)
		}
		delete(t.actual, key)
	}
	return nil
}

func (t *table[K, V]) full() bool { return len(t.actual) >= int(t.bpf.MaxEntries()) }

package deployment

import (
	"maps"
	"reflect"
	"slices"
	"strconv"
)

// Delta is a change of a property, in Azure's form (WhatIfPropertyChange).
type Delta struct {
	Path     string  `json:"path"`
	Type     string  `json:"propertyChangeType"` // "Create", "Delete", "Modify", "Array"
	Before   any     `json:"before,omitempty"`
	After    any     `json:"after,omitempty"`
	Children []Delta `json:"children"`
}

// deltas compares two objects. What is answered the same is the same, whatever was written; and what was written the same is,
// however others make the answers differ.
func deltas(before, after, written, newWritten map[string]any) []Delta {
	var list []Delta
	names := maps.Clone(before)
	maps.Copy(names, after)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		list = append(list, delta(name, member{before, name}, member{after, name}, member{written, name}, member{newWritten, name})...)
	}
	return list
}

// member is a member of an object, which may be missing.
type member struct {
	of   map[string]any
	name string
}

func (m member) get() (any, bool) {
	value, ok := m.of[m.name]
	return value, ok && value != nil
}

func delta(path string, before, after, written, newWritten member) []Delta {
	b, had := before.get()
	a, has := after.get()
	bw, hadWritten := written.get()
	aw, hasWritten := newWritten.get()
	if same(b, a) || hadWritten == hasWritten && same(bw, aw) {
		return nil
	}
	one := Delta{Path: path, Type: ChangeModify, Before: b, After: a}
	switch {
	case !had:
		one.Type = ChangeCreate
		return []Delta{one}
	case !has:
		one.Type = ChangeDelete
		return []Delta{one}
	}
	bo, isObject := b.(map[string]any)
	ao, isToo := a.(map[string]any)
	if isObject && isToo {
		bwo, _ := bw.(map[string]any)
		awo, _ := aw.(map[string]any)
		var list []Delta
		for _, inner := range deltas(bo, ao, bwo, awo) {
			inner.Path = path + "." + inner.Path
			list = append(list, inner)
		}
		return list
	}
	bl, isList := b.([]any)
	al, isToo := a.([]any)
	if !isList || !isToo {
		return []Delta{one}
	}
	bwl, _ := bw.([]any)
	awl, _ := aw.([]any)
	one = Delta{Path: path, Type: "Array", Children: deltas(keyed(bl), keyed(al), keyed(bwl), keyed(awl))}
	if len(one.Children) == 0 {
		return nil
	}
	return []Delta{one}
}

// keyed is a list as an object: by the elements' names where they have some, otherwise by their places.
func keyed(list []any) map[string]any {
	object := make(map[string]any, len(list))
	for i, element := range list {
		key := strconv.Itoa(i)
		if inner, ok := element.(map[string]any); ok {
			if name, ok := inner["name"].(string); ok {
				key = name
			}
		}
		object[key] = element
	}
	return object
}

// same compares two values read by object().
func same(a, b any) bool { return reflect.DeepEqual(a, b) }

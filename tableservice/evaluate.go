package tableservice

import (
	"cmp"
	"math"
	"strings"
)

type (
	disjunction []condition
	conjunction []condition
	negation    struct{ inner condition }
	truth       struct{ term term } // a term that stands alone: a boolean property
	comparison  struct {
		left, right term
		wanted      outcomes
	}
)

// term is a property when it has a name, else a literal.
type term struct {
	property string
	literal  value
}

func (t term) of(e *entity) (value, bool) {
	if t.property == "" {
		return t.literal, true
	}
	return e.get(t.property)
}

// outcomes is a set of results of a comparison, as bits.
type outcomes uint8

const (
	outcomeLess outcomes = 1 << iota
	outcomeEqual
	outcomeGreater
	outcomeUnordered // NaN
)

var operators = map[string]outcomes{
	"eq": outcomeEqual,
	"ne": outcomeLess | outcomeGreater | outcomeUnordered,
	"gt": outcomeGreater,
	"ge": outcomeGreater | outcomeEqual,
	"lt": outcomeLess,
	"le": outcomeLess | outcomeEqual,
}

func (d disjunction) holds(e *entity) bool {
	for _, one := range d {
		if one.holds(e) {
			return true
		}
	}
	return false
}

func (c conjunction) holds(e *entity) bool {
	for _, one := range c {
		if !one.holds(e) {
			return false
		}
	}
	return true
}

func (n negation) holds(e *entity) bool { return !n.inner.holds(e) }

func (t truth) holds(e *entity) bool {
	v, ok := t.term.of(e)
	return ok && v.kind == kindBool && v.integer != 0
}

// holds is false where a property is missing or the types do not compare, "ne" included, as in Azure: the Table service has
// no null.
func (c comparison) holds(e *entity) bool {
	left, ok := c.left.of(e)
	if !ok {
		return false
	}
	right, ok := c.right.of(e)
	if !ok {
		return false
	}
	outcome, ok := compareValues(left, right)
	return ok && c.wanted&outcome != 0
}

// compareValues compares two values of one type, or two numbers of any type. Both integers compare exactly.
func compareValues(left, right value) (outcomes, bool) {
	numeric := func(k kind) bool { return k == kindInt32 || k == kindInt64 || k == kindDouble }
	switch {
	case numeric(left.kind) && numeric(right.kind):
		if left.kind != kindDouble && right.kind != kindDouble {
			return outcomeOf(cmp.Compare(left.integer, right.integer)), true
		}
		if a, b := left.number(), right.number(); math.IsNaN(a) || math.IsNaN(b) {
			return outcomeUnordered, true
		} else {
			return outcomeOf(cmp.Compare(a, b)), true
		}
	case left.kind != right.kind:
		return 0, false
	case left.kind == kindBool:
		return outcomeOf(cmp.Compare(left.integer, right.integer)), true
	case left.kind == kindDateTime:
		return outcomeOf(left.time.Compare(right.time)), true
	}
	return outcomeOf(strings.Compare(left.text, right.text)), true
}

func (v value) number() float64 {
	if v.kind == kindDouble {
		return v.double
	}
	return float64(v.integer)
}

func outcomeOf(order int) outcomes {
	switch {
	case order < 0:
		return outcomeLess
	case order > 0:
		return outcomeGreater
	}
	return outcomeEqual
}

package resource

import (
	"cmp"
	"errors"
	"maps"
	"slices"
	"strings"
)

// Finish judges the whole change and allots what new resources need. The error is an *Error that names the resource
// and the field; then nothing is to be written.
func (c *Change) Finish() (*Outcome, error) {
	keys := slices.SortedFunc(maps.Keys(c.written), c.byDependence)
	outcome := &Outcome{Counters: c.before.Counters}
	var puts []*entry
	for _, key := range keys {
		record := c.written[key]
		if record == nil {
			if c.before.entries.find(key) != nil {
				outcome.Deletes = append(outcome.Deletes, key)
			}
			continue
		}
		e, err := decode(record)
		if err != nil {
			return nil, c.asWritten(key, err)
		}
		if object, ok := c.objects[key]; ok {
			e.body.set(object)
		}
		puts = append(puts, e)
	}
	after := newCloud(c.before.entries.with(puts, outcome.Deletes), outcome.Counters, c.before.Revision)
	judge := &judge{before: c.before, after: after, options: c.options, counters: &outcome.Counters, nested: c.nested}
	for _, e := range puts {
		if err := judge.written(e); err != nil {
			return nil, c.asWritten(e.key, about(err, e.record.ID))
		}
		outcome.Puts = append(outcome.Puts, *e.record)
	}
	if err := judge.removed(keys); err != nil {
		return nil, err
	}
	if err := judge.endpointsStay(); err != nil {
		return nil, err
	}
	// The cloud is made anew: nothing of the judged one's lists may have been worked out before allotting.
	outcome.After = newCloud(c.before.entries.with(puts, outcome.Deletes), outcome.Counters, c.before.Revision)
	return outcome, nil
}

// byDependence sorts keys by type, then by key, so that allotting does not depend on the order of a batch.
func (c *Change) byDependence(a, b string) int {
	return cmp.Or(cmp.Compare(c.orderOf(a), c.orderOf(b)), cmp.Compare(a, b))
}

func (c *Change) orderOf(key string) int {
	if r := c.written[key]; r != nil {
		return order(r.Type)
	}
	return -1 // deletions have no order
}

// asWritten turns the path of a field inside the parent into the path inside the child that was written.
func (c *Change) asWritten(key string, err error) error {
	var refusal *Error
	if prefix := c.nested[key]; prefix != "" && errors.As(err, &refusal) && strings.HasPrefix(refusal.Target, prefix) {
		refusal.Message = strings.ReplaceAll(refusal.Message, prefix, "")
		refusal.Target = strings.TrimPrefix(refusal.Target, prefix)
	}
	return err
}

// Check judges one record as it stands in a cloud that has it: the same judgement that a Change makes, without
// allotting. It is for tools that read records from elsewhere.
func Check(cloud *Cloud, record *Record) error {
	e := cloud.entries.find(record.Key())
	if e == nil {
		return refuse(CodeResourceNotFound, record.ID, "The resource is not in the cloud it is to be checked in.")
	}
	counters := cloud.Counters
	judge := &judge{before: cloud, after: cloud, counters: &counters, checkOnly: true}
	return about(judge.written(e), record.ID)
}

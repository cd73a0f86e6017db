package activity

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"
)

// Page is a part of the events that a filter chooses, newest first.
type Page struct {
	Events []Event
	Next   int64 // what to give as Filter.Before for the rest; 0 at the end
}

// Query reads the events that a filter chooses, newest first. Files outside its times are not read. Events older than the
// log keeps are not answered.
func (l *Log) Query(f Filter, now time.Time) (Page, error) {
	if oldest := now.Add(-l.limits.Age); f.From.Before(oldest) {
		f.From = oldest
	}
	l.mu.Lock()
	files := slices.Clone(l.files)
	l.mu.Unlock()
	page := Page{Events: []Event{}}
	for i := len(files) - 1; i >= 0; i-- {
		if !f.To.IsZero() && files[i].since.After(f.To) || f.Before > 0 && files[i].first >= f.Before {
			continue
		}
		if i+1 < len(files) && files[i+1].since.Before(f.From) {
			break // all of this file's events are older
		}
		events, err := readFile(l.path(files[i]), false)
		if err != nil {
			return Page{}, err
		}
		for _, event := range slices.Backward(events) {
			if !f.chooses(&event) {
				continue
			}
			if f.Limit > 0 && len(page.Events) == f.Limit {
				page.Next = page.Events[f.Limit-1].Number
				return page, nil
			}
			page.Events = append(page.Events, event)
		}
	}
	return page, nil
}

// readFile reads the events of a file, or the first alone; one that was removed in the meantime has none.
func readFile(path string, firstAlone bool) ([]Event, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, fmt.Errorf("read the activity log: %w", err)
	}
	return parse(data, firstAlone), nil
}

// parse reads whole lines. A line that is no event is left out: it can be but the remains of a write that failed.
func parse(data []byte, firstAlone bool) []Event {
	var events []Event
	for len(data) > 0 && !(firstAlone && len(events) > 0) {
		line, rest, whole := bytes.Cut(data, []byte{'\n'})
		if !whole {
			break
		}
		data = rest
		var event Event
		if json.Unmarshal(line, &event) == nil && event.Number > 0 {
			events = append(events, event)
		}
	}
	return events
}

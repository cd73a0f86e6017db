package activity

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var noon = time.Date(2026, 9, 1, 12, 0, 0, 0, time.UTC)

func openLog(t *testing.T, dir string, limits Limits) *Log {
	t.Helper()
	l, err := Open(dir, limits)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// event is the nth of a test: one a minute, by two callers, in two groups.
func event(n int) Event {
	return Event{Time: noon.Add(time.Duration(n) * time.Minute), Status: Succeeded, Operation: "Microsoft.Network/routeTables/write",
		Resource:    fmt.Sprintf("/subscriptions/s/resourceGroups/g%d/providers/Microsoft.Network/routeTables/rt%d", n%2, n),
		Caller:      Caller{Name: []string{"ann", "bob"}[n%2], ClientID: fmt.Sprint("client", n%2), ObjectID: fmt.Sprint("object", n%2)},
		Correlation: fmt.Sprint("c", n)}
}

func fill(t *testing.T, l *Log, from, to int) {
	t.Helper()
	for n := from; n < to; n++ {
		if err := l.Append(event(n)); err != nil {
			t.Fatal(err)
		}
	}
}

func correlations(t *testing.T, l *Log, f Filter) string {
	t.Helper()
	page, err := l.Query(f, noon.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, e := range page.Events {
		list = append(list, e.Correlation)
	}
	return strings.Join(list, " ")
}

func TestQuery(t *testing.T) {
	l := openLog(t, t.TempDir(), Limits{Age: time.Hour * 24, Events: 1000, PerFile: 3})
	fill(t, l, 0, 10)
	for name, r := range map[string]struct {
		filter Filter
		want   string
	}{
		"GOV-2 all, newest first": {Filter{}, "c9 c8 c7 c6 c5 c4 c3 c2 c1 c0"},
		"GOV-2 by times":          {Filter{From: noon.Add(4 * time.Minute), To: noon.Add(6 * time.Minute)}, "c6 c5 c4"},
		"GOV-2 by group":          {Filter{ResourceGroup: "G1"}, "c9 c7 c5 c3 c1"},
		"GOV-2 by resource":       {Filter{Resource: "/subscriptions/S/resourcegroups/g1/providers/Microsoft.Network/routeTables/rt3"}, "c3"},
		"a resource is no prefix": {Filter{Resource: "/subscriptions/s/resourceGroups/g"}, ""},
		"GOV-2 by correlation":    {Filter{Correlation: "C4"}, "c4"},
		"GOV-2 by caller's name":  {Filter{Caller: "bob", From: noon.Add(8 * time.Minute)}, "c9"},
		"GOV-2 by caller's id":    {Filter{Caller: "object0", From: noon.Add(8 * time.Minute)}, "c8"},
		"GOV-2 by status":         {Filter{Status: "Failed"}, ""},
		"by provider":             {Filter{Provider: "microsoft.network", Before: 2}, "c0"},
		"of another subscription": {Filter{Subscription: "other"}, ""},
		"GOV-1 what may be seen":  {Filter{Visible: func(e *Event) bool { return e.Number == 3 }}, "c2"},
	} {
		if got := correlations(t, l, r.filter); got != r.want {
			t.Errorf("%s: %s, want %s", name, got, r.want)
		}
	}
	t.Run("pages", func(t *testing.T) {
		var got []string
		filter := Filter{Limit: 4}
		for pages := 1; ; pages++ {
			page, err := l.Query(filter, noon.Add(time.Hour))
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range page.Events {
				got = append(got, e.Correlation)
			}
			if filter.Before = page.Next; page.Next == 0 {
				if pages != 3 {
					t.Errorf("%d pages", pages)
				}
				break
			}
		}
		if len(got) != 10 || got[9] != "c0" {
			t.Errorf("%v", got)
		}
	})
}

func TestReopened(t *testing.T) {
	dir, limits := t.TempDir(), Limits{Age: 24 * time.Hour, Events: 1000, PerFile: 4}
	l := openLog(t, dir, limits)
	fill(t, l, 0, 6)
	// The process ends in the middle of a line, without closing.
	newest := l.path(l.files[len(l.files)-1])
	file, err := os.OpenFile(newest, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.WriteString(`{"number":7,"eventTimest`); err != nil {
		t.Fatal(err)
	}
	file.Close()
	again := openLog(t, dir, limits)
	fill(t, again, 6, 10)
	if got := correlations(t, again, Filter{}); got != "c9 c8 c7 c6 c5 c4 c3 c2 c1 c0" {
		t.Errorf("GOV-2 %s", got)
	}
	page, err := again.Query(Filter{}, noon.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	for i, e := range page.Events {
		if e.Number != int64(10-i) || e.ID == "" {
			t.Errorf("event %d has number %d, id %q", i, e.Number, e.ID)
		}
	}
	if info, err := os.Stat(newest); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

func TestLimits(t *testing.T) {
	l := openLog(t, t.TempDir(), Limits{Age: 30 * time.Minute, Events: 10, PerFile: 3})
	fill(t, l, 0, 20)
	files, err := filepath.Glob(filepath.Join(l.dir, "*"+suffix))
	if err != nil || len(files) != 5 {
		t.Errorf("GOV-2 %d files, want those that the last 10 events were in when the newest began: %v, %v", len(files), files, err)
	}
	l.mu.Lock()
	l.prune(noon.Add(time.Hour))
	l.mu.Unlock()
	if len(l.files) != 1 {
		t.Errorf("GOV-2 %d files have events of the last half hour or are being written", len(l.files))
	}
	page, err := l.Query(Filter{}, noon.Add(48*time.Minute))
	if err != nil || len(page.Events) == 0 || page.Events[len(page.Events)-1].Time.Before(noon.Add(18*time.Minute)) {
		t.Errorf("GOV-2 what is too old is answered: %v, %v", page.Events, err)
	}
	t.Run("a clock that goes back", func(t *testing.T) {
		if err := l.Append(event(0)); err != nil {
			t.Fatal(err)
		}
		page, err := l.Query(Filter{Limit: 1}, noon.Add(20*time.Minute))
		if err != nil || len(page.Events) != 1 || !page.Events[0].Time.Equal(event(19).Time) {
			t.Errorf("%+v, %v", page.Events, err)
		}
	})
}

// A write that fails loses its event, counts it, and spoils nothing.
func TestLost(t *testing.T) {
	l := openLog(t, t.TempDir(), Limits{Age: time.Hour, Events: 100, PerFile: 50})
	fill(t, l, 0, 2)
	l.mu.Lock()
	whole := l.open
	l.open, _ = os.Open(os.DevNull) // for reading alone
	l.mu.Unlock()
	var failed *os.PathError
	if err := l.Append(event(2)); !errors.As(err, &failed) || l.Lost() != 1 {
		t.Errorf("GOV-2 %v, %d lost", err, l.Lost())
	}
	l.mu.Lock()
	l.open.Close()
	l.open = whole
	l.mu.Unlock()
	fill(t, l, 3, 4)
	if got := correlations(t, l, Filter{}); got != "c3 c1 c0" {
		t.Errorf("GOV-2 %s", got)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("{\"number\":1}\n{\"number\":2}\n{\"numb"))
	f.Add([]byte("\n\n{}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		all, first := parse(data, false), parse(data, true)
		if len(first) != min(len(all), 1) {
			t.Errorf("%d events, of which the first are %d", len(all), len(first))
		}
		for _, e := range all {
			e.ResourceGroup()
			e.ResourceType()
		}
	})
}

package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"postern/lab"
)

// TestPath measures for so short a time that the figures say nothing; the rows must be whole.
func TestPath(t *testing.T) {
	if err := lab.Prerequisites(); err != nil {
		t.Skip(err)
	}
	var told []string
	report, err := Path(t.Context(), Options{Duration: 20 * time.Millisecond, Runs: 500, Progress: func(row string) { told = append(told, row) }})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := strings.Join(told, " "), strings.Join(Rows, " "); got != want {
		t.Errorf("told of %s, want %s", got, want)
	}
	if len(report.Rows) != len(Rows) {
		t.Fatalf("%d rows, want %d", len(report.Rows), len(Rows))
	}
	for i, row := range report.Rows {
		if row.ID != Rows[i] {
			t.Errorf("row %d is %s, want %s", i, row.ID, Rows[i])
		}
		if row.Skipped != "" {
			t.Errorf("%s: skipped: %s", row.ID, row.Skipped)
			continue
		}
		if row.Ours <= 0 || row.Theirs <= 0 || row.Min <= 0 || row.Min > row.Ratio || row.Ratio > row.Max || row.Runs != leastPairs || row.Target <= 0 || row.Unit == "" {
			t.Errorf("not whole: %+v", row)
		}
		if want := row.Ratio >= row.Target != row.AtMost || row.Ratio == row.Target; row.Pass != want {
			t.Errorf("%s: pass is %t", row.ID, row.Pass)
		}
	}
	for _, pattern := range []string{fmt.Sprintf("/run/netns/postern-%d.*", os.Getpid()), folderOfPins() + "*"} {
		left, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		if len(left) > 0 {
			t.Errorf("left behind: %s", left)
		}
	}
}

func TestPathEnds(t *testing.T) {
	if err := lab.Prerequisites(); err != nil {
		t.Skip(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	enough := errors.New("enough")
	report, err := Path(ctx, Options{Duration: 20 * time.Millisecond, Progress: func(row string) {
		if row == Rows[2] {
			cancel(enough)
		}
	}})
	if !errors.Is(err, enough) {
		t.Errorf("error is %v, want the context's", err)
	}
	if len(report.Rows) != 2 {
		t.Errorf("%d rows, want those that were done", len(report.Rows))
	}
}

func TestForms(t *testing.T) {
	report := Report{Rows: []Row{
		{ID: "endpoint-bulk-out", Ours: 19.5, Theirs: 20, Unit: "Gbit/s", Ratio: 0.975, Min: 0.9, Max: 1.02, Runs: 5, Target: 0.97, Pass: true},
		{ID: "program-routes-100", Ours: 300, Theirs: 200, Unit: "ns/packet", Ratio: 1.5, Min: 1.4, Max: 1.6, Runs: 5, Target: 1.3, AtMost: true},
		{ID: "nic-to-nic-bulk", Unit: "Gbit/s", Target: 1.05, Skipped: "no VXLAN here"},
	}}
	if report.Pass() || !(Report{Rows: report.Rows[:1]}).Pass() {
		t.Error("Pass does not say whether all rows passed")
	}
	var table, document bytes.Buffer
	if err := report.WriteTable(&table); err != nil {
		t.Fatal(err)
	}
	const want = `
ROW                 OURS  THEIRS  UNIT       RATIO  SPREAD       TARGET  RESULT
endpoint-bulk-out   19.5  20.0    Gbit/s     0.975  0.900–1.020  ≥ 0.97  pass
program-routes-100  300   200     ns/packet  1.500  1.400–1.600  ≤ 1.30  fail
nic-to-nic-bulk     -     -       Gbit/s     -      -            ≥ 1.05  skipped: no VXLAN here
`
	if got := "\n" + table.String(); got != want {
		t.Errorf("table is %s", got)
	}
	if err := report.WriteJSON(&document); err != nil {
		t.Fatal(err)
	}
	var back map[string][]map[string]any
	if err := json.Unmarshal(document.Bytes(), &back); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"id", "ours", "theirs", "unit", "ratio", "min", "max", "runs", "target", "pass"} {
		if _, ok := back["rows"][0][key]; !ok {
			t.Errorf("JSON row has no %s", key)
		}
	}
}

func TestOptions(t *testing.T) {
	for name, options := range map[string]Options{
		"few pairs": {Pairs: 4}, "negative duration": {Duration: -1}, "negative runs": {Runs: -1},
	} {
		if _, err := Path(t.Context(), options); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestRow(t *testing.T) {
	values := func(of ...float64) measure {
		i := -1
		return func(context.Context) (float64, error) { i++; return of[i/slicesPerPair], nil }
	}
	one := comparison{id: "x", target: 0.9, ours: values(9, 10, 12, 8, 10), theirs: values(10, 10, 10, 10, 20)}
	row, err := one.row(t.Context(), 5)
	if err != nil {
		t.Fatal(err)
	}
	near := func(a, b float64) bool { return a-b < 1e-9 && b-a < 1e-9 }
	if !near(row.Ours, 10) || !near(row.Theirs, 10) || !near(row.Ratio, 0.9) || !near(row.Min, 0.5) || !near(row.Max, 1.2) || row.Runs != 5 {
		t.Errorf("row is %+v", row)
	}
	one.ours = func(context.Context) (float64, error) { return 0, errors.New("no way") }
	if row, err = one.row(t.Context(), 5); err != nil || row.Skipped != "no way" || row.Pass {
		t.Errorf("a side that fails: %+v, %v", row, err)
	}
}

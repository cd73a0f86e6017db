package bench

import (
	"context"
	"errors"
	"strings"
	"testing"

	"postern/cloud"
)

// TestAPI measures a cloud so small that the figures say nothing; the rows must be whole.
func TestAPI(t *testing.T) {
	var told []string
	report, err := API(t.Context(), APIOptions{Subnets: 100, Requests: 5, DataPath: cloud.Userspace, Progress: func(step string) { told = append(told, step) }})
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, row := range report.Rows {
		ids = append(ids, row.ID)
		if row.Skipped != "" {
			t.Errorf("%s: skipped: %s", row.ID, row.Skipped)
			continue
		}
		if row.Theirs != 0 || row.Ratio != 0 || row.Min <= 0 || row.Min > row.Ours || row.Ours > row.Max || row.Runs < 3 || row.Unit != "ms" || !row.AtMost {
			t.Errorf("not whole: %+v", row)
		}
		if row.Pass != (row.Target == 0 || row.Ours <= row.Target) {
			t.Errorf("%s: pass is %t", row.ID, row.Pass)
		}
		if promised := strings.HasSuffix(row.ID, "-p50"); promised != (row.Target > 0) {
			t.Errorf("%s: target %g", row.ID, row.Target)
		}
	}
	if got, want := strings.Join(ids, " "), strings.Join(APIRows, " "); got != want {
		t.Errorf("rows %s, want %s", got, want)
	}
	if len(told) < 8 {
		t.Errorf("told of %q alone", told)
	}
	var table strings.Builder
	if err := report.WriteTable(&table); err != nil {
		t.Fatal(err)
	}
	if lines := strings.Split(strings.TrimSpace(table.String()), "\n"); len(lines) != 1+len(APIRows) {
		t.Errorf("%d lines:\n%s", len(lines), table.String())
	}
}

// TestAPIEnds covers that the end of the context ends the benchmark and takes the cloud away.
func TestAPIEnds(t *testing.T) {
	folders := inOwnFolder(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	enough := errors.New("enough")
	report, err := API(ctx, APIOptions{Subnets: 40, Requests: 2, DataPath: cloud.Userspace, Progress: func(step string) {
		if step == "measuring put-subnet" {
			cancel(enough)
		}
	}})
	if !errors.Is(err, enough) {
		t.Errorf("error is %v, want the context's", err)
	}
	if len(report.Rows) < 2 || report.Rows[0].ID != APIRows[0] {
		t.Errorf("%d rows, want those that were done", len(report.Rows))
	}
	left(t, folders)
}

func TestAPIOptions(t *testing.T) {
	for _, options := range []APIOptions{{Subnets: 3}, {Subnets: 20_000}, {Requests: -1}} {
		if _, err := API(t.Context(), options); err == nil {
			t.Errorf("%+v was taken", options)
		}
	}
}

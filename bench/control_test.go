package bench

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
)

// TestControl measures so small a fleet that the figures say nothing; the rows must be whole, and nothing may be left.
func TestControl(t *testing.T) {
	folders := inOwnFolder(t)
	report, err := Control(t.Context(), ControlOptions{NICs: 200, Nodes: 20, Carried: 100, Requests: 4})
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, row := range report.Rows {
		ids = append(ids, row.ID)
		if row.Theirs != 0 || row.Ratio != 0 || row.Min <= 0 || row.Min > row.Ours || row.Ours > row.Max || row.Runs < 3 || row.Unit != "ms" || !row.AtMost {
			t.Errorf("not whole: %+v", row)
		}
		if row.Pass != (row.Target == 0 || row.Ours <= row.Target) {
			t.Errorf("%s: pass is %t", row.ID, row.Pass)
		}
	}
	if got, want := strings.Join(ids, " "), strings.Join(ControlRows, " "); got != want {
		t.Errorf("rows %s, want %s", got, want)
	}
	left(t, folders)
}

// TestControlEnds covers that the end of the context ends the benchmark and its nodes.
func TestControlEnds(t *testing.T) {
	folders := inOwnFolder(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	enough := errors.New("enough")
	report, err := Control(ctx, ControlOptions{NICs: 100, Nodes: 10, Carried: 100, Requests: 2, Progress: func(step string) {
		if step == "measuring enforced-everywhere" {
			cancel(enough)
		}
	}})
	if !errors.Is(err, enough) {
		t.Errorf("error is %v, want the context's", err)
	}
	if len(report.Rows) != 5 {
		t.Errorf("%d rows, want those that were done", len(report.Rows))
	}
	left(t, folders)
}

func TestControlOptions(t *testing.T) {
	for _, options := range []ControlOptions{{NICs: 3}, {Nodes: 5}, {Nodes: 100_000}, {Carried: 1}, {Requests: -1}} {
		if _, err := Control(t.Context(), options); err == nil {
			t.Errorf("%+v was taken", options)
		}
	}
}

// inOwnFolder lets temporary folders be made in one of the test's own. t.TempDir is too long for the path of a socket.
func inOwnFolder(t *testing.T) string {
	t.Helper()
	folder, err := os.MkdirTemp("", "pt-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(folder) })
	t.Setenv("TMPDIR", folder)
	return folder
}

func left(t *testing.T, folder string) {
	t.Helper()
	if entries, err := os.ReadDir(folder); err != nil || len(entries) > 0 {
		t.Errorf("left behind: %v %v", entries, err)
	}
}

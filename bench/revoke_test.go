package bench

import (
	"strings"
	"testing"

	"postern/cloud"
)

// TestRevoke takes away what let so few connections in that the figures say nothing; all must be reset and logged.
func TestRevoke(t *testing.T) {
	folders := inOwnFolder(t)
	report, err := Revoke(t.Context(), RevokeOptions{Connections: 60, DataPath: cloud.Userspace})
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
		if row.Theirs != 0 || row.Ratio != 0 || row.Min > row.Ours || row.Ours > row.Max || !row.AtMost {
			t.Errorf("not whole: %+v", row)
		}
		if strings.HasSuffix(row.ID, "-lines") && (row.Ours != 1 || !row.Pass || row.Runs != 60) {
			t.Errorf("%s: %g lines a connection, %+v", row.ID, row.Ours, row)
		}
		if strings.HasSuffix(row.ID, "-p99") && (row.Target != revokeTarget || row.Runs != 60) {
			t.Errorf("not as promised: %+v", row)
		}
	}
	if got, want := strings.Join(ids, " "), strings.Join(RevokeRows, " "); got != want {
		t.Errorf("rows %s, want %s", got, want)
	}
	left(t, folders)
}

func TestRevokeOptions(t *testing.T) {
	if _, err := Revoke(t.Context(), RevokeOptions{Connections: -1}); err == nil {
		t.Error("-1 connections were taken")
	}
}

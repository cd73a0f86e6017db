package bench

import (
	"strings"
	"testing"
	"time"

	"postern/cloud"
)

func TestSoak(t *testing.T) {
	folders := inOwnFolder(t)
	report, err := Soak(t.Context(), SoakOptions{For: time.Second, Connections: 40, Callers: 4, DataPath: cloud.Userspace})
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, row := range report.Rows {
		ids = append(ids, row.ID)
		if !row.Pass {
			t.Errorf("failed: %+v", row)
		}
	}
	if got, want := strings.Join(ids, " "), strings.Join(SoakRows, " "); got != want {
		t.Fatalf("rows %s, want %s", got, want)
	}
	if calls, logged := report.Rows[1], report.Rows[4]; calls.Ours <= 0 || logged.Runs < 40+soakRequests*calls.Runs {
		t.Errorf("not whole: %+v %+v", calls, logged)
	}
	left(t, folders)
}

func TestSoakOptions(t *testing.T) {
	for _, options := range []SoakOptions{{For: -1}, {Connections: -1}, {Callers: -1}} {
		if _, err := Soak(t.Context(), options); err == nil {
			t.Errorf("%+v was taken", options)
		}
	}
}

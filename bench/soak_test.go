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

// Memory that grows and grows is told from a heap that finds its size.
func TestSoakMemory(t *testing.T) {
	const mebibyte = 1 << 20
	for _, test := range []struct {
		samples []float64
		pass    bool
	}{
		{[]float64{250, 390, 391, 390, 390, 392}, true}, {[]float64{250, 350, 450, 550, 650, 750}, false}, {[]float64{20, 30, 40, 50, 60, 70}, true}, {[]float64{100}, true},
	} {
		for i := range test.samples {
			test.samples[i] *= mebibyte
		}
		if row := memoryRow(test.samples); row.Pass != test.pass || row.Runs != len(test.samples) {
			t.Errorf("%v: got %+v", test.samples, row)
		}
	}
}

func TestSoakOptions(t *testing.T) {
	for _, options := range []SoakOptions{{For: -1}, {Connections: -1}, {Callers: -1}} {
		if _, err := Soak(t.Context(), options); err == nil {
			t.Errorf("%+v was taken", options)
		}
	}
}

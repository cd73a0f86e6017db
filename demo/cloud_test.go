package demo

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"postern/cloud"
)

// progress passes lines on to the test's log.
type progress struct{ t *testing.T }

func (p progress) Write(text []byte) (int, error) {
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimRight(line, "\n"); line != "" {
			p.t.Log(line)
		}
	}
	return len(text), nil
}

// play tells the whole story on a data path and checks that every act held.
func play(t *testing.T, options cloud.Options) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute)
	defer cancel()
	var log bytes.Buffer
	options.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn}))
	running, err := cloud.Start(ctx, options)
	if err != nil {
		t.Fatal(err)
	}
	report, err := Run(ctx, running, Options{Progress: progress{t}})
	if closing := running.Close(); closing != nil {
		t.Error(closing)
	}
	if err != nil {
		t.Error(err)
	}
	if report.DataPath != options.DataPath {
		t.Errorf("the report is about %q, want %q", report.DataPath, options.DataPath)
	}
	if !report.Pass || len(report.Acts) != len(Acts()) {
		var table bytes.Buffer
		if err := report.WriteTable(&table); err != nil {
			t.Error(err)
		}
		t.Errorf("not every act held:\n%s\nlog:\n%s", table.String(), log.String())
	}
}

// TestDemoUserspace needs no privileges: SE-2, SE-3, SE-4, SE-9, SE-13, FW-1, FW-5, FW-6, ROUTE-13, ROUTE-14, SEP-2, ID-1
// and OUT-1 with real packets.
func TestDemoUserspace(t *testing.T) {
	play(t, cloud.Options{DataPath: cloud.Userspace})
}

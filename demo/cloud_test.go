package demo

import (
	"bytes"
	"context"
	"errors"
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
	playActs(t, options, Options{Progress: progress{t}})
}

// playActs tells a part of the story.
func playActs(t *testing.T, options cloud.Options, story Options) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute)
	defer cancel()
	var log bytes.Buffer
	options.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn}))
	running, err := cloud.Start(ctx, options)
	if err != nil {
		t.Fatal(err)
	}
	report, err := Run(ctx, running, story)
	if closing := running.Close(); closing != nil {
		t.Error(closing)
	}
	if err != nil {
		t.Error(err)
	}
	if report.DataPath != options.DataPath {
		t.Errorf("the report is about %q, want %q", report.DataPath, options.DataPath)
	}
	wanted := len(story.Acts)
	if wanted == 0 {
		wanted = len(Acts())
	}
	if !report.Pass || len(report.Acts) != wanted {
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

// TestDemoBrokenOff ends the story in the middle of an act, as Ctrl-C does.
func TestDemoBrokenOff(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	running, err := cloud.Start(ctx, cloud.Options{DataPath: cloud.Userspace})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := running.Close(); err != nil {
			t.Error(err)
		}
	}()
	report, err := Run(ctx, running, Options{Acts: []string{actIPRule.id, actUDR.id, actOpen.id},
		Progress: &canceller{progress: progress{t}, when: "the route to the appliance stands", cancel: cancel}})
	if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), actUDR.id) {
		t.Errorf("the error is %v", err)
	}
	if report.Pass || len(report.Acts) != 2 || !report.Acts[0].Pass || report.Acts[1].Pass {
		t.Errorf("the report: %+v", report)
	}
}

// canceller ends a context when the progress has some words.
type canceller struct {
	progress
	when   string
	cancel context.CancelFunc
}

func (c *canceller) Write(text []byte) (int, error) {
	if strings.Contains(string(text), c.when) {
		c.cancel()
	}
	return c.progress.Write(text)
}

// TestRunKnowsItsActs refuses an unknown act before anything is touched.
func TestRunKnowsItsActs(t *testing.T) {
	running, err := cloud.Start(t.Context(), cloud.Options{DataPath: cloud.Userspace})
	if err != nil {
		t.Fatal(err)
	}
	defer running.Close()
	if _, err := Run(t.Context(), running, Options{Acts: []string{"encore"}}); err == nil || !strings.Contains(err.Error(), "encore") {
		t.Errorf("%v", err)
	}
	if all, err := running.API().List(t.Context(), ""); err != nil || len(all) != 0 {
		t.Errorf("%d resources were written, %v", len(all), err)
	}
}

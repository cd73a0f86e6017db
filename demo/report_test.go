package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// playAct plays one act without a cloud.
func playAct(play func(context.Context, *scene) error) (Act, string) {
	var progress bytes.Buffer
	one := act{id: "an-act", expected: "all is well", play: play}
	return one.run(context.Background(), &stage{}, Options{Pace: Scaled, Progress: &progress}), progress.String()
}

func TestAct(t *testing.T) {
	t.Run("held", func(t *testing.T) {
		got, progress := playAct(func(_ context.Context, s *scene) error {
			s.note("rows", 3)
			s.see("%d rows", 3)
			s.see("and an end")
			s.expect(true, "never told")
			return nil
		})
		delete(got.Observed, "seconds")
		want := Act{ID: "an-act", Pass: true, Expected: "all is well", Summary: "3 rows; and an end",
			Observed: map[string]any{"rows": 3, "summary": "3 rows; and an end"}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		for _, line := range []string{"an-act: all is well\n", "    3 rows\n", "  held ("} {
			if !strings.Contains(progress, line) {
				t.Errorf("the progress has no %q:\n%s", line, progress)
			}
		}
	})
	t.Run("an expectation that does not hold", func(t *testing.T) {
		got, progress := playAct(func(_ context.Context, s *scene) error {
			s.expect(false, "%d rows are missing", 2)
			return nil
		})
		if got.Pass || !cmp.Equal(got.Observed["failures"], []string{"2 rows are missing"}) || !strings.Contains(progress, "NOT AS EXPECTED: 2 rows are missing") {
			t.Errorf("%+v\n%s", got, progress)
		}
	})
	t.Run("an error", func(t *testing.T) {
		got, _ := playAct(func(context.Context, *scene) error { return errors.New("no more paper") })
		if got.Pass || len(got.Failures) != 1 || !strings.Contains(got.Failures[0], "no more paper") {
			t.Errorf("%+v", got)
		}
	})
}

var sampleReport = Report{DataPath: "userspace", Fallback: "no root", Acts: []Act{
	{ID: "open", Pass: true, Expected: "rows arrive", Summary: "8 rows", Observed: map[string]any{"rows": 8, "summary": "8 rows", "seconds": 0.5}},
	{ID: "udr", Expected: "rows are stuck for just the time that the route to the appliance stands",
		Summary: "a gap", Failures: []string{"a gap of 9 s"}, Observed: map[string]any{"failures": []string{"a gap of 9 s"}}},
}}

func TestReportTable(t *testing.T) {
	var out bytes.Buffer
	if err := sampleReport.WriteTable(&out); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"ACT   EXPECTED                                  OBSERVED                              RESULT",
		"open  rows arrive                               8 rows                                held",
		"udr   rows are stuck for just the time that the  a gap; NOT AS EXPECTED: a gap of 9 s  FAILED",
		"      route to the appliance stands",
		"",
		"1 of 2 acts held, data path userspace",
	}
	for i, line := range strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n") {
		if i >= len(want) || strings.Join(strings.Fields(line), " ") != strings.Join(strings.Fields(want[i]), " ") {
			t.Errorf("line %d: %q\nall:\n%s", i+1, line, out.String())
		}
	}
}

func TestReportJSON(t *testing.T) {
	data, err := sampleReport.JSON()
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"datapath": "userspace", "fallback": "no root", "pass": false, "acts": []any{
		map[string]any{"id": "open", "pass": true, "expected": "rows arrive",
			"observed": map[string]any{"rows": 8.0, "summary": "8 rows", "seconds": 0.5}},
		map[string]any{"id": "udr", "pass": false, "expected": sampleReport.Acts[1].Expected,
			"observed": map[string]any{"failures": []any{"a gap of 9 s"}}},
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	empty, err := Report{}.JSON()
	if err != nil || !strings.Contains(string(empty), `"acts": []`) {
		t.Errorf("a report without acts: %s, %v", empty, err)
	}
}

func TestWrap(t *testing.T) {
	if diff := cmp.Diff([]string{"one two", "three", "äöüäöüäöüäöü", "x"}, wrap(" one two  three äöüäöüäöüäöü x", 7)); diff != "" {
		t.Error(diff)
	}
}

func TestChoose(t *testing.T) {
	if all, err := choose(nil); err != nil || len(all) != 10 {
		t.Errorf("%d acts, %v", len(all), err)
	}
	if diff := cmp.Diff([]string{"open", "ip-rule", "udr", "fail-closed", "allowed", "udr-endpoint", "outsider", "exfiltration", "spoof", "services"}, Acts()); diff != "" {
		t.Error(diff)
	}
	if _, err := choose([]string{"open", "opne"}); err == nil || !strings.Contains(err.Error(), `"opne"`) {
		t.Errorf("an unknown act: %v", err)
	}
}

// TestUntil checks the one way to wait.
func TestUntil(t *testing.T) {
	s := &stage{pace: Pace{}}
	looks := 0
	if err := s.until(t.Context(), "a third look", func(context.Context) (bool, error) {
		looks++
		return looks == 3, errors.New("not yet")
	}); err != nil || looks != 3 {
		t.Errorf("%d looks, %v", looks, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	err := s.until(ctx, "the moon", func(context.Context) (bool, error) { return false, errors.New("still night") })
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "the moon") || !strings.Contains(err.Error(), "still night") {
		t.Errorf("%v", err)
	}
}

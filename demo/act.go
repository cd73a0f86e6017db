package demo

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"
)

// act is one act of the story. play arranges, watches, and tells the scene what it saw; its error says that it could not
// go on.
type act struct {
	id       string
	expected string
	play     func(ctx context.Context, s *scene) error
}

// scene is an act while it is played: the stage, and what was seen.
type scene struct {
	*stage
	act      act
	progress io.Writer
	observed map[string]any
	seen     []string
	failures []string
}

// note keeps a fact for the report's JSON.
func (s *scene) note(name string, value any) { s.observed[name] = value }

// see tells one thing that was observed: in the progress and in the table.
func (s *scene) see(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	s.seen = append(s.seen, text)
	fmt.Fprintf(s.progress, "    %s\n", text)
}

// expect records a failure unless something holds.
func (s *scene) expect(holds bool, format string, args ...any) {
	if !holds {
		text := fmt.Sprintf(format, args...)
		s.failures = append(s.failures, text)
		fmt.Fprintf(s.progress, "    NOT AS EXPECTED: %s\n", text)
	}
}

// run plays the act and makes its part of the report.
func (a act) run(ctx context.Context, stage *stage, options Options) Act {
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, options.Pace.actLimit())
	defer cancel()
	s := &scene{stage: stage, act: a, progress: options.Progress, observed: map[string]any{}}
	fmt.Fprintf(s.progress, "\n%s: %s\n", a.id, a.expected)
	if err := a.play(ctx, s); err != nil {
		s.expect(false, "the act could not go on: %v", err)
	}
	result := Act{ID: a.id, Expected: a.expected, Pass: len(s.failures) == 0, Observed: s.observed,
		Summary: strings.Join(s.seen, "; "), Failures: s.failures}
	s.note("summary", result.Summary)
	s.note("seconds", seconds(time.Since(began)))
	if !result.Pass {
		s.note("failures", s.failures)
	}
	fmt.Fprintf(s.progress, "  %s (%.1f s)\n", result.word(), time.Since(began).Seconds())
	return result
}

// seconds has three digits behind the point.
func seconds(d time.Duration) float64 {
	return float64(d.Round(time.Millisecond).Milliseconds()) / 1000
}

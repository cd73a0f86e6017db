package demo

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"postern/demo/application"
	"postern/demo/backend"
)

// TestJudgeStuck gives the judgement of act udr what it must refuse.
func TestJudgeStuck(t *testing.T) {
	o := outage{asked: at(1000)[0], inForce: at(1050)[0], endAsked: at(3050)[0], endInForce: at(3100)[0]}
	stuckFor := func(from, to int) []application.Row {
		var rows []application.Row
		for number := 1; number <= 80; number++ {
			stored := number * 50
			if stored > from && stored < to {
				stored = to
			}
			rows = append(rows, application.Row{MessageNumber: number, Stored: at(stored)[0]})
		}
		return rows
	}
	good, short := stuckFor(1040, 3300), stuckFor(1040, 1400)
	lossy := append(append([]application.Row(nil), good[:20]...), good[65:]...)
	for _, story := range []struct {
		name    string
		queued  []application.Row
		errors  int
		plain   []application.Row
		session []application.Row
		want    string // a part of the one failure; "" for none
	}{
		{"as it should be", good, 3, lossy, good, ""},
		{"rows lost with the queue", good[1:], 3, lossy, good, "1 of 80 rows are missing"},
		{"no error recorded", good, 0, lossy, good, "met no error"},
		{"nothing lost without the queue", good, 3, good, good, "no row is missing"},
		{"the session went on", good, 3, lossy, short, "the ssh session: a gap of"},
		{"rows stuck at another time", stuckFor(3500, 5500), 3, lossy, good, "not at the time"},
		{"rows stuck for too long", stuckFor(1040, 9000), 3, lossy, good, "rows with the queue: a gap of"},
	} {
		t.Run(story.name, func(t *testing.T) {
			s := &scene{stage: &stage{pace: Scaled}, progress: io.Discard, observed: map[string]any{}}
			errors := map[string]int{}
			if story.errors > 0 {
				errors[application.ReasonTimeout] = story.errors
			}
			s.judgeStuck(o, s.stuckSession(&session{arrived: storedTimes(story.session)}), stuckOf(story.queued, 80, errors), stuckOf(story.plain, 80, nil))
			switch {
			case story.want == "" && len(s.failures) > 0:
				t.Errorf("failures %q", s.failures)
			case story.want != "" && !strings.Contains(strings.Join(s.failures, "\n"), story.want):
				t.Errorf("failures %q, want %q", s.failures, story.want)
			}
		})
	}
}

// loopback is a machine whose every address is one local server.
type loopback struct{ to net.Addr }

func (m loopback) DialContext(ctx context.Context, network, _ string) (net.Conn, error) {
	return (&net.Dialer{}).DialContext(ctx, network, m.to.String())
}
func (loopback) Listen(ctx context.Context, network, _ string) (net.Listener, error) {
	return (&net.ListenConfig{}).Listen(ctx, network, "127.0.0.1:0")
}
func (loopback) SendFrame(context.Context, []byte) error { return fmt.Errorf("no NIC here") }

func TestSession(t *testing.T) {
	echo, err := loopback{}.Listen(t.Context(), "tcp", "")
	if err != nil {
		t.Fatal(err)
	}
	defer echo.Close()
	go backend.Each(echo, backend.Echo)
	s := &stage{pace: Pace{Interval: time.Millisecond}}
	one, err := s.openSession(t.Context(), loopback{echo.Addr()})
	if err != nil {
		t.Fatal(err)
	}
	defer one.close()
	if err := s.until(t.Context(), "echoes", func(context.Context) (bool, error) {
		echoes, err := one.echoes()
		return len(echoes) >= 5, err
	}); err != nil {
		t.Fatal(err)
	}
}

func TestSessionTellsWrongEchoes(t *testing.T) {
	liar, err := loopback{}.Listen(t.Context(), "tcp", "")
	if err != nil {
		t.Fatal(err)
	}
	defer liar.Close()
	go func() {
		conn, err := liar.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		lines := bufio.NewScanner(conn)
		for lines.Scan() {
			fmt.Fprintln(conn, "2") // whatever was sent
		}
	}()
	s := &stage{pace: Pace{Interval: time.Millisecond}}
	one, err := s.openSession(t.Context(), loopback{liar.Addr()})
	if err != nil {
		t.Fatal(err)
	}
	defer one.close()
	if err := s.until(t.Context(), "the complaint", func(context.Context) (bool, error) {
		_, err := one.echoes()
		return err != nil, nil
	}); err != nil {
		t.Error(err)
	}
}

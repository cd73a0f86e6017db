package demo

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"postern/demo/application"
	"postern/model"
)

var actUDR = act{
	id:       "udr",
	expected: "no endpoint, 0.0.0.0/0 to an appliance that nobody owns: rows and ssh are stuck for just that time, drops are counted; with the queue nothing is lost",
	play: func(ctx context.Context, s *scene) error {
		normal := situation{publicIP: true, west: s.ownRule(), germany: s.ownRule()}
		result, err := s.sufferAppliance(ctx, normal,
			written{accountGermany, "queue", true}, written{accountGermany, "plain", false})
		if err != nil {
			return err
		}
		s.judgeStuck(result.outage, result.session, result.rows[0], result.rows[1])
		s.see("%d packets dropped as %s on %s", result.dropped, model.ReasonApplianceUnowned, s.app.Node)
		return nil
	},
}

// stuck is what a program saw of an outage.
type stuck struct {
	Gap     float64        `json:"gapSeconds"` // the largest between neighbours
	Due     int            `json:"due,omitempty"`
	Stored  int            `json:"stored,omitempty"`
	Missing int            `json:"missing"`
	Errors  map[string]int `json:"errors,omitempty"`

	gap  time.Duration
	from time.Time
}

func stuckRows(w *writing, rows []application.Row) stuck {
	return stuckOf(rows, w.Progress().Due, w.Errors())
}

func stuckOf(rows []application.Row, due int, errors map[string]int) stuck {
	gap, from := largestGap(storedTimes(rows))
	return stuck{Gap: seconds(gap), Due: due, Stored: len(rows), Missing: len(missingNumbers(rows, due)), Errors: errors, gap: gap, from: from}
}

// stuckSession is what the ssh session saw; it must still be the same connection, with every line.
func (s *scene) stuckSession(ssh *session) stuck {
	echoes, err := ssh.echoes()
	s.expect(err == nil, "the ssh session broke: %v", err)
	gap, from := largestGap(echoes)
	return stuck{Gap: seconds(gap), gap: gap, from: from}
}

// judgeStuck judges what the session and the writers with (q) and without (p) the queue saw.
func (s *scene) judgeStuck(o outage, session, q, p stuck) {
	s.note("withQueue", q)
	s.note("withoutQueue", p)
	s.note("ssh", session)
	least, most, sessionMost := s.pace.stuckAtLeast(o), s.pace.stuckAtMost(o), s.pace.sessionStuckAtMost(o)
	for _, one := range []struct {
		who  string
		what stuck
		most time.Duration
	}{{"rows with the queue", q, most}, {"rows without the queue", p, most}, {"the ssh session", session, sessionMost}} {
		s.expect(one.what.gap >= least && one.what.gap <= one.most, "%s: a gap of %.2f s, want %.2f to %.2f s",
			one.who, one.what.gap.Seconds(), least.Seconds(), one.most.Seconds())
		s.expect(one.what.from.Before(o.endAsked) && one.what.from.Add(one.what.gap).After(o.inForce),
			"%s: the gap is not at the time of the outage", one.who)
	}
	s.expect(q.Missing == 0, "%d of %d rows are missing although the queue kept them", q.Missing, q.Due)
	s.expect(len(q.Errors) > 0, "the writer with the queue met no error in the outage")
	s.expect(p.Missing > 0, "no row is missing without the queue, in an outage of %.2f s", o.stood().Seconds())
	s.see("outage %.2f s: rows stuck for %.2f s, ssh for %.2f s (to TCP's next retransmission)", o.stood().Seconds(), q.gap.Seconds(), session.gap.Seconds())
	s.see("with the queue %d of %d rows, errors recorded: %s; without it %d of %d", q.Stored, q.Due, listed(q.Errors), p.Stored, p.Due)
}

// listed is "2 timeout, 1 connection reset".
func listed(counts map[string]int) string {
	var words []string
	for _, what := range slices.Sorted(maps.Keys(counts)) {
		words = append(words, fmt.Sprintf("%d %s", counts[what], what))
	}
	return strings.Join(words, ", ")
}

package demo

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"postern/demo/application"
)

var epoch = time.Date(2025, 8, 1, 12, 0, 0, 0, time.UTC)

func at(ms ...int) []time.Time {
	var times []time.Time
	for _, one := range ms {
		times = append(times, epoch.Add(time.Duration(one)*time.Millisecond))
	}
	return times
}

func TestLargestGap(t *testing.T) {
	for _, story := range []struct {
		name  string
		times []time.Time
		gap   time.Duration
		from  time.Time
	}{
		{"none", nil, 0, time.Time{}},
		{"one", at(5), 0, time.Time{}},
		{"even", at(0, 50, 100), 50 * time.Millisecond, epoch},
		{"an outage", at(0, 50, 2100, 2110), 2050 * time.Millisecond, at(50)[0]},
		{"out of order", at(2100, 0, 50), 2050 * time.Millisecond, at(50)[0]},
	} {
		if gap, from := largestGap(story.times); gap != story.gap || !from.Equal(story.from) {
			t.Errorf("%s: %v from %v, want %v from %v", story.name, gap, from, story.gap, story.from)
		}
	}
}

// TestLargestGapIsThatOfItsSlowTwin asks, for each time, how far the next later one is.
func TestLargestGapIsThatOfItsSlowTwin(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		var ms []int
		for range random.IntN(20) {
			ms = append(ms, random.IntN(1000))
		}
		times, slow := at(ms...), time.Duration(0)
		for i, one := range times {
			next := time.Duration(-1)
			for j, other := range times {
				if d := other.Sub(one); i != j && d > 0 && (next < 0 || d < next) {
					next = d
				}
			}
			slow = max(slow, next)
		}
		if gap, _ := largestGap(times); gap != slow {
			t.Fatalf("%v: %v, its slow twin says %v", ms, gap, slow)
		}
	}
}

func rowsOf(numbers ...int) []application.Row {
	var rows []application.Row
	for _, number := range numbers {
		rows = append(rows, application.Row{MessageNumber: number, Stored: epoch.Add(time.Duration(number) * 50 * time.Millisecond)})
	}
	return rows
}

func TestMissingNumbers(t *testing.T) {
	for _, story := range []struct {
		have []int
		due  int
		want []int
	}{
		{nil, 0, nil},
		{nil, 2, []int{1, 2}},
		{[]int{1, 2, 3}, 3, nil},
		{[]int{3, 1}, 4, []int{2, 4}},
		{[]int{1, 1, 2}, 3, []int{3}},
	} {
		if got := missingNumbers(rowsOf(story.have...), story.due); !slices.Equal(got, story.want) {
			t.Errorf("%v of %d: missing %v, want %v", story.have, story.due, got, story.want)
		}
	}
}

// TestPaces checks that no measure can pass for both an outage and none.
func TestPaces(t *testing.T) {
	for name, pace := range map[string]Pace{"scaled": Scaled, "real": Real} {
		o := outage{asked: epoch, inForce: epoch, endAsked: epoch.Add(pace.Outage), endInForce: epoch.Add(pace.Outage)}
		if pace.noGap(o) >= pace.stuckAtLeast(o) {
			t.Errorf("%s: a gap of %v would be none and an outage", name, pace.stuckAtLeast(o))
		}
		if pace.noGap(o) <= pace.Timeout+pace.Interval {
			t.Errorf("%s: one repeated request would be a gap", name)
		}
		if pace.stuckAtMost(o) <= pace.stuckAtLeast(o) || pace.sessionStuckAtMost(o) >= pace.patience() {
			t.Errorf("%s: the bounds contradict each other", name)
		}
	}
}

package demo

import (
	"slices"
	"time"

	"postern/demo/application"
)

// largestGap is the longest time between two neighbours, and when it began. Times may stand in any order; fewer than two
// have no gap.
func largestGap(times []time.Time) (gap time.Duration, from time.Time) {
	sorted := slices.SortedFunc(slices.Values(times), time.Time.Compare)
	for i := 1; i < len(sorted); i++ {
		if d := sorted[i].Sub(sorted[i-1]); d > gap {
			gap, from = d, sorted[i-1]
		}
	}
	return gap, from
}

// storedTimes are the service's times of storing.
func storedTimes(rows []application.Row) []time.Time {
	times := make([]time.Time, 0, len(rows))
	for _, row := range rows {
		times = append(times, row.Stored)
	}
	return times
}

// missingNumbers are those of 1 to due that no row has.
func missingNumbers(rows []application.Row, due int) []int {
	have := make(map[int]bool, len(rows))
	for _, row := range rows {
		have[row.MessageNumber] = true
	}
	var missing []int
	for number := 1; number <= due; number++ {
		if !have[number] {
			missing = append(missing, number)
		}
	}
	return missing
}

// after counts the times behind a moment.
func after(times []time.Time, moment time.Time) int {
	count := 0
	for _, one := range times {
		if one.After(moment) {
			count++
		}
	}
	return count
}

package bench

import (
	"context"
	"fmt"
	"slices"
)

// leastPairs is how many pairs a median needs to mean anything.
const leastPairs = 5

// measure runs one side once and gives its figure.
type measure func(context.Context) (float64, error)

// comparison is a row before it is measured.
type comparison struct {
	id, unit     string
	target       float64
	atMost       bool
	ours, theirs measure
}

// slicesPerPair is how many times the sides take turns within one pair: a disturbance of the machine meets both.
const slicesPerPair = 20

// row runs both sides in turn, the given number of times. A side that fails makes the row a skipped one; only the end
// of the context ends the whole benchmark.
func (c comparison) row(ctx context.Context, pairs int) (Row, error) {
	row := Row{ID: c.id, Unit: c.unit, Target: c.target, AtMost: c.atMost}
	var ours, theirs, ratios []float64
	for range pairs {
		a, b, err := c.pair(ctx)
		if ctx.Err() != nil {
			return row, fmt.Errorf("benchmark %s: %w", c.id, context.Cause(ctx))
		}
		if err == nil && (a <= 0 || b <= 0) {
			err = fmt.Errorf("nothing went through: ours %g, theirs %g %s", a, b, c.unit)
		}
		if err != nil {
			row.Skipped = err.Error()
			return row, nil
		}
		ours, theirs, ratios = append(ours, a), append(theirs, b), append(ratios, a/b)
	}
	row.Ours, row.Theirs, row.Ratio = median(ours), median(theirs), median(ratios)
	row.Min, row.Max, row.Runs = slices.Min(ratios), slices.Max(ratios), pairs
	row.Pass = row.Ratio >= row.Target
	if row.AtMost {
		row.Pass = row.Ratio <= row.Target
	}
	return row, nil
}

// pair is the mean of both sides over slices taken in turn.
func (c comparison) pair(ctx context.Context) (ours, theirs float64, err error) {
	for range slicesPerPair {
		a, err := c.ours(ctx)
		if err != nil {
			return 0, 0, err
		}
		b, err := c.theirs(ctx)
		if err != nil {
			return 0, 0, err
		}
		ours, theirs = ours+a/slicesPerPair, theirs+b/slicesPerPair
	}
	return ours, theirs, nil
}

// median of values that are not empty.
func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 0 {
		return (sorted[middle-1] + sorted[middle]) / 2
	}
	return sorted[middle]
}

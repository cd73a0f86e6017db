package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
)

// Report is what a benchmark found. Its JSON form is that of `postern bench … -o json`.
type Report struct {
	Rows []Row `json:"rows"`
}

// Row is one comparison: medians of both sides, and the ratio of each pair's two. A row without a counterpart has theirs 0
// and ratio 0: its target bounds ours itself, and min and max are of ours. Target 0 promises nothing.
type Row struct {
	ID      string  `json:"id"`
	Ours    float64 `json:"ours"`   // median
	Theirs  float64 `json:"theirs"` // median; in rows of the NIC program, the smallest plan
	Unit    string  `json:"unit"`
	Ratio   float64 `json:"ratio"` // median over the pairs of ours / theirs
	Min     float64 `json:"min"`   // least ratio of a pair
	Max     float64 `json:"max"`   // greatest ratio of a pair
	Runs    int     `json:"runs"`  // pairs; without a counterpart, measurements
	Target  float64 `json:"target"`
	AtMost  bool    `json:"atMost,omitempty"` // the ratio shall be at most the target; otherwise at least
	Pass    bool    `json:"pass"`
	Skipped string  `json:"skipped,omitempty"` // why the row could not be measured; then all figures are 0
}

// Pass tells whether every row was measured and kept its promise.
func (r Report) Pass() bool {
	return !slices.ContainsFunc(r.Rows, func(row Row) bool { return !row.Pass })
}

// WriteJSON writes the report as indented JSON.
func (r Report) WriteJSON(out io.Writer) error {
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")
	return encoder.Encode(r)
}

// WriteTable writes the report for people, one line a row.
func (r Report) WriteTable(out io.Writer) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "ROW\tOURS\tTHEIRS\tUNIT\tRATIO\tSPREAD\tTARGET\tRESULT")
	for _, row := range r.Rows {
		sign, result := "≥", "fail"
		if row.AtMost {
			sign = "≤"
		}
		if row.Pass {
			result = "pass"
		}
		if row.Skipped != "" {
			fmt.Fprintf(table, "%s\t-\t-\t%s\t-\t-\t%s\tskipped: %s\n", row.ID, row.Unit, row.promise(sign), row.Skipped)
			continue
		}
		if row.Theirs == 0 {
			target := "-"
			if row.Target == 0 && row.Pass {
				result = "-"
			} else {
				target = sign + " " + figure(row.Target)
			}
			fmt.Fprintf(table, "%s\t%s\t-\t%s\t-\t%s–%s\t%s\t%s\n", row.ID, figure(row.Ours), row.Unit, figure(row.Min), figure(row.Max), target, result)
			continue
		}
		if row.Target == 0 && row.Pass {
			result = "-"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%.3f\t%.3f–%.3f\t%s\t%s\n", row.ID, figure(row.Ours), figure(row.Theirs),
			row.Unit, row.Ratio, row.Min, row.Max, row.promise(sign), result)
	}
	return table.Flush()
}

// promise is the target of a ratio; "-" where nothing is promised.
func (r Row) promise(sign string) string {
	if r.Target == 0 {
		return "-"
	}
	return fmt.Sprintf("%s %.2f", sign, r.Target)
}

// figure has three digits that matter.
func figure(value float64) string {
	switch {
	case value >= 100:
		return fmt.Sprintf("%.0f", value)
	case value >= 10:
		return fmt.Sprintf("%.1f", value)
	}
	return fmt.Sprintf("%.2f", value)
}

package demo

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// Report is what came of the story. Its JSON form is stable.
type Report struct {
	DataPath string `json:"datapath"`
	Fallback string `json:"fallback,omitempty"` // why it is not the kernel's
	Pass     bool   `json:"pass"`               // every act was played and held
	Acts     []Act  `json:"acts"`
}

// Act is one act's result.
type Act struct {
	ID       string         `json:"id"`
	Pass     bool           `json:"pass"`
	Expected string         `json:"expected"`
	Observed map[string]any `json:"observed"` // facts by name; always summary and seconds, and failures if any

	Summary  string   `json:"-"`
	Failures []string `json:"-"`
}

func (a Act) word() string {
	if a.Pass {
		return "held"
	}
	return "FAILED"
}

// JSON is the report as one document, with a line end.
func (r Report) JSON() ([]byte, error) {
	if r.Acts == nil {
		r.Acts = []Act{}
	}
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write the demo's report: %w", err)
	}
	return append(data, '\n'), nil
}

// Widths of the table's two text columns, in characters.
const (
	expectedWidth = 44
	observedWidth = 64
)

// WriteTable writes the acts as a table, and a last line that says whether all held.
func (r Report) WriteTable(w io.Writer) error {
	rows, held := [][]string{{"ACT", "EXPECTED", "OBSERVED", "RESULT"}}, 0
	for _, act := range r.Acts {
		observed := act.Summary
		for _, failure := range act.Failures {
			observed = strings.TrimPrefix(observed+"; NOT AS EXPECTED: "+failure, "; ")
		}
		rows = append(rows, []string{act.ID, act.Expected, observed, act.word()})
		if act.Pass {
			held++
		}
	}
	if err := writeColumns(w, "", []int{0, expectedWidth, observedWidth, 0}, rows); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "\n%d of %d acts held, data path %s\n", held, len(r.Acts), r.DataPath)
	return err
}

// writeColumns writes rows as a table whose texts are broken at the widths of their columns, in characters; 0 for no bound.
// indent stands before every line.
func writeColumns(w io.Writer, indent string, widths []int, rows [][]string) error {
	var text bytes.Buffer
	table := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		cells, height := make([][]string, len(row)), 1
		for i, cell := range row {
			if cells[i] = []string{cell}; widths[i] > 0 {
				cells[i] = wrap(cell, widths[i])
			}
			height = max(height, len(cells[i]))
		}
		for line := range height {
			for i := range cells {
				end := "\t"
				if i == len(cells)-1 {
					end = "\n"
				}
				fmt.Fprint(table, lineOf(cells[i], line), end)
			}
		}
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for line := range strings.Lines(text.String()) {
		if _, err := fmt.Fprintln(w, strings.TrimRight(indent+line, " \n")); err != nil {
			return err
		}
	}
	return nil
}

func lineOf(lines []string, i int) string {
	if i < len(lines) {
		return lines[i]
	}
	return ""
}

// wrap breaks text at spaces into lines of at most width characters; a longer word has a line of its own.
func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(text) {
		switch {
		case line == "":
			line = word
		case len([]rune(line))+1+len([]rune(word)) <= width:
			line += " " + word
		default:
			lines = append(lines, line)
			line = word
		}
	}
	if line != "" {
		lines = append(lines, line)
	}
	return lines
}

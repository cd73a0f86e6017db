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
	var text bytes.Buffer
	table := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "ACT\tEXPECTED\tOBSERVED\tRESULT")
	held := 0
	for _, act := range r.Acts {
		observed := act.Summary
		for _, failure := range act.Failures {
			observed = strings.TrimPrefix(observed+"; NOT AS EXPECTED: "+failure, "; ")
		}
		left, right := wrap(act.Expected, expectedWidth), wrap(observed, observedWidth)
		for i := range max(len(left), len(right), 1) {
			id, word := "", ""
			if i == 0 {
				id, word = act.ID, act.word()
			}
			fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", id, lineOf(left, i), lineOf(right, i), word)
		}
		if act.Pass {
			held++
		}
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for line := range strings.Lines(text.String()) {
		if _, err := fmt.Fprintln(w, strings.TrimRight(line, " \n")); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(w, "\n%d of %d acts held, data path %s\n", held, len(r.Acts), r.DataPath)
	return err
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

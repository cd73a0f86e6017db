package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"unicode"

	"github.com/spf13/cobra"

	"postern/api/client"
)

// format is the value of the flag -o.
type format string

const (
	asTable format = "table"
	asJSON  format = "json"
)

// String, Set and Type make it a flag's value.
func (f *format) String() string { return string(*f) }

// Set takes table or json.
func (f *format) Set(text string) error {
	switch format(text) {
	case asTable, asJSON:
		*f = format(text)
		return nil
	}
	return fmt.Errorf("use table or json")
}

// Type is what the help calls the value.
func (f *format) Type() string { return "table|json" }

// formatFlag adds -o to a reading command.
func formatFlag(command *cobra.Command) *format {
	f := asTable
	command.Flags().VarP(&f, "output", "o", "form of the output")
	return &f
}

// writeJSON writes a value with indents and one line end.
func writeJSON(w io.Writer, value any) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(value)
}

// writeTable writes rows in aligned columns. Empty cells become "-", and characters that could steer a terminal are replaced.
func writeTable(w io.Writer, rows [][]string) error {
	table := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	for _, row := range rows {
		cells := make([]string, len(row))
		for i, cell := range row {
			cells[i] = printable(cell)
		}
		fmt.Fprintln(table, strings.Join(cells, "\t")) // the tabwriter keeps its error for Flush
	}
	return table.Flush()
}

func printable(text string) string {
	if text == "" {
		return "-"
	}
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return unicode.ReplacementChar
		}
		return r
	}, text)
}

// connect makes a client of the cloud that the flags name.
func (a *app) connect() (*client.Client, error) {
	dir, err := stateDir(a.dir)
	if err != nil {
		return nil, err
	}
	return client.New(dir), nil
}

// counted is a number with its noun: "1 resource", "2 resources".
func counted(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return fmt.Sprintf("%d %s", n, noun)
}

package template

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The table of functions in the document is the one that there is, and its numbers are those of the code.
func TestDocument(t *testing.T) {
	data, err := os.ReadFile("../docs/templates.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(data), "| function |")
	table, rest, ok := strings.Cut(table, "\n\n")
	if !ok {
		t.Fatal("docs/templates.md has no table of functions")
	}
	var told []string
	for line := range strings.SplitSeq(table, "\n") {
		if cells := strings.Split(line, "|"); len(cells) > 2 {
			for _, name := range regexp.MustCompile("`([A-Za-z0-9*]+)`").FindAllStringSubmatch(cells[1], -1) {
				told = append(told, name[1])
			}
		}
	}
	known := Functions()
	slices.Sort(told)
	slices.Sort(known)
	if !slices.Equal(told, known) {
		t.Errorf("docs/templates.md has the functions\n%v\nand there are\n%v", told, known)
	}
	bounds := strings.Join(strings.Fields(rest), " ")
	for _, want := range []string{fmt.Sprintf("%d MiB, %d parameters, %d variables, %d outputs, %d resources with all loops, %d turns", MaxBytes>>20, MaxParameters,
		MaxVariables, MaxOutputs, MaxResources, MaxCopy), fmt.Sprintf("%d,%d characters of one expression", MaxExpression/1000, MaxExpression%1000), fmt.Sprintf("nested %d deep", MaxNested)} {
		if !strings.Contains(bounds, want) {
			t.Errorf("docs/templates.md does not say %q", want)
		}
	}
}

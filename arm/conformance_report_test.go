package arm_test

import (
	"fmt"
	"strings"
)

type conformanceRow struct {
	typ      string
	examples int
	counts   [differs + 1]int
}

func (r *conformanceRow) tried() int {
	sum := 0
	for _, count := range r.counts {
		sum += count
	}
	return sum
}

type conformanceReport struct {
	rows  []conformanceRow
	notes [differs + 1]strings.Builder
}

// maxReasons bounds what is said about one example.
const maxReasons = 6

func (r *conformanceReport) note(name string, how outcome, reasons []string) {
	if how == matches {
		return
	}
	b := &r.notes[how]
	fmt.Fprintf(b, "- `%s`\n", name)
	for _, reason := range reasons[:min(len(reasons), maxReasons)] {
		fmt.Fprintf(b, "  - %s\n", reason)
	}
	if more := len(reasons) - maxReasons; more > 0 {
		fmt.Fprintf(b, "  - and %d more\n", more)
	}
}

// String is docs/conformance.md.
func (r *conformanceReport) String() string {
	var table strings.Builder
	var all conformanceRow
	for _, row := range r.rows {
		fmt.Fprintf(&table, "| %s | %d | %d | %d | %d | %d | %d |\n", row.typ, row.examples, row.tried(),
			row.counts[matches], row.counts[selfDenied], row.counts[without], row.counts[differs])
		all.examples += row.examples
		for i, count := range row.counts {
			all.counts[i] += count
		}
	}
	fmt.Fprintf(&table, "| **together** | **%d** | **%d** | **%d** | **%d** | **%d** | **%d** |\n", all.examples, all.tried(),
		all.counts[matches], all.counts[selfDenied], all.counts[without], all.counts[differs])
	return fmt.Sprintf(conformanceText, table.String(), r.notes[differs].String(), r.notes[without].String(), r.notes[selfDenied].String())
}

const conformanceText = `# Conformance with the SDK's examples

Made by ` + "`go test ./arm -run TestConformance -update`" + `; the same test without ` + "`-update`" + ` compares.

%s
## What differs, and why

%s
## What matches without references to types that are not there

%s
## What matches but for what the example says otherwise than its own request

%s`

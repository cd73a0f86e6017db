package house

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
)

var (
	areaHead   = regexp.MustCompile(`^## ([A-Z]+) — `)
	ruleNumber = regexp.MustCompile(`^([0-9]+)\. `)
)

// docs/semantics.md says what each number means: it has as many rules of each area as the tests count with.
func TestSemanticsHaveEveryRule(t *testing.T) {
	last, area := map[string]int{}, ""
	for number, line := range strings.Split(read(t, "docs/semantics.md"), "\n") {
		if head := areaHead.FindStringSubmatch(line); head != nil {
			area = head[1]
		}
		if rule := ruleNumber.FindStringSubmatch(line); rule != nil {
			if last[area]++; rule[1] != fmt.Sprint(last[area]) {
				t.Errorf("docs/semantics.md:%d: rule %s of %s, want %d", number+1, rule[1], area, last[area])
			}
		}
	}
	for area, want := range rulesOf {
		if last[area] != want {
			t.Errorf("docs/semantics.md has %d rules of %s, want %d", last[area], area, want)
		}
	}
	if len(last) != len(rulesOf) {
		t.Errorf("docs/semantics.md has the areas %v, want those of %v", last, rulesOf)
	}
}

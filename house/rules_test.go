package house

import (
	"fmt"
	"path"
	"regexp"
	"strings"
	"testing"
)

// promised are the numbered rules that the built part of Postern keeps, by area. A rule that no test names does not
// count as built.
var promised = map[string][]int{
	"ROUTE": {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 17, 18},
	"SE":    {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16},
	"FW":    {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14},
	"SEP":   {1, 2, 3, 4, 5, 6, 7, 8},
	"NSG":   {1, 2, 3, 4, 5},
	"OUT":   {1, 2},
	"ID":    {1, 2},
	"DNS":   {1},
	"ARM":   {1, 2, 3},
	"GOV":   {1, 2},
}

var ruleID = regexp.MustCompile(`\b(ROUTE|SE|FW|SEP|PE|PLS|DNS|NSG|OUT|ARM|HYB|AF|ID|GOV)-[0-9]+\b`)

func TestEveryRuleIsNamedByATest(t *testing.T) {
	named := map[string][]string{}
	for _, file := range texts(t) {
		if path.Dir(file) == "house" {
			continue // this very list
		}
		if strings.HasSuffix(file, "_test.go") || path.Ext(file) == ".txtar" {
			for _, id := range ruleID.FindAllString(read(t, file), -1) {
				named[id] = append(named[id], file)
			}
		}
	}
	for area, numbers := range promised {
		for _, number := range numbers {
			id := fmt.Sprintf("%s-%d", area, number)
			if len(named[id]) == 0 {
				t.Errorf("no test names %s: write one that fails when the rule is broken, and name the rule in it", id)
			}
		}
	}
}

// A reason that names a rule must name one that exists.
func TestReasonsNameRules(t *testing.T) {
	for _, source := range sources(t) {
		for _, id := range ruleID.FindAllString(read(t, source.file), -1) {
			area, number, _ := strings.Cut(id, "-")
			var n int
			if _, err := fmt.Sscan(number, &n); err != nil || n < 1 || n > rulesOf[area] {
				t.Errorf("%s names %s: %s has rules 1 to %d", source.file, id, area, rulesOf[area])
			}
		}
	}
}

// rulesOf is how many rules each area has.
var rulesOf = map[string]int{
	"ROUTE": 18, "SE": 16, "FW": 14, "SEP": 8, "PE": 7, "PLS": 4, "DNS": 4, "NSG": 5, "OUT": 2, "ARM": 3, "HYB": 4,
	"AF": 2, "ID": 2, "GOV": 3,
}

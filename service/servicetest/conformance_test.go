package servicetest_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"postern/service/all"
)

// rule is one of docs/semantics.md, as it holds for a type: check fails where it does not.
type rule struct {
	id, title string
	check     func(t *testing.T, w *world, s *subject)
}

// ruleIDs are all that a type must keep, or say why there is nothing to keep.
var ruleIDs = []string{"FW-1", "FW-2", "FW-3", "FW-4", "FW-5", "FW-6", "FW-7", "FW-8", "FW-9", "FW-10", "FW-9, FW-10", "FW-11", "FW-12", "FW-13", "FW-14",
	"SEP-1", "SEP-2", "SEP-3", "SEP-4", "SEP-5", "SEP-6", "SEP-7", "SEP-8", "SE-9, SE-10", "SE-16"}

// TestRules asks every rule of every type, by the type's own bodies: FW-1 to FW-14, SEP-1 to SEP-8, SE-9, SE-10 and SE-16. What
// a type does not have it must say, in subject.lacks.
func TestRules(t *testing.T) {
	all := slices.Concat(firewallRules, policyRules, runningRules)
	for _, id := range ruleIDs {
		if !slices.ContainsFunc(all, func(r rule) bool { return r.id == id }) {
			t.Errorf("nothing asks %s", id)
		}
	}
	for _, s := range subjects {
		t.Run(s.service(), func(t *testing.T) {
			world := newWorld(t, s)
			for _, rule := range all {
				t.Run(rule.id+": "+rule.title, func(t *testing.T) {
					if why := s.lacks[rule.id]; why != "" {
						t.Logf("%s has none: %s", s.typ, why)
						return
					}
					rule.check(t, world.derive(t), s)
				})
			}
		})
	}
}

// Every type of every service is asked, and says of no rule that it lacks it without one being there.
func TestEveryTypeIsAsked(t *testing.T) {
	for _, described := range all.Services() {
		for _, typ := range described.Types {
			if typ.Kept { // nobody reaches it, and it has no rules
				continue
			}
			if !slices.ContainsFunc(subjects, func(s *subject) bool { return s.typ == typ.Name }) {
				t.Errorf("%s: %s is no subject: write its body in subjects_test.go, and which rules it has nothing of", described.Name, typ.Name)
			}
		}
	}
	for _, s := range subjects {
		if s.described() == nil {
			t.Errorf("%s is no type of a service", s.typ)
		}
		for _, list := range []map[string]string{s.lacks, s.notes} {
			for id, why := range list {
				if !slices.Contains(ruleIDs, id) || why == "" || s.lacks[id] != "" && s.notes[id] != "" {
					t.Errorf("%s has a word about %s, which is no rule, or there is no reason, or two: %q", s.typ, id, why)
				}
			}
		}
	}
}

// TestDocumentedRules holds the table of docs/services.md against what is asked here: no cell is empty, and what a type
// lacks is explained below it.
func TestDocumentedRules(t *testing.T) {
	const file = "../../docs/services.md"
	const begin, end = "<!-- rules: this part is written by POSTERN_UPDATE=1 go test -run TestDocumentedRules ./service/servicetest -->\n", "<!-- rules end -->\n"
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(data), begin)
	have, after, ended := strings.Cut(rest, end)
	if !found || !ended {
		t.Fatalf("%s has no part for the rules", file)
	}
	want := documented()
	if have == want {
		return
	}
	if os.Getenv("POSTERN_UPDATE") == "" {
		t.Fatalf("%s says\n%s\nwant\n%s", file, have, want)
	}
	if err := os.WriteFile(file, []byte(before+begin+want+end+after), 0o644); err != nil {
		t.Fatal(err)
	}
}

// documented is the table: a row for each service, a column for each rule that some service lacks or has with a note, notes
// below.
func documented() string {
	var columns, notes []string
	note := func(s *subject, id string) string { return s.lacks[id] + s.notes[id] }
	for _, id := range ruleIDs {
		if slices.ContainsFunc(subjects, func(s *subject) bool { return note(s, id) != "" }) {
			columns = append(columns, id)
		}
	}
	var out strings.Builder
	fmt.Fprintf(&out, "| service | %s | every other |\n|---|%s---|\n", strings.Join(columns, " | "), strings.Repeat("---|", len(columns)))
	for _, s := range subjects {
		fmt.Fprintf(&out, "| %s |", s.service())
		for _, id := range columns {
			cell := "holds"
			if s.lacks[id] != "" {
				cell = "none"
			}
			if why := note(s, id); why != "" {
				at := slices.Index(notes, why)
				if at < 0 {
					at, notes = len(notes), append(notes, why)
				}
				cell += fmt.Sprintf(" (%d)", at+1)
			}
			fmt.Fprintf(&out, " %s |", cell)
		}
		out.WriteString(" holds |\n")
	}
	out.WriteString("\n")
	for i, note := range notes {
		fmt.Fprintf(&out, "%d. %s.\n", i+1, strings.ToUpper(note[:1])+note[1:])
	}
	return out.String()
}

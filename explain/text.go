package explain

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"unicode"

	"postern/model"
)

// WriteText writes the explanation for a person: who and where, the steps with numbers, the routes with the winner marked,
// the verdict. The error is the writer's.
func (e *Explanation) WriteText(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "from  %s  %v  %s  on %s\n", e.From.NIC.Name(), e.From.IPv4, subnetPath(e.From.Subnet), orDash(e.From.Node))
	fmt.Fprintf(&b, "to    %s:%d  %s", e.To.Host, e.To.Port, e.To.Protocol)
	if e.To.Address.IsValid() && e.To.Address.String() != e.To.Host {
		fmt.Fprintf(&b, "  = %v", e.To.Address)
	}
	b.WriteString("\n\n")
	e.writeSteps(&b)
	if len(e.Routes) > 0 {
		e.writeRoutes(&b)
	}
	for _, note := range e.Notes {
		fmt.Fprintf(&b, "note: %s\n", note)
	}
	if len(e.Notes) > 0 {
		b.WriteString("\n")
	}
	e.Verdict.write(&b)
	// Names come from outside; none may steer the reader's terminal.
	_, err := io.WriteString(w, strings.Map(func(r rune) rune {
		if r != '\n' && !unicode.IsPrint(r) {
			return unicode.ReplacementChar
		}
		return r
	}, b.String()))
	return err
}

func (e *Explanation) writeSteps(w io.Writer) {
	table := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	for i, step := range e.Steps {
		mark := "ok"
		if step.Denied {
			mark = "DENY"
		}
		fmt.Fprintf(table, "%3d\t%s\t%s\t%s\t%s\t%s\n", i+1, orDash(step.Node), step.Name, mark, orDash(step.Rule), step.Detail)
	}
	table.Flush() // into memory: it cannot fail
	fmt.Fprintln(w)
}

func (e *Explanation) writeRoutes(w io.Writer) {
	fmt.Fprintf(w, "routes that have %v\n", e.To.Address)
	table := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(table, "\tPREFIX\tSOURCE\tNEXT HOP\tNAME\tTAG\tRULE\tWHY")
	for _, route := range e.Routes {
		mark := "lost"
		switch route.State {
		case Winner:
			mark = "WINS"
		case NotEnabled:
			mark = "off"
		}
		fmt.Fprintf(table, "%s\t%v\t%v\t%s\t%s\t%s\t%s\t%s\n", mark, route.Prefix, route.Source, nextHop(route),
			orDash(route.Name), orDash(route.ServiceTag), orDash(route.Rule), route.Why)
	}
	table.Flush()
	fmt.Fprintln(w)
}

func (v Verdict) write(w io.Writer) {
	word := "ALLOWED"
	if !v.Allowed {
		word = "DENIED"
	}
	rule := v.Reason
	if v.Rule != "" {
		rule += ", " + v.Rule
	}
	fmt.Fprintf(w, "%s at %s (%s): %s\n", word, orDash(v.At), rule, v.Detail)
	if v.Caller != "" {
		fmt.Fprintf(w, "the other side sees %s\n", v.Caller)
	}
	if v.Hint != "" {
		fmt.Fprintf(w, "to change it: %s\n", v.Hint)
	}
}

func nextHop(route Candidate) string {
	if route.NextHopIP.IsValid() {
		return route.NextHopType.String() + " " + route.NextHopIP.String()
	}
	return route.NextHopType.String()
}

// subnetPath is VNET/SUBNET.
func subnetPath(id model.ResourceID) string { return id.Parent().Name() + "/" + id.Name() }

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

// Command report reads what go test -json writes, tells failures and skips in lines that people read, and ends with
// "N passed, N failed, N skipped". It fails when a test failed, when one was skipped that may not be, and when none ran.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strings"
)

// maySkip are tests that may be skipped here, by package and name, each with its reason. There are none: a machine that
// runs this as root has all that the tests need.
var maySkip = map[string]string{}

// event is one line of go test -json.
type event struct {
	Action, Package, Test, Output, ImportPath string
	Elapsed                                   float64
}

func main() {
	counts := flag.String("counts", "", "write the last line to this `file` too")
	flag.Parse()
	r := report{output: map[string][]string{}}
	lines := bufio.NewReader(os.Stdin)
	for {
		line, err := lines.ReadString('\n')
		if line != "" {
			r.read(line)
		}
		if err != nil {
			break
		}
	}
	last := fmt.Sprintf("%d passed, %d failed, %d skipped", r.passed, r.failed, r.skipped)
	fmt.Println(last)
	if *counts != "" {
		if err := os.WriteFile(*counts, []byte(last+"\n"), 0o644); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	if r.failed+r.broken+r.forbidden > 0 || r.passed == 0 {
		os.Exit(1)
	}
}

type report struct {
	passed, failed, skipped int
	broken                  int // packages that failed without a test that did: no build, a panic
	forbidden               int // skips that are not allowed

	output map[string][]string // of tests and packages that still run
	inside map[string]bool     // packages with a test that failed
}

func (r *report) read(line string) {
	var e event
	if json.Unmarshal([]byte(line), &e) != nil {
		fmt.Print(line) // not from a test: go's own words
		return
	}
	key := e.Package + " " + e.Test
	switch e.Action {
	case "build-output":
		fmt.Print(e.Output)
	case "output":
		r.output[key] = append(r.output[key], e.Output)
	case "pass":
		if e.Test != "" {
			r.passed++
		} else {
			fmt.Printf("ok   %-40s %6.1f s\n", e.Package, e.Elapsed)
		}
		delete(r.output, key)
	case "fail":
		r.fail(e, key)
		delete(r.output, key)
	case "skip":
		if e.Test != "" {
			r.skip(e, key)
		}
		delete(r.output, key)
	}
}

func (r *report) fail(e event, key string) {
	if r.inside == nil {
		r.inside = map[string]bool{}
	}
	if e.Test != "" {
		r.failed++
		r.inside[e.Package] = true
		fmt.Printf("FAIL %s %s\n%s", e.Package, e.Test, indented(r.output[key]))
		return
	}
	fmt.Printf("FAIL %-40s %6.1f s\n", e.Package, e.Elapsed)
	if r.inside[e.Package] {
		return
	}
	r.broken++
	for other, lines := range r.output { // a panic ends a package with tests that never ended
		if strings.HasPrefix(other, e.Package+" ") {
			fmt.Print(indented(lines))
		}
	}
}

func (r *report) skip(e event, key string) {
	r.skipped++
	name := e.Package + " " + e.Test
	if reason := maySkip[name]; reason != "" {
		fmt.Printf("skip %s: may be, %s\n", name, reason)
		return
	}
	r.forbidden++
	fmt.Printf("SKIP %s: every test must run here\n%s", name, indented(r.output[key]))
}

// indented are the lines that tell something.
func indented(lines []string) string {
	var b strings.Builder
	for _, line := range lines {
		if trimmed := strings.TrimSpace(line); !strings.HasPrefix(trimmed, "=== ") {
			b.WriteString("     " + line)
		}
	}
	return b.String()
}

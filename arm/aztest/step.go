package aztest

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Step is a command of a script, and what must be true of it.
type Step struct {
	Line    int    // in the script, from 1
	Command string // without the word az
	Wants   []string
}

// Parse reads a script. A line of it is a command; the lines below it, indented, say what is true of the JSON that it prints
// (PATH = VALUE, or PATH missing), of its text (prints TEXT), or of its failure (exit CODE, error TEXT). A word with spaces
// stands between single quotes.
func Parse(script string) (steps []Step) {
	for i, line := range strings.Split(script, "\n") {
		switch text := strings.TrimSpace(line); {
		case text == "" || strings.HasPrefix(text, "#"):
		case line != strings.TrimLeft(line, " ") && len(steps) > 0:
			steps[len(steps)-1].Wants = append(steps[len(steps)-1].Wants, text)
		default:
			steps = append(steps, Step{Line: i + 1, Command: text})
		}
	}
	return steps
}

// word is one word of a command.
var word = regexp.MustCompile(`'[^']*'|\S+`)

// words are those of a command as az gets them.
func words(command string) []string {
	found := word.FindAllString(command, -1)
	for i, text := range found {
		if strings.HasPrefix(text, "'") {
			found[i] = strings.Trim(text, "'")
		}
	}
	return found
}

// Do runs a step's command and says what is wrong about it.
func (c *CLI) Do(ctx context.Context, s Step) (problems []string) {
	c.t.Helper()
	args := words(s.Command)
	if !slices.Contains(args, "-o") {
		args = append(args, "-o", "json")
	}
	stdout, stderr, code := c.Run(ctx, args...)
	return s.judge(stdout, stderr, code)
}

// judge compares what a command did with what the step wants.
func (s Step) judge(stdout []byte, stderr string, code int) (problems []string) {
	want := 0
	var answer any
	parsed := json.Unmarshal(stdout, &answer) == nil
	wrong := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	for _, line := range s.Wants {
		if text, ok := strings.CutPrefix(line, "exit "); ok {
			var err error
			if want, err = strconv.Atoi(text); err != nil {
				wrong("%q is no exit code", text)
			}
			continue
		}
		if text, ok := strings.CutPrefix(line, "error "); ok {
			if !strings.Contains(stderr, text) {
				wrong("the error %q has no %q", stderr, text)
			}
			continue
		}
		if text, ok := strings.CutPrefix(line, "prints "); ok {
			if strings.TrimSpace(string(stdout)) != text {
				wrong("it printed %q, want %q", stdout, text)
			}
			continue
		}
		if path, ok := strings.CutSuffix(line, " missing"); ok {
			if _, found := at(answer, path); found || !parsed {
				wrong("%s is there; all: %s %s", path, stdout, stderr)
			}
			continue
		}
		path, value, stated := strings.Cut(line, " = ")
		have, found := at(answer, path)
		if text := fmt.Sprint(have); !stated || !found || !parsed || text != value {
			wrong("%s is %q, want %q; all: %s %s", path, text, value, stdout, stderr)
		}
	}
	if code != want {
		wrong("exit code %d, want %d: %s", code, want, stderr)
	}
	return problems
}

var pathStep = regexp.MustCompile(`[^.\[\]]+|\[\d+\]|\[#\]`)

// at follows a path such as "subnets[0].name" into a JSON value; [#] is a list's length, "." the value itself.
func at(value any, path string) (any, bool) {
	for _, part := range pathStep.FindAllString(path, -1) {
		switch here := value.(type) {
		case map[string]any:
			inner, ok := here[part]
			if !ok || inner == nil {
				return nil, false
			}
			value = inner
		case []any:
			if part == "[#]" {
				value = len(here)
				continue
			}
			n, err := strconv.Atoi(strings.Trim(part, "[]"))
			if err != nil || n >= len(here) {
				return nil, false
			}
			value = here[n]
		default:
			return nil, false
		}
	}
	return value, true
}

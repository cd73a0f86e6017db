package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// repository is its root, seen from this package.
const repository = "../.."

// notRun are the lines of sh blocks that TestDocumentation does not run, each with the reason. A line that no document
// has any more fails the test, as does a new one that is not here.
var notRun = map[string]string{
	"go test ./...":                     "it is what runs this very test",
	"postern bench path":                "it takes minutes and root, and its exit code judges the machine; the tests of bench run it with little time",
	"postern bench api":                 "its exit code judges the machine; the tests of bench run it with a small cloud",
	"postern bench control":             "it takes minutes, and its exit code judges the machine; the tests of bench run it with a small fleet",
	"postern bench gateway":             "it takes minutes and root, and its exit code judges the machine; the tests of bench run it with little time",
	"postern bench revoke":              "its exit code judges the machine; the tests of bench run it with few connections",
	"postern bench soak":                "it takes two minutes; the tests of bench run it with little time",
	"go build -o postern ./cmd/postern": "the test's own executable stands for the program: TestMain",
}

// commandLimit bounds one command of a document; the demo takes the longest.
const commandLimit = 3 * time.Minute

// TestDocumentation does what the documents say: every command of every sh block, in the order of the document, against
// the cloud that the document starts. Clouds are run in user space and on a folder of their own. A comment with the word
// "denied" says that a command ends with exit code 1; every other one ends with 0. A yaml block is a file that the
// document applies.
func TestDocumentation(t *testing.T) {
	seen := map[string]bool{}
	names, done := documents(t), 0
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			done++
			data, err := os.ReadFile(filepath.Join(repository, name))
			if err != nil {
				t.Fatal(err)
			}
			session := &docSession{t: t}
			defer session.end()
			for _, block := range fenced(string(data)) {
				switch block.language {
				case "sh":
					for _, line := range block.commands() {
						command, comment, _ := strings.Cut(line, " #")
						command = strings.TrimSpace(command)
						if notRun[command] != "" {
							seen[command] = true
							continue
						}
						if target, found := strings.CutPrefix(command, "make "); found {
							makes(t, target)
							continue
						}
						session.do(command, deniedWord.MatchString(comment))
					}
				case "bash", "shell", "console":
					t.Errorf("a block of %s: use sh, so that it is run", block.language)
				}
			}
			for _, line := range unfenced.FindAllString(string(data), -1) {
				t.Errorf("a command in an indented block is not run: put it into a sh block:%s", line)
			}
			for _, block := range fenced(string(data)) {
				if block.language == "yaml" && !session.applied[block.text] {
					t.Errorf("the document applies no file with these resources:\n%s", block.text)
				}
			}
		})
	}
	for command := range notRun {
		if !seen[command] && done == len(names) { // -run may have picked some
			t.Errorf("no document has the line %q: take it out of notRun", command)
		}
	}
}

// documents are the files whose commands are run, below the repository.
func documents(t *testing.T) []string {
	t.Helper()
	names := []string{"README.md"}
	if _, err := os.Stat(filepath.Join(repository, "CONTRIBUTING.md")); err == nil {
		names = append(names, "CONTRIBUTING.md")
	}
	err := filepath.WalkDir(filepath.Join(repository, "docs"), func(path string, entry fs.DirEntry, err error) error {
		if err == nil && filepath.Ext(path) == ".md" {
			path, err = filepath.Rel(repository, path)
			names = append(names, filepath.ToSlash(path))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// makes looks for a target of the Makefile. What it runs is the developer's; CI runs the same.
func makes(t *testing.T, target string) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(repository, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains("\n"+string(data), "\n"+target+":") {
		t.Errorf("the Makefile has no target %q", target)
	}
}

// unfenced is a command in Markdown's other kind of code block.
var unfenced = regexp.MustCompile(`(?m)^ {4,}(postern [a-z]+ |\./postern|go (run|test|build)|make |bash ).*$`)

var deniedWord = regexp.MustCompile(`\bdenied\b`)

// fence is one fenced block of a Markdown file.
type fence struct{ language, text string }

// commands are the lines of a sh block; one that ends with a backslash goes on in the next.
func (f fence) commands() []string {
	var list []string
	for line := range strings.Lines(strings.ReplaceAll(f.text, "\\\n", " ")) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			list = append(list, line)
		}
	}
	return list
}

func fenced(markdown string) []fence {
	var list []fence
	inside := false
	for line := range strings.Lines(markdown) {
		switch language, found := strings.CutPrefix(line, "```"); {
		case found && !inside:
			list, inside = append(list, fence{language: strings.TrimSpace(language)}), true
		case found:
			inside = false
		case inside:
			list[len(list)-1].text += line
		}
	}
	return list
}

// docSession is what a reader of one document has done so far.
type docSession struct {
	t       *testing.T
	dir     string // the state folder
	up      *exec.Cmd
	said    bytes.Buffer // by up, on stderr
	applied map[string]bool
}

var (
	ownProgram  = regexp.MustCompile(`^(postern|\./postern|go run \./cmd/postern) (\S+)(.*)$`)
	appliedFile = regexp.MustCompile(` -f (\S+)`)
)

// do runs a line as the reader's shell would.
func (s *docSession) do(line string, denied bool) {
	s.t.Helper()
	parts := ownProgram.FindStringSubmatch(line)
	if parts == nil {
		s.t.Errorf("the line %q is no command of postern: run it here, or name it and the reason in notRun", line)
		return
	}
	if s.dir == "" {
		dir, err := os.MkdirTemp("", "pt") // t.TempDir is too long for the path of a socket
		if err != nil {
			s.t.Fatal(err)
		}
		s.dir, s.applied = dir, map[string]bool{}
	}
	verb, rest := parts[2], parts[3]
	if verb == "up" || verb == "demo" {
		rest += " --datapath userspace"
	}
	if verb == "exec" && !hasCurl() {
		rest = strings.Replace(rest, " -- curl ", " -- plaincurl ", 1)
	}
	if file := appliedFile.FindStringSubmatch(rest); file != nil {
		data, err := os.ReadFile(filepath.Join(repository, file[1]))
		if err != nil {
			s.t.Error(err)
		}
		s.applied[string(data)] = true
	}
	line = "postern " + verb + rest
	if verb == "up" {
		s.start(line)
		return
	}
	ctx, cancel := context.WithTimeout(s.t.Context(), commandLimit)
	defer cancel()
	want := exitDone
	if denied {
		want = exitFail
	}
	command := s.shell(ctx, line)
	out, err := command.CombinedOutput()
	if got := command.ProcessState.ExitCode(); got != want {
		s.t.Errorf("%s\nends with exit code %d, %v, want %d:\n%s", line, got, err, want, out)
	} else if len(out) == 0 {
		s.t.Errorf("%s\nsays nothing", line)
	}
}

func (s *docSession) shell(ctx context.Context, line string) *exec.Cmd {
	command := exec.CommandContext(ctx, "sh", "-c", "exec "+line)
	command.Dir = repository
	command.Env = append(os.Environ(), dirVariable+"="+s.dir)
	command.WaitDelay = 10 * time.Second
	return command
}

// start runs postern up until the session ends, and returns when the cloud is there.
func (s *docSession) start(line string) {
	s.t.Helper()
	if s.up != nil {
		s.t.Fatalf("%s: the document has a cloud already", line)
	}
	ctx, cancel := context.WithTimeout(context.Background(), commandLimit)
	s.t.Cleanup(cancel)
	s.up = s.shell(ctx, line)
	s.up.Stderr = &s.said
	s.up.Cancel = func() error { return s.up.Process.Signal(os.Interrupt) }
	stdout, err := s.up.StdoutPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := s.up.Start(); err != nil {
		s.t.Fatal(err)
	}
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), "try: ") {
			return
		}
	}
	s.t.Fatalf("%s: ended before it was up: %v: %s", line, s.up.Wait(), &s.said)
}

// end is the reader's Ctrl-C.
func (s *docSession) end() {
	if s.up != nil && s.up.ProcessState == nil {
		err := s.up.Process.Signal(os.Interrupt)
		if waiting := s.up.Wait(); err == nil {
			err = waiting
		}
		if err != nil {
			s.t.Errorf("postern up, on Ctrl-C: %v: %s", err, &s.said)
		}
	}
	if s.dir != "" {
		if err := os.RemoveAll(s.dir); err != nil {
			s.t.Error(err)
		}
	}
}

func hasCurl() bool {
	_, err := exec.LookPath("curl")
	return err == nil
}

// TestFences covers what the documents have no example of.
func TestFences(t *testing.T) {
	got := fmt.Sprintf("%q", fenced("a\n```sh\nx \\\n  y\n# z\n```\nb\n```\nc\n```\n"))
	if want := `[{"sh" "x \\\n  y\n# z\n"} {"" "c\n"}]`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := fenced("```sh\nx \\\n  y  # denied\n\n# z\n```")[0].commands(); len(got) != 1 || got[0] != "x    y  # denied" {
		t.Errorf("got %q", got)
	}
}

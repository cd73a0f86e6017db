package arm_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// azVariable names a folder with a Debian 13 and its azure-cli: see docs/azure-clients.md.
const azVariable = "POSTERN_AZ"

// TestAz runs az as its users do, from the script testdata/az.txt. A line of it is a command; the lines below it, indented,
// say what is true of the JSON that it prints (PATH = VALUE, or PATH missing) or of its failure (exit CODE, error TEXT).
func TestAz(t *testing.T) {
	a := startAz(t)
	commands := a.script(t, "az.txt")
	if commands < 60 {
		t.Errorf("only %d commands in the script", commands)
	}
	t.Logf("%d commands of az", commands)
}

// azRun is az in a folder of its own, before a door.
type azRun struct {
	*fixture
	home string // the folder, as this process sees it; az sees it as $HOME
	run  func(args []string) (stdout []byte, stderr string, code int)
}

func startAz(t *testing.T) *azRun {
	root := os.Getenv(azVariable)
	switch {
	case root == "":
		t.Skipf("no az: set %s to a folder with a Debian 13 and its azure-cli", azVariable)
	case os.Getuid() != 0:
		t.Skipf("chroot into %s takes root", root)
	}
	f := start(t)
	home, err := os.MkdirTemp(filepath.Join(root, "tmp"), "pt-arm-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(home) })
	if err := os.WriteFile(filepath.Join(home, "ca.pem"), f.ca, 0o600); err != nil {
		t.Fatal(err)
	}
	inside := "/tmp/" + filepath.Base(home)
	return &azRun{f, home, func(args []string) (stdout []byte, stderr string, code int) {
		command := exec.CommandContext(f.ctx, "chroot", append([]string{root, "/usr/bin/env", "-i", "PATH=/usr/bin:/bin", "LANG=C.UTF-8", "HOME=" + inside,
			"AZURE_CONFIG_DIR=" + inside + "/az", "REQUESTS_CA_BUNDLE=" + inside + "/ca.pem", "AZURE_CORE_COLLECT_TELEMETRY=0",
			"AZURE_CORE_ERROR_RECOMMENDATION=off", "PYTHONWARNINGS=ignore", "az"}, args...)...)
		var out, errs bytes.Buffer
		command.Stdout, command.Stderr = &out, &errs
		err := command.Run()
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) {
			t.Fatal(err)
		}
		return out.Bytes(), errs.String(), command.ProcessState.ExitCode()
	}}
}

// script runs a script of testdata and answers how many commands it has.
func (a *azRun) script(t *testing.T, name string) (commands int) {
	script, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	variables := strings.NewReplacer("$URL", a.door.URL, "$CLIENT", a.door.ClientID, "$SECRET", a.door.Secret, "$TENANT", a.door.Tenant,
		"$SUBSCRIPTION", a.door.Subscription, "$HOME", "/tmp/"+filepath.Base(a.home))
	for _, step := range parseSteps(variables.Replace(string(script))) {
		commands++
		args := strings.Fields(step.command)
		if !strings.Contains(step.command, "-o tsv") {
			args = append(args, "-o", "json")
		}
		stdout, stderr, code := a.run(args)
		step.script = name
		step.check(t, stdout, stderr, code)
		if t.Failed() && commands < 5 {
			t.Fatalf("az cannot sign in: %s", stderr)
		}
	}
	return commands
}

// step is a command and what must be true of it.
type step struct {
	script  string
	line    int
	command string
	wants   []string
}

func parseSteps(script string) (steps []step) {
	for i, line := range strings.Split(script, "\n") {
		switch text := strings.TrimSpace(line); {
		case text == "" || strings.HasPrefix(text, "#"):
		case line != strings.TrimLeft(line, " "):
			steps[len(steps)-1].wants = append(steps[len(steps)-1].wants, text)
		default:
			steps = append(steps, step{line: i + 1, command: text})
		}
	}
	return steps
}

func (s step) check(t *testing.T, stdout []byte, stderr string, code int) {
	t.Helper()
	fail := func(format string, args ...any) {
		t.Helper()
		t.Errorf("%s:%d: az %s: %s", s.script, s.line, s.command, fmt.Sprintf(format, args...))
	}
	want := 0
	var answer any
	parsed := json.Unmarshal(stdout, &answer) == nil
	for _, line := range s.wants {
		if text, ok := strings.CutPrefix(line, "exit "); ok {
			want, _ = strconv.Atoi(text)
			continue
		}
		if text, ok := strings.CutPrefix(line, "error "); ok {
			if !strings.Contains(stderr, text) {
				fail("the error %q has no %q", stderr, text)
			}
			continue
		}
		if text, ok := strings.CutPrefix(line, "prints "); ok {
			if strings.TrimSpace(string(stdout)) != text {
				fail("it printed %q, want %q", stdout, text)
			}
			continue
		}
		if path, ok := strings.CutSuffix(line, " missing"); ok {
			if _, found := at(answer, path); found {
				fail("%s is there", path)
			}
			continue
		}
		path, value, _ := strings.Cut(line, " = ")
		have, found := at(answer, path)
		if text := fmt.Sprint(have); !found || !parsed || text != value {
			fail("%s is %q, want %q; all: %s %s", path, text, value, stdout, stderr)
		}
	}
	if code != want {
		fail("exit code %d, want %d: %s", code, want, stderr)
	}
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

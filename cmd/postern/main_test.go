package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"postern/control"
	"postern/control/controltest"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"postern": func() { os.Exit(mainExit()) }, "plaincurl": plainCurl})
}

// TestScripts runs real command lines. Beside testscript's own commands there are:
//
//	exits CODE COMMAND…   runs a command, which must end with that exit code
//	serve                 starts a control plane in $POSTERN_DIR: see package controltest
func TestScripts(t *testing.T) {
	example, err := filepath.Abs(filepath.Join("testdata", "cloud.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(env *testscript.Env) error {
			env.Setenv(dirVariable, filepath.Join(env.WorkDir, "state"))
			data, err := os.ReadFile(example)
			if err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(env.WorkDir, "cloud.yaml"), data, 0o600)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits, "serve": serve},
	})
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND...")
	}
	want, err := strconv.Atoi(args[0])
	if err != nil {
		ts.Fatalf("exit code %q: %v", args[0], err)
	}
	got := 0
	err = ts.Exec(args[1], args[2:]...)
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		got = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if got != want {
		ts.Fatalf("%v ended with exit code %d, want %d", args[1:], got, want)
	}
}

func serve(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 0 {
		ts.Fatalf("usage: serve")
	}
	plane, err := controltest.Open(ts.Getenv(dirVariable), control.Options{})
	ts.Check(err)
	ts.Defer(func() { ts.Check(plane.Close()) })
}

package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"testing"
	"time"
)

// TestReaderGoes is `postern demo | head -1`: the reader of the output goes in the middle, and the demo takes down what it
// made before it ends, with an exit code of its own.
func TestReaderGoes(t *testing.T) {
	temporary, err := os.MkdirTemp("", "pt") // t.TempDir is too long for the path of a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(temporary) })
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), commandLimit)
	defer cancel()
	var said bytes.Buffer
	command := exec.CommandContext(ctx, "postern", "demo", "--datapath", "userspace")
	command.Env = append(os.Environ(), "TMPDIR="+temporary)
	command.Stdout, command.Stderr = write, &said
	command.WaitDelay = 10 * time.Second
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	write.Close()
	if _, err := read.Read(make([]byte, 1)); err != nil {
		t.Error(err)
	}
	read.Close()
	err = command.Wait()
	if code := command.ProcessState.ExitCode(); code != exitFail {
		t.Errorf("exit code %d, %v, want %d", code, err, exitFail)
	}
	if said.Len() > 0 {
		t.Errorf("it says %q to one who has gone", &said)
	}
	left, err := os.ReadDir(temporary)
	if err != nil {
		t.Fatal(err)
	}
	if len(left) > 0 {
		t.Errorf("it leaves %v behind", left)
	}
}

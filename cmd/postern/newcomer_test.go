package main

import (
	"bufio"
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"postern/arm/aztest"
)

// TestNewcomer does what somebody does who has never seen Postern: starts a cloud, pastes the two lines that it shows, and
// works with az. Then the cloud is started again, at another port, and another shell gets its lines from postern env az.
func TestNewcomer(t *testing.T) {
	az := aztest.New(t, nil)
	ctx, cancel := context.WithTimeout(t.Context(), commandLimit)
	defer cancel()
	dir := filepath.Join(os.Getenv(aztest.Variable), az.Home(), "state") // where az's shell sees it too
	first := startUp(ctx, t, dir)
	lines := first.until("az login ")
	secret := regexp.MustCompile(`^export (POSTERN_SECRET=\S+) `).FindStringSubmatch(lines[0])
	if len(lines) != 2 || secret == nil {
		t.Fatalf("want two lines to paste, the first with the secret: %q", lines)
	}
	inside := func(text string) string { return strings.ReplaceAll(text, os.Getenv(aztest.Variable), "") }
	paste(ctx, t, az, inside(strings.Join(lines, "\n")), `
az group create -n lab -l westeurope -o none
az network vnet create -g lab -n vnet --address-prefixes 10.1.0.0/16 --subnet-name app --subnet-prefixes 10.1.0.0/24 -o none
az network vnet subnet update -g lab --vnet-name vnet -n app --service-endpoints Microsoft.Storage.Global -o none
az network nic create -g lab -n nic --vnet-name vnet --subnet app --query NewNIC.ipConfigurations[0].privateIPAddress -o tsv`, "10.1.0.4")
	first.end()

	second := startUp(ctx, t, dir)
	second.until("Resource Manager API: ")
	env := exec.CommandContext(ctx, "postern", "env", "az", "--dir", dir)
	printed, err := env.Output()
	if err != nil {
		t.Fatal(err)
	}
	text := inside(string(printed))
	if _, stderr, code := az.Shell(ctx, text); code == 0 || !strings.Contains(stderr, "postern env az --new-secret") {
		t.Errorf("without the secret: exit code %d, %q: want the next step", code, stderr)
	}
	paste(ctx, t, az, "export "+secret[1]+"\n"+text, "az network nic list -g lab --query [0].name -o tsv", "nic")
	second.end()
}

// paste runs lines in a shell where az is, and looks at what the last of them printed.
func paste(ctx context.Context, t *testing.T, az *aztest.CLI, lines, commands, want string) {
	t.Helper()
	stdout, stderr, code := az.Shell(ctx, "set -e\n"+lines+"\n"+commands)
	if have := strings.TrimSpace(string(stdout)); code != 0 || have != want {
		t.Fatalf("exit code %d, %q, want %q: %s", code, have, want, stderr)
	}
}

// upProcess is a running postern up.
type upProcess struct {
	t       *testing.T
	command *exec.Cmd
	lines   *bufio.Scanner
	said    bytes.Buffer
}

func startUp(ctx context.Context, t *testing.T, dir string) *upProcess {
	t.Helper()
	up := &upProcess{t: t, command: exec.CommandContext(ctx, "postern", "up", "--dir", dir, "--datapath", "userspace", "--listen", "localhost:0")}
	up.command.Stderr = &up.said
	up.command.Cancel = func() error { return up.command.Process.Signal(os.Interrupt) }
	up.command.WaitDelay = 10 * time.Second
	stdout, err := up.command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := up.command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(up.end)
	up.lines = bufio.NewScanner(stdout)
	return up
}

// until reads up to a line with some words, and answers that and the one before.
func (u *upProcess) until(words string) []string {
	u.t.Helper()
	before := ""
	for u.lines.Scan() {
		if strings.Contains(u.lines.Text(), words) {
			return []string{before, u.lines.Text()}
		}
		before = u.lines.Text()
	}
	u.t.Fatalf("postern up ended before it said %q: %s", words, &u.said)
	return nil
}

// end is the user's Ctrl-C.
func (u *upProcess) end() {
	if u.command.ProcessState != nil {
		return
	}
	if err := u.command.Process.Signal(os.Interrupt); err != nil {
		u.t.Error(err)
	}
	for u.lines.Scan() { // its last words
	}
	if err := u.command.Wait(); err != nil {
		u.t.Errorf("postern up, on Ctrl-C: %v: %s", err, &u.said)
	}
}

// Package aztest runs az, unmodified, for tests: in a Debian 13 of its own, since Debian 12's lacks parts, and from scripts
// that say what az must print.
package aztest

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"postern/api/client"
)

// Variable names a folder with a Debian 13 and its azure-cli: see docs/azure-clients.md.
const Variable = "POSTERN_AZ"

// CLI is az with a configuration folder of its own.
type CLI struct {
	t    testing.TB
	root string // of the Debian
	home string // inside it
}

// New is az that trusts an authority, whose certificate is given in PEM, and is not signed in. The test is skipped where
// there is no az.
func New(t testing.TB, authority []byte) *CLI {
	t.Helper()
	root := os.Getenv(Variable)
	switch {
	case root == "":
		t.Skipf("no az: set %s to a folder with a Debian 13 and its azure-cli", Variable)
	case os.Getuid() != 0:
		t.Skipf("chroot into %s takes root", root)
	}
	home, err := os.MkdirTemp(filepath.Join(root, "tmp"), "pt-az-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(home) })
	if err := os.WriteFile(filepath.Join(home, "ca.pem"), authority, 0o600); err != nil {
		t.Fatal(err)
	}
	return &CLI{t: t, root: root, home: "/tmp/" + filepath.Base(home)}
}

// SignIn registers the cloud of a door and signs in as its owner.
func (c *CLI) SignIn(ctx context.Context, door client.Door, secret string) {
	c.t.Helper()
	for _, args := range [][]string{
		{"cloud", "register", "-n", "Postern", "--endpoint-resource-manager", door.URL},
		{"cloud", "set", "-n", "Postern"},
		{"login", "--service-principal", "-u", door.ClientID, "-p", secret, "--tenant", door.Tenant},
	} {
		if _, stderr, code := c.Run(ctx, args...); code != 0 {
			c.t.Fatalf("az cannot sign in: az %s: %s", args[0], stderr)
		}
	}
}

// Run runs one command of az and answers what it printed and its exit code.
func (c *CLI) Run(ctx context.Context, args ...string) (stdout []byte, stderr string, code int) {
	c.t.Helper()
	return c.run(ctx, append([]string{"az"}, args...)...)
}

// Shell runs a text in a POSIX shell where az is: what a user pastes.
func (c *CLI) Shell(ctx context.Context, text string) (stdout []byte, stderr string, code int) {
	c.t.Helper()
	return c.run(ctx, "sh", "-c", text)
}

// Home is az's home folder as the shell sees it. It has the authority's certificate as ca.pem.
func (c *CLI) Home() string { return c.home }

func (c *CLI) run(ctx context.Context, words ...string) (stdout []byte, stderr string, code int) {
	c.t.Helper()
	environment := []string{c.root, "/usr/bin/env", "-i", "PATH=/usr/bin:/bin", "LANG=C.UTF-8", "HOME=" + c.home,
		"AZURE_CONFIG_DIR=" + c.home + "/az", "REQUESTS_CA_BUNDLE=" + c.home + "/ca.pem", "AZURE_CORE_COLLECT_TELEMETRY=0",
		"AZURE_CORE_ERROR_RECOMMENDATION=off", "PYTHONWARNINGS=ignore"}
	command := exec.CommandContext(ctx, "chroot", append(environment, words...)...)
	var out, errs bytes.Buffer
	command.Stdout, command.Stderr = &out, &errs
	err := command.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		c.t.Fatal(err)
	}
	return out.Bytes(), errs.String(), command.ProcessState.ExitCode()
}

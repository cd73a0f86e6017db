//go:build linux

package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// Cmd is an exec.Cmd whose process starts inside a namespace. Set the fields of the embedded one before Start.
type Cmd struct {
	*exec.Cmd
	namespace *Namespace
}

// Command prepares a child process inside the namespace. It leads a process group of its own; the end of ctx, and
// Close of the lab, kill it. It sees the files of this computer, /etc/resolv.conf included: see ExecInside.
func (n *Namespace) Command(ctx context.Context, name string, args ...string) *Cmd {
	command := exec.CommandContext(ctx, name, args...)
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	command.Cancel = func() error {
		err := unix.Kill(-command.Process.Pid, unix.SIGKILL)
		if err == unix.ESRCH {
			return os.ErrProcessDone
		}
		return err
	}
	return &Cmd{command, n}
}

// Start starts the process: the fork happens on a thread inside the namespace.
func (c *Cmd) Start() error {
	if err := c.namespace.Do(c.Cmd.Start); err != nil {
		return fmt.Errorf("start %s in %s: %w", c.Path, c.namespace.Name, err)
	}
	return nil
}

// Run starts the process and waits for its end.
func (c *Cmd) Run() error {
	if err := c.Start(); err != nil {
		return err
	}
	return c.Wait()
}

// Output runs the process and gives its standard output.
func (c *Cmd) Output() ([]byte, error) {
	if c.Stdout != nil {
		return nil, errors.New("output of a command: Stdout is set already")
	}
	var output bytes.Buffer
	c.Stdout = &output
	err := c.Run()
	return output.Bytes(), err
}

// CombinedOutput runs the process and gives its standard output and error together.
func (c *Cmd) CombinedOutput() ([]byte, error) {
	if c.Stdout != nil || c.Stderr != nil {
		return nil, errors.New("output of a command: Stdout or Stderr is set already")
	}
	var output bytes.Buffer
	c.Stdout, c.Stderr = &output, &output
	err := c.Run()
	return output.Bytes(), err
}

// ExecInside replaces this process by a command that runs inside the named namespace. With resolvConf, a file, the
// command has that file as /etc/resolv.conf, in a mount namespace of its own; a nsswitch.conf beside it takes the place
// of /etc/nsswitch.conf. On success it does not return. It is for a process that has little else to do: other threads end.
func ExecInside(ns, resolvConf string, argv []string) error {
	if len(argv) == 0 {
		return errors.New("exec inside a namespace: no command given")
	}
	program, err := exec.LookPath(argv[0])
	if err != nil {
		return fmt.Errorf("exec inside %s: %w", ns, err)
	}
	runtime.LockOSThread() // never unlocked: on failure the thread must not serve anybody else
	file, err := unix.Open(filepath.Join(namespaceFolder, ns), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("exec inside %s: open namespace: %w; is its owner still running?", ns, err)
	}
	if err := unix.Setns(file, unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("exec inside %s: enter namespace: %w; run as root", ns, err)
	}
	if resolvConf != "" {
		if err := replaceResolver(resolvConf); err != nil {
			return fmt.Errorf("exec inside %s: %w", ns, err)
		}
	}
	return fmt.Errorf("exec inside %s: %s: %w", ns, program, unix.Exec(program, argv, os.Environ()))
}

// replaceResolver mounts the resolver's files over those of /etc, for this thread alone. The other mounts become slaves,
// not private: a namespace's name that is removed outside must go away here too.
func replaceResolver(resolvConf string) error {
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("unshare mounts: %w; run as root", err)
	}
	if err := unix.Mount("", "/", "none", unix.MS_SLAVE|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("take mounts apart: %w", err)
	}
	if err := unix.Mount(resolvConf, "/etc/resolv.conf", "none", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("mount %s over /etc/resolv.conf: %w; both must be files", resolvConf, err)
	}
	nsswitch := filepath.Join(filepath.Dir(resolvConf), "nsswitch.conf")
	err := unix.Mount(nsswitch, "/etc/nsswitch.conf", "none", unix.MS_BIND, "")
	if err != nil && err != unix.ENOENT {
		return fmt.Errorf("mount %s over /etc/nsswitch.conf: %w", nsswitch, err)
	}
	return nil
}

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"

	"github.com/spf13/cobra"

	"postern/cloud"
	"postern/lab"
)

func newExec(a *app) *cobra.Command {
	command := &cobra.Command{
		Use:   "exec NIC -- COMMAND [ARGUMENT...]",
		Short: "Run a program as the VM of a NIC",
		Long: "In the kernel data path the program runs in the VM's network namespace, with the VM's name resolution (root). In the\n" +
			"userspace data path it runs here with ALL_PROXY, HTTP_PROXY and HTTPS_PROXY set to a SOCKS5 proxy into the VM\n" +
			"(socks5h: names are resolved by the VM); a program that does not honour them does not leave from the VM.\n" +
			"POSTERN_CA names the file with the cloud's certificate authority.",
		Example: "  postern exec nic-app -- curl --cacert $POSTERN_CA https://stvnetstorageendpoints.table.core.windows.net/",
		Args:    cobra.MinimumNArgs(2),
	}
	command.SetFlagErrorFunc(func(_ *cobra.Command, err error) error {
		return fmt.Errorf("%w: flags of the program stand behind --", err)
	})
	command.RunE = func(command *cobra.Command, args []string) error {
		c, err := a.connect()
		if err != nil {
			return err
		}
		defer c.Close()
		how, err := c.Exec(command.Context(), args[0])
		if err != nil {
			return err
		}
		dir, err := stateDir(a.dir)
		if err != nil {
			return err
		}
		if err := os.Setenv("POSTERN_CA", cloud.CAFile(dir)); err != nil {
			return err
		}
		if how.Namespace != "" {
			return lab.ExecInside(how.Namespace, how.ResolvConf, args[1:])
		}
		return a.runProxied(command, how.SOCKS, args[1:])
	}
	return command
}

// runProxied runs a program whose traffic goes through a VM's SOCKS5 proxy. Its exit code becomes ours.
func (a *app) runProxied(command *cobra.Command, proxy string, argv []string) error {
	child := exec.CommandContext(command.Context(), argv[0], argv[1:]...)
	child.Stdin, child.Stdout, child.Stderr = a.stdin, inherited(a.stdout), inherited(a.stderr)
	child.Env = os.Environ()
	for _, name := range []string{"ALL_PROXY", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "http_proxy", "https_proxy"} {
		child.Env = append(child.Env, name+"=socks5h://"+proxy)
	}
	err := child.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
			return errExit{128 + int(status.Signal())} // as shells do
		}
		return errExit{exit.ExitCode()}
	}
	if err != nil {
		return fmt.Errorf("run %s: %w", argv[0], err)
	}
	return nil
}

// errExit ends the command with a child's exit code, which has said all there is to say.
type errExit struct{ code int }

func (e errExit) Error() string { return fmt.Sprintf("exit code %d", e.code) }

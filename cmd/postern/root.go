package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"postern/resource"
)

// Exit codes of every command.
const (
	exitDone  = 0
	exitFail  = 1 // it failed, or the answer is a denial
	exitUsage = 2 // the command line is wrong
)

// app is what every command works with.
type app struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	dir            string // --dir as given: see stateDir
}

// commands makes the subcommands in the order of the help.
var commands = []func(*app) *cobra.Command{
	newDemo, newUp, newEnv, newExec,
	newApply, newGet, newDelete,
	newRoutes, newExplain, newLogs, newTags, newBench,
	newPrincipal, newKeys, newActivity,
	newVersion,
}

func newRoot(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:   "postern",
		Short: "Virtual network service endpoints, self-hosted",
		Long: "Postern runs virtual networks, service endpoints and their rules on your own machines, with real packets.\n\n" +
			"Exit codes: 0 done, 1 failed or denied, 2 wrong usage.",
		SilenceErrors: true, SilenceUsage: true,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
	}
	root.PersistentFlags().StringVar(&a.dir, "dir", "", "state `folder` of the cloud (default $"+dirVariable+", else a folder of the user's)")
	for _, make := range commands {
		root.AddCommand(make(a))
	}
	root.AddCommand(nodeCommands(a)...)
	return root
}

// errUsage marks an error that is a matter of the command line.
type errUsage struct{ error }

func (e errUsage) Unwrap() error { return e.error }

// errDenied ends a command whose answer, already written, is a denial.
var errDenied = errors.New("denied")

// run is the command line without the process around it.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	root := newRoot(&app{stdin: stdin, stdout: stdout, stderr: stderr})
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	// What fails before a command's own work has begun is wrong usage: an unknown command, flag or argument.
	begun := false
	noteBegin(root, &begun)
	at, err := root.ExecuteContextC(ctx)
	var usage errUsage
	var child errExit
	switch {
	case err == nil:
		return exitDone
	case errors.Is(err, errDenied), errors.Is(err, syscall.EPIPE), errors.Is(context.Cause(ctx), syscall.EPIPE):
		return exitFail // who reads no more needs no message
	case errors.As(err, &child):
		return child.code
	case !begun, errors.As(err, &usage):
		fmt.Fprintf(stderr, "postern: %s: see %s --help\n", strings.Join(strings.Fields(err.Error()), " "), at.CommandPath())
		return exitUsage
	}
	if errors.Is(err, context.Canceled) && ctx.Err() != nil {
		err = fmt.Errorf("%v: %w", context.Cause(ctx), err)
	}
	for line := range strings.SplitSeq(message(err), "\n") {
		fmt.Fprintf(stderr, "postern: %s\n", line)
	}
	return exitFail
}

func noteBegin(command *cobra.Command, begun *bool) {
	if inner := command.RunE; inner != nil {
		command.RunE = func(command *cobra.Command, args []string) error {
			*begun = true
			return inner(command, args)
		}
	}
	for _, child := range command.Commands() {
		noteBegin(child, begun)
	}
}

// message is an error for a person: one line for each thing that is wrong.
func message(err error) string {
	var refusal *resource.Error
	if !errors.As(err, &refusal) || strings.Contains(err.Error(), "\n") {
		return strings.TrimSpace(err.Error())
	}
	text := refusal.Message + " (" + refusal.Code + ")"
	if refusal.Target != "" && refusal.Target != refusal.Resource {
		text = refusal.Target + ": " + text
	}
	if refusal.Resource != "" {
		text = refusal.Resource + ": " + text
	}
	return strings.Join(strings.Fields(text), " ")
}

// newGroup makes a command that only holds others.
func newGroup(use, short string, children ...*cobra.Command) *cobra.Command {
	group := &cobra.Command{Use: use, Short: short, Args: func(command *cobra.Command, args []string) error {
		if len(args) > 0 {
			return fmt.Errorf("unknown command %q for %q", args[0], command.CommandPath())
		}
		return nil
	}, RunE: func(command *cobra.Command, _ []string) error { return command.Help() }}
	group.AddCommand(children...)
	return group
}

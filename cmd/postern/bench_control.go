package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"postern/bench"
)

func newBenchControl(a *app) *cobra.Command {
	var options bench.ControlOptions
	command := &cobra.Command{
		Use:   "control",
		Short: "The compiler with 100,000 network interfaces, and changes until 1,000 simulated nodes have them",
		Long: "Compiles a cloud of many network interfaces from nothing and after one change; then runs a control plane in a temporary\n" +
			"folder with simulated hosts, which take their plans and report them as applied, and measures changes until all have\n" +
			"reported. Exit code 1: a promise was not kept.",
		Example: "  postern bench control\n  postern bench control -o json --nics 10000",
		Args:    cobra.NoArgs,
	}
	output := formatFlag(command)
	command.Flags().IntVar(&options.NICs, "nics", 100_000, "network interfaces that are compiled")
	command.Flags().IntVar(&options.Nodes, "nodes", 1000, "hosts")
	command.Flags().IntVar(&options.Carried, "carried", 10_000, "network interfaces on the simulated hosts")
	command.Flags().IntVar(&options.Requests, "requests", 100, "changes of each kind")
	command.RunE = func(command *cobra.Command, _ []string) error {
		options.Progress = func(step string) { fmt.Fprintln(a.stderr, step) }
		report, err := bench.Control(command.Context(), options)
		if err != nil {
			return err
		}
		return a.report(report, *output)
	}
	return command
}

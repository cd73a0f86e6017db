package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"postern/bench"
)

func newBenchGateway(a *app) *cobra.Command {
	var options bench.GatewayOptions
	command := &cobra.Command{
		Use:   "gateway",
		Short: "The gateway beside HAProxy, nginx and plain routing, in turn (Linux, root)",
		Long: "Builds client, gateway's host and backend in network namespaces and measures in turn, over the same cables: connections that are\n" +
			"passed through, and HTTP that is terminated, beside HAProxy (TCP mode, splicing, two threads), nginx (stream, two workers)\n" +
			"and plain routing. A row is the median of the pairs' ratios with the least and the greatest. Exit code 1: a promise was not\n" +
			"kept, or a row could not be measured.",
		Example: "  postern bench gateway\n  postern bench gateway --rows passed-bulk,passed-memory -o json",
		Args:    cobra.NoArgs,
	}
	output := formatFlag(command)
	command.Flags().IntVar(&options.Pairs, "pairs", 5, "pairs a row, at least 5")
	command.Flags().DurationVar(&options.Duration, "duration", 500*time.Millisecond, "of one measurement of traffic")
	command.Flags().IntVar(&options.Connections, "connections", 10_000, "idle connections of the rows of memory")
	command.Flags().StringSliceVar(&options.Rows, "rows", nil, "rows to measure, or `BEGINNINGS` of their names (default: all)")
	command.RunE = func(command *cobra.Command, _ []string) error {
		options.Progress = func(row string) { fmt.Fprintf(a.stderr, "measuring %s\n", row) }
		report, err := bench.Gateway(command.Context(), options)
		if err != nil {
			return err
		}
		return a.report(report, *output)
	}
	return command
}

// newBenchGatewayProcess is what bench gateway starts.
func newBenchGatewayProcess(a *app) *cobra.Command {
	return &cobra.Command{
		Use:    "gateway-process",
		Short:  "A gateway without a control plane; its plan comes from the standard input",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			return bench.GatewayProcess(command.Context(), a.stdin, a.stdout)
		},
	}
}

func newBenchRevoke(a *app) *cobra.Command {
	var options bench.RevokeOptions
	command := &cobra.Command{
		Use:   "revoke",
		Short: "How soon 10,000 open connections are closed when a rule, an endpoint or a policy is taken away",
		Long: "Starts a cloud of its own in a temporary folder, opens connections from a VM to a storage account, and takes away what let\n" +
			"them in: from the API's answer to the reset of each, and whether each has its line in the access log. Exit code 1: a promise\n" +
			"was not kept.",
		Example: "  postern bench revoke\n  postern bench revoke -o json --connections 1000 --datapath userspace",
		Args:    cobra.NoArgs,
	}
	output := formatFlag(command)
	command.Flags().IntVar(&options.Connections, "connections", 10_000, "connections that are open at once")
	command.Flags().StringVar(&options.DataPath, "datapath", "", "kernel or userspace (default: kernel where it can run)")
	command.RunE = func(command *cobra.Command, _ []string) error {
		if err := judgeDataPath(options.DataPath); err != nil {
			return err
		}
		options.Progress = func(step string) { fmt.Fprintln(a.stderr, step) }
		report, err := bench.Revoke(command.Context(), options)
		if err != nil {
			return err
		}
		return a.report(report, *output)
	}
	return command
}

func newBenchSoak(a *app) *cobra.Command {
	var options bench.SoakOptions
	command := &cobra.Command{
		Use:   "soak",
		Short: "Connections come and go through a gateway that holds 10,000 others, for two minutes",
		Long: "Starts a cloud of its own in a temporary folder, opens connections from a VM to a storage account and holds them, while\n" +
			"others come, ask and go. Exit code 1: one failed, or a request has no line in the access log.",
		Example: "  postern bench soak\n  postern bench soak --for 10m --connections 1000 -o json",
		Args:    cobra.NoArgs,
	}
	output := formatFlag(command)
	command.Flags().DurationVar(&options.For, "for", 2*time.Minute, "how long they come and go")
	command.Flags().IntVar(&options.Connections, "connections", 10_000, "connections that are held")
	command.Flags().IntVar(&options.Callers, "callers", 16, "connections that come and go side by side")
	command.Flags().StringVar(&options.DataPath, "datapath", "", "kernel or userspace (default: kernel where it can run)")
	command.RunE = func(command *cobra.Command, _ []string) error {
		if err := judgeDataPath(options.DataPath); err != nil {
			return err
		}
		options.Progress = func(step string) { fmt.Fprintln(a.stderr, step) }
		report, err := bench.Soak(command.Context(), options)
		if err != nil {
			return err
		}
		return a.report(report, *output)
	}
	return command
}

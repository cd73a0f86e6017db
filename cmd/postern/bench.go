package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"postern/bench"
)

func newBench(a *app) *cobra.Command {
	return newGroup("bench", "Measure beside the rivals, in one run", newBenchPath(a), newBenchAPI(a), newBenchControl(a),
		newBenchGateway(a), newBenchGatewayProcess(a), newBenchRevoke(a), newBenchSoak(a))
}

func newBenchPath(a *app) *cobra.Command {
	var options bench.Options
	command := &cobra.Command{
		Use:   "path",
		Short: "The data path beside plain routing and VXLAN, pairs in turn (Linux, root)",
		Long: "Builds hosts in network namespaces and measures pairs in turn: the endpoint path beside plain routed IPv4 over the same\n" +
			"cables, NIC to NIC beside the kernel's VXLAN, and the NIC program's time a packet with large plans beside small ones.\n" +
			"A row is the median of the pairs' ratios with the least and the greatest. Exit code 1: a promise was not kept.",
		Example: "  postern bench path\n  postern bench path -o json --pairs 9",
		Args:    cobra.NoArgs,
	}
	output := formatFlag(command)
	command.Flags().IntVar(&options.Pairs, "pairs", 5, "pairs a row, at least 5")
	command.Flags().DurationVar(&options.Duration, "duration", time.Second, "of one measurement of traffic")
	command.Flags().IntVar(&options.Runs, "runs", 20_000, "packets of one measurement of the NIC program")
	command.RunE = func(command *cobra.Command, _ []string) error {
		options.Progress = func(row string) { fmt.Fprintf(a.stderr, "measuring %s\n", row) }
		report, err := bench.Path(command.Context(), options)
		if err != nil {
			return err
		}
		return a.report(report, *output)
	}
	return command
}

// report writes what a benchmark found. Promises that were not kept make it a denial.
func (a *app) report(report bench.Report, as format) error {
	write := report.WriteTable
	if as == asJSON {
		write = report.WriteJSON
	}
	if err := write(a.stdout); err != nil {
		return err
	}
	if !report.Pass() {
		return errDenied
	}
	return nil
}

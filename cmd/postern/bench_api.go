package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"postern/bench"
)

func newBenchAPI(a *app) *cobra.Command {
	var options bench.APIOptions
	command := &cobra.Command{
		Use:   "api",
		Short: "The Resource Manager's door with 10,000 subnets: reads, writes until they are enforced, lists",
		Long: "Starts a cloud of its own in a temporary folder, fills it, and measures the API over HTTPS with a token: a GET of a subnet,\n" +
			"a PUT of a subnet and of an account's network rules until every node has applied it, lists by their nextLinks; then the same\n" +
			"beside and in a virtual network of 3,000 subnets. Exit code 1: a promise was not kept.",
		Example: "  postern bench api\n  postern bench api -o json --datapath userspace",
		Args:    cobra.NoArgs,
	}
	output := formatFlag(command)
	command.Flags().IntVar(&options.Subnets, "subnets", 10_000, "subnets, and as many other resources")
	command.Flags().IntVar(&options.Requests, "requests", 200, "requests of each kind")
	command.Flags().StringVar(&options.DataPath, "datapath", "", "kernel or userspace (default: kernel where it can run)")
	command.RunE = func(command *cobra.Command, _ []string) error {
		if err := judgeDataPath(options.DataPath); err != nil {
			return err
		}
		options.Progress = func(step string) { fmt.Fprintln(a.stderr, step) }
		report, err := bench.API(command.Context(), options)
		if err != nil {
			return err
		}
		return a.report(report, *output)
	}
	return command
}

package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"postern/cloud"
	"postern/resource"
)

func newUp() *cobra.Command {
	var options cloud.Options
	var file string
	command := &cobra.Command{
		Use:   "up",
		Short: "Run a whole cloud on this machine until Ctrl-C",
		Args:  cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			ctx := command.Context()
			items, err := resource.LoadFile(file)
			if err != nil {
				return err
			}
			options.Log = logger(command.ErrOrStderr())
			running, err := cloud.Start(ctx, options)
			if err != nil {
				return err
			}
			defer running.Close()
			if _, err := running.API().Apply(ctx, items, nil); err != nil {
				return err
			}
			fmt.Fprintf(command.OutOrStdout(), "up: %d resources, %s data path, state in %s\n", len(items), running.DataPath(), running.Dir())
			<-ctx.Done()
			return nil
		},
	}
	command.Flags().StringVarP(&file, "file", "f", "", "resources")
	command.Flags().StringVar(&options.Dir, "dir", "", "state folder")
	command.Flags().StringVar(&options.DataPath, "datapath", "", "kernel or userspace")
	return command
}

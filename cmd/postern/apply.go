package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"postern/resource"
)

func newApply(a *app) *cobra.Command {
	command := &cobra.Command{
		Use:   "apply -f FILE",
		Short: "Create or replace the resources of a file",
		Long: "Create or replace the resources of a file: ARM bodies in YAML or JSON, many to a file, each with an id, or a type and a\n" +
			"name. All of them are written or none. The command ends when every node has applied them.",
		Example: "  postern apply -f cloud.yaml",
		Args:    cobra.NoArgs,
	}
	path := command.Flags().StringP("file", "f", "", "`FILE` with resources, - for standard input")
	command.MarkFlagRequired("file")
	command.RunE = func(command *cobra.Command, _ []string) error {
		items, err := a.load(*path)
		if err != nil {
			return err
		}
		c, err := a.connect()
		if err != nil {
			return err
		}
		defer c.Close()
		revision, err := c.Apply(command.Context(), items, nil)
		if err != nil {
			return err
		}
		fmt.Fprintf(a.stdout, "applied %s; revision %d is in force on every node\n", counted(len(items), "resource"), revision)
		return nil
	}
	return command
}

func (a *app) load(path string) ([]resource.Item, error) {
	if path != "-" {
		return resource.LoadFile(path)
	}
	data, err := io.ReadAll(a.stdin)
	if err != nil {
		return nil, fmt.Errorf("read resources: %w", err)
	}
	return resource.Load("standard input", data)
}

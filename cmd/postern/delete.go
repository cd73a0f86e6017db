package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

func newDelete(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "delete ID",
		Short:   "Delete a resource",
		Long:    "Delete the resource with an ID, as postern get takes it. The command ends when every node has applied that.",
		Example: "  postern delete routeTables/rt",
		Args:    cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, args []string) error {
			id, typ, err := parseWhat(args[0])
			if err == nil && id == nil {
				err = fmt.Errorf("%q is a type: name one resource, %s/NAME", args[0], typ)
			}
			if err != nil {
				return errUsage{err}
			}
			c, err := a.connect()
			if err != nil {
				return err
			}
			defer c.Close()
			// The server takes the deletion of what is not there for done; a person who mistyped a name must hear of it.
			if _, err := c.Get(command.Context(), *id); err != nil {
				return err
			}
			if err := c.Delete(command.Context(), *id); err != nil {
				return err
			}
			fmt.Fprintf(a.stdout, "deleted %s\n", id)
			return nil
		},
	}
}

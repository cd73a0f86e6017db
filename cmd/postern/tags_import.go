package main

import (
	"bytes"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"postern/servicetag"
)

func newTagsImport(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "import FILE",
		Short: "Take Microsoft's weekly service-tag file into the running cloud",
		Long: "Take a service-tag file, plain JSON or packed with gzip, into the running cloud. It is read and checked as a whole\n" +
			"first: a file that is cut off or wrong changes nothing. The command ends when every node has the new routes.",
		Example: "  postern tags import ServiceTags_Public.json",
		Args:    cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, args []string) error {
			data, err := os.ReadFile(args[0])
			if err != nil {
				return fmt.Errorf("import service tags: %w", err)
			}
			catalogue, err := servicetag.Parse(bytes.NewReader(data))
			if err != nil {
				return fmt.Errorf("%s: %w; nothing was changed", args[0], err)
			}
			c, err := a.connect()
			if err != nil {
				return err
			}
			defer c.Close()
			if err := c.PutCatalogue(command.Context(), data); err != nil {
				return err
			}
			fmt.Fprintf(a.stdout, "imported %d service tags, change number %d\n", len(catalogue.Names()), catalogue.ChangeNumber())
			return nil
		},
	}
}

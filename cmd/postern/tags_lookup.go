package main

import (
	"fmt"
	"net/netip"

	"github.com/spf13/cobra"

	"postern/servicetag"
)

// lookup is the JSON form of postern tags lookup.
type lookup struct {
	Address netip.Addr         `json:"address"`
	Matches []servicetag.Match `json:"matches"`
}

func newTagsLookup(a *app) *cobra.Command {
	command := &cobra.Command{
		Use:     "lookup IP",
		Short:   "Every tag that contains an address, longest prefix first",
		Example: "  postern tags lookup 191.239.203.0",
		Args:    cobra.ExactArgs(1),
	}
	output := formatFlag(command)
	command.RunE = func(command *cobra.Command, args []string) error {
		address, err := netip.ParseAddr(args[0])
		if err != nil {
			return errUsage{fmt.Errorf("%q is no IP address", args[0])}
		}
		catalogue, err := a.catalogue(command.Context())
		if err != nil {
			return err
		}
		matches := catalogue.Lookup(address)
		if *output == asJSON {
			return writeJSON(a.stdout, lookup{address, append([]servicetag.Match{}, matches...)})
		}
		if len(matches) == 0 {
			return fmt.Errorf("no service tag has %v: a newer catalogue may; postern tags import takes Microsoft's weekly file", address)
		}
		rows := [][]string{{"TAG", "PREFIX", "SYSTEM SERVICE", "REGION"}}
		for _, match := range matches {
			rows = append(rows, []string{match.Tag, match.Prefix.String(), match.SystemService, string(match.Location)})
		}
		return writeTable(a.stdout, rows)
	}
	return command
}

package main

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"

	"github.com/spf13/cobra"

	"postern/inspect"
	"postern/routes"
)

func newRoutes(a *app) *cobra.Command {
	command := &cobra.Command{
		Use:   "routes NIC",
		Short: "Effective routes of a NIC, winners and losers",
		Long: "Effective routes of a NIC, given by its name or id. An overridden route stays in the list as Invalid, with the rule and\n" +
			"the route that won. Routes with many prefixes, those of endpoints say, show the first one; --all and -o json show all.",
		Example: "  postern routes nic-app\n  postern routes nic-app -o json",
		Args:    cobra.ExactArgs(1),
	}
	output := formatFlag(command)
	all := command.Flags().Bool("all", false, "show every prefix, each in a line of its own")
	command.RunE = func(command *cobra.Command, args []string) error {
		c, err := a.connect()
		if err != nil {
			return err
		}
		defer c.Close()
		data, err := c.Routes(command.Context(), args[0])
		if err != nil {
			return err
		}
		var answer inspect.Routes
		if err := json.Unmarshal(data, &answer); err != nil {
			return fmt.Errorf("read the server's routes: %w", err)
		}
		if *output == asJSON {
			return writeJSON(a.stdout, answer)
		}
		return writeTable(a.stdout, routeRows(answer.Value, *all))
	}
	return command
}

func routeRows(list []routes.Effective, all bool) [][]string {
	rows := [][]string{{"SOURCE", "STATE", "PREFIX", "NEXT HOP TYPE", "NEXT HOP", "NAME", "OVERRIDDEN BY", "RULE"}}
	for _, route := range list {
		prefixes := []string{abbreviated(route)}
		if all {
			prefixes = prefixes[:0]
			for _, prefix := range route.Prefixes {
				prefixes = append(prefixes, prefix.String())
			}
		}
		for _, prefix := range prefixes {
			rows = append(rows, []string{route.Source.String(), string(route.State), prefix, route.NextHopType.String(),
				joined(route.NextHopIPs), route.Name, route.OverriddenBy, route.Rule})
		}
	}
	return rows
}

// abbreviated is the first prefix of a route, how many more there are, and the tags that they come from (ROUTE-18).
func abbreviated(route routes.Effective) string {
	if len(route.Prefixes) == 0 {
		return ""
	}
	text := route.Prefixes[0].String()
	if more := len(route.Prefixes) - 1; more > 0 {
		text += fmt.Sprintf(" +%d more", more)
	}
	if len(route.ServiceTags) > 0 {
		text += " (" + strings.Join(route.ServiceTags, ", ") + ")"
	}
	return text
}

func joined(addresses []netip.Addr) string {
	texts := make([]string, len(addresses))
	for i, address := range addresses {
		texts[i] = address.String()
	}
	return strings.Join(texts, ",")
}

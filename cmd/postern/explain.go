package main

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"postern/explain"
)

func newExplain(a *app) *cobra.Command {
	command := &cobra.Command{
		Use:   "explain --from NIC --to HOST:PORT",
		Short: "What becomes of a packet, step by step, and why",
		Long: "What becomes of the first packet of a connection from a NIC: every step with the rule behind it, the route that won and\n" +
			"those that lost, and the verdict, which is the same as a real packet gets. HOST is an IPv4 address or an account's name.\n" +
			"The exit code is 0 if the packet gets through, and 1 if it is denied.",
		Example: "  postern explain --from nic-app --to stvnetstorageendpoints.table.core.windows.net:443",
		Args:    cobra.NoArgs,
	}
	output := formatFlag(command)
	from := command.Flags().String("from", "", "the `NIC` that sends, by name or id")
	to := command.Flags().String("to", "", "`HOST:PORT` that it sends to")
	udp := command.Flags().Bool("udp", false, "a UDP datagram in the place of a TCP SYN")
	command.MarkFlagRequired("from")
	command.MarkFlagRequired("to")
	command.RunE = func(command *cobra.Command, _ []string) error {
		if _, _, err := explain.ParseTarget(*to); err != nil {
			return errUsage{err}
		}
		c, err := a.connect()
		if err != nil {
			return err
		}
		defer c.Close()
		protocol := "tcp"
		if *udp {
			protocol = "udp"
		}
		data, err := c.Explain(command.Context(), *from, *to, protocol)
		if err != nil {
			return err
		}
		var explanation explain.Explanation
		if err := json.Unmarshal(data, &explanation); err != nil {
			return fmt.Errorf("read the server's explanation: %w", err)
		}
		if *output == asJSON {
			err = writeJSON(a.stdout, explanation)
		} else {
			err = explanation.WriteText(a.stdout)
		}
		if err == nil && !explanation.Verdict.Allowed {
			err = errDenied
		}
		return err
	}
	return command
}

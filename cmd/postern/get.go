package main

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"postern/resource"
)

func newGet(a *app) *cobra.Command {
	command := &cobra.Command{
		Use:   "get [TYPE|ID]",
		Short: "List resources, or read one",
		Long: "List all resources or those of one TYPE, such as networkInterfaces, or read the one with an ID: a full one, or its end\n" +
			"from the type on in the default group, such as virtualNetworks/vnet/subnets/snet-app.",
		Example: "  postern get\n  postern get storageAccounts\n  postern get networkInterfaces/nic-app -o json",
		Args:    cobra.MaximumNArgs(1),
	}
	output := formatFlag(command)
	command.RunE = func(command *cobra.Command, args []string) error {
		what := ""
		if len(args) > 0 {
			what = args[0]
		}
		id, typ, err := parseWhat(what)
		if err != nil {
			return errUsage{err}
		}
		c, err := a.connect()
		if err != nil {
			return err
		}
		defer c.Close()
		if id != nil {
			body, err := c.Get(command.Context(), *id)
			if err != nil {
				return err
			}
			if *output == asJSON {
				return writeJSON(a.stdout, body)
			}
			return writeResources(a, []json.RawMessage{body})
		}
		list, err := c.List(command.Context(), typ)
		if err != nil {
			return err
		}
		if *output == asJSON {
			return writeJSON(a.stdout, append([]json.RawMessage{}, list...))
		}
		return writeResources(a, list)
	}
	return command
}

// parseWhat reads an argument that is an id (not nil) or a type; "" is every type.
func parseWhat(text string) (*resource.ID, string, error) {
	if text == "" {
		return nil, "", nil
	}
	for _, name := range resource.TypeNames() {
		if _, short, _ := strings.Cut(name, "/"); strings.EqualFold(text, name) || strings.EqualFold(text, short) {
			return nil, name, nil
		}
	}
	full, ok := resource.Expand(text)
	if !ok {
		var short []string
		for _, name := range resource.TypeNames() {
			short = append(short, name[strings.IndexByte(name, '/')+1:])
		}
		return nil, "", fmt.Errorf("%q is no type and no id: use TYPE/NAME, or one of %s", text, strings.Join(short, ", "))
	}
	id, err := resource.ParseID(full)
	if err != nil {
		return nil, "", fmt.Errorf("%s", message(err))
	}
	return &id, "", nil
}

func writeResources(a *app, list []json.RawMessage) error {
	rows := [][]string{{"TYPE", "NAME", "LOCATION", "STATE"}}
	for _, body := range list {
		var one struct {
			ID         string `json:"id"`
			Name       string `json:"name"`
			Type       string `json:"type"`
			Location   string `json:"location"`
			Properties struct {
				State string `json:"provisioningState"`
			} `json:"properties"`
		}
		if err := json.Unmarshal(body, &one); err != nil {
			return fmt.Errorf("read the server's list: %w", err)
		}
		rows = append(rows, []string{one.Type, one.Name, one.Location, one.Properties.State})
	}
	return writeTable(a.stdout, rows)
}

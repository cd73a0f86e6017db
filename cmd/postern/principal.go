package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"postern/api/client"
	"postern/resource"
)

func newPrincipal(a *app) *cobra.Command {
	return newGroup("principal", "Who may use the API: make, list and remove service principals",
		newPrincipalCreate(a), newPrincipalList(a), newPrincipalDelete(a), newPrincipalReset(a))
}

func newPrincipalCreate(a *app) *cobra.Command {
	var wanted client.NewPrincipal
	command := &cobra.Command{
		Use:   "create NAME",
		Short: "Make a service principal, and show its secret this once",
		Long: "Make a service principal, and show its secret this once: what is kept does not tell it. It may do nothing until it has a role:\n" +
			"give one with --role here, or later by az role assignment create.",
		Example: "  postern principal create ci --role Contributor\n  postern principal create audit --role Reader --scope /subscriptions/" + resource.DefaultSubscription + "/resourceGroups/demo",
		Args:    cobra.ExactArgs(1),
	}
	output := formatFlag(command)
	command.Flags().StringVar(&wanted.Role, "role", "", "`role` to give it, by name or GUID")
	command.Flags().StringVar(&wanted.Scope, "scope", "/subscriptions/"+resource.DefaultSubscription, "`scope` of the role: / for all there is, a subscription, a group or a resource")
	command.RunE = func(command *cobra.Command, args []string) error {
		c, err := a.connect()
		if err != nil {
			return err
		}
		defer c.Close()
		wanted.Name = args[0]
		made, err := c.CreatePrincipal(command.Context(), wanted)
		if err != nil {
			return err
		}
		return writePrincipal(a, *output, made)
	}
	return command
}

func newPrincipalReset(a *app) *cobra.Command {
	command := &cobra.Command{
		Use:   "reset NAME|APP-ID|OBJECT-ID",
		Short: "Give a service principal a new secret, and show it this once",
		Long:  "Give a service principal a new secret, and show it this once. The former one no longer signs in; tokens live on for up to a day.",
		Args:  cobra.ExactArgs(1),
	}
	output := formatFlag(command)
	command.RunE = func(command *cobra.Command, args []string) error {
		c, err := a.connect()
		if err != nil {
			return err
		}
		defer c.Close()
		changed, err := c.ResetPrincipal(command.Context(), args[0])
		if err != nil {
			return err
		}
		return writePrincipal(a, *output, changed)
	}
	return command
}

// writePrincipal shows a principal with its new secret.
func writePrincipal(a *app, output format, one client.Principal) error {
	if output == asJSON {
		return writeJSON(a.stdout, one)
	}
	return writeTable(a.stdout, [][]string{{"NAME", one.Name}, {"APP ID", one.AppID}, {"OBJECT ID", one.ObjectID}, {"TENANT", one.Tenant},
		{"ROLES", rolesText(one)}, {"SECRET", one.Secret}})
}

func rolesText(one client.Principal) string {
	var roles []string
	for _, role := range one.Roles {
		roles = append(roles, role.Name+" at "+role.Scope)
	}
	return strings.Join(roles, ", ")
}

func newPrincipalList(a *app) *cobra.Command {
	command := &cobra.Command{
		Use:   "list",
		Short: "Service principals and the VMs' managed identities, with their roles",
		Args:  cobra.NoArgs,
	}
	output := formatFlag(command)
	command.RunE = func(command *cobra.Command, _ []string) error {
		c, err := a.connect()
		if err != nil {
			return err
		}
		defer c.Close()
		list, err := c.Principals(command.Context())
		if err != nil {
			return err
		}
		if *output == asJSON {
			return writeJSON(a.stdout, append([]client.Principal{}, list...))
		}
		rows := [][]string{{"NAME", "KIND", "APP ID", "OBJECT ID", "ROLES"}}
		for _, one := range list {
			rows = append(rows, []string{one.Name, one.Kind, one.AppID, one.ObjectID, rolesText(one)})
		}
		return writeTable(a.stdout, rows)
	}
	return command
}

func newPrincipalDelete(a *app) *cobra.Command {
	command := &cobra.Command{
		Use:   "delete NAME|APP-ID|OBJECT-ID",
		Short: "Remove a service principal with its roles; its tokens are refused at once",
		Args:  cobra.ExactArgs(1),
	}
	command.RunE = func(command *cobra.Command, args []string) error {
		c, err := a.connect()
		if err != nil {
			return err
		}
		defer c.Close()
		deleted, err := c.DeletePrincipal(command.Context(), args[0])
		if err != nil {
			return err
		}
		fmt.Fprintf(a.stdout, "deleted %s (app id %s)\n", deleted.Name, deleted.AppID)
		return nil
	}
	return command
}

func newKeys(a *app) *cobra.Command {
	rotate := &cobra.Command{
		Use:   "rotate",
		Short: "Let the next signing keys take over now; they do every day by themselves",
		Long:  "Let the next signing keys take over now; they do every day by themselves. Tokens that were given before stay good until they expire.",
		Args:  cobra.NoArgs,
	}
	output := formatFlag(rotate)
	rotate.RunE = func(command *cobra.Command, _ []string) error {
		c, err := a.connect()
		if err != nil {
			return err
		}
		defer c.Close()
		keys, err := c.RotateKeys(command.Context())
		if err != nil {
			return err
		}
		if *output == asJSON {
			return writeJSON(a.stdout, keys)
		}
		fmt.Fprintf(a.stdout, "%s signs the API's tokens now; %s published\n", keys.KeyID, counted(len(keys.Published), "key"))
		return nil
	}
	return newGroup("keys", "The keys that tokens are signed with", rotate)
}

package main

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"postern/activity"
	"postern/resource"
)

func newActivity(a *app) *cobra.Command {
	var group, id, caller, status, correlation string
	var since time.Duration
	var top int
	command := &cobra.Command{
		Use:   "activity",
		Short: "Who wrote what and when, and how it ended: the activity log",
		Long: "Every write and action of the API, by whoever came: Started when it is allowed, and Succeeded, Failed or Accepted when it is\n" +
			"answered. What was accepted has its end when it is in force. az monitor activity-log list shows the same.",
		Example: "  postern activity --since 10m\n  postern activity --status Failed --caller ci",
		Args:    cobra.NoArgs,
	}
	output := formatFlag(command)
	flags := command.Flags()
	flags.DurationVar(&since, "since", 6*time.Hour, "how far to look back")
	flags.StringVar(&group, "group", "", "of a resource `group` alone")
	flags.StringVar(&id, "resource", "", "of a resource alone, by TYPE/NAME or id, and what lies in it")
	flags.StringVar(&caller, "caller", "", "of a caller alone: name, app id or object id")
	flags.StringVar(&status, "status", "", "Started, Accepted, Succeeded or Failed alone")
	flags.StringVar(&correlation, "correlation", "", "what one request brought about, by its correlation `id`")
	flags.IntVar(&top, "top", 200, "how many of the newest")
	command.RunE = func(command *cobra.Command, _ []string) error {
		if since <= 0 || top < 1 {
			return errUsage{fmt.Errorf("--since and --top must be above 0")}
		}
		if id != "" {
			full, ok := resource.Expand(id)
			if !ok {
				return errUsage{fmt.Errorf("--resource %q is no id: use TYPE/NAME or a full id", id)}
			}
			id = full
		}
		c, err := a.connect()
		if err != nil {
			return err
		}
		defer c.Close()
		list, err := c.Activity(command.Context(), url.Values{"since": {time.Now().Add(-since).UTC().Format(time.RFC3339Nano)}, "group": {group}, "resource": {id},
			"caller": {caller}, "status": {status}, "correlation": {correlation}, "top": {strconv.Itoa(top)}})
		if err != nil {
			return err
		}
		if *output == asJSON {
			return writeJSON(a.stdout, append([]json.RawMessage{}, list...))
		}
		rows := [][]string{}
		for _, line := range slices.Backward(list) {
			var event activity.Event
			if err := json.Unmarshal(line, &event); err != nil {
				return fmt.Errorf("read the server's list: %w", err)
			}
			code := ""
			if event.Code > 0 {
				code = strconv.Itoa(event.Code)
			}
			rows = append(rows, []string{event.Time.Local().Format("15:04:05.000"), event.Caller.Name, event.Status, code, event.Operation, event.Resource, event.ErrorCode})
		}
		return writeTable(a.stdout, append([][]string{{"TIME", "CALLER", "STATUS", "CODE", "OPERATION", "RESOURCE", "ERROR"}}, rows...))
	}
	return command
}

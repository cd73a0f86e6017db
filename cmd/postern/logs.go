package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"postern/gateway"
)

// logFolder is where each gateway of a state folder writes its access log, GATEWAY.jsonl.
const logFolder = "logs"

// selection picks log entries: gateway.Filter, and a status by its number.
type selection struct {
	filter gateway.Filter
	code   int // HTTP status, 0 for every one
}

func (s selection) match(entry gateway.Entry) bool {
	return (s.code == 0 || s.code == entry.StatusCode) && s.filter.Match(entry)
}

func newLogs(a *app) *cobra.Command {
	command := &cobra.Command{
		Use:   "logs",
		Short: "The access log of the services",
		Long: "The access log of all gateways in the order of time (FW-13). With -o json each entry is one line, as the gateways\n" +
			"write it.",
		Example: "  postern logs --account stvnetstorageendpoints --since 5m\n  postern logs --status 403 -f",
		Args:    cobra.NoArgs,
	}
	output := formatFlag(command)
	var chosen selection
	var status, since string
	flags := command.Flags()
	flags.StringVar(&chosen.filter.Account, "account", "", "entries of one account, by `NAME`")
	flags.StringVar(&chosen.filter.Subnet, "subnet", "", "entries of callers in one subnet, by `NAME` or id")
	flags.StringVar(&status, "status", "", "entries with one `STATUS`: a number such as 403, or a text such as AuthorizationFailure")
	flags.StringVar(&since, "since", "", "entries since a `TIME`: 90s, 5m, or 2006-01-02T15:04:05Z")
	flags.BoolVar(&chosen.filter.DeniedOnly, "denied", false, "denials alone")
	otel := flags.Bool("otel", false, "one line of JSON an entry by the names of OpenTelemetry, for a collector")
	follow := flags.BoolP("follow", "f", false, "go on with new entries until interrupted")
	command.RunE = func(command *cobra.Command, _ []string) error {
		if err := chosen.read(status, since, time.Now()); err != nil {
			return errUsage{err}
		}
		dir, err := stateDir(a.dir)
		if err != nil {
			return err
		}
		folder := filepath.Join(dir, logFolder)
		printer := &logPrinter{w: a.stdout, json: *output == asJSON, otel: *otel}
		if *follow {
			return followLogs(command.Context(), folder, chosen, printer, a.stderr)
		}
		return showLogs(command.Context(), folder, chosen, printer, a.stderr)
	}
	return command
}

// read takes the flags that need more than a copy.
func (s *selection) read(status, since string, now time.Time) error {
	if code, err := strconv.Atoi(status); err == nil {
		s.code = code
	} else {
		s.filter.StatusText = status
	}
	if since == "" {
		return nil
	}
	if ago, err := time.ParseDuration(since); err == nil && ago >= 0 {
		s.filter.Since = now.Add(-ago)
		return nil
	}
	at, err := time.Parse(time.RFC3339, since)
	if err != nil {
		return fmt.Errorf("--since %q is no time: use a duration such as 5m, or 2006-01-02T15:04:05Z", since)
	}
	s.filter.Since = at
	return nil
}

// showLogs prints what there is.
func showLogs(ctx context.Context, folder string, chosen selection, printer *logPrinter, warnings io.Writer) error {
	paths, err := gateway.LogPaths(folder)
	if err != nil {
		return err
	}
	if len(paths) == 0 {
		return fmt.Errorf("no access log in %s: start a cloud with postern up, or name its state folder by --dir", folder)
	}
	var entries []gateway.Entry
	for _, path := range paths {
		read, err := gateway.ReadLogFile(ctx, path)
		var unreadable *gateway.UnreadableLinesError
		if errors.As(err, &unreadable) {
			fmt.Fprintf(warnings, "postern: %s: %v\n", path, err)
		} else if err != nil {
			return err
		}
		entries = append(entries, read...)
	}
	return printer.print(ordered(entries, chosen))
}

// ordered picks entries and sorts them by time.
func ordered(entries []gateway.Entry, chosen selection) []gateway.Entry {
	entries = slices.DeleteFunc(entries, func(entry gateway.Entry) bool { return !chosen.match(entry) })
	slices.SortStableFunc(entries, func(a, b gateway.Entry) int { return a.Time.Compare(b.Time) })
	return entries
}

// logPrinter writes entries, several times with one header.
type logPrinter struct {
	w      io.Writer
	json   bool
	otel   bool
	headed bool
}

func (p *logPrinter) print(entries []gateway.Entry) error {
	if p.json || p.otel {
		encoder := json.NewEncoder(p.w)
		encoder.SetEscapeHTML(false)
		for _, entry := range entries {
			var line any = entry
			if p.otel {
				line = entry.LogRecord()
			}
			if err := encoder.Encode(line); err != nil {
				return err
			}
		}
		return nil
	}
	if p.headed && len(entries) == 0 {
		return nil
	}
	var table strings.Builder
	if err := gateway.RenderTable(&table, entries); err != nil {
		return err
	}
	text := table.String()
	if p.headed {
		_, text, _ = strings.Cut(text, "\n")
	}
	p.headed = true
	_, err := io.WriteString(p.w, text)
	return err
}

// followPause is how long followLogs waits before it looks again.
const followPause = 100 * time.Millisecond

// followLogs prints what there is and what comes, also of gateways that begin later, until the context ends.
func followLogs(ctx context.Context, folder string, chosen selection, printer *logPrinter, warnings io.Writer) error {
	tails := map[string]*gateway.Tail{}
	defer func() {
		for _, tail := range tails {
			tail.Close()
		}
	}()
	ticker := time.NewTicker(followPause)
	defer ticker.Stop()
	for {
		paths, err := gateway.LogPaths(folder)
		if err != nil {
			return err
		}
		var entries []gateway.Entry
		behind := false
		for _, path := range paths {
			if tails[path] == nil {
				tails[path] = gateway.NewTail(path)
			}
			read, more, err := tails[path].Read()
			if err != nil {
				fmt.Fprintf(warnings, "postern: %v\n", err)
			}
			entries, behind = append(entries, read...), behind || more
		}
		if err := printer.print(ordered(entries, chosen)); err != nil {
			return err
		}
		if behind && ctx.Err() == nil {
			continue
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

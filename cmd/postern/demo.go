package main

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"postern/cloud"
	"postern/demo"
)

func newDemo(a *app) *cobra.Command {
	var dataPath, pace string
	var acts []string
	command := &cobra.Command{
		Use:   "demo",
		Short: "Build a small cloud and tell the main job as a story in acts, with real packets",
		Long: "The demo builds a cloud of two regions in a temporary folder, plays ten acts with real traffic, shows for each what\n" +
			"was expected and what was seen, and removes everything. It ends with 0 only if every act held.",
		Example: "  postern demo\n  postern demo -o json --datapath userspace",
		Args:    cobra.NoArgs,
	}
	output := formatFlag(command)
	command.Flags().StringVar(&dataPath, "datapath", "", "kernel or userspace (default: kernel where it can run)")
	command.Flags().StringVar(&pace, "pace", "scaled", "scaled, or real: a row a second and outages of 120 s")
	command.Flags().StringSliceVar(&acts, "act", nil, "play these acts alone")
	verbose := command.Flags().BoolP("verbose", "v", false, "show the parts' own messages")
	command.RunE = func(command *cobra.Command, _ []string) (err error) {
		options := demo.Options{Acts: acts, Progress: a.stdout}
		switch pace {
		case "scaled":
			options.Pace = demo.Scaled
		case "real":
			options.Pace = demo.Real
		default:
			return errUsage{fmt.Errorf("pace %q: use scaled or real", pace)}
		}
		if err := judgeDataPath(dataPath); err != nil {
			return err
		}
		for _, id := range acts {
			if !slices.Contains(demo.Acts(), id) {
				return errUsage{fmt.Errorf("act %q is not known: use some of %s", id, strings.Join(demo.Acts(), ","))}
			}
		}
		if *output == asJSON {
			options.Progress = a.stderr
		}
		started := cloud.Options{DataPath: dataPath}
		if *verbose {
			started.Log = logger(a.stderr)
		}
		running, err := cloud.Start(command.Context(), started)
		if err != nil {
			return err
		}
		defer func() {
			if closing := running.Close(); err == nil {
				err = closing
			}
		}()
		report, err := demo.Run(command.Context(), running, options)
		if writing := writeReport(a.stdout, report, *output); err == nil {
			err = writing
		}
		if err == nil && !report.Pass {
			err = errDenied
		}
		return err
	}
	return command
}

func writeReport(w io.Writer, report demo.Report, output format) error {
	if output == asJSON {
		data, err := report.JSON()
		if err != nil {
			return err
		}
		_, err = w.Write(data)
		return err
	}
	if len(report.Acts) == 0 {
		return nil // it did not begin
	}
	fmt.Fprintln(w)
	return report.WriteTable(w)
}

func logger(to io.Writer) *slog.Logger {
	level := slog.LevelInfo
	if os.Getenv("POSTERN_DEBUG") != "" {
		level = slog.LevelDebug
	}
	return slog.New(slog.NewTextHandler(to, &slog.HandlerOptions{Level: level}))
}

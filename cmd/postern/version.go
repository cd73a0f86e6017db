package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// version is set by the linker in releases; otherwise the build's own record says what it is.
var version string

// build is the JSON form of postern version.
type build struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"` // of the source, with "+" for changes that were not committed
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

func newVersion(a *app) *cobra.Command {
	command := &cobra.Command{Use: "version", Short: "What this program is", Args: cobra.NoArgs}
	output := formatFlag(command)
	command.RunE = func(*cobra.Command, []string) error {
		b := thisBuild()
		if *output == asJSON {
			return writeJSON(a.stdout, b)
		}
		fmt.Fprintf(a.stdout, "postern %s %s %s\n", b.Version, b.Go, b.Platform)
		return nil
	}
	return command
}

func thisBuild() build {
	b := build{Version: version, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	if b.Version == "" {
		b.Version = info.Main.Version
	}
	modified := false
	for _, setting := range info.Settings {
		switch setting.Key {
		case "vcs.revision":
			b.Revision = setting.Value
		case "vcs.modified":
			modified = setting.Value == "true"
		}
	}
	if modified {
		b.Revision += "+"
	}
	return b
}

package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"postern/cloud"
	"postern/examples"
	"postern/gateway"
	"postern/model"
	"postern/resource"
)

func newUp(a *app) *cobra.Command {
	var dataPath, file string
	var sample, empty bool
	var logMiB, logKeep int
	var door doorFlags
	command := &cobra.Command{
		Use:   "up",
		Short: "Run a whole cloud on this machine until Ctrl-C",
		Long: "The cloud has the resources of its state folder, and those of the file on top. Resources are ARM bodies in YAML or\n" +
			"JSON, many to a file. A new cloud without a file has the nodes of the sample: hosts, a gateway and an edge in westeurope\n" +
			"and in germanywestcentral. While it runs, the other commands work on it from another terminal.",
		Example: "  postern up -f examples/cloud.yaml\n  postern up --sample",
		Args:    cobra.NoArgs,
	}
	command.Flags().StringVarP(&file, "file", "f", "", "resources to apply: YAML or JSON")
	command.Flags().BoolVar(&sample, "sample", false, "apply the sample cloud that is built in (examples/cloud.yaml)")
	command.Flags().BoolVar(&empty, "empty", false, "begin a new cloud without nodes")
	command.Flags().StringVar(&dataPath, "datapath", "", "kernel or userspace (default: kernel where it can run)")
	addLogBounds(command, &logMiB, &logKeep)
	door.add(command)
	command.RunE = func(command *cobra.Command, _ []string) (err error) {
		if err := judgeDataPath(dataPath); err != nil {
			return err
		}
		items, err := upItems(file, sample)
		if err != nil {
			return err
		}
		dir, err := stateDir(a.dir)
		if err != nil {
			return err
		}
		if err := door.read(command); err != nil {
			return err
		}
		ctx := command.Context()
		running, err := cloud.Start(ctx, cloud.Options{Dir: dir, DataPath: dataPath, Log: logger(a.stderr),
			AccessLog: gateway.LogFile{MaxBytes: int64(logMiB) << 20, MaxParts: logKeep}})
		if err != nil {
			return err
		}
		defer func() {
			fmt.Fprintln(a.stdout, "ending: machines and processes are taken down, the state folder stays")
			if closing := running.Close(); err == nil {
				err = closing
			}
		}()
		if reason := running.Fallback(); reason != nil {
			fmt.Fprintf(a.stdout, "userspace data path, since the kernel's cannot run here: %v\n", reason)
		}
		if len(items) == 0 && !empty {
			if items, err = firstNodes(ctx, running); err != nil {
				return err
			}
		}
		if len(items) > 0 {
			if _, err := running.API().Apply(ctx, items, nil); err != nil {
				return err
			}
		}
		opened, err := door.open(ctx, running.Control())
		if err != nil {
			return err
		}
		sayUp(a, running, len(items))
		sayDoor(a.stdout, opened, running.Dir())
		<-ctx.Done()
		return nil
	}
	return command
}

// addLogBounds adds the flags that bound a gateway's access log.
func addLogBounds(command *cobra.Command, maxMiB, keepOld *int) {
	command.Flags().IntVar(maxMiB, "access-log-size", 64, "`MIB` of a gateway's access log before its file is renamed and a new one begun")
	command.Flags().IntVar(keepOld, "access-log-keep", 8, "how many renamed files of it are kept")
}

// judgeDataPath looks at the value of --datapath.
func judgeDataPath(name string) error {
	switch name {
	case "", cloud.Kernel, cloud.Userspace:
		return nil
	}
	return errUsage{fmt.Errorf("data path %q: use %s or %s", name, cloud.Kernel, cloud.Userspace)}
}

func upItems(file string, sample bool) ([]resource.Item, error) {
	switch {
	case file != "" && sample:
		return nil, errUsage{fmt.Errorf("--file and --sample exclude each other")}
	case sample:
		return resource.Load(examples.CloudName, examples.Cloud)
	case file != "":
		return resource.LoadFile(file)
	}
	return nil, nil
}

// firstNodes are the nodes that a cloud with nothing in it begins with; none for any other.
func firstNodes(ctx context.Context, running *cloud.Cloud) ([]resource.Item, error) {
	there, err := running.API().List(ctx, "")
	if err != nil || len(there) > 0 {
		return nil, err
	}
	return examples.Nodes()
}

func sayUp(a *app, running *cloud.Cloud, applied int) {
	fmt.Fprintf(a.stdout, "up: %s data path, %s applied\n", running.DataPath(), counted(applied, "resource"))
	fmt.Fprintf(a.stdout, "state folder: %s   (give it to the other commands: export %s=%s)\n", running.Dir(), dirVariable, running.Dir())
	resources, err := running.Control().Cache.Current(context.Background())
	if err != nil {
		return
	}
	nics := resources.Snapshot().NetworkInterfaces
	if len(nics) == 0 {
		fmt.Fprintf(a.stdout, "no VM yet; there are nodes for some in %s. try: az, or postern apply -f FILE     end with Ctrl-C\n", regionsOf(resources.Snapshot().Nodes))
		return
	}
	for _, nic := range nics {
		fmt.Fprintf(a.stdout, "  %-20s %-15s on %s\n", nic.ID.Name(), nic.IPv4, nic.Node)
	}
	fmt.Fprintln(a.stdout, "try: postern routes NIC | explain --from NIC --to HOST:PORT | exec NIC -- COMMAND | logs -f     end with Ctrl-C")
}

// regionsOf are the regions that have a host: "westeurope, germanywestcentral", or "no region".
func regionsOf(nodes []*model.Node) string {
	var regions []string
	for _, node := range nodes {
		if name := string(node.Location); node.Role == model.RoleHost && !slices.Contains(regions, name) {
			regions = append(regions, name)
		}
	}
	if len(regions) == 0 {
		return "no region"
	}
	slices.Sort(regions)
	return strings.Join(regions, ", ")
}

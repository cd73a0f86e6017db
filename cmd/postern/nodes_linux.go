package main

import (
	"io"

	"github.com/spf13/cobra"

	"postern/gateway"
	"postern/model"
	"postern/node"
	"postern/store"
	"postern/store/embedded"
)

// nodeCommands are the processes of a node.
func nodeCommands(a *app) []*cobra.Command { return []*cobra.Command{newAgent(a), newGateway(a)} }

// nodeFlags are what the processes of a node have in common.
type nodeFlags struct{ name, endpoint string }

func (f *nodeFlags) add(command *cobra.Command) {
	command.Flags().StringVar(&f.name, "node", "", "name of this node")
	command.Flags().StringVar(&f.endpoint, "store", "", "the store: unix:///path/to/socket or host:port (default: that of the state folder)")
	if err := command.MarkFlagRequired("node"); err != nil {
		panic(err) // the flag was added above
	}
}

// connect reaches the store, and tells the state folder.
func (f *nodeFlags) connect(a *app) (connection *store.Store, dir string, err error) {
	if dir, err = stateDir(a.dir); err != nil {
		return nil, "", err
	}
	if f.endpoint == "" {
		if f.endpoint, err = embedded.Endpoint(dir); err != nil {
			return nil, "", err
		}
	}
	connection, err = store.Connect(f.endpoint)
	return connection, dir, err
}

// newAgent is the process of a host or an edge. It runs in the network namespace of the node's interfaces.
func newAgent(a *app) *cobra.Command {
	var flags nodeFlags
	var role string
	options := node.KernelOptions{}
	command := &cobra.Command{
		Use:   "agent",
		Short: "Keep a host or an edge as its plan says (kernel data path)",
		Args:  cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			connection, dir, err := flags.connect(a)
			if err != nil {
				return err
			}
			defer connection.Close()
			options.Name, options.Dir, options.Role = flags.name, dir, model.Role(role)
			options.Store, options.Log = connection, logger(a.stderr)
			return node.RunKernel(command.Context(), options)
		},
	}
	flags.add(command)
	command.Flags().StringVar(&role, "role", string(model.RoleHost), "host or edge")
	command.Flags().StringVar(&options.Pins, "pins", "/sys/fs/bpf/postern", "folder on a bpffs for what outlives this process")
	command.Flags().StringVar(&options.Fabric, "fabric", "fabric0", "interface toward the fabric")
	command.Flags().StringVar(&options.Shadow, "shadow", "shadow0", "an edge's interface that its NICs' Internet addresses are routed to")
	return command
}

// accessLogFlags say where a gateway's access log goes.
type accessLogFlags struct {
	to              string
	maxMiB, keepOld int
}

func (f *accessLogFlags) add(command *cobra.Command) {
	flags := command.Flags()
	flags.StringVar(&f.to, "access-log", "", "`FILE` of the access log, or - for the standard output (default: logs/NODE.jsonl of the state folder)")
	addLogBounds(command, &f.maxMiB, &f.keepOld)
}

func (f *accessLogFlags) set(options *node.GatewayOptions, stdout io.Writer) {
	if f.to == "-" {
		options.LogTo = stdout
		return
	}
	options.AccessLog = gateway.LogFile{Path: f.to, MaxBytes: int64(f.maxMiB) << 20, MaxParts: f.keepOld}
}

// newGateway is the process of a gateway.
func newGateway(a *app) *cobra.Command {
	var flags nodeFlags
	var log accessLogFlags
	var metrics string
	var direct node.DirectOptions
	command := &cobra.Command{
		Use:   "gateway",
		Short: "Answer for the services and the platform of a region",
		Args:  cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			connection, dir, err := flags.connect(a)
			if err != nil {
				return err
			}
			defer connection.Close()
			options := node.GatewayOptions{
				Name: flags.name, Dir: dir, Store: connection, Sockets: node.KernelSockets{}, Log: logger(a.stderr), Metrics: metrics,
			}
			log.set(&options, a.stdout)
			direct.Name = flags.name
			if options.Direct, err = node.OpenDirect(direct, options.Log); err != nil {
				return err
			}
			return node.RunGateway(command.Context(), options)
		},
	}
	flags.add(command)
	log.add(command)
	command.Flags().StringVar(&direct.Pins, "pins", "/sys/fs/bpf/postern", "folder on a bpffs for what outlives this process")
	command.Flags().StringVar(&direct.Fabric, "fabric", "", "`INTERFACE` toward the fabric, where ports of the way direct are judged in the kernel; without it sockets pass them through")
	command.Flags().StringVar(&direct.Internet, "internet", "", "`INTERFACE` by which callers from the Internet come")
	command.Flags().StringVar(&metrics, "metrics", "", "`HOST:PORT` that answers GET /metrics for Prometheus, beside the socket in the state folder")
	return command
}

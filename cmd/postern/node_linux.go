package main

import (
	"github.com/spf13/cobra"

	"postern/model"
	"postern/node"
	"postern/store"
	"postern/store/embedded"
)

// nodeFlags are what the processes of a node have in common.
type nodeFlags struct {
	dir, name, endpoint string
}

func (f *nodeFlags) add(command *cobra.Command) {
	command.Flags().StringVar(&f.dir, "dir", "", "state folder: the agent's plan and socket, logs, and the store's socket")
	command.Flags().StringVar(&f.name, "node", "", "name of this node")
	command.Flags().StringVar(&f.endpoint, "store", "", "the store: unix:///path/to/socket or host:port (default: that of the state folder)")
	for _, flag := range []string{"dir", "node"} {
		if err := command.MarkFlagRequired(flag); err != nil {
			panic(err) // the flag was added above
		}
	}
}

func (f *nodeFlags) connect() (*store.Store, error) {
	if f.endpoint == "" {
		endpoint, err := embedded.Endpoint(f.dir)
		if err != nil {
			return nil, err
		}
		f.endpoint = endpoint
	}
	return store.Connect(f.endpoint)
}

// newAgent is the process of a host or an edge. It runs in the network namespace of the node's interfaces.
func newAgent() *cobra.Command {
	var flags nodeFlags
	var role string
	options := node.KernelOptions{}
	command := &cobra.Command{
		Use:   "agent",
		Short: "Keep a host or an edge as its plan says (kernel data path)",
		Args:  cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			connection, err := flags.connect()
			if err != nil {
				return err
			}
			defer connection.Close()
			options.Name, options.Dir, options.Role = flags.name, flags.dir, model.Role(role)
			options.Store, options.Log = connection, logger(command.ErrOrStderr())
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

// newGateway is the process of a gateway.
func newGateway() *cobra.Command {
	var flags nodeFlags
	command := &cobra.Command{
		Use:   "gateway",
		Short: "Answer for the services and the platform of a region",
		Args:  cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			connection, err := flags.connect()
			if err != nil {
				return err
			}
			defer connection.Close()
			return node.RunGateway(command.Context(), node.GatewayOptions{
				Name: flags.name, Dir: flags.dir, Store: connection, Sockets: node.KernelSockets{}, Log: logger(command.ErrOrStderr()),
			})
		},
	}
	flags.add(command)
	return command
}

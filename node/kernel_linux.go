package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"

	"golang.org/x/sync/errgroup"

	"postern/agent"
	"postern/datapath/kernel"
	"postern/gateway/relay"
	"postern/model"
	"postern/platform"
	"postern/store"
)

// KernelOptions are what a host's or an edge's process needs. It must run in the node's network namespace.
type KernelOptions struct {
	Name   string
	Role   model.Role
	Dir    string // the cloud's state folder
	Pins   string // folder on a bpffs, for the whole cloud
	Fabric string // interface toward the fabric
	Shadow string // an edge's interface toward its NICs
	Store  *store.Store
	Log    *slog.Logger
}

// PinsOf is where a node's maps and links are pinned below the cloud's folder.
func PinsOf(pins, name string) string { return filepath.Join(pins, name) }

// RunKernel keeps a host's or an edge's kernel side as its plan says, until the context ends. What it has set up goes on
// working without it; the next process adopts it.
func RunKernel(ctx context.Context, options KernelOptions) error {
	driver, err := kernel.Open(kernel.Options{
		Role: options.Role, Pins: PinsOf(options.Pins, options.Name), Fabric: options.Fabric, Shadow: options.Shadow,
	})
	if err != nil {
		return fmt.Errorf("node %s: %w", options.Name, err)
	}
	loop, err := agent.New(agent.Options{
		Node: options.Name, Dir: AgentDir(options.Dir), Plans: options.Store, Driver: driver, Log: options.Log,
	})
	if err != nil {
		return errors.Join(err, driver.Close())
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return loop.Run(ctx) })
	group.Go(func() error { return driver.FollowLinks(ctx, options.Log) })
	err = group.Wait()
	return errors.Join(err, driver.Close())
}

// KernelSockets are the sockets of the namespace that the process runs in.
type KernelSockets struct{}

// ListenTCP implements Sockets: both families, every address, and connections that a gateway can pass on in its relay.
func (KernelSockets) ListenTCP(ctx context.Context, port uint16) (net.Listener, error) {
	var config net.ListenConfig
	config.SetMultipathTCP(false) // no service needs it, and each connection would pay for it
	listener, err := config.Listen(ctx, "tcp", fmt.Sprintf("[::]:%d", port))
	if err != nil {
		return nil, err
	}
	return relay.Listen(listener), nil
}

// ListenUDP implements Sockets.
func (KernelSockets) ListenUDP(ctx context.Context, port uint16) (platform.PacketConn, error) {
	return platform.ListenPacket(ctx, netip.AddrPortFrom(netip.IPv6Unspecified(), port))
}

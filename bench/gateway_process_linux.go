package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"time"

	"golang.org/x/sync/errgroup"

	"postern/certificate"
	"postern/gateway"
	"postern/node"
	"postern/plan"
)

// gatewayOrders are what GatewayProcess reads from its standard input, one JSON document.
type gatewayOrders struct {
	Plan      plan.Node
	Ports     []uint16
	AccessLog string             // file
	Direct    node.DirectOptions // where own addresses are judged; without interfaces: nowhere
}

// gatewayReady is what GatewayProcess prints when it answers.
const gatewayReady = "ready"

// GatewayProcess is a gateway without a control plane, which Gateway runs as a process of its own: it reads a plan and what
// else it needs from in, prints one line when it answers, and ends with in or with the context.
func GatewayProcess(ctx context.Context, in io.Reader, out io.Writer) (err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var orders gatewayOrders
	if err := json.NewDecoder(in).Decode(&orders); err != nil {
		return fmt.Errorf("read what the gateway shall do: %w", err)
	}
	log, err := gateway.OpenAccessLog(gateway.LogFile{Path: orders.AccessLog}, 0)
	if err != nil {
		return err
	}
	defer func() {
		ending, done := context.WithTimeout(context.Background(), patience)
		defer done()
		err = errors.Join(err, log.Close(ending))
	}()
	authority, err := certificate.NewAuthority("Postern benchmark", []string{zoneOfHosts}, time.Now())
	if err != nil {
		return err
	}
	logger := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	judge, err := node.OpenDirect(orders.Direct, logger)
	if err != nil {
		return err
	}
	config := gateway.Config{AccessLog: log, Logger: logger,
		GetCertificate: certificate.NewMinter(authority, []string{zoneOfHosts}, nil).GetCertificate}
	if judge != nil {
		defer func() { err = errors.Join(err, judge.Close()) }()
		config.Direct = judge
	} else if orders.Direct.Fabric != "" {
		return errors.New("nobody judges own addresses in this kernel")
	}
	served, err := gateway.New(config)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, served.Close()) }()
	if err := served.Apply(orders.Plan); err != nil {
		return err
	}
	var listeners []net.Listener
	for _, port := range orders.Ports {
		listener, err := node.KernelSockets{}.ListenTCP(ctx, port)
		if err != nil {
			return err
		}
		listeners = append(listeners, listener)
	}
	var group errgroup.Group
	for i, listener := range listeners {
		group.Go(func() error { return served.Serve(listener, orders.Ports[i]) })
	}
	if judge != nil {
		group.Go(func() error { return judge.Follow(ctx, served.RecordDirect, log.Lose) })
	}
	go func() {
		_, _ = io.Copy(io.Discard, in) // whoever gave the orders is gone
		cancel()
	}()
	stop := context.AfterFunc(ctx, func() { _ = served.Close() }) // the deferred one tells
	defer stop()
	if _, err := fmt.Fprintln(out, gatewayReady); err != nil {
		return err
	}
	if err := group.Wait(); err != nil && ctx.Err() == nil {
		return err
	}
	return nil
}

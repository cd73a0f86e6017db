package main

import (
	"context"
	"errors"
	"log/slog"
	"sync"

	"postern/control"
)

// controlPlane starts a control plane with its door open on loopback, and an agent for every node, which applies nothing and says that it has.
func controlPlane(dir string) (stop func() error, err error) {
	plane, err := control.Start(dir, slog.New(slog.DiscardHandler), control.Options{})
	if err != nil {
		return nil, err
	}
	if _, err := plane.OpenDoor(context.Background(), "localhost:0", nil); err != nil {
		return nil, errors.Join(err, plane.Close())
	}
	ctx, cancel := context.WithCancel(context.Background())
	var agents sync.WaitGroup
	agents.Go(func() {
		known := map[string]bool{}
		for range plane.Store.Watch(ctx) {
			cloud, err := plane.Cache.Current(ctx)
			if err != nil {
				continue
			}
			for _, node := range cloud.Snapshot().Nodes {
				if known[node.Name] {
					continue
				}
				known[node.Name] = true
				agents.Go(func() {
					for update := range plane.Store.WatchPlan(ctx, node.Name) {
						if update.Plan != nil {
							_ = plane.Store.ReportApplied(ctx, node.Name, update.Revision, nil) // the context has ended
						}
					}
				})
			}
		}
	})
	return func() error {
		cancel()
		agents.Wait()
		return plane.Close()
	}, nil
}

package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"
	"sync"
	"time"

	"postern/api"
	"postern/compile"
	"postern/inspect"
	"postern/model"
	"postern/plan"
	"postern/resource"
	"postern/server"
	"postern/servicetag"
	"postern/store/embedded"
)

// controlPlane starts a store, the compile loop, the API and an agent for every node, which applies nothing and says that it
// has. It returns when the API answers.
func controlPlane(dir string) (stop func() error, err error) {
	store, err := embedded.Open(dir)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	cache, catalogues, compiler := server.NewCache(store.Store), server.NewCatalogues(store.Store), new(compile.Compiler)
	log := slog.New(slog.DiscardHandler)
	running.Go(func() {
		server.RunCompiler(ctx, store.Store, cache, func(snapshot *model.Snapshot) (map[string]plan.Node, error) {
			catalogue, err := catalogues.Current(ctx)
			if err != nil {
				return nil, err
			}
			return compiler.Compile(snapshot, catalogue)
		}, log)
	})
	running.Go(func() {
		known := map[string]bool{}
		for range store.Watch(ctx) {
			cloud, err := cache.Current(ctx)
			if err != nil {
				continue
			}
			for _, node := range cloud.Snapshot().Nodes {
				if known[node.Name] {
					continue
				}
				known[node.Name] = true
				running.Go(func() {
					for update := range store.WatchPlan(ctx, node.Name) {
						if update.Plan != nil {
							_ = store.ReportApplied(ctx, node.Name, update.Revision, nil)
						}
					}
				})
			}
		}
	})
	door := api.New(store.Store, cache, resource.Options{FrontAddresses: func(region model.Location) []netip.Prefix {
		tag, _ := servicetag.BuiltIn().Regional("Storage", region)
		return tag.Prefixes
	}})
	door.Mount(inspect.Prefix, inspect.New(cache, compiler, catalogues.Current))
	served := make(chan error, 1)
	running.Go(func() { served <- door.Serve(ctx, dir, log) })
	stop = func() error {
		cancel()
		running.Wait()
		return errors.Join(<-served, store.Close())
	}
	for range 500 {
		connection, dialErr := net.Dial("unix", filepath.Join(dir, api.SocketName))
		if dialErr == nil {
			return stop, connection.Close()
		}
		select {
		case err := <-served:
			served <- err
			return nil, errors.Join(err, stop())
		case <-time.After(10 * time.Millisecond):
		}
	}
	return nil, errors.Join(fmt.Errorf("the API does not answer"), stop())
}

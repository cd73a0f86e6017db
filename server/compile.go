package server

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"postern/model"
	"postern/plan"
	"postern/store"
)

// Compile makes the plans of all nodes, by the node's name, from a snapshot. It must be deterministic, and leave the
// snapshot as it is.
type Compile func(*model.Snapshot) (map[string]plan.Node, error)

// Pauses between attempts when the store cannot be reached.
const (
	firstPause = 50 * time.Millisecond
	lastPause  = 2 * time.Second
)

// RunCompiler compiles every new revision of the cloud and stores the plans, until the context ends. Revisions that
// come while it works are compiled together. A revision that cannot be compiled leaves the plans as they are, and
// whoever waits for it gets the reason. One process of a control plane at a time may run it.
func RunCompiler(ctx context.Context, s *store.Store, cache *Cache, compile Compile, log *slog.Logger) {
	for revision := range s.Watch(ctx) {
		if revision == 0 {
			continue // nobody has written yet: there is nothing that a node should hear
		}
		for pause := firstPause; ctx.Err() == nil; pause = min(2*pause, lastPause) {
			err := compileOnce(ctx, s, cache, compile, log)
			if err == nil {
				break
			}
			if ctx.Err() == nil {
				log.Warn("compile: the store did not answer; trying again", "error", err)
			}
			select {
			case <-ctx.Done():
			case <-time.After(pause):
			}
		}
	}
}

// compileOnce answers errors of the store alone; those of the compiler it stores.
func compileOnce(ctx context.Context, s *store.Store, cache *Cache, compile Compile, log *slog.Logger) error {
	cloud, err := cache.Current(ctx)
	if err != nil {
		return err
	}
	plans, err := safely(compile, cloud.Snapshot())
	if err != nil {
		log.Error("compile: the former plans stay", "revision", cloud.Revision, "error", err)
		return s.CompileFailed(ctx, cloud.Revision, err)
	}
	return s.PutPlans(ctx, plans, cloud.Revision)
}

// safely turns a panic of the compiler into an error: the control plane must go on with the former plans.
func safely(compile Compile, snapshot *model.Snapshot) (plans map[string]plan.Node, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("the compiler failed: %v", cause)
		}
	}()
	return compile(snapshot)
}

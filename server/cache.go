// Package server is what a control-plane process has in its middle: the cloud as it stands, and the loop that compiles
// it to plans.
package server

import (
	"context"
	"errors"
	"fmt"

	"postern/resource"
	"postern/store"
)

// Cache keeps the newest cloud decoded, so that a write or a read does not read everything from the store. It is safe
// for concurrent use: one writer at a time in this process, and writers of other processes by optimistic retries.
type Cache struct {
	// OnChange, if set, hears of every change of this process before the next one can begin. Set it before the first change.
	OnChange func(ctx context.Context, after *resource.Cloud)

	store *store.Store
	turn  chan struct{}   // holds one token; whoever has it may use cloud
	cloud *resource.Cloud // nil: not known
}

// NewCache makes the cache of a store's cloud.
func NewCache(s *store.Store) *Cache {
	c := &Cache{store: s, turn: make(chan struct{}, 1)}
	c.turn <- struct{}{}
	return c
}

func (c *Cache) take(ctx context.Context) error {
	select {
	case <-c.turn:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for other writers: %w", ctx.Err())
	}
}

func (c *Cache) give() { c.turn <- struct{}{} }

// Current is the newest cloud.
func (c *Cache) Current(ctx context.Context) (*resource.Cloud, error) {
	if err := c.take(ctx); err != nil {
		return nil, err
	}
	defer c.give()
	return c.current(ctx)
}

func (c *Cache) current(ctx context.Context) (*resource.Cloud, error) {
	if c.cloud != nil {
		revision, err := c.store.Revision(ctx)
		if err != nil {
			return nil, err
		}
		if revision == c.cloud.Revision {
			return c.cloud, nil
		}
	}
	state, err := c.store.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	cloud, err := resource.NewCloud(state.Records, state.Counters, state.Revision)
	if err != nil {
		return nil, fmt.Errorf("read the cloud of revision %d: %w", state.Revision, err)
	}
	c.cloud = cloud
	return cloud, nil
}

// maxRetries bounds how often a change is made anew because a writer of another process came first.
const maxRetries = 64

// Change makes a change of the newest cloud and stores it, all of it or nothing. build collects the writes; it may be
// called several times. The answer is the cloud after the change; a change that changes nothing writes nothing. operation,
// if not nil, is written with the change, and gets its revision; build may complete it.
func (c *Cache) Change(ctx context.Context, options resource.Options, operation *store.Operation, build func(*resource.Cloud, *resource.Change) error) (*resource.Cloud, error) {
	if err := c.take(ctx); err != nil {
		return nil, err
	}
	defer c.give()
	for range maxRetries {
		cloud, err := c.current(ctx)
		if err != nil {
			return nil, err
		}
		change := resource.NewChange(cloud, options)
		if err := build(cloud, change); err != nil {
			return nil, err
		}
		outcome, err := change.Finish()
		if err != nil {
			return nil, err
		}
		if len(outcome.Puts) == 0 && len(outcome.Deletes) == 0 {
			return cloud, nil
		}
		revision, err := c.store.Put(ctx, store.Write{Base: cloud.Revision, Puts: outcome.Puts, Deletes: outcome.Deletes,
			Counters: outcome.Counters, Operation: operation})
		if err == nil {
			if operation != nil {
				operation.Revision = revision
			}
			c.cloud = outcome.After.At(revision, outcome.Puts)
			if c.OnChange != nil {
				c.OnChange(ctx, c.cloud)
			}
			return c.cloud, nil
		}
		c.cloud = nil
		if !errors.Is(err, store.ErrConflict) {
			return nil, err
		}
	}
	return nil, fmt.Errorf("write to the store: other writers came first %d times: repeat the request", maxRetries)
}

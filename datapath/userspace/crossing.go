package userspace

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// crossing is where a node meets the fabric and the Internet: what an edge and a gateway have in common.
type crossing struct {
	title                    string // "edge edge-a", for errors
	fabric                   *Fabric
	internet                 *Internet
	fabricPort, internetPort *port

	mu     sync.Mutex // serialises apply and shut
	closed bool
}

// Stop makes the node drop everything, as one that lost its power; Start ends it. Where others announce the same locators,
// they take over.
func (c *crossing) Stop() { c.fabricPort.running.Store(false); c.internetPort.running.Store(false) }

// Start ends Stop.
func (c *crossing) Start() { c.fabricPort.running.Store(true); c.internetPort.running.Store(true) }

// apply makes one change at a time, and none after shut.
func (c *crossing) apply(ctx context.Context, change func() error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	err := ctx.Err()
	if c.closed {
		err = errors.New("it is closed")
	}
	if err == nil {
		err = change()
	}
	if err != nil {
		return fmt.Errorf("apply plan to %s: %w", c.title, err)
	}
	return nil
}

// shut takes the node off both networks; end ends what is behind them. A second time it does nothing.
func (c *crossing) shut(end func()) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil
	}
	c.closed = true
	c.fabric.segment.announce(c.fabricPort, nil)
	c.internet.segment.announce(c.internetPort, nil)
	end()
	c.fabricPort.close()
	c.internetPort.close()
	return nil
}

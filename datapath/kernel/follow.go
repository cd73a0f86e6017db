//go:build linux

package kernel

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/vishvananda/netlink"
)

// FollowLinks applies the newest plan again whenever an interface of a NIC appears in the namespace, so that a VM
// that starts after its NIC was made is judged from its first packet on: before, its link leads nowhere. It
// returns when the context ends.
func (d *Driver) FollowLinks(ctx context.Context, log *slog.Logger) error {
	updates := make(chan netlink.LinkUpdate, 64)
	done := make(chan struct{})
	defer close(done)
	var lost error
	options := netlink.LinkSubscribeOptions{ListExisting: true, ErrorCallback: func(err error) { lost = err }}
	if err := netlink.LinkSubscribeWithOptions(updates, done, options); err != nil {
		return fmt.Errorf("follow the interfaces of this node: %w", err)
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case update, ok := <-updates:
			if !ok {
				if ctx.Err() != nil {
					return nil
				}
				return fmt.Errorf("follow the interfaces of this node: the kernel stopped telling: %w", lost)
			}
			if err := d.linkAppeared(ctx, update.Link.Attrs().Name, update.Link.Attrs().Index); err != nil {
				log.Error("a NIC's interface is there and not judged; its packets go nowhere", "interface", update.Link.Attrs().Name, "error", err)
			}
		}
	}
}

// linkAppeared applies the newest plan if the interface is that of a NIC and is not judged yet.
func (d *Driver) linkAppeared(ctx context.Context, name string, ifindex int) error {
	d.mu.Lock()
	attached := d.attachments[name]
	current := d.current
	d.mu.Unlock()
	if attached != nil && attached.ifindex == ifindex || current == nil || current.Host == nil {
		return nil
	}
	for _, nic := range current.Host.NICs {
		if d.options.Link(nic) == name {
			return d.reapply(ctx)
		}
	}
	return nil
}

// reapply applies the plan that is in force by now.
func (d *Driver) reapply(context.Context) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.applyLocked(*d.current)
}

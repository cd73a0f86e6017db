//go:build linux

package lab

import (
	"errors"
	"fmt"
	"slices"

	"github.com/vishvananda/netlink"

	"postern/model"
)

// plug is a node's place on the fabric.
type plug struct {
	node       *Namespace
	role       model.Role
	routerLink string // on the fabric's side
}

// RemoveNode removes a host, a gateway or an edge with its processes and its links. The VMs of a host lose their links;
// RemoveVM removes them.
func (l *Lab) RemoveNode(node *Namespace) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil
	}
	if err := node.remove(); err != nil {
		return fmt.Errorf("remove node %s: %w", node.Name, err)
	}
	l.namespaces = slices.DeleteFunc(l.namespaces, func(n *Namespace) bool { return n == node })
	l.plugs = slices.DeleteFunc(l.plugs, func(p plug) bool { return p.node == node })
	return nil
}

// SetFabricMTU makes this the largest packet, in bytes, of every link of the fabric, those of nodes to come included.
func (l *Lab) SetFabricMTU(mtu int) error {
	if err := checkFabricMTU(mtu); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.settings.FabricMTU = mtu
	var problems []error
	for _, p := range l.plugs {
		problems = append(problems, l.Fabric.setMTU(p.routerLink, mtu), p.node.setMTU(FabricLink, mtu))
		if p.role == model.RoleEdge {
			problems = append(problems, p.node.setMTU(ShadowLink, mtu-encapsulation), p.node.setMTU(ShadowPeer, mtu-encapsulation))
		}
	}
	return errors.Join(problems...)
}

func checkFabricMTU(mtu int) error {
	if mtu < 1280 || mtu > 65535 {
		return fmt.Errorf("fabric MTU %d: want 1280 to 65535 bytes", mtu)
	}
	return nil
}

func (n *Namespace) setMTU(ifname string, mtu int) error {
	err := n.onLink(ifname, func(handle *netlink.Handle, link netlink.Link) error { return handle.LinkSetMTU(link, mtu) })
	if err != nil {
		return fmt.Errorf("set MTU of %s on %s: %w", ifname, n.Name, err)
	}
	return nil
}

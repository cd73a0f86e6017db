//go:build linux

package kernel

import (
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/vishvananda/netlink"

	"postern/datapath/kernel/bpf"
	"postern/plan"
)

func (d *Driver) applyHost(node plan.Node) error {
	host := node.Host
	if host == nil {
		return fmt.Errorf("plan of node %s has no host part", node.Node)
	}
	wanted, err := newContent(host)
	if err != nil {
		return fmt.Errorf("plan of node %s: %w", node.Node, err)
	}
	fabric, _ := linkOf(d.options.Fabric)
	if fabric == 0 {
		return fmt.Errorf("apply plan of node %s: no interface %s toward the fabric here; name it with --fabric", node.Node, d.options.Fabric)
	}
	nics := map[bpf.PosternNicKey]bpf.PosternNic{}
	links := map[uint32]bpf.PosternNic{}
	names := map[string]int{}
	for _, nic := range host.NICs {
		name := d.options.Link(nic)
		ifindex, veth := linkOf(name)
		slot, err := d.slotOf(nic.Number)
		if err != nil {
			return err
		}
		value, err := nicOf(nic, ifindex, veth, slot)
		if err != nil {
			return err
		}
		key := bpf.PosternNicKey{Subnet: uint32(nic.Subnet), Ipv4: be32(nic.IPv4)}
		nics[key] = value
		if ifindex != 0 {
			links[uint32(ifindex)] = value
			names[name] = ifindex
		}
	}
	for _, step := range []func() error{
		func() error { return d.sets.add(wanted.sets) },
		func() error { return d.rules.add(wanted.rules) },
		func() error { return d.routes.add(wanted.routes) },
		func() error { return d.targets.add(wanted.targets) },
		func() error { return d.services.add(wanted.services) },
		func() error { return d.policies.add(wanted.policies) },
		func() error { return d.directory.add(wanted.directory) },
		func() error { return d.nics.add(nics) },
		func() error { return d.links.add(links) },
		func() error { return d.publish(nodeOf(node, fabric, 0)) },
		func() error {
			return d.ensureAttached(d.options.Fabric, fabric, d.objects.FromFabric, ebpf.AttachTCXIngress)
		},
		func() error { return d.attachNICs(names) },
		func() error { return d.links.prune(links) },
		func() error { return d.nics.prune(nics) },
		func() error { return d.directory.prune(wanted.directory) },
		func() error { return d.policies.prune(wanted.policies) },
		func() error { return d.services.prune(wanted.services) },
		func() error { return d.targets.prune(wanted.targets) },
		func() error { return d.routes.prune(wanted.routes) },
		func() error { return d.rules.prune(wanted.rules) },
		func() error { return d.sets.prune(wanted.sets) },
		func() error { return d.freeSlots(host.NICs) },
		// A flow remembers where it goes under the generation that said so: what it learnt from content that has gone
		// since the first publishing ends here.
		func() error { return d.publish(nodeOf(node, fabric, 0)) },
	} {
		if err := step(); err != nil {
			return fmt.Errorf("apply plan of node %s: %w", node.Node, err)
		}
	}
	return nil
}

// attachNICs puts from_vm on every NIC's interface and takes it off those that no NIC has any more.
func (d *Driver) attachNICs(names map[string]int) error {
	for name, ifindex := range names {
		if err := d.ensureAttached(name, ifindex, d.objects.FromVM, ebpf.AttachTCXIngress); err != nil {
			return err
		}
	}
	for name, attached := range d.attachments {
		if _, ok := names[name]; ok || name == d.options.Fabric {
			continue
		}
		if err := attached.detach(); err != nil {
			return fmt.Errorf("detach from interface %s: %w", name, err)
		}
		delete(d.attachments, name)
	}
	return nil
}

// linkOf tells a NIC's interface index, 0 if it is not there, and whether it is a veth, whose other end the programs
// can reach without the host's queue.
func linkOf(name string) (ifindex int, veth bool) {
	found, err := netlink.LinkByName(name)
	if err != nil {
		return 0, false
	}
	return found.Attrs().Index, found.Type() == "veth"
}

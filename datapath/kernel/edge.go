//go:build linux

package kernel

import (
	"fmt"

	"github.com/cilium/ebpf"

	"postern/datapath/kernel/bpf"
	"postern/plan"
)

func (d *Driver) applyEdge(node plan.Node) error {
	edge := node.Edge
	if edge == nil {
		return fmt.Errorf("plan of node %s has no edge part", node.Node)
	}
	fabric, _ := linkOf(d.options.Fabric)
	shadow, _ := linkOf(d.options.Shadow)
	if fabric == 0 || shadow == 0 {
		return fmt.Errorf("apply plan of node %s: interfaces %s and %s must both be here", node.Node, d.options.Fabric, d.options.Shadow)
	}
	egresses := map[bpf.PosternEgressKey]bpf.PosternEgress{}
	ingresses := map[uint32]bpf.PosternIngress{}
	for _, nic := range edge.NICs {
		out := bpf.PosternEgress{Public: be32(nic.Public), Platform: be32(nic.PlatformAddress), Nat: be32(nic.NATAddress)}
		if nic.Outbound {
			out.Outbound = 1
		}
		egresses[bpf.PosternEgressKey{Subnet: uint32(nic.Subnet), Ipv4: be32(nic.IPv4)}] = out
		in := bpf.PosternIngress{Locator: locatorOf(nic.Locator), Subnet: uint32(nic.Subnet), Ipv4: be32(nic.IPv4)}
		ingresses[be32(nic.PlatformAddress)] = in
		if nic.Public.IsValid() {
			ingresses[be32(nic.Public)] = in
		}
	}
	for _, step := range []func() error{
		func() error { return d.ingresses.add(ingresses) },
		func() error { return d.egresses.add(egresses) },
		func() error { return d.publish(nodeOf(node, fabric, shadow)) },
		func() error {
			return d.ensureAttached(d.options.Shadow, shadow, d.objects.EdgeToFabric, ebpf.AttachTCXEgress)
		},
		func() error {
			return d.ensureAttached(d.options.Fabric, fabric, d.objects.EdgeFromFabric, ebpf.AttachTCXIngress)
		},
		func() error { return d.egresses.prune(egresses) },
		func() error { return d.ingresses.prune(ingresses) },
		func() error { return d.endTranslated(edge) },
	} {
		if err := step(); err != nil {
			return fmt.Errorf("apply plan of node %s: %w", node.Node, err)
		}
	}
	return nil
}

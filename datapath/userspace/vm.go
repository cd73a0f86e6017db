package userspace

import (
	"context"
	"fmt"
	"net"
	"net/netip"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/link/ethernet"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"

	"postern/model"
	"postern/plan"
)

// routerAddress is the next hop of a VM whose subnet's prefix is not known: a link-local address, which the pipeline
// answers for as it answers for every neighbour.
var routerAddress = netip.AddrFrom4([4]byte{169, 254, 1, 1})

// VM is one NIC with a machine behind it: a gVisor stack on Ethernet, with ARP and IPv4, and no IPv6.
type VM struct {
	*Stack
	nic    plan.NIC
	prefix netip.Prefix
	link   *link
	out    []byte // what the pipeline writes for frames of the stack
}

// newVM makes the machine. Its frames go to send with room for an answer, one at a time.
func newVM(nic plan.NIC, prefix netip.Prefix, send func(vm *VM, frame []byte)) (*VM, error) {
	name := nic.ID.Name()
	vm := &VM{
		Stack: newStack(name, family{ipv4: true, loopback: true}), nic: nic, prefix: prefix,
		out:  answerBuffer(machineMTU + header.EthernetMinimumSize),
		link: newLink(machineMTU+header.EthernetMinimumSize, tcpip.LinkAddress(nic.MAC[:])),
	}
	vm.resolver = &net.Resolver{PreferGo: true, Dial: vm.dialNameServer}
	vm.link.start(func(frame []byte) { send(vm, frame) })
	fail := func(err error) (*VM, error) {
		vm.links = []*link{vm.link}
		vm.close()
		return nil, fmt.Errorf("make VM of NIC %s: %w", nic.ID, err)
	}
	if err := vm.attach(1, ethernet.New(vm.link), vm.link, false); err != nil {
		return fail(err)
	}
	router := routerAddress
	own := netip.PrefixFrom(nic.IPv4, 32)
	routes := []tcpip.Route{}
	if prefix.IsValid() && prefix.Contains(nic.IPv4) && prefix.Bits() < 31 {
		own = netip.PrefixFrom(nic.IPv4, prefix.Bits())
		router = prefix.Masked().Addr().Next()
		subnet, err := tcpip.NewSubnet(tcpip.AddrFrom4(prefix.Masked().Addr().As4()), tcpip.MaskFromBytes(net.CIDRMask(prefix.Bits(), 32)))
		if err != nil {
			return fail(err)
		}
		routes = append(routes, tcpip.Route{Destination: subnet, NIC: 1})
	}
	if err := vm.address(1, own); err != nil {
		return fail(err)
	}
	vm.ip.SetRouteTable(append(routes, tcpip.Route{
		Destination: header.IPv4EmptySubnet, Gateway: tcpip.AddrFrom4(router.As4()), NIC: 1,
	}))
	if nic.Forwarding {
		if _, err := vm.ip.SetNICForwarding(1, ipv4.ProtocolNumber, true); err != nil {
			return fail(fmt.Errorf("forward IPv4: %s", err))
		}
	}
	return vm, nil
}

// dialNameServer asks the platform, whatever server the real machine is configured with.
func (vm *VM) dialNameServer(ctx context.Context, network, _ string) (net.Conn, error) {
	return vm.DialContext(ctx, network, netip.AddrPortFrom(model.PlatformDNS, 53).String())
}

// NIC is the NIC as the plan had it when the VM was made.
func (vm *VM) NIC() plan.NIC { return vm.nic }

// receive gives the VM one Ethernet frame.
func (vm *VM) receive(frame []byte) { vm.link.inject(0, frame) }

// Dropped counts frames that the VM sent faster than its host took them.
func (vm *VM) Dropped() uint64 { return vm.link.dropped.Load() }

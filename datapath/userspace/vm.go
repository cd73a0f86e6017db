package userspace

import (
	"context"
	"fmt"
	"net"
	"net/netip"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/link/ethernet"

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
	return vm, nil
}

// dialNameServer asks the platform, whatever server the real machine is configured with.
func (vm *VM) dialNameServer(ctx context.Context, network, _ string) (net.Conn, error) {
	return vm.DialContext(ctx, network, netip.AddrPortFrom(model.PlatformDNS, 53).String())
}

// NIC is the NIC as the plan had it when the VM was made.
func (vm *VM) NIC() plan.NIC { return vm.nic }

// receive gives the VM one Ethernet frame, and gets back the frame that it forwards, or nil. The frame is the VM's to
// change.
func (vm *VM) receive(frame []byte) (forwarded []byte) {
	if vm.nic.Forwarding && vm.forward(frame) {
		return frame
	}
	vm.link.inject(0, frame)
	return nil
}

// forward makes of a frame for another address the one that a router sends on (RFC 1812, section 5.3.1), and tells
// whether it is one. It is ours, since gVisor's own forwarding reads a header after it gave its memory back. A packet
// whose time to live ends here goes to the VM's stack, which drops it.
func (vm *VM) forward(frame []byte) bool {
	if len(frame) < header.EthernetMinimumSize+header.IPv4MinimumSize ||
		header.Ethernet(frame).Type() != header.IPv4ProtocolNumber {
		return false
	}
	ip := header.IPv4(frame[header.EthernetMinimumSize:])
	if !ip.IsValid(len(ip)) || ip.DestinationAddress() == tcpip.AddrFrom4(vm.nic.IPv4.As4()) || ip.TTL() <= 1 {
		return false
	}
	copy(frame, model.RouterMAC[:])
	copy(frame[6:], vm.nic.MAC[:])
	ip.SetTTL(ip.TTL() - 1)
	ip.SetChecksum(0)
	ip.SetChecksum(^ip.CalculateChecksum())
	return true
}

// Dropped counts frames that the VM sent faster than its host took them.
func (vm *VM) Dropped() uint64 { return vm.link.dropped.Load() }

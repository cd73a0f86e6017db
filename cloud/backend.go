package cloud

import (
	"context"
	"fmt"
	"net"
	"net/netip"
)

// Backend is a place for servers that gateways send what they let in to: a machine that they reach, and its address. In
// the kernel data path gateways are on the Internet, and so is the new machine, under the given address. In user space
// gateways are part of this process, and the machine is this computer, under 127.0.0.1: then name and address are for
// nothing.
func (c *Cloud) Backend(ctx context.Context, name string, address netip.Addr) (Machine, netip.Addr, error) {
	if c.dataPath != Kernel {
		return thisComputer{}, loopback, nil
	}
	machine, err := c.Outsider(ctx, name, address)
	return machine, address, err
}

var loopback = netip.AddrFrom4([4]byte{127, 0, 0, 1})

// thisComputer is the machine that this process is on.
type thisComputer struct{}

// DialContext implements Machine.
func (thisComputer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, network, address)
}

// Listen implements Machine.
func (thisComputer) Listen(ctx context.Context, network, address string) (net.Listener, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, network, address)
	if err != nil {
		return nil, fmt.Errorf("listen on this computer: %w", err)
	}
	return listener, nil
}

// SendFrame implements Machine.
func (thisComputer) SendFrame(context.Context, []byte) error { return errNoFrames }

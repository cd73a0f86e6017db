//go:build !linux

package cloud

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os/exec"
)

// forward makes a VM forward packets: a userspace VM does when its NIC does.
func (s *stage) forward(nic string) {
	s.t.Helper()
	s.machine(nic)
}

func (s *stage) dialFromGatewayNamespace(context.Context, string, netip.AddrPort, netip.AddrPort) (net.Conn, error) {
	return nil, errors.ErrUnsupported
}

func commandOn(ctx context.Context, _ Machine) func(name string, arguments ...string) (*exec.Cmd, func() error) {
	return func(name string, arguments ...string) (*exec.Cmd, func() error) {
		command := exec.CommandContext(ctx, name, arguments...)
		return command, command.Start
	}
}

// startOn starts a process on a machine, which is this computer.
func startOn(_ Machine, command *exec.Cmd) error { return command.Start() }

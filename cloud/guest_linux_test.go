package cloud

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

// forward makes a VM forward packets. In the kernel data path that is the guest's own doing; a userspace VM forwards
// when its NIC does.
func (s *stage) forward(nic string) {
	s.t.Helper()
	s.machine(nic)
	world, ok := s.world.(*kernelWorld)
	if !ok {
		return
	}
	info, err := s.NIC(s.ctx, nic)
	if err != nil {
		s.t.Fatal(err)
	}
	err = world.vm(info.Number).Do(func() error { return os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0o644) })
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *stage) dialFromGatewayNamespace(ctx context.Context, node string, from, to netip.AddrPort) (net.Conn, error) {
	world := s.world.(*kernelWorld)
	world.mu.Lock()
	gateway := world.nodes[node].gateway
	world.mu.Unlock()
	// A gateway answers on every address of its locators, but only a socket that asks for it may begin from one.
	dialer := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(from), Control: func(_, _ string, conn syscall.RawConn) (err error) {
		controlled := conn.Control(func(socket uintptr) {
			err = unix.SetsockoptInt(int(socket), unix.SOL_IPV6, unix.IPV6_FREEBIND, 1)
		})
		return errors.Join(controlled, err)
	}}
	dialer.SetMultipathTCP(false)
	var conn net.Conn
	err := gateway.Do(func() (err error) {
		conn, err = dialer.DialContext(ctx, "tcp", to.String())
		return err
	})
	return conn, err
}

// commandOn prepares processes on a machine that is a namespace.
func commandOn(ctx context.Context, machine Machine) func(name string, arguments ...string) (*exec.Cmd, func() error) {
	return func(name string, arguments ...string) (*exec.Cmd, func() error) {
		command := machine.(kernelMachine).Command(ctx, name, arguments...)
		return command.Cmd, command.Start
	}
}

// startOn starts a process on a machine.
func startOn(machine Machine, command *exec.Cmd) error {
	if namespace, ok := machine.(kernelMachine); ok {
		return namespace.Do(command.Start)
	}
	return command.Start()
}

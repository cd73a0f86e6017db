package cloud

import (
	"context"
	"net"
	"net/netip"
	"os"
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
	return gateway.DialFrom(ctx, net.TCPAddrFromAddrPort(from), "tcp", to.String())
}

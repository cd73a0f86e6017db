package userspace

import (
	"context"
	"fmt"
	"net"

	"postern/datapath/userspace/socks"
	"postern/plan"
)

// SOCKS gives the address (host:port, on loopback) of a SOCKS5 server through which programs of the real machine join
// the VM of a NIC: they dial from the VM's address, and names are resolved by the VM's name server. The first call
// starts it; it lives as long as the NIC. nic is the NIC's id or its name.
func (h *Host) SOCKS(nic string) (string, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	vm, ok := h.VM(nic)
	if !ok {
		return "", fmt.Errorf("join NIC %s: host %s has no such NIC", nic, h.name)
	}
	id := vm.nic.ID
	if server := h.socks[id.Key()]; server != nil {
		return server.Addr(), nil
	}
	server, err := socks.Listen(func(ctx context.Context, network, address string) (net.Conn, error) {
		vm, ok := h.VM(string(id))
		if !ok {
			return nil, fmt.Errorf("join NIC %s: it is gone", id)
		}
		return vm.DialContext(ctx, network, address)
	})
	if err != nil {
		return "", fmt.Errorf("join NIC %s: %w", nic, err)
	}
	h.socks[id.Key()] = server
	return server.Addr(), nil
}

// dropSOCKS closes the servers of NICs that are not among nics.
func (h *Host) dropSOCKS(nics []plan.NIC) {
	keep := map[string]bool{}
	for _, nic := range nics {
		keep[nic.ID.Key()] = true
	}
	for key, server := range h.socks {
		if !keep[key] {
			_ = server.Close()
			delete(h.socks, key)
		}
	}
}

//go:build linux

package lab

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"

	"postern/model"
)

// VMLink is the name of a VM's interface.
const VMLink = "eth0"

// vmMTU is that of a VM's interface, in bytes.
const vmMTU = 1500

// resolverFolder holds, by the name of a namespace, files that take the place of those in /etc (ip-netns(8)).
const resolverFolder = "/etc/netns"

// NIC is what a VM's interface is made of.
type NIC struct {
	Number  uint32       // names the host's side: see NICLink
	Address netip.Prefix // the NIC's IPv4 address with the length of its subnet's prefix: 10.13.76.36/24
	Gateway netip.Addr   // the subnet's first address
	MAC     model.MAC
}

// NICLink is the name of the host's side of a NIC: "nic7".
func NICLink(number uint32) string { return fmt.Sprintf("nic%d", number) }

// VM is a machine with one NIC. Names that it dials are resolved by the platform.
type VM struct {
	*Namespace
	NIC        NIC
	ResolvConf string // file with the platform's name resolution, for ExecInside
	host       *Host
}

// AddVM adds a VM to a host. Its eth0 has the NIC's MAC and address, a default route to the NIC's gateway, an MTU of
// 1500 bytes, no IPv6. The host's side carries no address, and answers nothing by itself.
func (l *Lab) AddVM(host *Host, name string, nic NIC) (*VM, error) {
	if !nic.Address.Addr().Is4() || !nic.Address.Contains(nic.Gateway) {
		return nil, fmt.Errorf("add VM %s: address %s and gateway %s: want IPv4 in one subnet", name, nic.Address, nic.Gateway)
	}
	namespace, err := l.addNamespace(name)
	if err != nil {
		return nil, err
	}
	namespace.resolver = model.PlatformDNS
	vm := &VM{Namespace: namespace, NIC: nic, host: host}
	if err := vm.plugIn(); err != nil {
		return nil, fmt.Errorf("add VM %s: %w", name, err)
	}
	if vm.ResolvConf, err = l.writeResolver(namespace.Name); err != nil {
		return nil, fmt.Errorf("add VM %s: %w", name, err)
	}
	return vm, nil
}

// plugIn makes the cable between the VM and its host.
func (vm *VM) plugIn() error {
	link := NICLink(vm.NIC.Number)
	inside := end{vm.Namespace, VMLink, net.HardwareAddr(vm.NIC.MAC[:]), vmMTU}
	outside := end{vm.host.Namespace, link, net.HardwareAddr(model.RouterMAC[:]), vmMTU}
	return inTurn([]func() error{
		func() error {
			return vm.sysctl(setting{"ipv6/conf/all/disable_ipv6", "1"}, setting{"ipv6/conf/default/disable_ipv6", "1"})
		},
		func() error { return connect(inside, outside) },
		func() error {
			// arp_ignore 8: the host's own stack answers for no address at all.
			return vm.host.sysctl(setting{"ipv6/conf/" + link + "/disable_ipv6", "1"},
				setting{"ipv4/conf/" + link + "/rp_filter", "0"}, setting{"ipv4/conf/" + link + "/arp_ignore", "8"})
		},
		func() error { return vm.addAddress(VMLink, vm.NIC.Address) },
		func() error { return bringUp(outside, inside) },
		func() error {
			return vm.addRoute(way{destination: netip.MustParsePrefix("0.0.0.0/0"), ifname: VMLink, gateway: vm.NIC.Gateway})
		},
	})
}

// writeResolver writes what ExecInside, and `ip netns exec`, put over /etc. The nsswitch.conf keeps resolvers
// of this computer that are asked without resolv.conf out of it.
func (l *Lab) writeResolver(namespace string) (string, error) {
	folder := filepath.Join(resolverFolder, namespace)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return "", fmt.Errorf("write resolver files: lab: %w", ErrClosed)
	}
	l.folders = append(l.folders, folder)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return "", fmt.Errorf("write resolver files: %w", err)
	}
	nsswitch := "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\nnetworks: files\n"
	if err := os.WriteFile(filepath.Join(folder, "nsswitch.conf"), []byte(nsswitch), 0o644); err != nil {
		return "", fmt.Errorf("write resolver files: %w", err)
	}
	path := filepath.Join(folder, "resolv.conf")
	if err := os.WriteFile(path, []byte("nameserver "+model.PlatformDNS.String()+"\n"), 0o644); err != nil {
		return "", fmt.Errorf("write resolver files: %w", err)
	}
	return path, nil
}

// RemoveVM removes a VM with its processes, its interface and the host's side of it.
func (l *Lab) RemoveVM(vm *VM) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil
	}
	folder := filepath.Join(resolverFolder, vm.Name)
	if err := errors.Join(vm.remove(), os.RemoveAll(folder)); err != nil {
		return fmt.Errorf("remove VM %s: %w", vm.Name, err)
	}
	l.namespaces = slices.DeleteFunc(l.namespaces, func(n *Namespace) bool { return n == vm.Namespace })
	l.folders = slices.DeleteFunc(l.folders, func(f string) bool { return f == folder })
	return nil
}

//go:build linux

package lab

import (
	"fmt"
	"os"

	"github.com/google/nftables"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Prerequisites checks whether this machine can carry a Lab and the kernel data path, by trying each thing once where
// it leaves no trace. The error is a *PrerequisiteError.
func Prerequisites() error {
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return &PrerequisiteError{NeedsKernel, "the kernel's version is not known", "use the userspace data path", err}
	}
	if err := checkKernelRelease(unix.ByteSliceToString(name.Release[:])); err != nil {
		return err
	}
	if err := checkCapabilities(); err != nil {
		return err
	}
	if err := onThread(checkNetwork); err != nil {
		return err
	}
	return checkBPFFileSystem()
}

// checkCapabilities wants those that namespaces, links, mounts and bpf programs take.
func checkCapabilities() error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return &PrerequisiteError{NeedsCapabilities, "the process's capabilities are not known", "run as root", err}
	}
	for _, needed := range []struct {
		number int
		name   string
	}{{unix.CAP_NET_ADMIN, "CAP_NET_ADMIN"}, {unix.CAP_NET_RAW, "CAP_NET_RAW"}, {unix.CAP_SYS_ADMIN, "CAP_SYS_ADMIN"}} {
		if data[needed.number/32].Effective&(1<<(needed.number%32)) == 0 {
			return &PrerequisiteError{NeedsCapabilities, "the process has no " + needed.name,
				"run as root, or use the userspace data path", nil}
		}
	}
	return nil
}

// checkNetwork runs on a thread that it may move: into a namespace without a name, which ends when the thread leaves.
func checkNetwork() error {
	const userspace = ", or use the userspace data path"
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return &PrerequisiteError{NeedsNetworkNamespaces, "network namespaces cannot be made",
			"run as root outside a restricted container" + userspace, err}
	}
	// A read-only /proc/sys is how most containers say no.
	if err := os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("0"), 0); err != nil {
		return &PrerequisiteError{NeedsNetworkNamespaces, "network settings cannot be written",
			"make /proc/sys writable (a privileged container)" + userspace, err}
	}
	if err := os.WriteFile("/proc/sys/net/ipv6/conf/all/forwarding", []byte("0"), 0); err != nil {
		return &PrerequisiteError{NeedsNetworkNamespaces, "the kernel has no IPv6",
			"boot without ipv6.disable=1" + userspace, err}
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name = "probe0"
	pair := netlink.NewVeth(attrs)
	pair.PeerName = "probe1"
	if err := netlink.LinkAdd(pair); err != nil {
		return &PrerequisiteError{NeedsVeth, "veth pairs cannot be made", "load the module: modprobe veth" + userspace, err}
	}
	if err := netlink.LinkDel(pair); err != nil {
		return &PrerequisiteError{NeedsVeth, "veth pairs cannot be removed", "use the userspace data path", err}
	}
	conn, err := nftables.New()
	if err == nil {
		table := conn.AddTable(&nftables.Table{Family: nftables.TableFamilyIPv4, Name: "probe"})
		conn.AddChain(&nftables.Chain{Name: "probe", Table: table, Type: nftables.ChainTypeNAT,
			Hooknum: nftables.ChainHookPostrouting, Priority: nftables.ChainPriorityNATSource})
		err = conn.Flush()
	}
	if err != nil {
		return &PrerequisiteError{NeedsNftables, "nftables cannot translate addresses",
			"load the modules: modprobe nf_tables nft_chain_nat" + userspace, err}
	}
	return nil
}

func checkBPFFileSystem() error {
	dir, err := os.MkdirTemp("", namePrefix+"probe")
	if err == nil {
		err = mountBPF(namePrefix+"probe", dir)
		unmountErr := unmountBPF(dir)
		if err == nil {
			err = unmountErr
		}
	}
	if err != nil {
		return &PrerequisiteError{NeedsBPFFileSystem, "the bpf file system cannot be mounted",
			"run as root outside a restricted container, on a kernel with CONFIG_BPF_SYSCALL, or use the userspace data path",
			fmt.Errorf("probe: %w", err)}
	}
	return nil
}

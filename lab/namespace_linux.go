//go:build linux

package lab

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"sync"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// namespaceFolder is where network namespaces have names, as `ip netns` has it.
const namespaceFolder = "/run/netns"

// threadNamespace is the network namespace of the thread that opens it.
const threadNamespace = "/proc/thread-self/ns/net"

// Namespace is one machine of the lab: a network namespace. Its methods may be called from any goroutine.
type Namespace struct {
	Name string // its name under /run/netns

	resolver netip.Addr // whom DialContext asks for names; invalid: nobody

	mu     sync.RWMutex    // guards what follows: remove waits for those who use it
	file   int             // descriptor that enters the namespace
	links  *netlink.Handle // rtnetlink inside the namespace; see rtnetlink
	closed bool
}

// createNamespace makes a namespace with a name that nobody has yet. Its loopback is up.
func createNamespace(name string) (*Namespace, error) {
	if err := prepareNamespaceFolder(); err != nil {
		return nil, err
	}
	path := filepath.Join(namespaceFolder, name)
	place, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDONLY, 0o444)
	if err != nil {
		return nil, fmt.Errorf("create namespace %s: %w", name, err)
	}
	place.Close()
	if err := onThread(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("unshare network: %w", err)
		}
		return unix.Mount(threadNamespace, path, "bind", unix.MS_BIND, "")
	}); err != nil {
		os.Remove(path)
		return nil, fmt.Errorf("create namespace %s: %w", name, err)
	}
	namespace, err := openNamespace(name)
	if err != nil {
		removeName(name)
		return nil, err
	}
	if err := namespace.prepare(); err != nil {
		return nil, errors.Join(err, namespace.remove())
	}
	return namespace, nil
}

// openNamespace opens a namespace that has a name.
func openNamespace(name string) (*Namespace, error) {
	file, err := unix.Open(filepath.Join(namespaceFolder, name), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open namespace %s: %w", name, err)
	}
	links, err := netlink.NewHandleAt(netns.NsHandle(file), unix.NETLINK_ROUTE)
	if err != nil {
		unix.Close(file)
		return nil, fmt.Errorf("open rtnetlink in namespace %s: %w", name, err)
	}
	return &Namespace{Name: name, links: links, file: file}, nil
}

// prepare sets what every machine has: loopback up; addresses and routes as told and none besides (no router
// advertisements, no automatic or duplicate-checked addresses); no check of the way back, since asymmetric ways are
// usual here.
func (n *Namespace) prepare() error {
	if err := n.sysctl(
		setting{"ipv4/conf/all/rp_filter", "0"}, setting{"ipv4/conf/default/rp_filter", "0"},
		setting{"ipv4/conf/all/send_redirects", "0"}, setting{"ipv4/conf/default/send_redirects", "0"},
		setting{"ipv4/ping_group_range", "0 2147483647"},
		setting{"ipv6/conf/all/accept_ra", "0"}, setting{"ipv6/conf/default/accept_ra", "0"},
		setting{"ipv6/conf/default/autoconf", "0"}, setting{"ipv6/conf/default/addr_gen_mode", "1"},
		setting{"ipv6/conf/default/router_solicitations", "0"},
		setting{"ipv6/conf/all/accept_dad", "0"}, setting{"ipv6/conf/default/accept_dad", "0"},
	); err != nil {
		return err
	}
	return n.up("lo")
}

// Do runs work on a thread that is inside the namespace, and waits for it. Sockets and child processes that work makes
// itself belong to the namespace for good; goroutines that it starts are outside. The thread is put back, or ends.
func (n *Namespace) Do(work func() error) error {
	return onThread(func() error {
		if err := n.enter(); err != nil {
			return err
		}
		return work()
	})
}

// enter moves the thread of the caller, who has locked it, into the namespace.
func (n *Namespace) enter() error {
	n.mu.RLock()
	defer n.mu.RUnlock()
	if n.closed {
		return fmt.Errorf("enter namespace %s: %w", n.Name, ErrClosed)
	}
	if err := unix.Setns(n.file, unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("enter namespace %s: %w", n.Name, err)
	}
	return nil
}

// onThread runs work on a thread of its own that work may move to another network namespace. The thread goes back to
// where it was; one that cannot stays locked to its goroutine, and so ends with it.
func onThread(work func() error) error {
	result := make(chan error, 1)
	go func() {
		err := errors.New("work left its goroutine inside a namespace")
		defer func() { result <- err }()
		runtime.LockOSThread()
		home, openErr := unix.Open(threadNamespace, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if openErr != nil {
			runtime.UnlockOSThread()
			err = fmt.Errorf("open the thread's namespace: %w", openErr)
			return
		}
		defer unix.Close(home)
		defer func() {
			if unix.Setns(home, unix.CLONE_NEWNET) == nil {
				runtime.UnlockOSThread()
			}
		}()
		err = work()
	}()
	return <-result
}

// setting is one value below /proc/sys/net.
type setting struct{ path, value string }

// sysctl writes settings inside the namespace.
func (n *Namespace) sysctl(settings ...setting) error {
	return n.Do(func() error {
		for _, s := range settings {
			if err := os.WriteFile("/proc/sys/net/"+s.path, []byte(s.value), 0); err != nil {
				return fmt.Errorf("namespace %s: set net/%s to %s: %w", n.Name, s.path, s.value, err)
			}
		}
		return nil
	})
}

// remove takes the namespace away: processes inside are killed, links deleted, the name removed. It may be called
// twice.
func (n *Namespace) remove() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return nil
	}
	n.closed = true
	killErr := killInside(n.file)
	linkErr := n.deleteLinks()
	n.links.Close()
	nameErr := removeName(n.Name)
	unix.Close(n.file)
	return errors.Join(killErr, linkErr, nameErr)
}

// removeName takes the name of a namespace away. What still holds the namespace (an open socket) keeps it, empty.
func removeName(name string) error {
	path := filepath.Join(namespaceFolder, name)
	// EINVAL: it is no mount (a reboot, or a crash between creating the file and mounting on it).
	if err := unix.Unmount(path, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW); err != nil && err != unix.EINVAL && err != unix.ENOENT {
		return fmt.Errorf("unmount namespace %s: %w", name, err)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove namespace %s: %w", name, err)
	}
	return nil
}

// prepareNamespaceFolder makes /run/netns a shared mount, as `ip netns` does: a name that is removed here then goes away
// in every mount namespace, and does not keep the network namespace alive there.
func prepareNamespaceFolder() error {
	if err := os.MkdirAll(namespaceFolder, 0o755); err != nil {
		return fmt.Errorf("create folder for namespaces: %w", err)
	}
	folder, err := lockNamespaceFolder() // two who come first must not both mount it
	if err != nil {
		return err
	}
	defer folder.Close()
	share := func() error { return unix.Mount("", namespaceFolder, "none", unix.MS_SHARED|unix.MS_REC, "") }
	if share() == nil {
		return nil
	}
	// It was no mount of its own yet.
	if err := unix.Mount(namespaceFolder, namespaceFolder, "none", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("mount %s on itself: %w", namespaceFolder, err)
	}
	if err := share(); err != nil {
		return fmt.Errorf("share mount %s: %w", namespaceFolder, err)
	}
	return nil
}

// lockNamespaceFolder keeps other processes from what needs turns there, until the file is closed.
func lockNamespaceFolder() (*os.File, error) {
	folder, err := os.Open(namespaceFolder)
	if err != nil {
		return nil, fmt.Errorf("open folder for namespaces: %w", err)
	}
	if err := unix.Flock(int(folder.Fd()), unix.LOCK_EX); err != nil {
		folder.Close()
		return nil, fmt.Errorf("lock %s: %w", namespaceFolder, err)
	}
	return folder, nil
}

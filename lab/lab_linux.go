//go:build linux

package lab

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"postern/model"
)

// Lab is all machines of one cloud. Its methods may be called from several goroutines; a method that fails leaves
// what it had made so far to Close.
type Lab struct {
	Fabric   *Namespace // the IPv6 router between the nodes
	Internet *Namespace // the IPv4 router of the Internet

	tag string

	mu         sync.Mutex // guards what follows
	settings   model.Settings
	plugs      []plug
	closed     bool
	namespaces []*Namespace // in the order of their making
	folders    []string     // below /etc/netns
	mounts     []string     // of bpf file systems
	links      int          // how many links of nodes and outsiders were numbered
}

// labs counts those of this process, so that each has names of its own.
var labs atomic.Int64

// New starts a lab: the fabric and the Internet, with nobody on them. settings.FabricMTU is that of every link of the
// fabric. The caller closes the lab, whatever else happens; after a crash Sweep does.
func New(settings model.Settings) (*Lab, error) {
	if err := checkFabricMTU(settings.FabricMTU); err != nil {
		return nil, fmt.Errorf("new lab: %w", err)
	}
	process, err := thisProcess()
	if err != nil {
		return nil, fmt.Errorf("new lab: %w", err)
	}
	lab := &Lab{settings: settings, tag: process.tag() + "." + strconv.FormatInt(labs.Add(1), 36)}
	if err := lab.startRouters(); err != nil {
		return nil, errors.Join(fmt.Errorf("new lab: %w", err), lab.Close())
	}
	return lab, nil
}

func (l *Lab) startRouters() (err error) {
	if l.Fabric, err = l.addNamespace("fabric"); err != nil {
		return err
	}
	if err = l.prepareFabric(); err != nil {
		return err
	}
	if l.Internet, err = l.addNamespace("internet"); err != nil {
		return err
	}
	return l.prepareInternet()
}

// goodName is what a machine may be called: it becomes a file's name.
var goodName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,79}$`)

// addNamespace makes a machine that Close will remove.
func (l *Lab) addNamespace(name string) (*Namespace, error) {
	if !goodName.MatchString(name) {
		return nil, fmt.Errorf("machine name %q: want 1 to 80 letters, digits, dots, dashes and underscores", name)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, fmt.Errorf("add machine %s: lab: %w", name, ErrClosed)
	}
	namespace, err := createNamespace(namePrefix + l.tag + "-" + name)
	if err != nil {
		return nil, err
	}
	l.namespaces = append(l.namespaces, namespace)
	return namespace, nil
}

// nextLink numbers a link, from 1.
func (l *Lab) nextLink() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.links++
	return l.links
}

// MountBPF mounts a bpf file system of the lab's own at dir, which is made if need be. Close unmounts it, and with it
// goes what is pinned there.
func (l *Lab) MountBPF(dir string) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return fmt.Errorf("mount bpf file system: %w", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return fmt.Errorf("mount bpf file system: lab: %w", ErrClosed)
	}
	if err := mountBPF(namePrefix+l.tag, dir); err != nil {
		return err
	}
	l.mounts = append(l.mounts, dir)
	return nil
}

// mountBPF mounts under a source that names the owner: Sweep finds it by that.
func mountBPF(source, dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("mount bpf file system: %w", err)
	}
	if err := unix.Mount(source, dir, "bpf", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "mode=0700"); err != nil {
		return fmt.Errorf("mount bpf file system at %s: %w", dir, err)
	}
	return nil
}

// unmountBPF unmounts, and removes the folder if it is empty.
func unmountBPF(dir string) error {
	if err := unix.Unmount(dir, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW); err != nil && err != unix.EINVAL && err != unix.ENOENT {
		return fmt.Errorf("unmount bpf file system %s: %w", dir, err)
	}
	os.Remove(dir) // a folder with other content stays
	return nil
}

// Close removes everything: processes inside the machines are killed, links, namespaces, files and mounts removed.
// Sockets that are still open stay usable for nothing but closing. It may be called at any time, and again.
func (l *Lab) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	var failures []error
	// From the outside in: machines were made after the routers that they hang on.
	for i := len(l.namespaces) - 1; i >= 0; i-- {
		failures = append(failures, l.namespaces[i].remove())
	}
	for _, folder := range l.folders {
		failures = append(failures, os.RemoveAll(folder))
	}
	for _, dir := range l.mounts {
		failures = append(failures, unmountBPF(dir))
	}
	l.namespaces, l.folders, l.mounts = nil, nil, nil
	if err := errors.Join(failures...); err != nil {
		return fmt.Errorf("close lab: %w; the next run's sweep tries again", err)
	}
	return nil
}

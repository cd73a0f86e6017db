//go:build linux

package kernel

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// NotSupportedError says what the kernel data path needs and this machine does not have.
type NotSupportedError struct {
	Need  string // "Linux 6.6 or newer", "root"
	Have  string // what is here instead; "" if that is not known
	Fix   string // what the user can do
	Cause error  // nil if the check itself was enough
}

func (e *NotSupportedError) Error() string {
	text := "kernel data path needs " + e.Need
	if e.Have != "" {
		text += ", here is " + e.Have
	}
	if e.Cause != nil {
		text += ": " + e.Cause.Error()
	}
	return text + "; " + e.Fix
}

func (e *NotSupportedError) Unwrap() error { return e.Cause }

const useUserspace = "use the userspace data path (--datapath userspace)"

// Supported tells whether this process can run the kernel data path, as a *NotSupportedError if it cannot.
func Supported() error {
	if unix.Geteuid() != 0 {
		return &NotSupportedError{Need: "root", Have: fmt.Sprintf("uid %d", unix.Geteuid()), Fix: "run as root, or " + useUserspace}
	}
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return &NotSupportedError{Need: "Linux 6.6 or newer", Fix: useUserspace, Cause: err}
	}
	var major, minor int
	release := unix.ByteSliceToString(name.Release[:])
	if _, err := fmt.Sscanf(release, "%d.%d", &major, &minor); err != nil || major < 6 || major == 6 && minor < 6 {
		return &NotSupportedError{Need: "Linux 6.6 or newer", Have: "Linux " + release, Fix: useUserspace}
	}
	probe, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 4, MaxEntries: 1})
	if err != nil {
		return &NotSupportedError{Need: "permission to load eBPF", Fix: "run as root with CAP_BPF and CAP_NET_ADMIN, or " + useUserspace, Cause: err}
	}
	return probe.Close()
}

// notSupported turns what the kernel refuses for want of a feature into a *NotSupportedError.
func notSupported(err error) error {
	if errors.Is(err, ebpf.ErrNotSupported) || errors.Is(err, link.ErrNotSupported) {
		return &NotSupportedError{Need: "eBPF with TCX (Linux 6.6 or newer)", Fix: useUserspace, Cause: err}
	}
	return err
}

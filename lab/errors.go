package lab

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// ErrClosed is returned by what is done in a Namespace or a Lab after it was closed.
var ErrClosed = errors.New("closed")

// Prerequisite is one thing that a Lab needs of the machine.
type Prerequisite string

// The prerequisites, in the order in which Prerequisites checks them.
const (
	NeedsLinux             Prerequisite = "linux"
	NeedsKernel            Prerequisite = "kernel"
	NeedsCapabilities      Prerequisite = "capabilities"
	NeedsNetworkNamespaces Prerequisite = "network-namespaces"
	NeedsVeth              Prerequisite = "veth"
	NeedsNftables          Prerequisite = "nftables"
	NeedsBPFFileSystem     Prerequisite = "bpf-file-system"
)

// PrerequisiteError says that this machine cannot carry a Lab, which prerequisite is missing, and what to do.
type PrerequisiteError struct {
	Missing Prerequisite
	Problem string // what is not there
	Remedy  string // what its reader can do
	Cause   error  // nil where there was no call that failed
}

func (e *PrerequisiteError) Error() string {
	text := "lab: " + e.Problem
	if e.Cause != nil {
		text += ": " + e.Cause.Error()
	}
	return text + "; " + e.Remedy
}

// Unwrap gives the cause.
func (e *PrerequisiteError) Unwrap() error { return e.Cause }

// The oldest kernel whose TCX the kernel data path attaches to.
const (
	oldestKernelMajor = 6
	oldestKernelMinor = 6
)

// checkKernelRelease judges the release that uname tells: "6.18.44-fc-v657".
func checkKernelRelease(release string) error {
	major, minor, err := parseKernelRelease(release)
	if err != nil {
		return &PrerequisiteError{Missing: NeedsKernel, Problem: "the kernel's version is not known", Cause: err,
			Remedy: "use the userspace data path"}
	}
	if major < oldestKernelMajor || major == oldestKernelMajor && minor < oldestKernelMinor {
		return &PrerequisiteError{
			Missing: NeedsKernel,
			Problem: fmt.Sprintf("kernel %s is older than %d.%d", release, oldestKernelMajor, oldestKernelMinor),
			Remedy:  "boot a newer kernel, or use the userspace data path",
		}
	}
	return nil
}

// parseKernelRelease takes the first two numbers out of a release.
func parseKernelRelease(release string) (major, minor int, err error) {
	first, rest, found := strings.Cut(release, ".")
	if !found {
		return 0, 0, fmt.Errorf("kernel release %q: want MAJOR.MINOR", release)
	}
	if end := strings.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' }); end >= 0 {
		rest = rest[:end]
	}
	if major, err = strconv.Atoi(first); err != nil {
		return 0, 0, fmt.Errorf("kernel release %q: want MAJOR.MINOR: %w", release, err)
	}
	if minor, err = strconv.Atoi(rest); err != nil {
		return 0, 0, fmt.Errorf("kernel release %q: want MAJOR.MINOR: %w", release, err)
	}
	return major, minor, nil
}

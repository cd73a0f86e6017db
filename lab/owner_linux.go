//go:build linux

package lab

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// namePrefix begins the name of everything that a Lab leaves where others can see it: namespaces, folders of
// /etc/netns, sources of bpf mounts.
const namePrefix = "postern-"

// owner is a process, told apart from every other that has or had its pid. Its tag stands in the names of what it made.
type owner struct {
	pid          int
	startTime    uint64 // clock ticks from boot to the start of the process: field 22 of /proc/PID/stat
	pidNamespace uint64 // inode of the PID namespace in which pid counts
}

// tag is the owner as a part of a name: pid in decimal, the others in base 36, joined by dots; never a dash.
func (o owner) tag() string {
	return strconv.Itoa(o.pid) + "." + strconv.FormatUint(o.startTime, 36) + "." + strconv.FormatUint(o.pidNamespace, 36)
}

// ownerOf reads the owner out of a name: namePrefix, tag, and for namespaces a dash and more. A fourth part of the tag
// is the number of the Lab within its process.
func ownerOf(name string) (owner, bool) {
	rest, found := strings.CutPrefix(name, namePrefix)
	if !found {
		return owner{}, false
	}
	tag, _, _ := strings.Cut(rest, "-")
	parts := strings.Split(tag, ".")
	if len(parts) != 4 {
		return owner{}, false
	}
	pid, pidErr := strconv.Atoi(parts[0])
	startTime, startErr := strconv.ParseUint(parts[1], 36, 64)
	pidNamespace, namespaceErr := strconv.ParseUint(parts[2], 36, 64)
	if pidErr != nil || startErr != nil || namespaceErr != nil || pid < 1 {
		return owner{}, false
	}
	return owner{pid, startTime, pidNamespace}, true
}

// thisProcess is the owner that this process is.
func thisProcess() (owner, error) {
	pidNamespace, err := currentPIDNamespace()
	if err != nil {
		return owner{}, err
	}
	startTime, _, err := processStart(os.Getpid())
	if err != nil {
		return owner{}, err
	}
	return owner{os.Getpid(), startTime, pidNamespace}, nil
}

// dead tells whether the process is known to have ended. A process of another PID namespace cannot be judged from
// here, and counts as living: taking the network from under somebody's running cloud is worse than a leftover.
func (o owner) dead() (bool, error) {
	pidNamespace, err := currentPIDNamespace()
	if err != nil {
		return false, err
	}
	if o.pidNamespace != pidNamespace {
		return false, nil
	}
	startTime, state, err := processStart(o.pid)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	return startTime != o.startTime || state == 'Z' || state == 'X', nil
}

func currentPIDNamespace() (uint64, error) {
	var stat unix.Stat_t
	if err := unix.Stat("/proc/self/ns/pid", &stat); err != nil {
		return 0, fmt.Errorf("read PID namespace: %w; is /proc mounted?", err)
	}
	return stat.Ino, nil
}

// processStart reads when a process started, and its state letter (proc_pid_stat(5)).
func processStart(pid int) (startTime uint64, state byte, err error) {
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, 0, fmt.Errorf("read start of process %d: %w", pid, err)
	}
	return parseProcessStat(string(content))
}

// parseProcessStat reads fields 22 (starttime) and 3 (state). Field 2 is the command's name in parentheses, and may
// itself have spaces and parentheses.
func parseProcessStat(content string) (startTime uint64, state byte, err error) {
	end := strings.LastIndexByte(content, ')')
	fields := strings.Fields(content[end+1:])
	if end < 0 || len(fields) < 20 {
		return 0, 0, fmt.Errorf("process stat %q: want 22 fields or more", content)
	}
	startTime, err = strconv.ParseUint(fields[19], 10, 64)
	if err != nil {
		return 0, 0, fmt.Errorf("process stat: start time: %w", err)
	}
	return startTime, fields[0][0], nil
}

//go:build linux

package lab

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// killPatience bounds the wait for killed processes to end.
const killPatience = 2 * time.Second

// killInside kills every process whose network namespace is the given one, and waits until they have ended. A process
// that stays would keep the namespace and its links.
func killInside(namespace int) error {
	var target, own unix.Stat_t
	if err := unix.Fstat(namespace, &target); err != nil {
		return fmt.Errorf("identify namespace: %w", err)
	}
	if err := unix.Stat("/proc/self/ns/net", &own); err != nil {
		return fmt.Errorf("identify own namespace: %w", err)
	}
	if own.Ino == target.Ino && own.Dev == target.Dev {
		return errors.New("kill processes inside a namespace: it is this process's own")
	}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return fmt.Errorf("list processes: %w", err)
	}
	deadline := time.Now().Add(killPatience)
	var failures []error
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil || !isInside(pid, target) {
			continue
		}
		if err := killProcess(pid, target, deadline); err != nil {
			failures = append(failures, err)
		}
	}
	return errors.Join(failures...)
}

// isInside tells whether a living process is in the namespace. One that is ending has none any more.
func isInside(pid int, target unix.Stat_t) bool {
	var stat unix.Stat_t
	err := unix.Stat(fmt.Sprintf("/proc/%d/ns/net", pid), &stat)
	return err == nil && stat.Ino == target.Ino && stat.Dev == target.Dev
}

// killProcess kills through a pidfd, so that a pid which changes hands meanwhile hurts nobody.
func killProcess(pid int, target unix.Stat_t, deadline time.Time) error {
	process, err := unix.PidfdOpen(pid, 0)
	if err == unix.ESRCH {
		return nil
	}
	if err != nil {
		return fmt.Errorf("open process %d: %w", pid, err)
	}
	defer unix.Close(process)
	if !isInside(pid, target) {
		return nil
	}
	if err := unix.PidfdSendSignal(process, unix.SIGKILL, nil, 0); err != nil && err != unix.ESRCH {
		return fmt.Errorf("kill process %d: %w", pid, err)
	}
	for {
		left := max(time.Until(deadline), 0)
		ready, err := unix.Poll([]unix.PollFd{{Fd: int32(process), Events: unix.POLLIN}}, int(left.Milliseconds()))
		switch {
		case err == unix.EINTR && left > 0:
		case err != nil:
			return fmt.Errorf("wait for process %d: %w", pid, err)
		case ready == 0:
			return fmt.Errorf("wait for process %d: still there %s after the kill", pid, killPatience)
		default:
			return nil
		}
	}
}

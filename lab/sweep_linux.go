//go:build linux

package lab

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Sweep removes what labs of processes that are dead left behind: namespaces with their links and processes, resolver
// files, mounts of bpf file systems. It tells the names of what it removed. Labs of living processes are not touched.
// Sweeps of several processes take turns: one of them tells of a leftover.
func Sweep() (removed []string, err error) {
	folder, err := lockNamespaceFolder()
	switch {
	case err == nil:
		defer folder.Close()
	case !errors.Is(err, os.ErrNotExist): // without the folder there is no lab, but there may be files from before a reboot
		return nil, fmt.Errorf("sweep leftovers: %w", err)
	}
	var failures []error
	step := func(names []string, remove func(name string) error) {
		for _, name := range names {
			if err := remove(name); err != nil {
				failures = append(failures, err)
				continue
			}
			removed = append(removed, name)
		}
	}
	namespaces, listErr := leftovers(namespaceFolder)
	failures = append(failures, listErr)
	step(namespaces, removeLeftover)

	folders, listErr := leftovers(resolverFolder)
	failures = append(failures, listErr)
	step(folders, os.RemoveAll)

	mounts, listErr := leftoverMounts()
	failures = append(failures, listErr)
	step(mounts, unmountBPF)

	if err := errors.Join(failures...); err != nil {
		return removed, fmt.Errorf("sweep leftovers: %w", err)
	}
	return removed, nil
}

// removeLeftover takes a namespace of somebody dead away, given its path. A name without a namespace behind it (a
// reboot came between) is only a file.
func removeLeftover(path string) error {
	name := filepath.Base(path)
	namespace, err := openNamespace(name)
	if err != nil {
		return removeName(name)
	}
	return namespace.remove()
}

// leftovers are the paths in a folder whose names tell of a dead owner.
func leftovers(folder string) ([]string, error) {
	entries, err := os.ReadDir(folder)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var paths []string
	for _, entry := range entries {
		left, err := isLeftover(entry.Name())
		if err != nil {
			return nil, err
		}
		if left {
			paths = append(paths, filepath.Join(folder, entry.Name()))
		}
	}
	return paths, nil
}

// isLeftover tells whether a name is one of ours and its owner dead.
func isLeftover(name string) (bool, error) {
	owner, ours := ownerOf(name)
	if !ours {
		return false, nil
	}
	return owner.dead()
}

// leftoverMounts are the mount points of bpf file systems whose source tells of a dead owner.
func leftoverMounts() ([]string, error) {
	file, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("list mounts: %w", err)
	}
	defer file.Close()
	var points []string
	scanner := bufio.NewScanner(file)
	for scanner.Scan() {
		point, kind, source, ok := parseMount(scanner.Text())
		if !ok || kind != "bpf" {
			continue
		}
		left, err := isLeftover(source)
		if err != nil {
			return nil, err
		}
		if left {
			points = append(points, point)
		}
	}
	return points, scanner.Err()
}

// parseMount reads a line of mountinfo (proc_pid_mountinfo(5)): field 5 is the mount point; behind a lone dash come the
// type and the source.
func parseMount(line string) (point, kind, source string, ok bool) {
	before, after, found := strings.Cut(line, " - ")
	head, tail := strings.Fields(before), strings.Fields(after)
	if !found || len(head) < 5 || len(tail) < 2 {
		return "", "", "", false
	}
	return unescapeMount(head[4]), tail[0], unescapeMount(tail[1]), true
}

// unescapeMount turns the \040 of a space, and its like, back.
func unescapeMount(text string) string {
	var plain strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] == '\\' && i+4 <= len(text) {
			if code, err := strconv.ParseUint(text[i+1:i+4], 8, 8); err == nil {
				plain.WriteByte(byte(code))
				i += 3
				continue
			}
		}
		plain.WriteByte(text[i])
	}
	return plain.String()
}

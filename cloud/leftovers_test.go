package cloud

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// leftovers lists what a closed cloud of this process should not have left: namespaces, resolver files and mounts
// that bear this process's number, anything mounted below its folder, and children.
func leftovers(dir string) []string {
	var left []string
	for _, folder := range []string{"/run/netns", "/etc/netns"} {
		names, _ := filepath.Glob(filepath.Join(folder, fmt.Sprintf("postern-%d.*", os.Getpid())))
		left = append(left, names...)
	}
	if mounts, err := os.ReadFile("/proc/self/mountinfo"); err == nil {
		for line := range strings.Lines(string(mounts)) {
			if strings.Contains(line, dir) || strings.Contains(line, fmt.Sprintf("postern-%d.", os.Getpid())) {
				left = append(left, "mount "+strings.TrimSpace(line))
			}
		}
	}
	for _, child := range childrenOf(os.Getpid()) {
		left = append(left, fmt.Sprintf("process %d", child))
	}
	return left
}

// childrenOf lists the processes whose parent is pid, but zombies.
func childrenOf(pid int) []int {
	var children []int
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, file := range stats {
		data, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended
		}
		fields := strings.Fields(string(data[strings.LastIndexByte(string(data), ')')+1:]))
		if len(fields) > 1 && fields[0] != "Z" && fields[1] == strconv.Itoa(pid) {
			if child, err := strconv.Atoi(filepath.Base(filepath.Dir(file))); err == nil {
				children = append(children, child)
			}
		}
	}
	return children
}

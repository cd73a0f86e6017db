//go:build linux

package lab

import (
	"math"
	"os"
	"os/exec"
	"strings"
	"testing"
)

func TestOwnerTag(t *testing.T) {
	for _, want := range []owner{{1, 0, 0}, {4242, 123456789, 4026531836}, {math.MaxInt32, math.MaxUint64, math.MaxUint64}} {
		name := namePrefix + want.tag() + ".1-vm-app"
		got, ok := ownerOf(name)
		if !ok || got != want {
			t.Errorf("%s: got %v, %v; want %v", name, got, ok, want)
		}
	}
	for _, name := range []string{"", "postern-", "postern-vm", "pt-1.2.3.4-vm", "postern-1.2.3-vm", "postern-0.2.3.4-vm",
		"postern-x.2.3.4-vm", "postern-1.2.?.4-vm", "1.2.3.4-vm"} {
		if got, ok := ownerOf(name); ok {
			t.Errorf("%q: got %v, want nobody", name, got)
		}
	}
}

func TestOwnerDead(t *testing.T) {
	self, err := thisProcess()
	if err != nil {
		t.Fatal(err)
	}
	child := exec.Command("sleep", "60")
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	startTime, _, err := processStart(child.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	other := owner{child.Process.Pid, startTime, self.pidNamespace}
	check := func(what string, who owner, want bool) {
		t.Helper()
		if got, err := who.dead(); err != nil || got != want {
			t.Errorf("%s: dead is %v, %v; want %v", what, got, err, want)
		}
	}
	check("this process", self, false)
	check("a living child", other, false)
	check("a pid that changed hands", owner{os.Getpid(), self.startTime + 1, self.pidNamespace}, true)
	check("a process of another PID namespace", owner{self.pid, self.startTime + 1, self.pidNamespace + 1}, false)
	child.Process.Kill()
	child.Wait()
	check("a dead child", other, true)
}

func FuzzOwnerOf(f *testing.F) {
	f.Add("postern-4242.9x3k.1ulnn4c.1-vm-app")
	f.Add("postern-1...-")
	f.Fuzz(func(t *testing.T, name string) {
		who, ok := ownerOf(name)
		if !ok {
			return
		}
		if again, ok := ownerOf(namePrefix + who.tag() + ".1-x"); !ok || again != who {
			t.Errorf("%q: %v is not read back from its own tag", name, who)
		}
	})
}

func TestProcessStat(t *testing.T) {
	startTime, state, err := parseProcessStat("7 (a) b (c)) S 1 7 7 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 98765 0 0")
	if err != nil || startTime != 98765 || state != 'S' {
		t.Errorf("got %d, %c, %v; want 98765, S", startTime, state, err)
	}
}

func FuzzProcessStat(f *testing.F) {
	f.Add("7 (a) b (c)) S 1 7 7 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 98765 0 0")
	f.Add(")")
	f.Add("")
	f.Fuzz(func(t *testing.T, content string) {
		if _, _, err := parseProcessStat(content); err == nil && !strings.Contains(content, ")") {
			t.Errorf("%q was taken for a process", content)
		}
	})
}

func TestMountLine(t *testing.T) {
	line := `36 35 0:32 / /tmp/with\040space/bpf rw,nosuid shared:1 - bpf postern-1.2.3.4 rw,mode=700`
	point, kind, source, ok := parseMount(line)
	if !ok || point != "/tmp/with space/bpf" || kind != "bpf" || source != "postern-1.2.3.4" {
		t.Errorf("got %q, %q, %q, %v", point, kind, source, ok)
	}
}

func FuzzMountLine(f *testing.F) {
	f.Add(`36 35 0:32 / /tmp/a\040b rw - bpf postern-1.2.3.4 rw`)
	f.Add(`- \ - \0 - `)
	f.Fuzz(func(t *testing.T, line string) {
		point, _, _, ok := parseMount(line)
		if ok && len(point) > len(line) {
			t.Errorf("%q: mount point %q is longer than its line", line, point)
		}
	})
}

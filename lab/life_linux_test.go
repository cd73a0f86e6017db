//go:build linux

package lab

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"postern/model"
)

// What the test binary does when it is started again as a child.
const (
	childMode      = "LAB_TEST_CHILD"
	childBuilds    = "build" // a lab, and waits to be killed
	childExecs     = "exec"  // replaces itself by a command inside a namespace
	childChecks    = "check" // tells what Prerequisites says
	childNamespace = "LAB_TEST_NAMESPACE"
	childFile      = "LAB_TEST_FILE"
)

func TestMain(m *testing.M) {
	var err error
	switch os.Getenv(childMode) {
	case "":
		os.Exit(m.Run())
	case childBuilds:
		err = buildAndWait(os.Getenv(childFile))
	case childChecks:
		var missing *PrerequisiteError
		if errors.As(Prerequisites(), &missing) {
			fmt.Println(missing.Missing, missing)
			os.Exit(0)
		}
	case childExecs:
		err = ExecInside(os.Getenv(childNamespace), os.Getenv(childFile),
			[]string{"sh", "-c", "cat /etc/resolv.conf /etc/nsswitch.conf /proc/net/dev"})
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// buildAndWait makes one of everything, tells its tag and a child's pid, and lives until its standard input ends.
func buildAndWait(bpf string) error {
	lab, err := New(model.DefaultSettings)
	if err != nil {
		return err
	}
	defer lab.Close()
	host, err := lab.AddHost(testHost(0, "host-a"))
	if err != nil {
		return err
	}
	vm, err := lab.AddVM(host, "vm-app", testNIC())
	if err != nil {
		return err
	}
	if err := lab.MountBPF(bpf); err != nil {
		return err
	}
	command := vm.Command(context.Background(), "sleep", "600")
	if err := command.Start(); err != nil {
		return err
	}
	fmt.Println(lab.tag, command.Process.Pid)
	io.Copy(io.Discard, os.Stdin)
	return errors.New("nobody killed me")
}

func TestPrerequisites(t *testing.T) {
	requireLab(t)
	// In a user namespace that maps nobody the child has no capability at all.
	child := exec.CommandContext(bounded(t), os.Args[0])
	child.Env = append(os.Environ(), childMode+"="+childChecks)
	child.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER}
	output, err := child.CombinedOutput()
	if err != nil || !strings.HasPrefix(string(output), string(NeedsCapabilities)+" ") || !strings.Contains(string(output), "root") {
		t.Errorf("without capabilities: got %q, %v; want an error about them that says what to do", output, err)
	}
}

func TestVM(t *testing.T) {
	c := newCloud(t)
	nic := testNIC()
	vm, err := c.AddVM(c.hosts[0], "vm-app", nic)
	if err != nil {
		t.Fatal(err)
	}
	if err := vm.Do(func() error {
		link, err := net.InterfaceByName(VMLink)
		if err != nil {
			return err
		}
		addresses, err := link.Addrs()
		if err != nil {
			return err
		}
		if link.MTU != 1500 || link.HardwareAddr.String() != nic.MAC.String() ||
			len(addresses) != 1 || addresses[0].String() != nic.Address.String() {
			t.Errorf("eth0 has MTU %d, MAC %s, addresses %v", link.MTU, link.HardwareAddr, addresses)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	inside, err := vm.Raw(VMLink)
	if err != nil {
		t.Fatal(err)
	}
	defer inside.Close()
	outside, err := c.hosts[0].Raw(NICLink(nic.Number))
	if err != nil {
		t.Fatal(err)
	}
	defer outside.Close()
	if got := outside.HardwareAddr().String(); got != model.RouterMAC.String() {
		t.Errorf("the host's side has MAC %s, want %s", got, model.RouterMAC)
	}
	// An ARP request for the node's loopback, which the host's stack would answer if it could, and a marked frame.
	arp := slices.Concat(bytes.Repeat([]byte{0xff}, 6), nic.MAC[:], []byte{8, 6, 0, 1, 8, 0, 6, 4, 0, 1}, nic.MAC[:],
		[]byte{10, 13, 76, 36, 0, 0, 0, 0, 0, 0, 127, 0, 0, 1})
	for _, frame := range [][]byte{arp, slices.Concat(model.RouterMAC[:], nic.MAC[:], []byte{0x88, 0xb5}, []byte("marked"))} {
		if err := inside.Send(frame); err != nil {
			t.Fatal(err)
		}
		outside.SetReadDeadline(time.Now().Add(patience))
		buffer := make([]byte, 2048)
		count, err := outside.Receive(buffer)
		if err != nil || !bytes.Equal(buffer[:count], frame) {
			t.Errorf("the host's side got %x, %v; want %x", buffer[:count], err, frame)
		}
	}
	inside.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
	buffer := make([]byte, 2048)
	if count, err := inside.Receive(buffer); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the host's side sent %x, %v; want silence", buffer[:count], err)
	}

	if err := c.RemoveVM(vm); err != nil {
		t.Fatal(err)
	}
	if _, err := c.hosts[0].LinkIndex(NICLink(nic.Number)); err == nil {
		t.Error("the host's side is still there after the VM was removed")
	}
	if left := traces(t, vm.Name); len(left) > 0 {
		t.Errorf("left after the VM was removed: %v", left)
	}
	if err := vm.Do(func() error { return nil }); !errors.Is(err, ErrClosed) {
		t.Errorf("work in a removed VM: got %v, want %v", err, ErrClosed)
	}
	if _, err := c.AddVM(c.hosts[0], "vm-app", nic); err != nil {
		t.Errorf("add the VM again: %v", err)
	}
}

func TestExecInside(t *testing.T) {
	c := newCloud(t)
	vm, err := c.AddVM(c.hosts[0], "vm-app", testNIC())
	if err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile("/etc/resolv.conf")
	if err != nil {
		t.Skipf("no /etc/resolv.conf to mount over: %v", err)
	}
	command := exec.CommandContext(bounded(t), os.Args[0])
	command.Env = append(os.Environ(), childMode+"="+childExecs, childNamespace+"="+vm.Name, childFile+"="+vm.ResolvConf)
	output, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	for _, want := range []string{"nameserver 168.63.129.16", "eth0:"} {
		if !strings.Contains(string(output), want) {
			t.Errorf("inside there is no %q:\n%s", want, output)
		}
	}
	after, err := os.ReadFile("/etc/resolv.conf")
	if err != nil || !bytes.Equal(before, after) {
		t.Errorf("/etc/resolv.conf of this computer changed: %v", err)
	}
	if err := ExecInside("postern-nobody", "", nil); err == nil {
		t.Error("no command: no error")
	}
}

func TestCommand(t *testing.T) {
	c := newCloud(t)
	output, err := c.outsider.Command(bounded(t), "cat", "/proc/net/dev").Output()
	if err != nil || !strings.Contains(string(output), InternetLink) {
		t.Errorf("got %q, %v; want the outsider's interfaces", output, err)
	}
	ctx, cancel := context.WithCancel(bounded(t))
	command := c.outsider.Command(ctx, "sh", "-c", "sleep 600 & wait")
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := command.Wait(); err == nil {
		t.Error("a command whose context ended: no error")
	}
	// The grandchild, of the same group, is killed as well: its namespace is empty.
	if pids := inside(t, c.outsider); len(pids) > 0 {
		t.Errorf("processes %v live on", pids)
	}
}

// inside are the processes in a namespace that are neither zombies nor about to end.
func inside(t *testing.T, namespace *Namespace) (pids []int) {
	t.Helper()
	var target unix.Stat_t
	if err := unix.Fstat(namespace.file, &target); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil || !isInside(pid, target) {
			continue
		}
		if process, err := unix.PidfdOpen(pid, 0); err == nil {
			ended, _ := unix.Poll([]unix.PollFd{{Fd: int32(process), Events: unix.POLLIN}}, int(patience.Milliseconds()))
			unix.Close(process)
			if ended == 0 {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}

func TestClose(t *testing.T) {
	c := newCloud(t)
	if _, err := c.AddVM(c.hosts[0], "vm-app", testNIC()); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "state", "bpf")
	if err := c.MountBPF(dir); err != nil {
		t.Fatal(err)
	}
	command := c.outsider.Command(context.Background(), "sleep", "600")
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	listener, err := c.gateway.Listen(bounded(t), "tcp", "[::]:0") // holds its namespace
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	held, err := unix.Dup(c.gateway.file)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(held)

	start := time.Now()
	for range 2 {
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("closed in %s", time.Since(start))
	if err := command.Wait(); err == nil {
		t.Error("a command outlived its lab")
	}
	if left := traces(t, namePrefix+c.tag); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("folder of the bpf file system: got %v, want that it is gone", err)
	}
	if err := onThread(func() error {
		if err := unix.Setns(held, unix.CLONE_NEWNET); err != nil {
			return err
		}
		links, err := net.Interfaces()
		for _, link := range links {
			if link.Flags&net.FlagLoopback == 0 && link.Flags&net.FlagUp != 0 {
				t.Errorf("link %s is left in a namespace that is still held", link.Name)
			}
		}
		return err
	}); err != nil {
		t.Error(err)
	}
	for what, try := range map[string]func() error{
		"add host":   func() error { _, err := c.AddHost(testHost(0, "host-late")); return err },
		"set public": func() error { return c.gateway.SetPublic(nil) },
		"mount":      func() error { return c.MountBPF(dir) },
		"listen":     func() error { _, err := c.gateway.Listen(bounded(t), "tcp", "[::]:0"); return err },
		"link":       func() error { return c.hosts[0].up("lo") },
	} {
		if err := try(); err != nil != (what != "set public") || err != nil && !errors.Is(err, ErrClosed) {
			t.Errorf("%s after close: got %v, want %v", what, err, ErrClosed)
		}
	}
}

func TestClosePartial(t *testing.T) {
	lab := newLab(t) // its cleanup looks for what is left
	if _, err := lab.AddHost(testHost(0, "host-a")); err != nil {
		t.Fatal(err)
	}
	if _, err := lab.AddHost(testHost(0, "host-b")); err == nil { // the locator is taken: half a host
		t.Fatal("two hosts with one locator: no error")
	}
}

func TestCloseWhileBuilding(t *testing.T) {
	lab := newLab(t)
	ended := make(chan error, 1)
	started := make(chan struct{})
	go func() {
		address := outsiderAddress
		for i := range 200 {
			address = address.Next()
			if _, err := lab.AddOutsider(fmt.Sprintf("outsider-%d", i), address); err != nil {
				ended <- err
				return
			}
			if i == 2 {
				close(started)
			}
		}
		ended <- nil
	}()
	<-started
	for range 2 { // the second finds what the builder made meanwhile, if anything
		if err := lab.Close(); err != nil {
			t.Error(err)
		}
	}
	select {
	case err := <-ended:
		if err == nil { // ErrClosed, or something that was just taken away
			t.Error("the builder went on in a closed lab")
		}
	case <-time.After(patience):
		t.Error("the builder did not notice")
	}
}

func TestSweep(t *testing.T) {
	own := newCloud(t)
	bpf := filepath.Join(t.TempDir(), "bpf")
	child := exec.CommandContext(bounded(t), os.Args[0])
	child.Env = append(os.Environ(), childMode+"="+childBuilds, childFile+"="+bpf)
	child.Stderr = os.Stderr
	input, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer input.Close()
	output, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(output).ReadString('\n')
	if err != nil {
		child.Process.Kill()
		child.Wait()
		t.Fatalf("the child built nothing: %v", err)
	}
	tag, pidText, _ := strings.Cut(strings.TrimSpace(line), " ")
	grandchild, err := strconv.Atoi(pidText)
	if err != nil {
		t.Fatal(err)
	}
	process, err := unix.PidfdOpen(grandchild, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(process)

	if _, err := Sweep(); err != nil {
		t.Error(err)
	}
	living := traces(t, namePrefix+tag)
	if len(living) < 8 { // 4 namespaces and their mounts, resolver files, bpf
		t.Errorf("a living lab was swept; left: %v", living)
	}
	child.Process.Kill()
	child.Wait()
	removed, err := Sweep()
	if err != nil {
		t.Error(err)
	}
	if left := traces(t, namePrefix+tag); len(left) > 0 {
		t.Errorf("left after the sweep: %v", left)
	}
	// Another process's sweep may have come first; then this one tells of nothing.
	toldVM := slices.Contains(removed, filepath.Join(namespaceFolder, namePrefix+tag+"-vm-app"))
	if toldBPF := slices.Contains(removed, bpf); toldVM != toldBPF {
		t.Errorf("the sweep tells of a part: %v", removed)
	}
	if ended, err := unix.Poll([]unix.PollFd{{Fd: int32(process), Events: unix.POLLIN}}, int(patience.Milliseconds())); ended != 1 {
		t.Errorf("a process of the dead lab lives on: %v", err)
	}
	if err := own.outsider.Do(func() error { return nil }); err != nil {
		t.Errorf("the sweep took this process's own lab: %v", err)
	}
	ping(t, own.hosts[0].Namespace, NodeAddress(own.hosts[1].Node))
}

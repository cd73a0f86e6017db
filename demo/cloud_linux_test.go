package demo

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"postern/cloud"
	"postern/datapath/kernel"
	"postern/lab"
)

// TestDemoKernel tells the story in network namespaces, with a process for each node. It needs root and Linux 6.6.
func TestDemoKernel(t *testing.T) {
	needKernel(t)
	play(t, cloud.Options{DataPath: cloud.Kernel, Program: buildPostern(t)})
}

// TestAzStoryKernel tells the story of az in network namespaces.
func TestAzStoryKernel(t *testing.T) {
	needKernel(t)
	playAz(t, cloud.Options{DataPath: cloud.Kernel, Program: buildPostern(t)})
}

// TestAgentKilled kills the agent of vm-app's host with -9 in the middle of act udr-endpoint: the pinned programs go on, so
// that no row is lost, and the agent that is started again takes them over.
func TestAgentKilled(t *testing.T) {
	needKernel(t)
	program := buildPostern(t)
	killer := &agentKiller{progress: progress{t}, program: program, node: "host-we-1"}
	playActs(t, cloud.Options{DataPath: cloud.Kernel, Program: program}, Options{Acts: []string{actUDREndpoint.id}, Progress: killer})
	if killer.killed != 1 {
		t.Errorf("%d agents were killed, want one", killer.killed)
	}
}

// agentKiller kills a node's agent when the story says that the wrong route stands.
type agentKiller struct {
	progress
	program, node string
	killed        int
}

func (k *agentKiller) Write(text []byte) (int, error) {
	if k.killed == 0 && bytes.Contains(text, []byte("the route to the appliance stands")) {
		k.kill()
	}
	return k.progress.Write(text)
}

// kill finds the process by its program, which no other run has, and the node that it is for.
func (k *agentKiller) kill() {
	k.t.Helper()
	processes, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		k.t.Error(err)
	}
	for _, process := range processes {
		line, err := os.ReadFile(filepath.Join(process, "cmdline"))
		if err != nil {
			continue // it has ended
		}
		arguments := strings.Split(string(line), "\x00")
		if arguments[0] != k.program || !slices.Contains(arguments, k.node) {
			continue
		}
		number, err := strconv.Atoi(filepath.Base(process))
		if err != nil {
			k.t.Error(err)
			continue
		}
		if err := syscall.Kill(number, syscall.SIGKILL); err != nil {
			k.t.Error(err)
			continue
		}
		k.killed++
		k.t.Logf("killed the agent of %s, process %d", k.node, number)
	}
}

// needKernel skips the test where the kernel data path cannot run, and says why.
func needKernel(t *testing.T) {
	t.Helper()
	err := errors.Join(kernel.Supported(), lab.Prerequisites())
	var notSupported *kernel.NotSupportedError
	var prerequisite *lab.PrerequisiteError
	if errors.As(err, &notSupported) || errors.As(err, &prerequisite) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// buildPostern builds the program that the nodes' processes are.
func buildPostern(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "postern")
	if output, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "postern/cmd/postern").CombinedOutput(); err != nil {
		t.Fatalf("build postern: %v\n%s", err, output)
	}
	return program
}

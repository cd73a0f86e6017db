package cloud

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"postern/model"
	"postern/resource"
)

// limit bounds one test with its cloud; patience one thing that it waits for.
const (
	limit    = 300 * time.Second
	patience = 60 * time.Second
)

// program is the postern executable that the kernel data path runs its nodes with.
var program string

func TestMain(m *testing.M) { os.Exit(runTests(m)) }

func runTests(m *testing.M) int {
	dir, err := os.MkdirTemp("", "postern-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	program = filepath.Join(dir, "postern")
	if output, err := exec.Command("go", "build", "-o", program, "postern/cmd/postern").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build postern: %v\n%s", err, output)
		return 1
	}
	return m.Run()
}

// onBothDataPaths runs one story on both.
func onBothDataPaths(t *testing.T, story func(t *testing.T, dataPath string)) {
	for _, dataPath := range []string{Kernel, Userspace} {
		t.Run(dataPath, func(t *testing.T) {
			if dataPath == Kernel {
				needKernel(t)
			}
			story(t, dataPath)
		})
	}
}

func needKernel(t *testing.T) {
	t.Helper()
	if err := kernelSupported(); err != nil {
		t.Skipf("the kernel data path cannot run here: %v", err)
	}
}

// stage is a running cloud with a test on it.
type stage struct {
	*Cloud
	t   testing.TB
	ctx context.Context
}

// start starts a cloud on a folder, "" for one of its own. Its log is the test's.
func start(t *testing.T, dataPath, dir string, documents ...string) *stage {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	t.Cleanup(cancel)
	cloud, err := Start(ctx, Options{Dir: dir, DataPath: dataPath, Program: program, Log: testLog(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeCloud(t, cloud) })
	s := &stage{Cloud: cloud, t: t, ctx: ctx}
	if len(documents) > 0 {
		s.apply(documents...)
	}
	return s
}

// closeCloud closes a cloud and looks for what it may have left. A second time it does nothing.
func closeCloud(t testing.TB, cloud *Cloud) {
	t.Helper()
	if t.Failed() {
		logs, _ := filepath.Glob(filepath.Join(cloud.Dir(), "logs", "*.log"))
		for _, file := range logs {
			if data, err := os.ReadFile(file); err == nil && len(data) > 0 {
				t.Logf("%s:\n%s", filepath.Base(file), data[max(0, len(data)-4000):])
			}
		}
	}
	if err := cloud.Close(); err != nil {
		t.Errorf("close the cloud: %v", err)
	}
	if left := leftovers(cloud.Dir()); len(left) > 0 {
		t.Errorf("left behind: %s", strings.Join(left, ", "))
	}
}

// in is the stage for a subtest: failures are the subtest's.
func (s *stage) in(t testing.TB) *stage { return &stage{Cloud: s.Cloud, t: t, ctx: s.ctx} }

type logWriter struct{ t testing.TB }

func (w logWriter) Write(line []byte) (int, error) {
	w.t.Log(strings.TrimSpace(string(line)))
	return len(line), nil
}

// testLog takes warnings and errors into the test's output. Clouds end before their tests.
func testLog(t testing.TB) *slog.Logger {
	return slog.New(slog.NewTextHandler(logWriter{t}, &slog.HandlerOptions{Level: slog.LevelWarn}))
}

// apply writes resources, and waits until they are in force.
func (s *stage) apply(documents ...string) {
	s.t.Helper()
	items, err := resource.Load("test", []byte(strings.Join(documents, "\n---\n")))
	if err == nil {
		_, err = s.API().Apply(s.ctx, items, nil)
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *stage) remove(short ...string) {
	s.t.Helper()
	var ids []resource.ID
	for _, text := range short {
		ids = append(ids, idOf(s.t, text))
	}
	if _, err := s.API().Apply(s.ctx, nil, ids); err != nil {
		s.t.Fatal(err)
	}
}

func idOf(t testing.TB, short string) resource.ID {
	t.Helper()
	full, _ := resource.Expand(short)
	id, err := resource.ParseID(full)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func (s *stage) machine(nic string) Machine {
	s.t.Helper()
	machine, err := s.Machine(s.ctx, nic)
	if err != nil {
		s.t.Fatal(err)
	}
	return machine
}

func (s *stage) outsider(name, address string) Machine {
	s.t.Helper()
	machine, err := s.Outsider(s.ctx, name, netip.MustParseAddr(address))
	if err != nil {
		s.t.Fatal(err)
	}
	return machine
}

// eventually asks until there is no error.
func (s *stage) eventually(what string, check func() error) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.ctx, patience)
	defer cancel()
	var last error
	if err := poll(ctx, what, func() (bool, error) { last = check(); return last == nil, nil }); err != nil {
		s.t.Fatalf("%v; last: %v", err, last)
	}
}

// counted is how many packets of a NIC met a reason, on its node.
func (s *stage) counted(nic string, reason model.Reason) uint64 {
	s.t.Helper()
	info, err := s.NIC(s.ctx, nic)
	if err != nil {
		s.t.Fatal(err)
	}
	return s.countedOn(info.Node, info.Number, reason)
}

func (s *stage) countedOn(node string, nic uint32, reason model.Reason) uint64 {
	s.t.Helper()
	counters, err := s.Counters(s.ctx, node)
	if err != nil {
		s.t.Fatal(err)
	}
	var packets uint64
	for _, counter := range counters {
		if counter.NIC == nic && counter.Reason == reason {
			packets += counter.Packets
		}
	}
	return packets
}

package agent

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"postern/model"
	"postern/plan"
	"postern/store"
	"postern/store/embedded"
)

// recorder is a driver that tells each plan it was given.
type recorder struct {
	lock   sync.Mutex
	fail   func(plan.Node) error
	told   chan plan.Node
	counts []model.Counter
}

func newRecorder() *recorder { return &recorder{told: make(chan plan.Node, 100)} }

func (r *recorder) Apply(_ context.Context, node plan.Node) error {
	r.lock.Lock()
	defer r.lock.Unlock()
	r.told <- node
	if r.fail != nil {
		return r.fail(node)
	}
	return nil
}

func (r *recorder) Counters() ([]model.Counter, error) { return r.counts, nil }
func (r *recorder) Close() error                       { return nil }

func (r *recorder) failWith(fail func(plan.Node) error) {
	r.lock.Lock()
	defer r.lock.Unlock()
	r.fail = fail
}

func host(mtu int) plan.Node {
	return plan.Node{Node: "h1", Role: model.RoleHost, FabricMTU: mtu, Locator: model.MustLocator("fd00:1:1:100::/56"),
		Host: &plan.Host{NICs: []plan.NIC{{Number: 7}}}}
}

func folder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "pt-agent-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func bounded(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// run starts an agent; stop ends it and waits.
func run(t *testing.T, dir string, plans Plans, d Driver) (a *Agent, stop func()) {
	t.Helper()
	a, err := New(Options{Node: "h1", Dir: dir, Plans: plans, Driver: d, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(bounded(t))
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return a, stop
}

func wantPlan(t *testing.T, r *recorder, mtu int) plan.Node {
	t.Helper()
	select {
	case node := <-r.told:
		if node.FabricMTU != mtu {
			t.Fatalf("the driver was told MTU %d, want %d", node.FabricMTU, mtu)
		}
		return node
	case <-time.After(20 * time.Second):
		t.Fatalf("the driver was told nothing, want MTU %d", mtu)
	}
	panic("unreachable")
}

func put(t *testing.T, s *store.Store, revision int64, plans ...plan.Node) {
	t.Helper()
	set := make(map[string]plan.Node)
	for _, p := range plans {
		set[p.Node] = p
	}
	if err := s.PutPlans(bounded(t), set, revision); err != nil {
		t.Fatal(err)
	}
}

func TestAgent(t *testing.T) {
	state, dir := folder(t), folder(t)
	server, err := embedded.Open(state)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { server.Close() }()
	connection, err := store.Connect(server.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()

	first := newRecorder()
	first.counts = []model.Counter{{NIC: 7, Reason: model.ReasonVLAN, Packets: 3}}
	_, stop := run(t, dir, connection, first)
	put(t, server.Store, 1, host(1600))
	wantPlan(t, first, 1600)
	if err := server.WaitApplied(bounded(t), 1); err != nil {
		t.Fatal(err)
	}

	t.Run("status and counters on the socket", func(t *testing.T) {
		var status Status
		if err := Read(bounded(t), dir, "h1", "/status", &status); err != nil || status.Applied == 0 || status.Applied != status.Wanted || status.FromDisk {
			t.Errorf("%+v, %v", status, err)
		}
		var counters struct{ Counters []model.Counter }
		if err := Read(bounded(t), dir, "h1", "/counters", &counters); err != nil || len(counters.Counters) != 1 || counters.Counters[0] != first.counts[0] {
			t.Errorf("%+v, %v", counters, err)
		}
	})

	t.Run("a plan comes after the store was restarted", func(t *testing.T) {
		if err := server.Close(); err != nil {
			t.Fatal(err)
		}
		if server, err = embedded.Open(state); err != nil {
			t.Fatal(err)
		}
		put(t, server.Store, 2, host(1700))
		wantPlan(t, first, 1700)
		if err := server.WaitApplied(bounded(t), 2); err != nil {
			t.Fatal(err)
		}
	})

	t.Run("the last good plan is applied before the store is reached", func(t *testing.T) {
		stop()
		if err := server.Close(); err != nil {
			t.Fatal(err)
		}
		second := newRecorder()
		a, stop := run(t, dir, connection, second)
		wantPlan(t, second, 1700)
		stop()
		if status := a.Status(); !status.FromDisk || status.Applied != 0 {
			t.Errorf("%+v", status)
		}
		if server, err = embedded.Open(state); err != nil {
			t.Fatal(err)
		}
	})

	t.Run("a plan that fails is reported, tried again, and not kept as good", func(t *testing.T) {
		third := newRecorder()
		third.failWith(func(node plan.Node) error {
			if node.FabricMTU == 1800 {
				return errors.New("no such device")
			}
			return nil
		})
		_, stop := run(t, dir, connection, third)
		wantPlan(t, third, 1700)
		put(t, server.Store, 3, host(1800))
		var lag *store.LagError
		if err := server.WaitApplied(bounded(t), 3); !errors.As(err, &lag) || !strings.Contains(err.Error(), "no such device") {
			t.Fatalf("the report: %v", err)
		}
		stop()
		// The next run tries the newest plan first, and falls back to the last good one.
		fourth := newRecorder()
		fourth.failWith(third.fail)
		_, stop = run(t, dir, connection, fourth)
		wantPlan(t, fourth, 1800)
		wantPlan(t, fourth, 1700)
		fourth.failWith(nil)
		if err := waitFor(t, server.Store, 3); err != nil {
			t.Error(err)
		}
		stop()
	})

	t.Run("a node that is gone has an empty plan", func(t *testing.T) {
		fifth := newRecorder()
		run(t, dir, connection, fifth)
		wantPlan(t, fifth, 1800) // from disk
		put(t, server.Store, 4)
		for {
			node := wantPlan(t, fifth, 1800)
			if node.Host != nil && len(node.Host.NICs) == 0 {
				return
			}
		}
	})
}

// waitFor waits until a revision is applied, past reports of failures that are tried again.
func waitFor(t *testing.T, s *store.Store, revision int64) error {
	ctx := bounded(t)
	for {
		err := s.WaitApplied(ctx, revision)
		var lag *store.LagError
		if !errors.As(err, &lag) || lag.Cause != nil {
			return err
		}
		time.Sleep(10 * time.Millisecond) // the pause of a bounded wait
	}
}

// TestNewestPlanIsOnDiskFirst covers that a death inside Apply does not bring an older plan back.
func TestNewestPlanIsOnDiskFirst(t *testing.T) {
	d := newDisk(folder(t), "h1")
	for _, mtu := range []int{1600, 1700} {
		if err := d.begin(host(mtu)); err != nil {
			t.Fatal(err)
		}
		if mtu == 1600 {
			if err := d.done(); err != nil {
				t.Fatal(err)
			}
		}
	}
	plans, err := d.plans()
	if err != nil || len(plans) != 2 || plans[0].FabricMTU != 1700 || plans[1].FabricMTU != 1600 {
		t.Errorf("on disk: %+v, %v", plans, err)
	}
	if err := os.WriteFile(d.next, []byte(`{"node":`), 0o600); err != nil {
		t.Fatal(err)
	}
	plans, err = d.plans()
	if err == nil || len(plans) != 1 || plans[0].FabricMTU != 1600 {
		t.Errorf("with a damaged file: %+v, %v", plans, err)
	}
}

// TestDependencies covers the import rule: an agent links no etcd server, no API, and no Azure SDK.
func TestDependencies(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "postern/agent").Output()
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Fields(string(out))
	if len(lines) < 100 {
		t.Fatalf("go list answered %d packages", len(lines))
	}
	for _, line := range lines {
		for _, forbidden := range []string{"go.etcd.io/etcd/server", "go.etcd.io/bbolt", "postern/api", "postern/server", "postern/store/embedded",
			"postern/compile", "github.com/Azure/"} {
			if strings.HasPrefix(line, forbidden) {
				t.Errorf("the agent links %s", line)
			}
		}
	}
}

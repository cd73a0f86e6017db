package store_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"testing"
	"time"

	"postern/model"
	"postern/plan"
	"postern/resource"
	"postern/store"
	"postern/store/embedded"
)

// open starts a store in a folder whose path is short enough for a socket.
func open(t testing.TB) *embedded.Server {
	t.Helper()
	server, err := embedded.Open(folder(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	return server
}

func folder(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "pt-store-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func within(t testing.TB, limit time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	t.Cleanup(cancel)
	return ctx
}

func record(name string) resource.Record {
	id, err := resource.IDOf(resource.TypeApplicationSecurityGroup, name)
	if err != nil {
		panic(err)
	}
	return resource.Record{ID: id.String(), Type: id.Type(), Body: json.RawMessage(`{"location":"westeurope"}`)}
}

func TestPutAndSnapshot(t *testing.T) {
	server, ctx := open(t), within(t, 30*time.Second)
	empty, err := server.Snapshot(ctx)
	if err != nil || empty.Revision != 0 || len(empty.Records) != 0 || empty.Counters != resource.FirstCounters {
		t.Fatalf("empty cloud: %+v, %v", empty, err)
	}
	counters := resource.Counters{Identity: 4099, VNet: 3, NIC: 7}
	revision, err := server.Put(ctx, store.Write{Puts: []resource.Record{record("a"), record("B")}, Counters: counters})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := server.Put(ctx, store.Write{Puts: []resource.Record{record("c")}}); !errors.Is(err, store.ErrConflict) {
		t.Fatalf("write from an old cloud: %v, want ErrConflict", err)
	}
	state, err := server.Snapshot(ctx)
	if err != nil || state.Revision != revision || state.Counters != counters || len(state.Records) != 2 {
		t.Fatalf("after the first write: %+v, %v", state, err)
	}
	if state.Records[0].ID != record("a").ID || state.Records[0].Revision != revision {
		t.Fatalf("first record: %+v", state.Records[0])
	}
	b := record("B")
	if _, err := server.Put(ctx, store.Write{Base: revision, Deletes: []string{b.Key()}, Counters: counters}); err != nil {
		t.Fatal(err)
	}
	if state, err = server.Snapshot(ctx); err != nil || len(state.Records) != 1 {
		t.Fatalf("after the deletion: %+v, %v", state, err)
	}
}

// TestManyRecords covers more than a page, and more operations in a transaction than etcd takes by default.
func TestManyRecords(t *testing.T) {
	server, ctx := open(t), within(t, 60*time.Second)
	var puts []resource.Record
	for i := range 9000 {
		puts = append(puts, record(fmt.Sprintf("asg-%05d", i)))
	}
	if _, err := server.Put(ctx, store.Write{Puts: puts}); err != nil {
		t.Fatal(err)
	}
	state, err := server.Snapshot(ctx)
	if err != nil || len(state.Records) != len(puts) {
		t.Fatalf("read %d records, %v; wrote %d", len(state.Records), err, len(puts))
	}
	for i := range puts {
		if state.Records[i].ID != puts[i].ID {
			t.Fatalf("record %d is %s, want %s", i, state.Records[i].ID, puts[i].ID)
		}
	}
}

func TestConcurrentWriters(t *testing.T) {
	server, ctx := open(t), within(t, 60*time.Second)
	const writers, each = 8, 10
	var group sync.WaitGroup
	for writer := range writers {
		group.Go(func() {
			for i := 0; i < each; {
				state, err := server.Snapshot(ctx)
				if err != nil {
					t.Error(err)
					return
				}
				r := record(fmt.Sprintf("asg-%d-%d", writer, i))
				r.Allotted.Number = state.Counters.NIC
				state.Counters.NIC++
				_, err = server.Put(ctx, store.Write{Base: state.Revision, Puts: []resource.Record{r}, Counters: state.Counters})
				switch {
				case err == nil:
					i++
				case !errors.Is(err, store.ErrConflict):
					t.Error(err)
					return
				}
			}
		})
	}
	group.Wait()
	state, err := server.Snapshot(ctx)
	if err != nil || len(state.Records) != writers*each {
		t.Fatalf("%d records, %v; want %d", len(state.Records), err, writers*each)
	}
	seen := make(map[uint32]string)
	for _, r := range state.Records {
		if other, ok := seen[r.Allotted.Number]; ok {
			t.Errorf("number %d was allotted to %s and to %s", r.Allotted.Number, other, r.ID)
		}
		seen[r.Allotted.Number] = r.ID
	}
	if state.Counters.NIC != resource.FirstCounters.NIC+writers*each {
		t.Errorf("the counter is %d", state.Counters.NIC)
	}
}

func TestTakenFolder(t *testing.T) {
	dir := folder(t)
	first, err := embedded.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := embedded.Open(dir); !errors.Is(err, embedded.ErrTaken) {
		t.Errorf("second opening: %v, want ErrTaken", err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := embedded.Open(dir)
	if err != nil {
		t.Fatalf("opening after closing: %v", err)
	}
	again.Close()
}

func TestLongFolder(t *testing.T) {
	dir := folder(t) + "/" + string(bytes.Repeat([]byte("x"), 120))
	if _, err := embedded.Open(dir); err == nil {
		t.Fatal("a folder too long for a socket was taken")
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder was made all the same: %v", err)
	}
}

func TestCatalogueInParts(t *testing.T) {
	server, ctx := open(t), within(t, 30*time.Second)
	if data, err := server.Catalogue(ctx); data != nil || err != nil {
		t.Fatalf("no catalogue yet: %d bytes, %v", len(data), err)
	}
	random := rand.NewChaCha8([32]byte{1})
	var last int64
	for _, size := range []int{5<<20 + 17, 10, 3 << 20} {
		data := make([]byte, size)
		random.Read(data)
		revision, err := server.PutCatalogue(ctx, data)
		if err != nil || revision <= last {
			t.Fatalf("put: revision %d after %d, %v", revision, last, err)
		}
		last = revision
		if now, err := server.Revision(ctx); err != nil || now != revision {
			t.Errorf("the cloud's revision is %d, %v; want %d", now, err, revision)
		}
		got, err := server.Catalogue(ctx)
		if err != nil || !bytes.Equal(got, data) {
			t.Fatalf("read %d bytes of %d, %v", len(got), size, err)
		}
	}
}

func TestSecretIsMadeOnce(t *testing.T) {
	server, ctx := open(t), within(t, 30*time.Second)
	answers := make([][]byte, 8)
	var group sync.WaitGroup
	for i := range answers {
		group.Go(func() {
			answer, err := server.Secret(ctx, "ca", func() ([]byte, error) { return []byte{byte(i)}, nil })
			if err != nil {
				t.Error(err)
			}
			answers[i] = answer
		})
	}
	group.Wait()
	for _, answer := range answers {
		if !bytes.Equal(answer, answers[0]) {
			t.Errorf("answers differ: %v", answers)
		}
	}
}

func host(name string, mtu int) plan.Node {
	return plan.Node{Node: name, Role: model.RoleHost, FabricMTU: mtu, Locator: model.MustLocator("fd00:1:1:100::/56"), Host: &plan.Host{}}
}

func TestPlans(t *testing.T) {
	server, ctx := open(t), within(t, 30*time.Second)
	updates := server.WatchPlan(ctx, "h1")
	if err := server.PutPlans(ctx, map[string]plan.Node{"h1": host("h1", 1600), "h2": host("h2", 1600)}, 1); err != nil {
		t.Fatal(err)
	}
	first := next(t, ctx, updates)
	if first.Plan == nil || first.Plan.FabricMTU != 1600 {
		t.Fatalf("first plan: %+v", first)
	}
	other, _, err := server.Plan(ctx, "h2")
	if err != nil {
		t.Fatal(err)
	}
	if err := server.PutPlans(ctx, map[string]plan.Node{"h1": host("h1", 1500), "h2": host("h2", 1600)}, 2); err != nil {
		t.Fatal(err)
	}
	if second := next(t, ctx, updates); second.Plan.FabricMTU != 1500 || second.Revision <= first.Revision {
		t.Errorf("second plan: %+v", second)
	}
	if same, _, err := server.Plan(ctx, "h2"); err != nil || same.Revision != other.Revision {
		t.Errorf("the plan that did not change was written again: %d, %d, %v", other.Revision, same.Revision, err)
	}
	// A second compiler, as after a restart, knows nothing of what the first wrote.
	restarted, err := store.Connect(server.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	defer restarted.Close()
	if err := restarted.PutPlans(ctx, map[string]plan.Node{"h2": host("h2", 1600)}, 3); err != nil {
		t.Fatal(err)
	}
	if same, _, err := server.Plan(ctx, "h2"); err != nil || same.Revision != other.Revision {
		t.Errorf("the plan that did not change was written after a restart: %d, %d, %v", other.Revision, same.Revision, err)
	}
	if gone := next(t, ctx, updates); gone.Plan != nil || gone.Revision != 0 {
		t.Errorf("after the node's removal: %+v", gone)
	}
}

func TestManyPlans(t *testing.T) {
	server, ctx := open(t), within(t, 60*time.Second)
	plans := make(map[string]plan.Node)
	for i := range 1200 {
		name := fmt.Sprintf("h%04d", i)
		plans[name] = host(name, 1600)
	}
	if err := server.PutPlans(ctx, plans, 1); err != nil {
		t.Fatal(err)
	}
	targets, err := server.Concerned(ctx, 1, 1)
	if err != nil || len(targets) != len(plans) {
		t.Fatalf("%d nodes are concerned, %v; want %d", len(targets), err, len(plans))
	}
}

func next[T any](t testing.TB, ctx context.Context, in <-chan T) T {
	t.Helper()
	select {
	case value, ok := <-in:
		if !ok {
			t.Fatal("the watch ended")
		}
		return value
	case <-ctx.Done():
		t.Fatal("nothing came")
	}
	panic("unreachable")
}

func TestWaitApplied(t *testing.T) {
	server, ctx := open(t), within(t, 30*time.Second)
	expired, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
	defer cancel()
	var lag *store.LagError
	if err := server.WaitApplied(expired, 1); !errors.As(err, &lag) || len(lag.Lagging) != 0 || !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("before any compile: %v", err)
	}
	if err := server.PutPlans(ctx, map[string]plan.Node{"h1": host("h1", 1600), "h2": host("h2", 1600)}, 1); err != nil {
		t.Fatal(err)
	}
	h1, _, _ := server.Plan(ctx, "h1")
	h2, _, _ := server.Plan(ctx, "h2")
	if err := server.ReportApplied(ctx, "h1", h1.Revision, nil); err != nil {
		t.Fatal(err)
	}
	for { // the report is seen a moment after it was written
		expired, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
		err := server.WaitApplied(expired, 1)
		cancel()
		if !errors.As(err, &lag) {
			t.Fatalf("with h2 lagging: %v", err)
		}
		if len(lag.Lagging) == 1 && lag.Lagging[0].Node == "h2" {
			break
		}
		if ctx.Err() != nil {
			t.Fatalf("with h2 lagging: %v", err)
		}
	}
	answer := make(chan error, 1)
	go func() { answer <- server.WaitApplied(ctx, 1) }()
	if err := server.ReportApplied(ctx, "h2", h2.Revision, nil); err != nil {
		t.Fatal(err)
	}
	if err := next(t, ctx, answer); err != nil {
		t.Fatalf("with both there: %v", err)
	}
	t.Run("a node that cannot is told at once, and waited for when it can", func(t *testing.T) {
		plans := map[string]plan.Node{"h1": host("h1", 1600), "h2": host("h2", 1700)}
		if err := server.PutPlans(ctx, plans, 2); err != nil {
			t.Fatal(err)
		}
		h2, _, _ := server.Plan(ctx, "h2")
		if err := server.ReportApplied(ctx, "h2", h2.Revision, errors.New("no such device")); err != nil {
			t.Fatal(err)
		}
		if err := server.WaitApplied(ctx, 2); !errors.As(err, &lag) || lag.Lagging[0].Applied.Error != "no such device" || lag.Cause != nil {
			t.Errorf("got %v", err)
		}
		plans["h2"] = host("h2", 1800)
		if err := server.PutPlans(ctx, plans, 3); err != nil {
			t.Fatal(err)
		}
		answer := make(chan error, 1)
		go func() { answer <- server.WaitApplied(ctx, 3) }()
		h2, _, _ = server.Plan(ctx, "h2")
		if err := server.ReportApplied(ctx, "h2", h2.Revision, nil); err != nil {
			t.Fatal(err)
		}
		if err := next(t, ctx, answer); err != nil {
			t.Errorf("after it could: %v", err)
		}
	})
	t.Run("a node that lags is waited for by the changes that concern it alone", func(t *testing.T) {
		if err := server.PutPlans(ctx, map[string]plan.Node{"h1": host("h1", 1900), "h2": host("h2", 1800)}, 3); err != nil {
			t.Fatal(err)
		}
		h1, _, _ = server.Plan(ctx, "h1") // which it does not report
		state, err := server.Snapshot(ctx)
		if err != nil {
			t.Fatal(err)
		}
		revision, err := server.Put(ctx, store.Write{Base: state.Revision, Puts: []resource.Record{record("other")}, Counters: state.Counters})
		if err != nil {
			t.Fatal(err)
		}
		if err := server.PutPlans(ctx, map[string]plan.Node{"h1": host("h1", 1900), "h2": host("h2", 2000)}, revision); err != nil {
			t.Fatal(err)
		}
		answer := make(chan error, 1)
		go func() { answer <- server.WaitApplied(ctx, revision) }()
		h2, _, _ := server.Plan(ctx, "h2")
		if err := server.ReportApplied(ctx, "h2", h2.Revision, nil); err != nil {
			t.Fatal(err)
		}
		if err := next(t, ctx, answer); err != nil {
			t.Errorf("the change of h2 waits for h1: %v", err)
		}
		expired, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
		defer cancel()
		if err := server.WaitApplied(expired, 3); !errors.As(err, &lag) || len(lag.Lagging) != 1 || lag.Lagging[0].Node != "h1" {
			t.Errorf("the change of h1: %v", err)
		}
	})
	t.Run("a compile error keeps the plans and is told", func(t *testing.T) {
		const failing = 1 << 20
		if err := server.CompileFailed(ctx, failing, errors.New("two NICs with one number")); err != nil {
			t.Fatal(err)
		}
		var failed *store.CompileError
		if err := server.WaitApplied(ctx, failing); !errors.As(err, &failed) || failed.Message != "two NICs with one number" {
			t.Errorf("got %v", err)
		}
		if now, _, err := server.Plan(ctx, "h1"); err != nil || now.Revision != h1.Revision {
			t.Errorf("the last good plan: %+v, %v", now, err)
		}
	})
}

func TestWatchOutlivesRestart(t *testing.T) {
	dir, ctx := folder(t), within(t, 60*time.Second)
	server, err := embedded.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	client, err := store.Connect(server.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	revisions := client.Watch(ctx)
	if first := next(t, ctx, revisions); first != 0 {
		t.Fatalf("an empty cloud has revision %d", first)
	}
	if err := server.Close(); err != nil {
		t.Fatal(err)
	}
	if server, err = embedded.Open(dir); err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	revision, err := server.Put(ctx, store.Write{Puts: []resource.Record{record("a")}})
	if err != nil {
		t.Fatal(err)
	}
	if got := next(t, ctx, revisions); got != revision {
		t.Errorf("after the restart the watch told %d, want %d", got, revision)
	}
}

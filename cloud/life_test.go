package cloud

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"runtime"
	"runtime/pprof"
	"strings"
	"testing"

	"postern/explain"
	"postern/model"
	"postern/servicetag/tagtest"
	"postern/store/embedded"
)

func (s *stage) snapshot() *model.Snapshot {
	s.t.Helper()
	cloud, err := s.Control().Cache.Current(s.ctx)
	if err != nil {
		s.t.Fatal(err)
	}
	return cloud.Snapshot()
}

func TestRestart(t *testing.T) {
	onBothDataPaths(t, func(t *testing.T, dataPath string) {
		dir := t.TempDir()
		s := start(t, dataPath, dir, application...)
		s.apply(subnet("vnet/app", "10.13.76.0/24", withStorage),
			account(own, "westeurope", "defaultAction: Deny, virtualNetworkRules: [{id: virtualNetworks/vnet/subnets/app}]"))
		token := s.token(s.machine("nic-app"))
		before := asJSON(t, s.snapshot())
		closeCloud(t, s.Cloud)

		s = start(t, dataPath, dir)
		app, far := s.machine("nic-app"), s.machine("nic-far")
		if after := asJSON(t, s.snapshot()); after != before {
			t.Errorf("resources, identities and addresses changed:\n%s\n%s", before, after)
		}
		s.eventually("wait for the gateway", func() error { _, err := s.askToken(app); return err })
		s.makeTable(s.client(app, ""), own, token) // a token from before is still good
		s.wantInsert(app, "", own, token, http.StatusCreated, "")
		s.wantCaller(own, "10.13.76.36")
		s.wantInsert(far, "", own, token, http.StatusForbidden, denied)
		s.apply(vm("third", "host-we2", "vnet/app", "10.13.76.40", ""))
		for _, nic := range s.snapshot().NetworkInterfaces {
			if nic.ID.Name() == "nic-third" && nic.Number != 3 {
				t.Errorf("the third NIC has number %d", nic.Number)
			}
		}
	})
}

func asJSON(t *testing.T, snapshot *model.Snapshot) string {
	t.Helper()
	copied := *snapshot
	copied.Revision = 0
	data, err := json.MarshalIndent(copied, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestTakenFolder(t *testing.T) {
	onBothDataPaths(t, func(t *testing.T, dataPath string) {
		dir := t.TempDir()
		s := start(t, dataPath, dir, machines...)
		_, err := Start(s.ctx, Options{Dir: dir, DataPath: dataPath, Program: program})
		if !errors.Is(err, embedded.ErrTaken) {
			t.Fatalf("a second cloud on the folder: %v, want ErrTaken", err)
		}
		if text := err.Error(); strings.Contains(text, "\n") || !strings.Contains(text, dir) {
			t.Errorf("the error is no single line that names the folder: %q", text)
		}
		s.echo(s.machine("nic-far"), 7000)
		s.roundTrip(s.dial(s.machine("nic-app"), "10.13.77.5:7000"), 1000)
	})
}

func TestWrongDataPath(t *testing.T) {
	_, err := Start(t.Context(), Options{DataPath: "carrier-pigeon"})
	if err == nil || !strings.Contains(err.Error(), "kernel or userspace") {
		t.Errorf("start with a data path that there is not: %v", err)
	}
}

// TestNothingIsLeft looks for goroutines; closeCloud looks for namespaces, mounts and processes after every test.
func TestNothingIsLeft(t *testing.T) {
	onBothDataPaths(t, func(t *testing.T, dataPath string) {
		once := func(t *testing.T) {
			s := start(t, dataPath, "", application...)
			app := s.machine("nic-app")
			token := s.token(app)
			s.makeTable(s.client(app, ""), own, token)
			s.wantInsert(app, "", own, token, http.StatusCreated, "")
		}
		t.Run("what is made once a process", once)
		before := runtime.NumGoroutine()
		for range 2 {
			t.Run("again", once)
		}
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		err := poll(ctx, "wait for goroutines to end", func() (bool, error) { return runtime.NumGoroutine() <= before, nil })
		if err != nil {
			var stacks bytes.Buffer
			_ = pprof.Lookup("goroutine").WriteTo(&stacks, 1)
			t.Errorf("%d goroutines before, %d now:\n%s", before, runtime.NumGoroutine(), stacks.String())
		}
	})
}

func TestImportedTags(t *testing.T) {
	onBothDataPaths(t, func(t *testing.T, dataPath string) {
		file := tagtest.Bytes(t)
		s := start(t, dataPath, "", application...)
		app := s.machine("nic-app")
		token := s.token(app)
		s.apply(subnet("vnet/app", "10.13.76.0/24", withStorageAll))
		s.makeTable(s.client(app, ""), own, token)
		if prefixes := s.endpointPrefixes("nic-app"); prefixes >= 495 {
			t.Fatalf("the built-in catalogue has %d prefixes of Storage", prefixes)
		}
		if err := s.API().PutCatalogue(s.ctx, file[:len(file)/2]); err == nil {
			t.Error("half a file was taken")
		}
		if err := s.API().PutCatalogue(s.ctx, file); err != nil {
			t.Fatal(err)
		}
		if prefixes := s.endpointPrefixes("nic-app"); prefixes != 495 { // SE-9 SE-15
			t.Errorf("Microsoft.Storage.Global gives %d IPv4 prefixes, want 495", prefixes)
		}
		s.wantInsert(app, "", own, token, http.StatusCreated, "")
		s.wantCaller(own, "10.13.76.36")
	})
}

// endpointPrefixes counts the prefixes of a NIC's routes to service endpoints.
func (s *stage) endpointPrefixes(nic string) int {
	s.t.Helper()
	catalogue, err := s.Control().Catalogue(s.ctx)
	if err != nil {
		s.t.Fatal(err)
	}
	snapshot := s.snapshot()
	found, err := explain.FindNIC(snapshot, nic)
	if err != nil {
		s.t.Fatal(err)
	}
	table, err := s.Control().Compiler.Effective(snapshot, catalogue, found)
	if err != nil {
		s.t.Fatal(err)
	}
	count := 0
	for _, route := range table.Effective() {
		if route.NextHopType == model.NextHopServiceEndpoint {
			count += len(route.Prefixes)
		}
	}
	return count
}

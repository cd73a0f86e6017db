package server_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"postern/model"
	"postern/plan"
	"postern/resource"
	"postern/server"
	"postern/store"
	"postern/store/embedded"
)

// TestCompilerThatPanics covers that the loop outlives its compiler, and that whoever waits hears of it.
func TestCompilerThatPanics(t *testing.T) {
	dir, err := os.MkdirTemp("", "pt-server-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	s, err := embedded.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	cache := server.NewCache(s.Store)
	compile := func(snapshot *model.Snapshot) (map[string]plan.Node, error) {
		if len(snapshot.RouteTables) == 1 {
			panic("a compiler that fails on these resources")
		}
		return map[string]plan.Node{}, nil
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		server.RunCompiler(ctx, s.Store, cache, compile, slog.New(slog.DiscardHandler))
	}()
	defer func() { <-done }()
	defer cancel()
	put := func(name string) int64 {
		cloud, err := cache.Change(ctx, resource.Options{}, nil, func(_ *resource.Cloud, change *resource.Change) error {
			id, err := resource.IDOf(resource.TypeRouteTable, name)
			if err == nil {
				_, err = change.Put(id, []byte(`{"location":"westeurope"}`))
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return cloud.Revision
	}
	var failed *store.CompileError
	if err := s.WaitApplied(ctx, put("one")); !errors.As(err, &failed) || !strings.Contains(failed.Message, "fails on these resources") {
		t.Errorf("got %v", err)
	}
	if err := s.WaitApplied(ctx, put("two")); err != nil {
		t.Errorf("the next revision: %v", err)
	}
}

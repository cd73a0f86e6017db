package server_test

import (
	"context"
	"os"
	"testing"

	"postern/authorization"
	"postern/resource"
	"postern/server"
	"postern/store/embedded"
)

const (
	ann   = "11111111-1111-4111-8111-111111111111"
	scope = "/subscriptions/" + resource.DefaultSubscription + "/resourceGroups/gone"
)

func assignment(name, at string) authorization.Assignment {
	return authorization.Assignment{Name: name, Scope: at, Role: authorization.Reader, PrincipalID: ann, PrincipalType: authorization.ServicePrincipal}
}

func TestAccess(t *testing.T) {
	dir, err := os.MkdirTemp("", "pt-server-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	s, err := embedded.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	ctx := t.Context()
	openAccess := func() *server.Access {
		t.Helper()
		access, err := server.OpenAccess(ctx, s.Store)
		if err != nil {
			t.Fatal(err)
		}
		return access
	}
	ours, theirs := openAccess(), openAccess()
	if !ours.Untouched() {
		t.Error("nobody has written yet")
	}
	first, second := "aaaaaaaa-0000-4000-8000-000000000001", "aaaaaaaa-0000-4000-8000-000000000002"
	if _, created, err := ours.PutAssignment(ctx, assignment(first, "/")); err != nil || !created {
		t.Fatal(err)
	}
	// The other process has not heard of it: its write is made of what there is all the same.
	if _, _, err := theirs.PutAssignment(ctx, assignment(second, "/")); err == nil {
		t.Error("GOV-1 one grant stands twice")
	}
	if _, _, err := theirs.PutAssignment(ctx, assignment(second, scope)); err != nil {
		t.Fatal(err)
	}
	if !theirs.Set().Allows(ann, "x/read", "/") || ours.Untouched() {
		t.Error("GOV-1 what another process wrote does not hold")
	}
	again := openAccess()
	if len(again.Set().Assignments()) != 2 {
		t.Error("what was written is not stored")
	}

	t.Run("GOV-1 assignments go with their scope", func(t *testing.T) {
		cloud, err := resource.NewCloud(nil, resource.FirstCounters, 1)
		if err != nil {
			t.Fatal(err)
		}
		ended, cancel := context.WithCancel(ctx)
		cancel()
		if err := again.Sweep(ended, cloud); err == nil {
			t.Error("a store that does not answer sweeps")
		}
		if list := again.Set().Assignments(); len(list) != 1 || list[0].Name != first {
			t.Errorf("GOV-1 it holds still: %+v", list)
		}
		// The scope is there again, before the store could be written: the former assignment stays away.
		group, err := resource.NewCloud([]resource.Record{{ID: scope, Type: resource.TypeResourceGroup, Body: []byte(`{"location":"westeurope"}`)}}, resource.FirstCounters, 2)
		if err != nil {
			t.Fatal(err)
		}
		if err := again.Sweep(ctx, group); err != nil {
			t.Fatal(err)
		}
		if list := openAccess().Set().Assignments(); len(list) != 1 || list[0].Name != first {
			t.Errorf("GOV-1 it is stored still: %+v", list)
		}
	})
}

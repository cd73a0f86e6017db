package store_test

import (
	"testing"
	"time"

	"postern/resource"
	"postern/store"
)

func TestOperations(t *testing.T) {
	server, ctx := open(t), within(t, 30*time.Second)
	write := func(base int64, id string) int64 {
		t.Helper()
		revision, err := server.Put(ctx, store.Write{Base: base, Puts: []resource.Record{record(id)}, Counters: resource.FirstCounters,
			Operation: &store.Operation{ID: id, Method: "PUT", Resource: "/" + id, Location: "westeurope", Started: time.Unix(1, 0).UTC()}})
		if err != nil {
			t.Fatal(err)
		}
		return revision
	}
	first := write(0, "b")
	second := write(first, "a")
	t.Run("ARM-3 no record without its write", func(t *testing.T) {
		_, err := server.Put(ctx, store.Write{Base: first, Counters: resource.FirstCounters, Operation: &store.Operation{ID: "late"}})
		list, readErr := server.Operations(ctx)
		if err == nil || readErr != nil || len(list) != 2 || list[0].ID != "b" || list[0].Revision != first || list[1].Revision != second {
			t.Errorf("%+v, %v, %v", list, err, readErr)
		}
	})
	ended := store.Operation{ID: "b", Method: "PUT", Ended: time.Unix(2, 0).UTC(), Error: &resource.Error{Code: "NotEnforced", Message: "m"}}
	if err := server.EndOperation(ctx, ended); err != nil {
		t.Fatal(err)
	}
	if list, err := server.Operations(ctx); err != nil || list[0].Revision != first || list[0].Error.Error() != ended.Error.Error() || !list[0].Ended.Equal(ended.Ended) {
		t.Errorf("%+v, %v", list, err)
	}
	if err := server.RemoveOperations(ctx, []string{"b", "nobody"}); err != nil {
		t.Fatal(err)
	}
	if err := server.EndOperation(ctx, ended); err != nil {
		t.Fatal(err)
	}
	if list, err := server.Operations(ctx); err != nil || len(list) != 1 || list[0].ID != "a" {
		t.Errorf("what was removed is there again: %+v, %v", list, err)
	}
}

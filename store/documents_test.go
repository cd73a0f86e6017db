package store_test

import (
	"errors"
	"testing"

	"postern/store"
)

func TestDocuments(t *testing.T) {
	s := open(t)
	ctx := t.Context()
	empty, err := s.Documents(ctx, "kind")
	if err != nil || empty.Revision != 0 || len(empty.Values) != 0 {
		t.Fatalf("%+v, %v", empty, err)
	}
	cloud, err := s.Revision(ctx)
	if err != nil {
		t.Fatal(err)
	}
	first, err := s.PutDocuments(ctx, "kind", 0, map[string][]byte{"a/1": []byte("one"), "b": []byte("two")}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.PutDocuments(ctx, "kind2", 0, map[string][]byte{"c": []byte("three")}, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := s.PutDocuments(ctx, "kind", 0, map[string][]byte{"b": []byte("late")}, []string{"a/1"}); !errors.Is(err, store.ErrConflict) {
		t.Errorf("a writer that comes too late: %v", err)
	}
	second, err := s.PutDocuments(ctx, "kind", first, map[string][]byte{"b": []byte("four")}, []string{"a/1"})
	if err != nil {
		t.Fatal(err)
	}
	have, err := s.Documents(ctx, "kind")
	if err != nil || have.Revision != second || len(have.Values) != 1 || string(have.Values["b"]) != "four" {
		t.Errorf("%+v, %v", have, err)
	}
	if revision := <-s.WatchDocuments(ctx, "kind"); revision != second {
		t.Errorf("the watch tells of %d, want %d", revision, second)
	}
	if after, err := s.Revision(ctx); err != nil || after != cloud {
		t.Errorf("the cloud has a new revision, though no plan depends on documents: %v", err)
	}
}

package keyring_test

import (
	"context"
	"os"
	"sync"
	"testing"
	"time"

	"postern/keyring"
	"postern/store"
	"postern/store/embedded"
	"postern/token"
)

var _ keyring.Secrets = (*store.Store)(nil)

func TestRing(t *testing.T) {
	dir, err := os.MkdirTemp("", "pt") // t.TempDir is too long for the path of a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	server, err := embedded.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	ctx, noon := t.Context(), time.Date(2026, 9, 1, 12, 0, 0, 0, time.UTC)
	open := func() *keyring.Ring {
		t.Helper()
		ring, err := keyring.Open(ctx, server.Store, "test", noon)
		if err != nil {
			t.Fatal(err)
		}
		return ring
	}
	ours, theirs := open(), open()
	first := ours.Keys().KeyID()
	if first == "" || theirs.Keys().KeyID() != first {
		t.Fatal("two processes have two rings")
	}
	if err := ours.Rotate(ctx, noon.Add(keyring.Period-time.Second), keyring.Period); err != nil || ours.Keys().KeyID() != first {
		t.Errorf("it rotates before its time: %v", err)
	}
	// Of many that see that it is time, one rotates.
	var group sync.WaitGroup
	for _, ring := range []*keyring.Ring{ours, theirs} {
		group.Go(func() {
			if err := ring.Rotate(ctx, noon.Add(keyring.Period), keyring.Period); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if n := len(ours.Keys().Public().Keys); n != 3 || ours.Keys().KeyID() != theirs.Keys().KeyID() || ours.Keys().KeyID() == first {
		t.Errorf("%d keys, %s and %s after %s", n, ours.Keys().KeyID(), theirs.Keys().KeyID(), first)
	}
	// What one rotates the other follows: a token of the new key is good there.
	following, stop := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		theirs.Follow(following)
	}()
	now := noon.Add(keyring.Period + time.Minute)
	if err := ours.Rotate(ctx, now, 0); err != nil {
		t.Fatal(err)
	}
	for theirs.Keys().KeyID() != ours.Keys().KeyID() {
		select {
		case <-ctx.Done():
			t.Fatal("the other process does not follow")
		case <-server.WatchSecret(ctx, "test"):
		}
	}
	raw, _, err := token.Issuer{URL: "https://x", Tenant: "t", Keys: ours.Keys()}.Issue(token.Identity{PrincipalID: "p"}, "https://a", now)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := (token.Issuer{URL: "https://x", Tenant: "t", Keys: theirs.Keys()}).Verifier().Verify(raw, []string{"https://a"}, now); err != nil {
		t.Error(err)
	}
	stop()
	<-done
	if again := open(); again.Keys().KeyID() != ours.Keys().KeyID() {
		t.Error("the rotation is not stored")
	}
}

// Package keyring keeps the signing keys of a token issuer in the store and rotates them, so that every process of the cloud
// signs and verifies with the same ones.
package keyring

import (
	"context"
	"fmt"
	"sync"
	"time"

	"postern/token"
)

// Period is how long a key signs before the next one takes over.
const Period = 24 * time.Hour

// The names of the rings: of managed identities, and of those who use the API.
const (
	Managed = "token-keys"
	SignIn  = "signin-keys"
)

// Secrets keeps what must not be lost nor be read by others; *store.Store is one.
type Secrets interface {
	// ChangeSecret replaces a secret by what change makes of it (of nil, where there is none), nil to leave it. It answers
	// the bytes that hold.
	ChangeSecret(ctx context.Context, name string, change func(before []byte) ([]byte, error)) ([]byte, error)
	// WatchSecret tells a secret's bytes, now and after every change, until the context ends.
	WatchSecret(ctx context.Context, name string) <-chan []byte
}

// Ring is the keys of one issuer. It is safe for concurrent use.
type Ring struct {
	secrets Secrets
	name    string

	mu   sync.RWMutex // guards what follows
	keys token.KeySet
}

// Open reads a ring, and makes it if it is not there.
func Open(ctx context.Context, secrets Secrets, name string, now time.Time) (*Ring, error) {
	r := &Ring{secrets: secrets, name: name}
	data, err := secrets.ChangeSecret(ctx, name, func(before []byte) ([]byte, error) {
		if before != nil {
			return nil, nil
		}
		fresh, err := token.NewKeySet(now)
		if err != nil {
			return nil, err
		}
		return fresh.MarshalBinary()
	})
	if err != nil {
		return nil, err
	}
	return r, r.take(data)
}

func (r *Ring) take(data []byte) error {
	var keys token.KeySet
	if err := keys.UnmarshalBinary(data); err != nil {
		return fmt.Errorf("key ring %s: %w", r.name, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !keys.Since().Before(r.keys.Since()) { // a watch may tell of older ones
		r.keys = keys
	}
	return nil
}

// Keys are the keys that hold now.
func (r *Ring) Keys() token.KeySet {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.keys
}

// Rotate lets the next key sign if the one that does has for at least a time; 0 for in any case. Of several processes that
// rotate at once by the clock, one does.
func (r *Ring) Rotate(ctx context.Context, now time.Time, after time.Duration) error {
	data, err := r.secrets.ChangeSecret(ctx, r.name, func(before []byte) ([]byte, error) {
		var keys token.KeySet
		if err := keys.UnmarshalBinary(before); err != nil {
			return nil, err
		}
		if now.Sub(keys.Since()) < after {
			return nil, nil
		}
		rotated, err := keys.Rotate(now)
		if err != nil {
			return nil, err
		}
		return rotated.MarshalBinary()
	})
	if err != nil {
		return fmt.Errorf("key ring %s: %w", r.name, err)
	}
	return r.take(data)
}

// Follow takes over the keys that other processes make, until the context ends.
func (r *Ring) Follow(ctx context.Context) {
	for data := range r.secrets.WatchSecret(ctx, r.name) {
		_ = r.take(data) // keys that cannot be read leave the former ones
	}
}

// Package token issues and verifies the tokens of managed identities: JSON Web Tokens (RFC 7519) signed with RS256, the
// form that Azure's clients and services expect. It is pure: keys come and go as bytes, time is an argument, and who may
// have a token is for package platform to say (ID-1). Services verify with a Verifier (ID-2).
package token

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// keyBits is the size of a signing key: the smallest that RS256 may have (RFC 7518 section 3.3).
const keyBits = 2048

// KeySet is the issuer's keys. Current signs. Next is published before it signs, so that a service that keeps the
// published keys for a while never meets an unknown one. Retired keys are published as long as tokens of theirs live.
// A KeySet is immutable; Rotate makes a new one.
type KeySet struct {
	current, next *rsa.PrivateKey
	since         time.Time // when current began to sign
	retired       []retired // oldest first
}

// retired is a key that no longer signs.
type retired struct {
	key   *rsa.PrivateKey
	until time.Time // when the last of its tokens has expired
}

// maxRetired bounds the published keys.
const maxRetired = 32

// NewKeySet makes a set with fresh keys.
func NewKeySet(now time.Time) (KeySet, error) {
	current, err := rsa.GenerateKey(rand.Reader, keyBits)
	if err != nil {
		return KeySet{}, fmt.Errorf("make a token key: %w", err)
	}
	next, err := rsa.GenerateKey(rand.Reader, keyBits)
	if err != nil {
		return KeySet{}, fmt.Errorf("make a token key: %w", err)
	}
	return KeySet{current: current, next: next, since: now}, nil
}

// Since is when the key that signs now began to.
func (k KeySet) Since() time.Time { return k.since }

// Rotate gives the set after one step: Next signs, Current retires, and a fresh key becomes Next. Tokens of retired keys
// verify until they expire, so rotations may follow each other as closely as one likes, up to 32 within a token's life.
func (k KeySet) Rotate(now time.Time) (KeySet, error) {
	if k.current == nil || k.next == nil {
		return KeySet{}, fmt.Errorf("rotate token keys: the set is empty; make one with NewKeySet")
	}
	rotated := KeySet{current: k.next, since: now}
	for _, old := range k.retired {
		if now.Before(old.until) {
			rotated.retired = append(rotated.retired, old)
		}
	}
	if len(rotated.retired) >= maxRetired {
		return KeySet{}, fmt.Errorf("rotate token keys: %d retired keys have tokens that live: rotate again after %s",
			len(rotated.retired), rotated.retired[0].until.UTC().Format(time.RFC3339))
	}
	rotated.retired = append(rotated.retired, retired{k.current, now.Add(Lifetime + Leeway)})
	var err error
	if rotated.next, err = rsa.GenerateKey(rand.Reader, keyBits); err != nil {
		return KeySet{}, fmt.Errorf("rotate token keys: %w", err)
	}
	return rotated, nil
}

// storedKeys is the form in the store: PKCS #8 in DER, base64 in JSON.
type storedKeys struct {
	Current []byte       `json:"current"`
	Since   time.Time    `json:"since,omitzero"`
	Next    []byte       `json:"next"`
	Retired []retiredKey `json:"retired,omitempty"`
}

type retiredKey struct {
	Key   []byte    `json:"key"`
	Until time.Time `json:"until"`
}

// MarshalBinary writes the private keys for the store: JSON with PKCS #8 keys (RFC 5208).
func (k KeySet) MarshalBinary() ([]byte, error) {
	if k.current == nil || k.next == nil {
		return nil, fmt.Errorf("write token keys: the set is empty; make one with NewKeySet")
	}
	var errs []error
	write := func(key *rsa.PrivateKey) []byte {
		der, err := x509.MarshalPKCS8PrivateKey(key)
		errs = append(errs, err)
		return der
	}
	stored := storedKeys{Current: write(k.current), Since: k.since, Next: write(k.next)}
	for _, old := range k.retired {
		stored.Retired = append(stored.Retired, retiredKey{write(old.key), old.until})
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("write token keys: %w", err)
	}
	return json.Marshal(stored)
}

// UnmarshalBinary reads what MarshalBinary wrote.
func (k *KeySet) UnmarshalBinary(data []byte) error {
	var stored storedKeys
	if err := json.Unmarshal(data, &stored); err != nil {
		return fmt.Errorf("read token keys: %w", err)
	}
	current, err := readKey("current", stored.Current)
	if err != nil {
		return err
	}
	next, err := readKey("next", stored.Next)
	if err != nil {
		return err
	}
	read := KeySet{current: current, next: next, since: stored.Since}
	for _, old := range stored.Retired {
		key, err := readKey("retired", old.Key)
		if err != nil {
			return err
		}
		read.retired = append(read.retired, retired{key, old.Until})
	}
	*k = read
	return nil
}

func readKey(name string, der []byte) (*rsa.PrivateKey, error) {
	if len(der) == 0 {
		return nil, fmt.Errorf("read token keys: the %s key is missing", name)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, fmt.Errorf("read token keys: %s key: %w", name, err)
	}
	key, ok := parsed.(*rsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("read token keys: %s key: is %T, want RSA", name, parsed)
	}
	return key, nil
}

// Public is the published part (RFC 7517), Current first: what the discovery document's jwks_uri answers. A retired key is
// in it until the first rotation after its last token has expired.
func (k KeySet) Public() jose.JSONWebKeySet {
	set := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{}}
	keys := []*rsa.PrivateKey{k.current, k.next}
	for _, old := range slices.Backward(k.retired) {
		keys = append(keys, old.key)
	}
	for _, key := range keys {
		if key != nil {
			set.Keys = append(set.Keys, jose.JSONWebKey{
				Key: &key.PublicKey, KeyID: keyID(&key.PublicKey), Algorithm: string(jose.RS256), Use: "sig"})
		}
	}
	return set
}

// KeyID is the kid of the key that signs now, "" in an empty set.
func (k KeySet) KeyID() string {
	if k.current == nil {
		return ""
	}
	return keyID(&k.current.PublicKey)
}

// keyID names a key by its content, so that the same key has the same kid wherever it is read.
func keyID(key *rsa.PublicKey) string {
	sum := sha256.Sum256(x509.MarshalPKCS1PublicKey(key))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

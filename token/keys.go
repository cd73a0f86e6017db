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
	"fmt"

	"github.com/go-jose/go-jose/v4"
)

// keyBits is the size of a signing key: the smallest that RS256 may have (RFC 7518 section 3.3).
const keyBits = 2048

// KeySet is the issuer's keys. Current signs. Next is published before it signs, so that a service that keeps the
// published keys for a while never meets an unknown one. Previous is published as long as its tokens live.
// A KeySet is immutable; Rotate makes a new one.
type KeySet struct {
	current, next, previous *rsa.PrivateKey // previous is nil before the first rotation
}

// NewKeySet makes a set with fresh keys.
func NewKeySet() (KeySet, error) {
	current, err := rsa.GenerateKey(rand.Reader, keyBits)
	if err != nil {
		return KeySet{}, fmt.Errorf("make a token key: %w", err)
	}
	next, err := rsa.GenerateKey(rand.Reader, keyBits)
	if err != nil {
		return KeySet{}, fmt.Errorf("make a token key: %w", err)
	}
	return KeySet{current: current, next: next}, nil
}

// Rotate gives the set after one step: Next signs, Current becomes Previous, and a fresh key becomes Next. Tokens of the
// old Previous no longer verify, so two rotations must stand further apart than a token's lifetime.
func (k KeySet) Rotate() (KeySet, error) {
	if k.current == nil || k.next == nil {
		return KeySet{}, fmt.Errorf("rotate token keys: the set is empty; make one with NewKeySet")
	}
	fresh, err := rsa.GenerateKey(rand.Reader, keyBits)
	if err != nil {
		return KeySet{}, fmt.Errorf("rotate token keys: %w", err)
	}
	return KeySet{current: k.next, next: fresh, previous: k.current}, nil
}

// storedKeys is the form in the store: PKCS #8 in DER, base64 in JSON.
type storedKeys struct {
	Current  []byte `json:"current"`
	Next     []byte `json:"next"`
	Previous []byte `json:"previous,omitempty"`
}

// MarshalBinary writes the private keys for the store: JSON with one PKCS #8 key (RFC 5208) a member.
func (k KeySet) MarshalBinary() ([]byte, error) {
	var stored storedKeys
	for _, one := range []struct {
		key *rsa.PrivateKey
		der *[]byte
	}{{k.current, &stored.Current}, {k.next, &stored.Next}, {k.previous, &stored.Previous}} {
		if one.key == nil {
			continue
		}
		der, err := x509.MarshalPKCS8PrivateKey(one.key)
		if err != nil {
			return nil, fmt.Errorf("write token keys: %w", err)
		}
		*one.der = der
	}
	if stored.Current == nil || stored.Next == nil {
		return nil, fmt.Errorf("write token keys: the set is empty; make one with NewKeySet")
	}
	return json.Marshal(stored)
}

// UnmarshalBinary reads what MarshalBinary wrote.
func (k *KeySet) UnmarshalBinary(data []byte) error {
	var stored storedKeys
	if err := json.Unmarshal(data, &stored); err != nil {
		return fmt.Errorf("read token keys: %w", err)
	}
	var read KeySet
	for _, one := range []struct {
		name string
		der  []byte
		key  **rsa.PrivateKey
	}{{"current", stored.Current, &read.current}, {"next", stored.Next, &read.next}, {"previous", stored.Previous, &read.previous}} {
		if len(one.der) == 0 {
			if one.name == "previous" {
				continue
			}
			return fmt.Errorf("read token keys: the %s key is missing", one.name)
		}
		parsed, err := x509.ParsePKCS8PrivateKey(one.der)
		if err != nil {
			return fmt.Errorf("read token keys: %s key: %w", one.name, err)
		}
		key, ok := parsed.(*rsa.PrivateKey)
		if !ok {
			return fmt.Errorf("read token keys: %s key: is %T, want RSA", one.name, parsed)
		}
		*one.key = key
	}
	*k = read
	return nil
}

// Public is the published part (RFC 7517), Current first: what the discovery document's jwks_uri answers.
func (k KeySet) Public() jose.JSONWebKeySet {
	set := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{}}
	for _, key := range []*rsa.PrivateKey{k.current, k.next, k.previous} {
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

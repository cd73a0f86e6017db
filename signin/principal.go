package signin

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"postern/resource"
	"postern/token"
)

// Principal is a service principal as it is stored. Its secret is not.
type Principal struct {
	Name     string    `json:"name"`
	ObjectID string    `json:"objectId"` // GUID
	Created  time.Time `json:"created,omitzero"`
	Salt     []byte    `json:"salt"`
	Hash     []byte    `json:"hash"` // SHA-256 of salt and secret
}

// ClientID is the application id that the principal signs in with. It follows from the object id.
func (p *Principal) ClientID() string { return ClientID(p.ObjectID) }

// ClientID is the application id of the principal that has an object id.
func ClientID(objectID string) string { return token.Identity{PrincipalID: objectID}.ClientID() }

// newPrincipal makes a principal with a secret of 256 random bits. That cannot be guessed, so that one round of a fast hash
// protects it as well as a slow one would; the salt keeps equal secrets apart.
func newPrincipal(name string, now time.Time) (p Principal, secret string) {
	p = Principal{Name: name, ObjectID: uuid.NewString(), Created: now.UTC().Truncate(time.Second)}
	return p, p.setSecret()
}

func (p *Principal) setSecret() (secret string) {
	random, salt := make([]byte, 32), make([]byte, 16)
	rand.Read(random) // never fails, by its documentation
	rand.Read(salt)
	secret = hex.EncodeToString(random) // no command line takes it for an option, and no shell for more than a word
	p.Salt, p.Hash = salt, hashOf(salt, secret)
	return secret
}

func (p *Principal) has(secret string) bool {
	return subtle.ConstantTimeCompare(p.Hash, hashOf(p.Salt, secret)) == 1
}

func hashOf(salt []byte, secret string) []byte {
	sum := sha256.Sum256(append(append([]byte{}, salt...), secret...))
	return sum[:]
}

// is tells whether a text names the principal: its name, its application id or its object id.
func (p *Principal) is(text string) bool {
	return p.Name == text || strings.EqualFold(p.ObjectID, text) || strings.EqualFold(p.ClientID(), text)
}

// Bounds of principals.
const (
	maxPrincipals = 2000
	maxName       = 120
)

// Principals are all of them, in the order in which they were made.
func (s *Service) Principals() []Principal {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return slices.Clone(s.principals)
}

// Create makes a principal, and answers it with its secret, which is not kept. It may do nothing until it is given a role.
func (s *Service) Create(ctx context.Context, name string) (made Principal, secret string, err error) {
	if name == "" || len(name) > maxName || strings.ContainsFunc(name, func(c rune) bool { return c < ' ' || c > '~' }) || uuid.Validate(name) == nil {
		return Principal{}, "", &resource.Error{Code: "InvalidPrincipalName", Status: http.StatusBadRequest, Target: "name",
			Message: fmt.Sprintf("The name must have 1 to %d printable ASCII characters and be no GUID.", maxName)}
	}
	err = s.change(ctx, func(list []Principal) ([]Principal, error) {
		switch {
		case slices.ContainsFunc(list, func(p Principal) bool { return p.Name == name }):
			return nil, &resource.Error{Code: "PrincipalExists", Status: http.StatusConflict, Target: "name",
				Message: fmt.Sprintf("There is a principal '%s' already: postern principal reset gives it a new secret.", name)}
		case len(list) >= maxPrincipals:
			return nil, &resource.Error{Code: "PrincipalLimitExceeded", Status: http.StatusBadRequest,
				Message: fmt.Sprintf("There are %d principals, the most there can be: delete one.", len(list))}
		}
		made, secret = newPrincipal(name, s.now())
		return append(list, made), nil
	})
	return made, secret, err
}

// Delete removes a principal, given by its name, its application id or its object id. Its tokens are refused from now on.
func (s *Service) Delete(ctx context.Context, which string) (deleted Principal, err error) {
	err = s.change(ctx, func(list []Principal) ([]Principal, error) {
		at, err := find(list, which)
		if err != nil {
			return nil, err
		}
		deleted = list[at]
		return slices.Delete(list, at, at+1), nil
	})
	return deleted, err
}

// Reset gives a principal a new secret, and answers both. The former secret no longer signs in; tokens live on until they
// expire.
func (s *Service) Reset(ctx context.Context, which string) (changed Principal, secret string, err error) {
	err = s.change(ctx, func(list []Principal) ([]Principal, error) {
		at, err := find(list, which)
		if err != nil {
			return nil, err
		}
		secret = list[at].setSecret()
		changed = list[at]
		return list, nil
	})
	return changed, secret, err
}

func find(list []Principal, which string) (int, error) {
	at := slices.IndexFunc(list, func(p Principal) bool { return p.is(which) })
	if at < 0 {
		return 0, &resource.Error{Code: "PrincipalNotFound", Status: http.StatusNotFound, Target: which,
			Message: fmt.Sprintf("There is no principal with the name, application id or object id '%s': postern principal list shows all.", printable(which))}
	}
	return at, nil
}

// change stores a change of the principals and takes it over. build may be called several times, with a list of its own.
func (s *Service) change(ctx context.Context, build func([]Principal) ([]Principal, error)) error {
	data, err := s.secrets.ChangeSecret(ctx, principalsSecret, func(before []byte) ([]byte, error) {
		list, err := readPrincipals(before)
		if err != nil {
			return nil, err
		}
		if list, err = build(list); err != nil || list == nil {
			return nil, err
		}
		return json.Marshal(list)
	})
	if err != nil {
		return err
	}
	return s.takePrincipals(data)
}

func readPrincipals(data []byte) (list []Principal, err error) {
	if len(data) == 0 {
		return nil, nil
	}
	if err := json.Unmarshal(data, &list); err != nil {
		return nil, fmt.Errorf("read the principals: %w", err)
	}
	return list, nil
}

func (s *Service) takePrincipals(data []byte) error {
	list, err := readPrincipals(data)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.principals = list
	return nil
}

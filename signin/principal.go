// Package signin is the cloud's token service for people and programs that use its API: service principals with secrets,
// the documents by which Azure's clients find it, and the check of the tokens it gave.
package signin

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"postern/token"
)

// Principal is a service principal as it is stored. Its secret is not.
type Principal struct {
	Name     string `json:"name"`
	ObjectID string `json:"objectId"` // GUID
	Salt     []byte `json:"salt"`
	Hash     []byte `json:"hash"` // SHA-256 of salt and secret
}

// ClientID is the application id that the principal signs in with. It follows from the object id.
func (p *Principal) ClientID() string { return token.Identity{PrincipalID: p.ObjectID}.ClientID() }

// setSecret makes a new secret of 256 random bits. It cannot be guessed, so that one round of a fast hash protects it as
// well as a slow one would; the salt keeps equal secrets apart.
func (p *Principal) setSecret() (secret string) {
	random, salt := make([]byte, 32), make([]byte, 16)
	rand.Read(random) // never fails, by its documentation
	rand.Read(salt)
	secret = base64.RawURLEncoding.EncodeToString(random)
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

// Secrets keeps what the service must not lose; *store.Store is one.
type Secrets interface {
	// Secret reads a secret, and makes it if it is not there.
	Secret(ctx context.Context, name string, create func() ([]byte, error)) ([]byte, error)
	// PutSecret replaces a secret.
	PutSecret(ctx context.Context, name string, value []byte) error
}

// Names in the store.
const (
	keysSecret      = "signin-keys"
	principalSecret = "signin-principal"
)

// issuerURL is what tokens say about who gave them. It is a name and no address, so that tokens stay good when the API moves
// to another port; the documents that lead to it are those of the service's own address.
const issuerURL = "https://signin.postern"

// Service gives tokens and checks them. It is safe for concurrent use.
type Service struct {
	tenant  string
	secrets Secrets
	issuer  token.Issuer
	now     func() time.Time

	mu        sync.RWMutex // guards what follows
	principal Principal
}

// New makes the token service of a tenant (a GUID). The first time it makes keys and the first principal, whose secret it
// answers; afterwards secret is "".
func New(ctx context.Context, secrets Secrets, tenant string) (service *Service, secret string, err error) {
	s := &Service{tenant: strings.ToLower(tenant), secrets: secrets, now: time.Now}
	data, err := secrets.Secret(ctx, keysSecret, func() ([]byte, error) {
		keys, err := token.NewKeySet()
		if err != nil {
			return nil, err
		}
		return keys.MarshalBinary()
	})
	if err != nil {
		return nil, "", err
	}
	s.issuer = token.Issuer{URL: issuerURL, Tenant: s.tenant}
	if err := s.issuer.Keys.UnmarshalBinary(data); err != nil {
		return nil, "", err
	}
	data, err = secrets.Secret(ctx, principalSecret, func() ([]byte, error) {
		first := Principal{Name: "owner", ObjectID: uuid.NewString()}
		secret = first.setSecret()
		return json.Marshal(first)
	})
	if err != nil {
		return nil, "", err
	}
	if err := json.Unmarshal(data, &s.principal); err != nil {
		return nil, "", fmt.Errorf("read the principal: %w", err)
	}
	if !s.principal.has(secret) {
		secret = "" // another process made the principal first
	}
	return s, secret, nil
}

// Tenant is the tenant's GUID.
func (s *Service) Tenant() string { return s.tenant }

// ClientID is the application id of the first principal, the owner.
func (s *Service) ClientID() string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.principal.ClientID()
}

// NewSecret gives the owner a new secret. The former one no longer signs in; tokens live on until they expire.
func (s *Service) NewSecret(ctx context.Context) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	changed := s.principal
	secret := changed.setSecret()
	data, err := json.Marshal(changed)
	if err != nil {
		return "", err
	}
	if err := s.secrets.PutSecret(ctx, principalSecret, data); err != nil {
		return "", err
	}
	s.principal = changed
	return secret, nil
}

// Caller is who a request comes from.
type Caller struct {
	Name     string
	ClientID string // of the application
	ObjectID string // of the principal
	Owner    bool   // may do everything
}

// LocalOwner is who works on the cloud by the socket in its state folder: whoever can open that owns the cloud.
var LocalOwner = Caller{Name: "local owner", ClientID: localID, ObjectID: localID, Owner: true}

const localID = "00000000-0000-4000-8000-000000000001" // no principal that signs in has it

// ErrUnknown tells that a token is good, but its principal is not there (any more).
var ErrUnknown = errors.New("the token's principal is not known here")

// Verify checks a token and answers who has it. Errors wrap token.ErrInvalid or ErrUnknown.
func (s *Service) Verify(raw string, audiences []string) (Caller, error) {
	claims, err := s.issuer.Verifier().Verify(raw, audiences, s.now())
	if err != nil {
		return Caller{}, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if claims.ObjectID != s.principal.ObjectID {
		return Caller{}, fmt.Errorf("%w: %s", ErrUnknown, claims.ObjectID)
	}
	return Caller{Name: s.principal.Name, ClientID: claims.AppID, ObjectID: claims.ObjectID, Owner: true}, nil
}

// Package signin is the cloud's token service for people and programs that use its API: service principals with secrets,
// the documents by which Azure's clients find it, and the check of the tokens that it, or the VMs' metadata service, gave.
package signin

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"postern/keyring"
	"postern/token"
)

// Names of what is kept.
const (
	principalsSecret = "signin-principals"

	// OwnerName is the principal that a cloud begins with.
	OwnerName = "owner"
)

// Issuers are names and no addresses, so that tokens stay good when the API moves to another port; the documents that lead to
// the keys are those of the service's own address.
const issuerURL = "https://signin.postern"

// Audiences are what tokens for the Resource Manager may be for beside the door's own address: Azure's clients and the SDKs
// in VMs ask for these by default.
var Audiences = []string{"https://management.azure.com", "https://management.core.windows.net"}

// Managed finds a resource's managed identity.
type Managed func(ctx context.Context, objectID string) (resourceID string, found bool, err error)

// Options are what a service is made from; all must be set.
type Options struct {
	Secrets keyring.Secrets
	Tenant  string // GUID

	Managed Managed // lets the identities of VMs in, whose tokens the metadata service signs
}

// Service gives tokens and checks them. It is safe for concurrent use.
type Service struct {
	tenant  string
	secrets keyring.Secrets
	keys    *keyring.Ring
	now     func() time.Time

	managed     Managed
	managedKeys *keyring.Ring

	mu         sync.RWMutex // guards what follows
	principals []Principal
}

// New makes the token service of a tenant. The first time it makes keys.
func New(ctx context.Context, options Options) (*Service, error) {
	s := &Service{tenant: strings.ToLower(options.Tenant), secrets: options.Secrets, now: time.Now, managed: options.Managed}
	var err error
	if s.keys, err = keyring.Open(ctx, options.Secrets, keyring.SignIn, s.now()); err != nil {
		return nil, err
	}
	if s.managedKeys, err = keyring.Open(ctx, options.Secrets, keyring.Managed, s.now()); err != nil {
		return nil, err
	}
	return s, s.change(ctx, func(list []Principal) ([]Principal, error) { return list, nil })
}

// First makes the principal that a cloud begins with, if there has never been one, and answers its secret; "" otherwise.
func (s *Service) First(ctx context.Context) (secret string, err error) {
	err = s.change(ctx, func(list []Principal) ([]Principal, error) {
		secret = "" // another process may have made it since the last call
		if list == nil {
			var first Principal
			first, secret = newPrincipal(OwnerName, s.now())
			list = []Principal{first}
		}
		return list, nil
	})
	return secret, err
}

// Follow takes over what other processes change, until the context ends.
func (s *Service) Follow(ctx context.Context) {
	var work sync.WaitGroup
	work.Go(func() { s.keys.Follow(ctx) })
	work.Go(func() { s.managedKeys.Follow(ctx) })
	for data := range s.secrets.WatchSecret(ctx, principalsSecret) {
		_ = s.takePrincipals(data) // what cannot be read leaves the former ones
	}
	work.Wait()
}

// Rotate lets new keys sign where the ones that do have for at least a time; 0 for in any case. Tokens stay good.
func (s *Service) Rotate(ctx context.Context, after time.Duration) error {
	return errors.Join(s.keys.Rotate(ctx, s.now(), after), s.managedKeys.Rotate(ctx, s.now(), after))
}

// KeyID is the id of the key that signs tokens of this service.
func (s *Service) KeyID() string { return s.keys.Keys().KeyID() }

// PublishedKeys are the ids of the keys that its tokens are verified with.
func (s *Service) PublishedKeys() []string {
	var ids []string
	for _, key := range s.keys.Keys().Public().Keys {
		ids = append(ids, key.KeyID)
	}
	return ids
}

// Tenant is the tenant's GUID.
func (s *Service) Tenant() string { return s.tenant }

// Owner is the principal that the cloud began with; false when it has been deleted.
func (s *Service) Owner() (Principal, bool) {
	list := s.Principals()
	at := slices.IndexFunc(list, func(p Principal) bool { return p.Name == OwnerName })
	if at < 0 {
		return Principal{}, false
	}
	return list[at], true
}

// issuer signs tokens of this service's.
func (s *Service) issuer() token.Issuer {
	return token.Issuer{URL: issuerURL, Tenant: s.tenant, Keys: s.keys.Keys()}
}

// Caller is who a request comes from.
type Caller struct {
	Name     string // of the principal; of a VM, its id
	ClientID string // of the application
	ObjectID string // of the principal

	// Owner may do everything whatever its roles: who came by the socket that the cloud's owner alone can connect to.
	Owner bool
}

// LocalOwner is who works on the cloud by the socket in its state folder: whoever can open that owns the cloud.
var LocalOwner = Caller{Name: "local owner", ClientID: localID, ObjectID: localID, Owner: true}

const localID = "00000000-0000-4000-8000-000000000001" // no principal that signs in has it

// ErrUnknown tells that a token is good, but its principal is not there (any more).
var ErrUnknown = errors.New("the token's principal is not known here")

// Verify checks a token that is for one of the audiences or for the Resource Manager by Azure's names, and answers who has
// it. Errors wrap token.ErrInvalid or ErrUnknown; others are those of the store.
func (s *Service) Verify(ctx context.Context, raw string, audiences []string) (Caller, error) {
	audiences = slices.Concat(audiences, Audiences)
	managed := token.Issuer{URL: token.ManagedIssuer, Tenant: s.tenant, Keys: s.managedKeys.Keys()}.Verifier()
	if managed.Knows(raw) {
		return s.verifyManaged(ctx, managed, raw, audiences)
	}
	claims, err := s.issuer().Verifier().Verify(raw, audiences, s.now())
	if err != nil {
		return Caller{}, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	at := slices.IndexFunc(s.principals, func(p Principal) bool { return p.ObjectID == claims.ObjectID })
	if at < 0 {
		return Caller{}, fmt.Errorf("%w: %s", ErrUnknown, claims.ObjectID)
	}
	return Caller{Name: s.principals[at].Name, ClientID: claims.AppID, ObjectID: claims.ObjectID}, nil
}

func (s *Service) verifyManaged(ctx context.Context, verifier token.Verifier, raw string, audiences []string) (Caller, error) {
	claims, err := verifier.Verify(raw, audiences, s.now())
	if err != nil {
		return Caller{}, err
	}
	id, found, err := s.managed(ctx, claims.ObjectID)
	switch {
	case err != nil:
		return Caller{}, err
	case !found:
		return Caller{}, fmt.Errorf("%w: %s", ErrUnknown, claims.ObjectID)
	}
	return Caller{Name: id, ClientID: claims.AppID, ObjectID: claims.ObjectID}, nil
}

// Exists tells whether there is a principal with an object id: a service principal, or a resource's managed identity.
func (s *Service) Exists(ctx context.Context, objectID string) (bool, error) {
	if slices.ContainsFunc(s.Principals(), func(p Principal) bool { return strings.EqualFold(p.ObjectID, objectID) }) {
		return true, nil
	}
	_, found, err := s.managed(ctx, objectID)
	return found, err
}

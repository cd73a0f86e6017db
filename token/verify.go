package token

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// Leeway is how far the clocks of issuer and service may stand apart.
const Leeway = 5 * time.Minute

// maxTokenLen bounds what Verify looks at, in bytes; a token of this package is below 2 KiB.
const maxTokenLen = 16 << 10

// ErrInvalid is wrapped by every refusal of Verify.
var ErrInvalid = errors.New("token is not valid")

// Verifier checks tokens at a service (ID-2). Keys come from the issuer, or from its discovery document's jwks_uri.
type Verifier struct {
	Issuer string // the iss claim, exactly
	Tenant string // the tid claim
	Keys   jose.JSONWebKeySet
}

// Verify checks signature, issuer, tenant, times and that the token is meant for one of the audiences; a final slash
// makes no difference, since Azure's clients ask with and without. Only RS256 is taken, so that a token cannot choose a
// weaker algorithm (RFC 8725 section 3.1). Every error wraps ErrInvalid.
func (v Verifier) Verify(raw string, audiences []string, now time.Time) (Claims, error) {
	if len(raw) > maxTokenLen {
		return Claims{}, fmt.Errorf("%w: longer than %d bytes", ErrInvalid, maxTokenLen)
	}
	parsed, err := jwt.ParseSigned(raw, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		return Claims{}, fmt.Errorf("%w: %v", ErrInvalid, err)
	}
	if len(parsed.Headers) != 1 {
		return Claims{}, fmt.Errorf("%w: %d signatures, want one", ErrInvalid, len(parsed.Headers))
	}
	keys := v.Keys.Key(parsed.Headers[0].KeyID)
	if len(keys) == 0 {
		return Claims{}, fmt.Errorf("%w: key %q is not among the issuer's", ErrInvalid, parsed.Headers[0].KeyID)
	}
	var claims Claims
	if err := parsed.Claims(keys[0].Key, &claims); err != nil {
		return Claims{}, fmt.Errorf("%w: %v", ErrInvalid, err)
	}
	switch {
	case claims.Issuer != v.Issuer:
		return Claims{}, fmt.Errorf("%w: issuer %q, want %q", ErrInvalid, claims.Issuer, v.Issuer)
	case !strings.EqualFold(claims.TenantID, v.Tenant):
		return Claims{}, fmt.Errorf("%w: tenant %q, want %q", ErrInvalid, claims.TenantID, v.Tenant)
	case now.Add(Leeway).Unix() < claims.NotBefore:
		return Claims{}, fmt.Errorf("%w: not before %s", ErrInvalid, time.Unix(claims.NotBefore, 0).UTC().Format(time.RFC3339))
	case now.Add(-Leeway).Unix() >= claims.Expiry:
		return Claims{}, fmt.Errorf("%w: expired at %s", ErrInvalid, time.Unix(claims.Expiry, 0).UTC().Format(time.RFC3339))
	case !audienceIn(claims.Audience, audiences):
		return Claims{}, fmt.Errorf("%w: audience %q, want one of %q", ErrInvalid, claims.Audience, audiences)
	}
	return claims, nil
}

// Knows tells whether a token names a key of the issuer's, to choose among issuers. Whether it is good Verify says.
func (v Verifier) Knows(raw string) bool {
	if len(raw) > maxTokenLen {
		return false
	}
	parsed, err := jwt.ParseSigned(raw, []jose.SignatureAlgorithm{jose.RS256})
	return err == nil && len(parsed.Headers) == 1 && len(v.Keys.Key(parsed.Headers[0].KeyID)) > 0
}

func audienceIn(audience string, audiences []string) bool {
	if audience == "" {
		return false
	}
	for _, allowed := range audiences {
		if strings.EqualFold(strings.TrimSuffix(audience, "/"), strings.TrimSuffix(allowed, "/")) {
			return true
		}
	}
	return false
}

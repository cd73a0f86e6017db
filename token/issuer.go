package token

import (
	"fmt"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/google/uuid"
)

// Lifetime is how long a token is good: a managed identity's are on Azure, too, valid for a day.
const Lifetime = 24 * time.Hour

// Claims are what a token says, by Azure's names (Microsoft's "access token claims reference").
type Claims struct {
	Issuer     string `json:"iss"`
	Audience   string `json:"aud"`
	TenantID   string `json:"tid"`
	ObjectID   string `json:"oid"` // the identity's principal id
	Subject    string `json:"sub"` // the same
	AppID      string `json:"appid"`
	ResourceID string `json:"xms_mirid"` // ARM id of the VM that asked
	Type       string `json:"idtyp"`     // "app"
	Version    string `json:"ver"`       // "1.0"
	ID         string `json:"uti"`
	IssuedAt   int64  `json:"iat"` // seconds since 1970, as all times here
	NotBefore  int64  `json:"nbf"`
	Expiry     int64  `json:"exp"`
}

// ManagedIssuer is the URL of the issuer of managed identities' tokens; its documents are served to VMs under it.
const ManagedIssuer = "http://169.254.169.254"

// Issuer signs tokens for one tenant.
type Issuer struct {
	URL    string // of the issuer, without a final slash: "http://169.254.169.254"
	Tenant string // GUID
	Keys   KeySet
}

// Identity is who a token is for.
type Identity struct {
	PrincipalID string // object id of the managed identity
	ResourceID  string // ARM id of the resource that has it
}

// ClientID is the application id of a managed identity. It follows from the principal id, since a system-assigned
// identity has exactly one of each and both live and die together.
func (i Identity) ClientID() string {
	return uuid.NewSHA1(uuid.NameSpaceOID, []byte("managed identity "+strings.ToLower(i.PrincipalID))).String()
}

// Issue signs a token that lets identity act toward audience from now on for Lifetime. It fails on an identity without a
// principal, on an empty audience and on an empty key set.
func (i Issuer) Issue(identity Identity, audience string, now time.Time) (string, Claims, error) {
	if identity.PrincipalID == "" || audience == "" {
		return "", Claims{}, fmt.Errorf("issue a token: a principal id and an audience are needed")
	}
	if i.Keys.current == nil {
		return "", Claims{}, fmt.Errorf("issue a token: no key to sign with; make a key set with NewKeySet")
	}
	claims := Claims{
		Issuer: i.issuer(), Audience: audience, TenantID: i.Tenant,
		ObjectID: identity.PrincipalID, Subject: identity.PrincipalID, AppID: identity.ClientID(),
		ResourceID: identity.ResourceID, Type: "app", Version: "1.0", ID: uuid.NewString(),
		IssuedAt: now.Unix(), NotBefore: now.Unix(), Expiry: now.Add(Lifetime).Unix(),
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256,
		Key: jose.JSONWebKey{Key: i.Keys.current, KeyID: i.Keys.KeyID()}}, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		return "", Claims{}, fmt.Errorf("issue a token: %w", err)
	}
	raw, err := jwt.Signed(signer).Claims(claims).Serialize()
	if err != nil {
		return "", Claims{}, fmt.Errorf("issue a token: %w", err)
	}
	return raw, claims, nil
}

// issuer is the iss claim: the issuer's URL and the tenant, as Azure's https://sts.windows.net/TENANT/.
func (i Issuer) issuer() string { return strings.TrimSuffix(i.URL, "/") + "/" + i.Tenant + "/" }

// Paths of the documents that let a service verify tokens, below the issuer's URL.
const (
	DiscoveryPath = "/.well-known/openid-configuration"
	KeysPath      = "/discovery/keys"
)

// Discovery is the openid-configuration document (OpenID Connect Discovery 1.0 section 3), as far as verifying takes it.
type Discovery struct {
	Issuer                string   `json:"issuer"`
	JWKSURI               string   `json:"jwks_uri"`
	TokenEndpoint         string   `json:"token_endpoint"`
	ResponseTypes         []string `json:"response_types_supported"`
	SubjectTypes          []string `json:"subject_types_supported"`
	SigningAlgorithms     []string `json:"id_token_signing_alg_values_supported"`
	ClaimsSupported       []string `json:"claims_supported"`
	TokenEndpointAuthMode []string `json:"token_endpoint_auth_methods_supported"`
}

// Discovery is the issuer's document.
func (i Issuer) Discovery() Discovery {
	base := strings.TrimSuffix(i.URL, "/")
	return Discovery{
		Issuer: i.issuer(), JWKSURI: base + KeysPath, TokenEndpoint: base + "/metadata/identity/oauth2/token",
		ResponseTypes: []string{"token"}, SubjectTypes: []string{"pairwise"}, SigningAlgorithms: []string{string(jose.RS256)},
		ClaimsSupported:       []string{"iss", "aud", "tid", "oid", "sub", "appid", "xms_mirid", "iat", "nbf", "exp"},
		TokenEndpointAuthMode: []string{"none"},
	}
}

// Verifier is the verifying side of the issuer, with the keys that it publishes now.
func (i Issuer) Verifier() Verifier {
	return Verifier{Issuer: i.issuer(), Tenant: i.Tenant, Keys: i.Keys.Public()}
}

package platform

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"postern/plan"
	"postern/token"
)

// tokenAnswer is the body of a good answer; numbers are strings there, as in Azure's.
type tokenAnswer struct {
	AccessToken  string `json:"access_token"`
	ClientID     string `json:"client_id"`
	ExpiresIn    string `json:"expires_in"`     // seconds
	ExpiresOn    string `json:"expires_on"`     // seconds since 1970
	ExtExpiresIn string `json:"ext_expires_in"` // seconds
	NotBefore    string `json:"not_before"`     // seconds since 1970
	Resource     string `json:"resource"`
	TokenType    string `json:"token_type"`
}

// serveToken gives the VM that machine belongs to a token of its own identity (ID-1). No parameter can name another one.
func (s *Service) serveToken(w http.ResponseWriter, r *http.Request, machine plan.Machine) {
	query := r.URL.Query()
	resource := query.Get("resource")
	switch {
	case len(query["resource"]) != 1 || resource == "":
		s.refuse(w, http.StatusBadRequest, "invalid_request", "Required query variable 'resource' is missing")
		return
	case !validResource(resource):
		s.refuse(w, http.StatusBadRequest, "invalid_resource", "The resource is neither a URI nor an application id.")
		return
	}
	identity := identityOf(machine)
	if machine.VM == "" || identity.PrincipalID == "" || !names(query, identity) {
		s.refuse(w, http.StatusBadRequest, "invalid_request", "Identity not found")
		return
	}
	now := s.options.Now()
	raw, claims, err := s.tokens.get(s.options.Issuer(), identity, resource, now)
	if err != nil {
		s.refuse(w, http.StatusInternalServerError, "server_error", "The token could not be issued.")
		return
	}
	s.counters.tokens.Add(1)
	left := strconv.FormatInt(claims.Expiry-now.Unix(), 10)
	writeJSON(w, http.StatusOK, tokenAnswer{
		AccessToken: raw, ClientID: identity.ClientID(), ExpiresIn: left, ExtExpiresIn: left, Resource: resource, TokenType: "Bearer",
		ExpiresOn: strconv.FormatInt(claims.Expiry, 10), NotBefore: strconv.FormatInt(claims.NotBefore, 10),
	})
}

// names tells whether the parameters that choose among a VM's identities, where given, mean this one.
func names(query url.Values, identity token.Identity) bool {
	for _, parameter := range []struct{ name, want string }{
		{"client_id", identity.ClientID()}, {"object_id", identity.PrincipalID}, {"principal_id", identity.PrincipalID},
		{"mi_res_id", identity.ResourceID}, {"msi_res_id", identity.ResourceID},
	} {
		for _, given := range query[parameter.name] {
			if !strings.EqualFold(given, parameter.want) {
				return false
			}
		}
	}
	return true
}

// validResource takes what Azure takes as an audience: an absolute URI, or the id of an application.
func validResource(text string) bool {
	if len(text) > 1024 || strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return false
	}
	if len(text) == 36 && uuid.Validate(text) == nil {
		return true
	}
	parsed, err := url.Parse(text)
	return err == nil && parsed.Scheme != "" && parsed.Host != ""
}

// maxTokens bounds the tokens kept. Past it all are dropped: a signature costs about a millisecond, and remembering which
// one is the oldest would be worth it only with many more VMs than tokens.
const maxTokens = 8192

// tokenCache keeps tokens for half their life, so that a VM that asks in a loop costs no signatures.
type tokenCache struct {
	mu   sync.Mutex
	kept map[tokenKey]keptToken
}

type tokenKey struct {
	keyID, issuer, tenant string
	identity              token.Identity
	resource              string
}

type keptToken struct {
	raw    string
	claims token.Claims
}

func (c *tokenCache) get(issuer token.Issuer, identity token.Identity, resource string, now time.Time) (string, token.Claims, error) {
	key := tokenKey{issuer.Keys.KeyID(), issuer.URL, issuer.Tenant, identity, resource}
	c.mu.Lock()
	have, ok := c.kept[key]
	c.mu.Unlock()
	age := now.Sub(time.Unix(have.claims.IssuedAt, 0))
	if ok && age >= -time.Second && age < token.Lifetime/2 {
		return have.raw, have.claims, nil
	}
	raw, claims, err := issuer.Issue(identity, resource, now)
	if err != nil {
		return "", token.Claims{}, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.kept == nil || len(c.kept) >= maxTokens {
		c.kept = map[tokenKey]keptToken{}
	}
	c.kept[key] = keptToken{raw, claims}
	return raw, claims, nil
}

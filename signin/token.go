package signin

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"postern/token"
)

// maxForm bounds the body of a token request in bytes.
const maxForm = 64 << 10

// failure is an OAuth 2.0 error (RFC 6749 section 5.2).
type failure struct {
	Code        string `json:"error"`
	Description string `json:"error_description"`
	status      int
}

// answer is a token response (RFC 6749 section 5.1), with what the older endpoints of Azure add.
type answer struct {
	TokenType    string `json:"token_type"`
	ExpiresIn    int64  `json:"expires_in"` // seconds
	ExtExpiresIn int64  `json:"ext_expires_in"`
	AccessToken  string `json:"access_token"`
}

// serveToken is the token endpoint, for client credentials (RFC 6749 section 4.4) alone.
func (s *Service) serveToken(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Pragma", "no-cache")
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		respond(w, http.StatusMethodNotAllowed, failure{Code: "invalid_request", Description: "The token endpoint takes POST."})
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		respond(w, http.StatusBadRequest, failure{Code: "invalid_request", Description: "The form cannot be read: " + err.Error() + "."})
		return
	}
	given, failed := s.grant(r)
	if failed != nil {
		if failed.status == http.StatusUnauthorized {
			w.Header().Set("WWW-Authenticate", `Basic realm="postern"`)
		}
		respond(w, failed.status, failed)
		return
	}
	respond(w, http.StatusOK, given)
}

func (s *Service) grant(r *http.Request) (*answer, *failure) {
	form := r.PostForm
	if kind := form.Get("grant_type"); kind != "client_credentials" {
		return nil, &failure{"unsupported_grant_type", "The grant type '" + printable(kind) + "' is not known here: use client_credentials.", http.StatusBadRequest}
	}
	id, secret := form.Get("client_id"), form.Get("client_secret")
	if user, password, ok := r.BasicAuth(); ok && secret == "" {
		id, secret = user, password
	}
	var principal Principal // that of an unknown client has no secret
	if list := s.Principals(); id != "" {
		if at := slices.IndexFunc(list, func(p Principal) bool { return strings.EqualFold(p.ClientID(), id) }); at >= 0 {
			principal = list[at]
		}
	}
	// The secret is compared for unknown clients too, so that time does not tell which ids are known.
	if good := principal.has(secret); !good || principal.ObjectID == "" {
		return nil, &failure{"invalid_client", "AADSTS7000215: Invalid client id or client secret provided. `postern principal reset` makes a new secret.",
			http.StatusUnauthorized}
	}
	audience, ok := audienceOf(form)
	if !ok {
		return nil, &failure{"invalid_scope", "The scope must be RESOURCE/.default, with the https address of what the token is for.", http.StatusBadRequest}
	}
	raw, claims, err := s.issuer().Issue(token.Identity{PrincipalID: principal.ObjectID}, audience, s.now())
	if err != nil {
		return nil, &failure{"server_error", err.Error(), http.StatusInternalServerError}
	}
	lives := claims.Expiry - claims.IssuedAt
	return &answer{TokenType: "Bearer", ExpiresIn: lives, ExtExpiresIn: lives, AccessToken: raw}, nil
}

// audienceOf reads what a token is asked for: a scope, or the resource of the older endpoints.
func audienceOf(form url.Values) (string, bool) {
	wanted := form.Get("resource")
	for scope := range strings.FieldsSeq(form.Get("scope")) {
		if resource, ok := strings.CutSuffix(scope, "/.default"); ok {
			wanted = resource
		}
	}
	address, err := url.Parse(wanted)
	return wanted, err == nil && (address.Scheme == "https" || address.Scheme == "http") && address.Host != "" && len(wanted) < 512
}

// printable keeps what strangers sent out of answers when it is long or odd.
func printable(text string) string {
	if len(text) > 64 {
		text = text[:64]
	}
	return strings.Map(func(c rune) rune {
		if c < ' ' || c > '~' {
			return '?'
		}
		return c
	}, text)
}

func respond(w http.ResponseWriter, status int, body any) {
	data, err := json.Marshal(body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	w.Write(data)
}

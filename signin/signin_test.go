package signin

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"postern/token"
)

const (
	tenant = "7e57ab1e-0000-4000-8000-000000000001"
	base   = "https://localhost:8443"
)

// memory keeps secrets for a test.
type memory map[string][]byte

func (m memory) ChangeSecret(_ context.Context, name string, change func([]byte) ([]byte, error)) ([]byte, error) {
	after, err := change(m[name])
	if err == nil && after != nil {
		m[name] = after
	}
	return m[name], err
}

func (m memory) WatchSecret(ctx context.Context, _ string) <-chan []byte {
	out := make(chan []byte)
	context.AfterFunc(ctx, func() { close(out) })
	return out
}

// vm is a VM's identity.
var vm = token.Identity{PrincipalID: "11111111-2222-4333-8444-555555555555", ResourceID: "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/virtualMachines/vm"}

func open(t *testing.T, secrets memory) (*Service, string) {
	t.Helper()
	service, err := New(t.Context(), Options{Secrets: secrets, Tenant: tenant, Managed: func(_ context.Context, id string) (string, bool, error) {
		return vm.ResourceID, id == vm.PrincipalID, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	secret, err := service.First(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return service, secret
}

func serve(t *testing.T) (*Service, memory, string) {
	t.Helper()
	secrets := memory{}
	service, secret := open(t, secrets)
	if strings.Trim(secret, "0123456789abcdef") != "" || len(secret) != 64 {
		t.Fatalf("the first principal's secret is %q, want 64 hexadecimal digits", secret)
	}
	return service, secrets, secret
}

func clientID(s *Service) string {
	owner, _ := s.Owner()
	return owner.ClientID()
}

// post sends a token request; "" for a refusal.
func post(t *testing.T, s *Service, path string, form url.Values) (status int, accessToken, failed string) {
	t.Helper()
	recorder := httptest.NewRecorder()
	request := httptest.NewRequest(http.MethodPost, path, strings.NewReader(form.Encode()))
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if !s.Handle(recorder, request, base, strings.Split(strings.Trim(path, "/"), "/"), "core.windows.net") {
		t.Fatalf("%s is no token endpoint", path)
	}
	var body struct {
		Token string `json:"access_token"`
		Error string `json:"error"`
	}
	if err := json.Unmarshal(recorder.Body.Bytes(), &body); err != nil {
		t.Fatal(err)
	}
	return recorder.Code, body.Token, body.Error
}

func TestGrant(t *testing.T) {
	s, secrets, secret := serve(t)
	good := func(change ...string) url.Values {
		form := url.Values{"grant_type": {"client_credentials"}, "client_id": {clientID(s)}, "client_secret": {secret}, "scope": {base + "/.default"}}
		for i := 0; i+1 < len(change); i += 2 {
			form.Set(change[i], change[i+1])
		}
		return form
	}
	for _, path := range []string{"/adfs/oauth2/token", "/" + tenant + "/oauth2/v2.0/token", "/adfs/" + tenant + "/oauth2/v2.0/token", "/" + tenant + "/oauth2/token"} {
		status, raw, _ := post(t, s, path, good())
		caller, err := s.Verify(t.Context(), raw, []string{base})
		if status != http.StatusOK || err != nil || caller.ClientID != clientID(s) || caller.Owner {
			t.Errorf("%s: %d, %+v, %v", path, status, caller, err)
		}
	}
	for name, r := range map[string]struct {
		form   url.Values
		status int
		failed string
	}{
		"wrong secret":   {good("client_secret", secret+"x"), 401, "invalid_client"},
		"no secret":      {good("client_secret", ""), 401, "invalid_client"},
		"unknown client": {good("client_id", tenant), 401, "invalid_client"},
		"another grant":  {good("grant_type", "password"), 400, "unsupported_grant_type"},
		"no scope":       {good("scope", ""), 400, "invalid_scope"},
		"odd scope":      {good("scope", "javascript:x/.default"), 400, "invalid_scope"},
	} {
		if status, raw, failed := post(t, s, "/adfs/oauth2/token", r.form); status != r.status || failed != r.failed || raw != "" {
			t.Errorf("%s: %d %s", name, status, failed)
		}
	}
	t.Run("a form of any size", func(t *testing.T) {
		if status, _, failed := post(t, s, "/adfs/oauth2/token", good("claims", strings.Repeat("x", maxForm))); status != 400 || failed != "invalid_request" {
			t.Errorf("%d %s", status, failed)
		}
	})
	t.Run("a new secret replaces the former, also after a restart", func(t *testing.T) {
		_, fresh, err := s.Reset(t.Context(), OwnerName)
		if err != nil {
			t.Fatal(err)
		}
		again, told := open(t, secrets)
		if told != "" {
			t.Fatalf("told %q", told)
		}
		for _, service := range []*Service{s, again} {
			if status, _, _ := post(t, service, "/adfs/oauth2/token", good()); status != 401 {
				t.Errorf("the former secret: %d", status)
			}
			if status, _, _ := post(t, service, "/adfs/oauth2/token", good("client_secret", fresh)); status != 200 {
				t.Errorf("the new secret: %d", status)
			}
		}
	})
}

func TestVerify(t *testing.T) {
	s, _, secret := serve(t)
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {clientID(s)}, "client_secret": {secret}, "scope": {base + "//.default"}}
	_, raw, _ := post(t, s, "/adfs/oauth2/token", form)
	if _, err := s.Verify(t.Context(), raw, []string{base}); err != nil {
		t.Errorf("a final slash: %v", err)
	}
	if _, err := s.Verify(t.Context(), raw, []string{"https://elsewhere"}); !errors.Is(err, token.ErrInvalid) {
		t.Errorf("another audience: %v", err)
	}
	other, _, _ := serve(t)
	if _, err := other.Verify(t.Context(), raw, []string{base}); !errors.Is(err, token.ErrInvalid) {
		t.Errorf("another service's key: %v", err)
	}
	if _, err := s.Delete(t.Context(), OwnerName); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Verify(t.Context(), raw, []string{base}); !errors.Is(err, ErrUnknown) {
		t.Errorf("a principal that is gone: %v", err)
	}
	s.now = func() time.Time { return time.Now().Add(2 * token.Lifetime) }
	if _, err := s.Verify(t.Context(), raw, []string{base}); !errors.Is(err, token.ErrInvalid) {
		t.Errorf("two days later: %v", err)
	}
}

// Clients read these documents before they send anything else.
func TestDocuments(t *testing.T) {
	s, _, _ := serve(t)
	get := func(path string) (document map[string]any) {
		t.Helper()
		recorder := httptest.NewRecorder()
		request := httptest.NewRequest(http.MethodGet, path, nil)
		if !s.Handle(recorder, request, base, strings.Split(strings.Trim(request.URL.Path, "/"), "/"), "core.windows.net") {
			t.Fatalf("%s is not there", path)
		}
		if err := json.Unmarshal(recorder.Body.Bytes(), &document); err != nil {
			t.Fatal(err)
		}
		return document
	}
	old := get("/metadata/endpoints?api-version=2015-01-01")["authentication"].(map[string]any)
	if old["loginEndpoint"] != base+"/adfs" || old["identityProvider"] != nil {
		t.Errorf("of 2015: %v", old)
	}
	document := get("/metadata/endpoints?api-version=2022-09-01")
	authentication := document["authentication"].(map[string]any)
	if authentication["identityProvider"] != "AAD" || authentication["tenant"] != "common" || document["resourceManager"] != base ||
		document["suffixes"].(map[string]any)["storage"] != "core.windows.net" {
		t.Errorf("of 2022: %v", document)
	}
	if endpoint := get("/adfs/.well-known/openid-configuration")["token_endpoint"]; endpoint != base+"/adfs/oauth2/token" {
		t.Errorf("adfs: %v", endpoint)
	}
	second := get("/" + tenant + "/v2.0/.well-known/openid-configuration")
	if second["token_endpoint"] != base+"/"+tenant+"/oauth2/v2.0/token" || !strings.HasPrefix(second["issuer"].(string), base+"/"+tenant) {
		t.Errorf("tenant: %v", second)
	}
	keys := get("/" + tenant + "/discovery/v2.0/keys")["keys"].([]any)
	if len(keys) < 2 {
		t.Errorf("%d keys", len(keys))
	}
	for _, key := range keys {
		if key.(map[string]any)["d"] != nil {
			t.Error("a private key is told")
		}
	}
}

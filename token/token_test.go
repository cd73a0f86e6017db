package token

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

const (
	tenant   = "7e57ab1e-0000-4000-8000-000000000001"
	storage  = "https://storage.azure.com/"
	resource = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/virtualMachines/vm-app"
)

var (
	noon = time.Date(2026, 9, 1, 12, 0, 0, 0, time.UTC)
	vm   = Identity{PrincipalID: "11111111-2222-4333-8444-555555555555", ResourceID: resource}
)

func newIssuer(t *testing.T) Issuer {
	t.Helper()
	keys, err := NewKeySet(noon)
	if err != nil {
		t.Fatal(err)
	}
	return Issuer{URL: "http://169.254.169.254", Tenant: tenant, Keys: keys}
}

func issue(t *testing.T, issuer Issuer) string {
	t.Helper()
	raw, _, err := issuer.Issue(vm, storage, noon)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestIssueAndVerify(t *testing.T) {
	issuer := newIssuer(t)
	raw := issue(t, issuer)
	t.Run("ID-2 a service verifies with published keys alone", func(t *testing.T) {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_ = json.NewEncoder(w).Encode(issuer.Keys.Public())
		}))
		defer server.Close()
		answer, err := http.Get(server.URL)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		var keys jose.JSONWebKeySet
		if err := json.NewDecoder(answer.Body).Decode(&keys); err != nil {
			t.Fatal(err)
		}
		for _, key := range keys.Keys {
			if !key.IsPublic() {
				t.Fatalf("key %s is published with its private part", key.KeyID)
			}
		}
		claims, err := Verifier{Issuer: issuer.Discovery().Issuer, Tenant: tenant, Keys: keys}.
			Verify(raw, []string{"https://storage.azure.com"}, noon)
		if err != nil {
			t.Fatal(err)
		}
		if claims.ObjectID != vm.PrincipalID || claims.ResourceID != resource || claims.AppID != vm.ClientID() ||
			claims.Audience != storage || claims.Expiry != noon.Add(Lifetime).Unix() || claims.TenantID != tenant {
			t.Errorf("claims %+v", claims)
		}
	})
	t.Run("no private number in the published document", func(t *testing.T) {
		document, err := json.Marshal(issuer.Keys.Public())
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(document, []byte(`"d":`)) {
			t.Error("the published keys hold a private exponent")
		}
	})
	t.Run("header names the key", func(t *testing.T) {
		header, err := base64.RawURLEncoding.DecodeString(raw[:strings.IndexByte(raw, '.')])
		if err != nil {
			t.Fatal(err)
		}
		var fields map[string]string
		if err := json.Unmarshal(header, &fields); err != nil {
			t.Fatal(err)
		}
		if fields["alg"] != "RS256" || fields["kid"] != issuer.Keys.KeyID() || fields["typ"] != "JWT" {
			t.Errorf("header %v", fields)
		}
	})
}

func TestVerifyRefuses(t *testing.T) {
	issuer := newIssuer(t)
	raw := issue(t, issuer)
	good := issuer.Verifier()
	sign := func(algorithm jose.SignatureAlgorithm, key any, kid string) string {
		signer, err := jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: key},
			(&jose.SignerOptions{}).WithHeader("kid", kid))
		if err != nil {
			t.Fatal(err)
		}
		text, err := jwt.Signed(signer).Claims(Claims{Issuer: good.Issuer, Audience: storage, TenantID: tenant,
			NotBefore: noon.Unix(), Expiry: noon.Add(time.Hour).Unix()}).Serialize()
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	stranger, err := rsa.GenerateKey(rand.Reader, keyBits)
	if err != nil {
		t.Fatal(err)
	}
	none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + raw[strings.IndexByte(raw, '.'):strings.LastIndexByte(raw, '.')+1]
	otherIssuer, otherTenant := good, good
	otherIssuer.Issuer = "https://sts.example/"
	otherTenant.Tenant = "00000000-0000-4000-8000-000000000000"
	parts := strings.Split(raw, ".")
	for _, test := range []struct {
		name, raw string
		verifier  Verifier
		audience  string
		now       time.Time
	}{
		{"other audience", raw, good, "https://vault.azure.net", noon},
		{"expired", raw, good, storage, noon.Add(Lifetime + 2*Leeway)},
		{"not yet", raw, good, storage, noon.Add(-2 * Leeway)},
		{"other issuer", raw, otherIssuer, storage, noon},
		{"other tenant", raw, otherTenant, storage, noon},
		{"changed payload", parts[0] + "." + parts[1][:10] + "A" + parts[1][11:] + "." + parts[2], good, storage, noon},
		{"alg none", none, good, storage, noon},
		{"stranger's key under a known kid", sign(jose.RS256, stranger, issuer.Keys.KeyID()), good, storage, noon},
		{"HS256 with the kid as secret", sign(jose.HS256, bytes.Repeat([]byte("k"), 32), issuer.Keys.KeyID()), good, storage, noon},
		{"unknown kid", sign(jose.RS256, stranger, "nobody"), good, storage, noon},
		{"not a token", "hello", good, storage, noon},
		{"empty", "", good, storage, noon},
		{"too long", strings.Repeat("a", maxTokenLen+1), good, storage, noon},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := test.verifier.Verify(test.raw, []string{test.audience}, test.now)
			if !errors.Is(err, ErrInvalid) {
				t.Errorf("got %v, want ErrInvalid", err)
			}
		})
	}
}

func TestRotation(t *testing.T) {
	issuer := newIssuer(t)
	published := issuer.Verifier() // what a service keeps from before the rotation
	old := issue(t, issuer)
	rotated, err := issuer.Keys.Rotate(noon)
	if err != nil {
		t.Fatal(err)
	}
	before := issuer.Keys.KeyID()
	issuer.Keys = rotated
	if issuer.Keys.KeyID() == before {
		t.Fatal("the same key signs after the rotation")
	}
	if _, err := published.Verify(issue(t, issuer), []string{storage}, noon); err != nil {
		t.Errorf("a service with the keys of before cannot verify: %v", err)
	}
	if _, err := issuer.Verifier().Verify(old, []string{storage}, noon); err != nil {
		t.Errorf("a token of before no longer verifies: %v", err)
	}
	// However many rotations follow, a token is good as long as it says.
	for range 3 {
		if issuer.Keys, err = issuer.Keys.Rotate(noon.Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
	}
	late := noon.Add(Lifetime)
	if _, err := issuer.Verifier().Verify(old, []string{storage}, late); err != nil {
		t.Errorf("a token of four rotations ago: %v", err)
	}
	if n := len(issuer.Keys.Public().Keys); n != 6 {
		t.Errorf("%d keys are published, want 2 and 4 retired ones", n)
	}
	if issuer.Keys, err = issuer.Keys.Rotate(late.Add(2 * Leeway)); err != nil {
		t.Fatal(err)
	}
	if n := len(issuer.Keys.Public().Keys); n != 3 {
		t.Errorf("%d keys are published a day later, want 2 and the one that has just retired", n)
	}
	if _, err := issuer.Verifier().Verify(old, []string{storage}, noon); err == nil {
		t.Error("a token verifies after its key has gone")
	}
}

func TestRotationsAreBounded(t *testing.T) {
	keys := newIssuer(t).Keys
	for range maxRetired {
		keys.retired = append(keys.retired, retired{keys.current, noon.Add(Lifetime)})
	}
	if _, err := keys.Rotate(noon); err == nil {
		t.Error("one more retired key")
	}
	if rotated, err := keys.Rotate(noon.Add(Lifetime)); err != nil || len(rotated.retired) != 1 {
		t.Errorf("after they have expired: %d, %v", len(rotated.retired), err)
	}
}

func TestKeySetBytes(t *testing.T) {
	issuer := newIssuer(t)
	data, err := issuer.Keys.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	var read KeySet
	if err := read.UnmarshalBinary(data); err != nil {
		t.Fatal(err)
	}
	again := issuer
	again.Keys = read
	if _, err := issuer.Verifier().Verify(issue(t, again), []string{storage}, noon); err != nil {
		t.Errorf("a key read back signs otherwise: %v", err)
	}
	for name, bad := range map[string]string{"empty": "", "no keys": "{}", "rubbish": `{"current":"AAAA","next":"AAAA"}`} {
		kept := read.KeyID()
		if err := read.UnmarshalBinary([]byte(bad)); err == nil || read.KeyID() != kept {
			t.Errorf("%s: error %v, and the set must stay as it was", name, err)
		}
	}
	if _, err := (KeySet{}).MarshalBinary(); err == nil {
		t.Error("an empty set was written")
	}
}

func TestIssueRefuses(t *testing.T) {
	issuer := newIssuer(t)
	if _, _, err := issuer.Issue(Identity{}, storage, noon); err == nil {
		t.Error("a token without a principal")
	}
	if _, _, err := issuer.Issue(vm, "", noon); err == nil {
		t.Error("a token without an audience")
	}
	if _, _, err := (Issuer{}).Issue(vm, storage, noon); err == nil {
		t.Error("a token without a key")
	}
}

func FuzzVerify(f *testing.F) {
	keys, err := NewKeySet(noon)
	if err != nil {
		f.Fatal(err)
	}
	issuer := Issuer{URL: "http://169.254.169.254", Tenant: tenant, Keys: keys}
	raw, _, err := issuer.Issue(vm, storage, noon)
	if err != nil {
		f.Fatal(err)
	}
	verifier := issuer.Verifier()
	f.Add(raw)
	f.Add("a.b.c")
	f.Add("eyJhbGciOiJub25lIn0..")
	f.Fuzz(func(t *testing.T, text string) {
		claims, err := verifier.Verify(text, []string{storage}, noon)
		if err == nil && claims.ObjectID != vm.PrincipalID {
			t.Errorf("%q verifies as %+v", text, claims)
		}
	})
}

package platform

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strconv"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"postern/model"
	"postern/token"
)

const (
	tokenPath = "/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https%3A%2F%2Fstorage.azure.com%2F"
	storage   = "https://storage.azure.com/"
)

type answer struct {
	status int
	header http.Header
	body   []byte
}

func (a answer) decode(t *testing.T, into any) {
	t.Helper()
	if err := json.Unmarshal(a.body, into); err != nil {
		t.Fatalf("%d %s: %v", a.status, a.body, err)
	}
}

// metadata is a service behind a fabric, asked over real sockets.
type metadata struct {
	*Service
	fabric *fabric
}

func newMetadata(t *testing.T) metadata {
	m := metadata{newService(t, nil), newFabric(t)}
	serve(t, func(ctx context.Context) error { return m.ServeMetadata(ctx, m.fabric) })
	return m
}

// get asks at 169.254.169.254 from remote; headers come in pairs.
func (m metadata) get(t *testing.T, remote netip.Addr, path string, headers ...string) answer {
	t.Helper()
	return m.send(t, http.MethodGet, remote, to(model.PlatformMetadata), path, headers...)
}

func (m metadata) send(t *testing.T, method string, remote, local netip.Addr, path string, headers ...string) answer {
	t.Helper()
	request, err := http.NewRequest(method, "http://169.254.169.254"+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := m.fabric.client(t, remote, local).Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{response.StatusCode, response.Header, body}
}

func TestToken(t *testing.T) {
	m := newMetadata(t)
	t.Run("ID-1 each VM gets its own token", func(t *testing.T) {
		seen := map[string]bool{}
		for _, machine := range node().Gateway.Machines[:2] {
			got := m.get(t, from(machine.Subnet, machine.IPv4), tokenPath, "Metadata", "true")
			if got.status != http.StatusOK {
				t.Fatalf("%d %s", got.status, got.body)
			}
			var fields map[string]string
			got.decode(t, &fields)
			claims, err := issuerOf().Verifier().Verify(fields["access_token"], []string{storage}, time.Now())
			if err != nil {
				t.Fatal(err)
			}
			if claims.ObjectID != machine.PrincipalID || claims.ResourceID != string(machine.VM) || claims.Audience != storage {
				t.Errorf("%s got a token of %+v", machine.VM, claims)
			}
			for name, want := range map[string]string{"client_id": claims.AppID, "resource": storage, "token_type": "Bearer",
				"expires_on": strconv.FormatInt(claims.Expiry, 10), "not_before": strconv.FormatInt(claims.NotBefore, 10),
				"ext_expires_in": fields["expires_in"]} {
				if fields[name] != want {
					t.Errorf("%s is %q, want %q", name, fields[name], want)
				}
			}
			if left, err := strconv.Atoi(fields["expires_in"]); err != nil || left < 86000 || left > 86400 {
				t.Errorf("expires_in %q", fields["expires_in"])
			}
			seen[fields["access_token"]] = true
		}
		if len(seen) != 2 || m.Counters().Tokens != 2 {
			t.Errorf("%d tokens, counters %+v", len(seen), m.Counters())
		}
	})
	t.Run("ID-2 the published documents verify a token", func(t *testing.T) {
		var fields map[string]string
		m.get(t, from(subnetApp, app), tokenPath, "Metadata", "true").decode(t, &fields)
		for _, at := range []netip.Addr{model.PlatformMetadata, model.PlatformDNS} {
			var discovery token.Discovery
			m.send(t, "GET", from(subnetApp, plain), to(at), "/.well-known/openid-configuration").decode(t, &discovery)
			if discovery.JWKSURI != issuerOf().URL+"/discovery/keys" {
				t.Errorf("jwks_uri %s", discovery.JWKSURI)
			}
			var keys jose.JSONWebKeySet
			m.send(t, "GET", from(subnetApp, plain), to(at), "/discovery/keys").decode(t, &keys)
			verifier := token.Verifier{Issuer: discovery.Issuer, Tenant: tenant, Keys: keys}
			if _, err := verifier.Verify(fields["access_token"], []string{storage}, time.Now()); err != nil {
				t.Error(err)
			}
		}
	})
	t.Run("ID-1 naming one's own identity", func(t *testing.T) {
		own := identityOf(node().Gateway.Machines[0])
		for _, parameter := range []string{"&client_id=" + own.ClientID(), "&object_id=" + own.PrincipalID, "&msi_res_id=" + own.ResourceID} {
			if got := m.get(t, from(subnetApp, app), tokenPath+parameter, "Metadata", "true"); got.status != 200 {
				t.Errorf("%s: %d %s", parameter, got.status, got.body)
			}
		}
	})
	other := identityOf(node().Gateway.Machines[1])
	for _, test := range []struct {
		name        string
		remote      netip.Addr
		path        string
		headers     []string
		status      int
		code, words string
	}{
		{"ID-1 no header", from(subnetApp, app), tokenPath, nil, 400, "invalid_request", "Required metadata header not specified"},
		{"ID-1 header false", from(subnetApp, app), tokenPath, []string{"Metadata", "false"}, 400, "invalid_request", "Required metadata header not specified"},
		{"ID-1 through a proxy", from(subnetApp, app), tokenPath, []string{"Metadata", "true", "X-Forwarded-For", "10.13.76.36"}, 400, "invalid_request", ""},
		{"ID-1 no identity", from(subnetApp, plain), tokenPath, []string{"Metadata", "true"}, 400, "invalid_request", "Identity not found"},
		{"ID-1 no VM", from(subnetApp, bare), tokenPath, []string{"Metadata", "true"}, 400, "invalid_request", "Identity not found"},
		{"ID-1 another VM's client id", from(subnetApp, app), tokenPath + "&client_id=" + other.ClientID(), []string{"Metadata", "true"}, 400, "invalid_request", "Identity not found"},
		{"ID-1 another VM's resource id", from(subnetApp, app), tokenPath + "&msi_res_id=" + other.ResourceID, []string{"Metadata", "true"}, 400, "invalid_request", "Identity not found"},
		{"ID-1 own and another client id", from(subnetApp, app), tokenPath + "&object_id=11111111-2222-4333-8444-555555555555&object_id=" + other.PrincipalID,
			[]string{"Metadata", "true"}, 400, "invalid_request", "Identity not found"},
		{"ID-1 unknown address", from(subnetApp, netip.MustParseAddr("10.13.76.99")), tokenPath, []string{"Metadata", "true"}, 403, "access_denied", ""},
		{"ID-1 unknown identity", from(9999, app), tokenPath, []string{"Metadata", "true"}, 403, "access_denied", ""},
		{"ID-1 not from a VM", netip.IPv6Loopback(), tokenPath, []string{"Metadata", "true"}, 403, "access_denied", ""},
		{"no version", from(subnetApp, app), "/metadata/identity/oauth2/token?resource=x", []string{"Metadata", "true"}, 400, "invalid_request", "Required query variable 'api-version' is missing"},
		{"bad version", from(subnetApp, app), "/metadata/identity/oauth2/token?api-version=new&resource=x", []string{"Metadata", "true"}, 400, "invalid_request", ""},
		{"no resource", from(subnetApp, app), "/metadata/identity/oauth2/token?api-version=2018-02-01", []string{"Metadata", "true"}, 400, "invalid_request", "Required query variable 'resource' is missing"},
		{"bad resource", from(subnetApp, app), "/metadata/identity/oauth2/token?api-version=2018-02-01&resource=a%20b", []string{"Metadata", "true"}, 400, "invalid_resource", ""},
		{"unknown path", from(subnetApp, app), "/metadata/attested?api-version=2018-02-01", []string{"Metadata", "true"}, 404, "not_found", ""},
		{"outside", from(subnetApp, app), "/", []string{"Metadata", "true"}, 404, "not_found", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			before := m.Counters()
			got := m.get(t, test.remote, test.path, test.headers...)
			var fields map[string]string
			got.decode(t, &fields)
			if got.status != test.status || fields["error"] != test.code || test.words != "" && fields["error_description"] != test.words {
				t.Errorf("%d %s", got.status, got.body)
			}
			if _, given := fields["access_token"]; given || m.Counters().Tokens != before.Tokens {
				t.Error("a token was given")
			}
			if unknown := m.Counters().UnknownCaller - before.UnknownCaller; (unknown == 1) != (test.status == 403) {
				t.Errorf("counted %d unknown callers", unknown)
			}
		})
	}
	t.Run("other addresses and methods", func(t *testing.T) {
		if got := m.send(t, "POST", from(subnetApp, app), to(model.PlatformMetadata), tokenPath, "Metadata", "true"); got.status != 405 {
			t.Errorf("POST: %d", got.status)
		}
		if got := m.send(t, "GET", from(subnetApp, app), to(model.PlatformDNS), tokenPath, "Metadata", "true"); got.status != 404 {
			t.Errorf("at 168.63.129.16: %d", got.status)
		}
		if got := m.send(t, "GET", from(subnetApp, app), netip.IPv6Loopback(), tokenPath, "Metadata", "true"); got.status != 404 {
			t.Errorf("at no platform address: %d", got.status)
		}
	})
	t.Run("ID-1 a VM that is gone gets none", func(t *testing.T) {
		next := node()
		next.Gateway.Machines = next.Gateway.Machines[1:]
		if err := m.Apply(next); err != nil {
			t.Fatal(err)
		}
		if got := m.get(t, from(subnetApp, app), tokenPath, "Metadata", "true"); got.status != 403 {
			t.Errorf("%d %s", got.status, got.body)
		}
	})
}

func TestTokenCache(t *testing.T) {
	var cache tokenCache
	noon := time.Date(2026, 9, 1, 12, 0, 0, 0, time.UTC)
	get := func(identity token.Identity, resource string, at time.Time) string {
		raw, claims, err := cache.get(issuerOf(), identity, resource, at)
		if err != nil {
			t.Fatal(err)
		}
		if claims.ObjectID != identity.PrincipalID || claims.Audience != resource {
			t.Errorf("claims %+v", claims)
		}
		return raw
	}
	one, two := token.Identity{PrincipalID: "1"}, token.Identity{PrincipalID: "2"}
	first := get(one, storage, noon)
	if get(one, storage, noon.Add(time.Hour)) != first {
		t.Error("a fresh token was signed within the hour")
	}
	if get(two, storage, noon) == first || get(one, "https://vault.azure.net", noon) == first {
		t.Error("ID-1: another identity or audience got the kept token")
	}
	if get(one, storage, noon.Add(token.Lifetime*2/3)) == first {
		t.Error("an old token was given")
	}
	if get(one, storage, noon.Add(-time.Hour)) == first {
		t.Error("a token from the future was given")
	}
}

func TestInstance(t *testing.T) {
	m := newMetadata(t)
	next := node()
	second := next.Gateway.Machines[0]
	second.IPv4, second.NIC = netip.MustParseAddr("10.13.77.4"), nic("nic-app-2")
	next.Gateway.Machines = append(next.Gateway.Machines, second)
	if err := m.Apply(next); err != nil {
		t.Fatal(err)
	}
	var document instance
	m.get(t, from(subnetApp, app), "/metadata/instance?api-version=2021-02-01", "Metadata", "true").decode(t, &document)
	want := compute{Location: "westeurope", Name: "vm-app", Provider: "Microsoft.Compute", ResourceGroupName: "demo",
		ResourceID: string(vm("vm-app")), SubscriptionID: "0b1f6471-1bf0-4dda-aec3-cb9272f09590"}
	if document.Compute != want || len(document.Network.Interface) != 2 ||
		document.Network.Interface[0].IPv4.IPAddress[0].PrivateIPAddress != "10.13.76.36" ||
		document.Network.Interface[1].IPv4.IPAddress[0].PrivateIPAddress != "10.13.77.4" {
		t.Errorf("%+v", document)
	}
	for path, want := range map[string]string{
		"compute/name?format=text": "vm-app",
		"network/interface/1/ipv4/ipAddress/0/privateIpAddress?format=text": "10.13.77.4",
		"network/interface/0/ipv4?":                                         `{"ipAddress":[{"privateIpAddress":"10.13.76.36"}]}`,
		"compute/name?":                                                     "400",
		"compute?format=text":                                               "400",
		"compute/size?format=text":                                          "404",
		"network/interface/2?":                                              "404",
		"network/interface/-1?":                                             "404",
		"compute/name/x?":                                                   "404",
		"a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/q/r/s?x":                           "404",
	} {
		got := m.get(t, from(subnetApp, app), fmt.Sprintf("/metadata/instance/%s&api-version=2021-02-01", path), "Metadata", "true")
		if string(got.body) != want && fmt.Sprint(got.status) != want {
			t.Errorf("%s: %d %s, want %s", path, got.status, got.body, want)
		}
	}
	if got := m.get(t, from(subnetApp, bare), "/metadata/instance?api-version=2021-02-01", "Metadata", "true"); got.status != 404 {
		t.Errorf("NIC without a VM: %d", got.status)
	}
	if got := m.get(t, from(subnetApp, app), "/metadata/instance?api-version=2021-02-01"); got.status != 400 {
		t.Errorf("without the header: %d", got.status)
	}
}

func TestBeforeAnyPlan(t *testing.T) {
	service, err := New(Options{Issuer: issuerOf})
	if err != nil {
		t.Fatal(err)
	}
	m := metadata{service, newFabric(t)}
	serve(t, func(ctx context.Context) error { return m.ServeMetadata(ctx, m.fabric) })
	if got := m.get(t, from(subnetApp, app), tokenPath, "Metadata", "true"); got.status != 503 {
		t.Errorf("%d %s", got.status, got.body)
	}
}

// TestFairListener: one VM that keeps connections open does not keep another from its token.
func TestFairListener(t *testing.T) {
	m := newMetadata(t)
	for range 2 * maxConnectionsOfCaller {
		m.fabric.dial(t, from(subnetApp, plain), to(model.PlatformMetadata))
	}
	if got := m.get(t, from(subnetApp, app), tokenPath, "Metadata", "true"); got.status != 200 {
		t.Errorf("%d %s", got.status, got.body)
	}
	client := m.fabric.client(t, from(subnetApp, plain), to(model.PlatformMetadata))
	if response, err := client.Get("http://169.254.169.254/discovery/keys"); err == nil {
		response.Body.Close()
		t.Error("the VM with too many connections got another one")
	}
}

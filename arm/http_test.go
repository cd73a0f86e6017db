package arm_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"postern/arm"
	"postern/resource"
)

const (
	group   = "/subscriptions/" + resource.DefaultSubscription + "/resourceGroups/demo"
	tables  = group + "/providers/Microsoft.Network/routeTables"
	version = "?api-version=2024-05-01"
	table   = `{"location":"westeurope"}`
)

// TestRequests sends what the SDK would not: paths as careless clients write them, and what is wrong with a request.
func TestRequests(t *testing.T) {
	f := start(t)
	token := f.token(t)
	for _, r := range []struct {
		name, method, path, body string
		status                   int
		code                     string
	}{
		{"make a table", "PUT", tables + "/rt" + version, table, 201, ""},
		{"again", "PUT", tables + "/rt" + version, table, 200, ""},
		{"two slashes", "GET", "/" + strings.ReplaceAll(tables, "/", "//") + "/rt" + version, "", 200, ""},
		{"any case", "GET", strings.ToLower(tables) + "/RT" + version, "", 200, ""},
		{"capitals", "GET", strings.Replace(tables, "Microsoft.Network/routeTables", "MICROSOFT.NETWORK/ROUTETABLES", 1) + "/rt" + version, "", 200, ""},
		{"version's name in capitals", "GET", tables + "/rt?API-VERSION=2024-05-01", "", 200, ""},
		{"HEAD", "HEAD", tables + "/rt" + version, "", 204, ""},
		{"HEAD of nothing", "HEAD", tables + "/nope" + version, "", 404, ""},
		{"a child", "PUT", tables + "/rt/routes/r" + version, `{"properties":{"addressPrefix":"10.0.0.0/8","nextHopType":"None"}}`, 201, ""},
		{"children", "GET", tables + "/rt/ROUTES" + version, "", 200, ""},
		{"a child's field", "PUT", tables + "/rt/routes/r" + version, `{"properties":{"addressPrefix":"10.0.0.0/8","nextHopType":"Nowhere"}}`, 400, ""},
		{"children of nothing", "GET", tables + "/nope/routes" + version, "", 404, "ResourceNotFound"},
		{"child of nothing", "PUT", tables + "/nope/routes/r" + version, `{"properties":{"addressPrefix":"10.0.0.0/8","nextHopType":"None"}}`, 404, "ParentResourceNotFound"},

		{"no version", "GET", tables + "/rt", "", 400, "MissingApiVersionParameter"},
		{"a version that is no date", "GET", tables + "/rt?api-version=latest", "", 400, "InvalidApiVersionParameter"},
		{"a date that is none", "GET", tables + "/rt?api-version=2024-13-01", "", 400, "InvalidApiVersionParameter"},
		{"a preview", "GET", tables + "/rt?api-version=2024-05-01-preview", "", 200, ""},
		{"no such type", "GET", group + "/providers/Microsoft.Network/loadBalancers/lb" + version, "", 404, "InvalidResourceType"},
		{"no such child type", "PUT", tables + "/rt/things/x" + version, table, 404, "InvalidResourceType"},
		{"no such provider", "GET", group + "/providers/Microsoft.Nothing/things/x" + version, "", 404, "InvalidResourceNamespace"},
		{"no such group", "PUT", strings.Replace(tables, "demo", "nope", 1) + "/rt" + version, table, 404, "ResourceGroupNotFound"},
		{"a list of no group", "GET", strings.Replace(tables, "demo", "nope", 1) + version, "", 404, "ResourceGroupNotFound"},
		{"no such subscription", "GET", "/subscriptions/nope/resourceGroups" + version, "", 404, "SubscriptionNotFound"},
		{"nothing", "GET", "/nothing/at/all" + version, "", 404, "NotFound"},
		{"another method", "POST", tables + "/rt" + version, "", 405, "MethodNotAllowed"},
		{"another method of an action", "GET", group + "/providers/Microsoft.Storage/storageAccounts/x/listKeys" + version, "", 405, "MethodNotAllowed"},
		{"keys of nothing", "POST", group + "/providers/Microsoft.Storage/storageAccounts/nope/listKeys" + version, "", 404, "ResourceNotFound"},
		{"a filter", "GET", "/subscriptions/" + resource.DefaultSubscription + "/resources" + version + "&$filter=size%20gt%203", "", 400, "InvalidFilterInQueryString"},
		{"a page of nothing", "GET", tables + version + "&$top=0", "", 400, "InvalidTopQueryParameter"},
		{"a mark of nobody's", "GET", tables + version + "&$skiptoken=!", "", 400, "InvalidSkipToken"},
		{"a mark of somebody's", "GET", tables + version + "&$skiptoken=L3N1YnNjcmlwdGlvbnM", "", 400, "InvalidSkipToken"},
		{"a mark without end", "GET", tables + "/rt/routes" + version + "&$skiptoken=YWZ0ZXI6", "", 400, "InvalidSkipToken"},

		{"a hostile name", "PUT", tables + "/%2e%2e%2fetc" + version, table, 400, "InvalidRequestUri"},
		{"an encoded slash", "GET", tables + "/a%2fb" + version, "", 400, "InvalidRequestUri"},
		{"a name in Unicode", "PUT", tables + "/%C3%BC" + version, table, 400, "InvalidResourceId"},
		{"a long name", "PUT", tables + "/" + strings.Repeat("x", 100) + version, table, 400, "InvalidResourceId"},
		{"a long path", "GET", strings.Repeat("/x", 100) + version, "", 400, "InvalidRequestUri"},
		{"cut off", "PUT", tables + "/bad" + version, `{"location":`, 400, "InvalidRequestContent"},
		{"empty", "PUT", tables + "/bad" + version, ``, 400, "InvalidRequestContent"},
		{"null", "PUT", tables + "/bad" + version, `null`, 400, "InvalidRequestContent"},
		{"a list", "PUT", tables + "/bad" + version, `[]`, 400, "InvalidRequestContent"},
		{"two values", "PUT", tables + "/bad" + version, `{}{}`, 400, "InvalidRequestContent"},
		{"a member twice", "PUT", tables + "/bad" + version, `{"location":"westeurope","location":"northeurope"}`, 400, "InvalidRequestContent"},
		{"not UTF-8", "PUT", tables + "/bad" + version, "{\"location\":\"\xff\"}", 400, "InvalidRequestContent"},
		{"a wrong type", "PUT", tables + "/bad" + version, `{"location":7}`, 400, "InvalidRequestFormat"},
		{"deep", "PUT", tables + "/bad" + version, `{"a":` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + "}", 400, "InvalidRequestContent"},
		{"10 MB", "PUT", tables + "/bad" + version, `{"tags":{"a":"` + strings.Repeat("x", 10<<20) + `"}}`, 413, "RequestContentTooLarge"},
		{"nothing of it is stored", "GET", tables + "/bad" + version, "", 404, "ResourceNotFound"},
		{"away", "DELETE", tables + "/rt" + version, "", 200, ""},
		{"away again", "DELETE", tables + "/rt" + version, "", 204, ""},
	} {
		answer := f.send(t, r.method, r.path, token, r.body)
		var body struct {
			Error struct{ Code string }
		}
		if answer.body != "" {
			if err := json.Unmarshal([]byte(answer.body), &body); err != nil {
				t.Errorf("%s: %s: %v", r.name, answer.body, err)
			}
		}
		if answer.status != r.status || r.code != "" && body.Error.Code != r.code {
			t.Errorf("%s: %d %.300s, want %d %s", r.name, answer.status, answer.body, r.status, r.code)
		}
		if answer.header.Get("X-Ms-Request-Id") == "" || answer.header.Get("X-Ms-Correlation-Request-Id") == "" {
			t.Errorf("%s: the answer has no ids", r.name)
		}
	}
}

func TestTokens(t *testing.T) {
	f := start(t)
	token := f.token(t)
	for name, bad := range map[string]string{"none": "", "no token": "x", "cut off": token[:len(token)-3], "signed otherwise": token[:len(token)-40] + strings.Repeat("A", 40)} {
		answer := f.send(t, "GET", "/subscriptions"+version, bad, "")
		if challenge := answer.header.Get("WWW-Authenticate"); answer.status != http.StatusUnauthorized || !strings.Contains(challenge, f.door.URL+"/"+f.door.Tenant) {
			t.Errorf("%s: %d, challenge %q", name, answer.status, challenge)
		}
	}
	t.Run("a token for another audience", func(t *testing.T) {
		other := f.ask(t, f.door.Secret, "https://storage.example/.default")
		if answer := f.send(t, "GET", "/subscriptions"+version, other, ""); answer.status != http.StatusUnauthorized {
			t.Errorf("%d %s", answer.status, answer.body)
		}
	})
	t.Run("a wrong secret", func(t *testing.T) {
		if f.ask(t, "wrong", f.door.URL+"/.default") != "" {
			t.Error("a wrong secret gets a token")
		}
	})
	t.Run("a secret is not stored", func(t *testing.T) {
		stored, err := f.plane.Store.Secret(f.ctx, "signin-principals", nil)
		if err != nil || len(stored) == 0 || strings.Contains(string(stored), f.door.Secret) {
			t.Errorf("stored: %s, %v", stored, err)
		}
	})
}

// ask asks the token endpoint by hand; "" for a refusal.
func (f *fixture) ask(t *testing.T, secret, scope string) string {
	t.Helper()
	form := "grant_type=client_credentials&client_id=" + f.door.ClientID + "&client_secret=" + secret + "&scope=" + strings.ReplaceAll(scope, ":", "%3A")
	answer := f.send(t, "POST", "/"+f.door.Tenant+"/oauth2/v2.0/token", "", form, "Content-Type", "application/x-www-form-urlencoded")
	var body struct {
		Token string `json:"access_token"`
	}
	if err := json.Unmarshal([]byte(answer.body), &body); err != nil {
		t.Fatal(err)
	}
	return body.Token
}

func TestETags(t *testing.T) {
	f := start(t)
	token := f.token(t)
	first := f.send(t, "PUT", tables+"/rt"+version, token, table)
	etag := first.header.Get("ETag")
	if etag == "" || !strings.Contains(first.body, strings.ReplaceAll(etag, `"`, `\"`)) {
		t.Fatalf("ARM-1 the header has etag %q, the body %s", etag, first.body)
	}
	changed := `{"location":"westeurope","tags":{"a":"b"}}`
	if answer := f.send(t, "PUT", tables+"/rt"+version, token, changed, "If-Match", etag); answer.status != http.StatusOK {
		t.Errorf("ARM-1 with the etag: %d %s", answer.status, answer.body)
	}
	if answer := f.send(t, "PUT", tables+"/rt"+version, token, table, "If-Match", etag); answer.status != http.StatusPreconditionFailed {
		t.Errorf("ARM-1 with the former etag: %d %s", answer.status, answer.body)
	}
	if answer := f.send(t, "DELETE", tables+"/rt"+version, token, "", "If-Match", etag); answer.status != http.StatusPreconditionFailed {
		t.Errorf("ARM-1 delete with the former etag: %d %s", answer.status, answer.body)
	}
	if answer := f.send(t, "PUT", tables+"/rt"+version, token, table, "If-None-Match", "*"); answer.status != http.StatusPreconditionFailed {
		t.Errorf("ARM-1 make what is there: %d %s", answer.status, answer.body)
	}
}

// Many writers change children of one resource at once: each write is there in the end, so no one overwrote another's.
func TestParallelWriters(t *testing.T) {
	f := start(t)
	token := f.token(t)
	if answer := f.send(t, "PUT", tables+"/rt"+version, token, table); answer.status != http.StatusCreated {
		t.Fatal(answer.body)
	}
	const writers = 100
	var group sync.WaitGroup
	for i := range writers {
		group.Go(func() {
			body := fmt.Sprintf(`{"properties":{"addressPrefix":"10.0.%d.0/24","nextHopType":"None"}}`, i)
			if answer := f.send(t, "PUT", fmt.Sprintf("%s/rt/routes/r%d%s", tables, i, version), token, body); answer.status != http.StatusCreated {
				t.Errorf("writer %d: %d %s", i, answer.status, answer.body)
			}
		})
	}
	group.Wait()
	var list struct {
		Value []json.RawMessage
	}
	answer := f.send(t, "GET", tables+"/rt/routes"+version, token, "")
	if err := json.Unmarshal([]byte(answer.body), &list); err != nil || len(list.Value) != writers {
		t.Errorf("ARM-3 %d routes of %d writers, %v", len(list.Value), writers, err)
	}
}

func TestRateLimit(t *testing.T) {
	f := start(t)
	token := f.token(t)
	limited := 0
	for range 10 * arm.DefaultRate.Burst {
		answer := f.send(t, "GET", "/nothing"+version, token, "")
		if answer.status == http.StatusTooManyRequests {
			if after := answer.header.Get("Retry-After"); after == "" || after == "0" {
				t.Errorf("Retry-After %q", after)
			}
			limited++
			break
		}
	}
	if limited == 0 {
		t.Error("no request is refused, however many there are")
	}
}

func TestPlainHTTP(t *testing.T) {
	f := start(t)
	for _, address := range []string{"http://0.0.0.0:0", "http://192.0.2.1:0", "http://:0"} {
		if _, err := f.plane.OpenDoor(f.ctx, address, nil); err == nil || !strings.Contains(err.Error(), "loopback") {
			t.Errorf("%s: %v", address, err)
		}
	}
	door, err := f.plane.OpenDoor(f.ctx, "http://127.0.0.1:0", nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.Get(door.URL + "/metadata/endpoints" + version)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Errorf("%v, %v", answer, err)
	} else {
		answer.Body.Close()
	}
}

package arm_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"postern/api/client"
	"postern/arm"
	"postern/control"
)

// hostileNames are what a star of a path becomes.
var hostileNames = map[string]string{
	"dots": "..", "dots in percent": "%2e%2e", "a slash": "a%2fb", "a slash alone": "%2F", "a backslash": "a%5cb", "NUL": "a%00", "a line": "a%0d%0ab",
	"overlong UTF-8": "%c0%ae%c0%ae", "an overlong slash": "a%c0%afb", "no UTF-8": "%ff%fe", "a surrogate": "%ed%a0%80", "an emoji": "%F0%9F%98%80",
	"Unicode": "%C3%BC%E7%B6%B2", "right to left": "a%E2%80%AEb", "a blank": "%20", "a percent sign": "a%25b", "twice in percent": "%252e%252e",
	"long": strings.Repeat("x", 261), "very long": strings.Repeat("x", 8000), "a quote": "a'b", "markup": "%3Cscript%3E", "a tag": "${7*7}", "a star": "*",
}

// hostileBodies are what is sent where JSON is due.
var hostileBodies = map[string]string{
	"nothing": "", "null": "null", "a list": "[]", "a text": `"x"`, "a number": "7", "cut off": `{"location":"westeurope","properties":{`,
	"two values": "{}{}", "rubbish behind it": "{}x", "no UTF-8": "{\"location\":\"\xff\"}", "overlong UTF-8": "{\"location\":\"\xc0\xaf\"}",
	"a member twice": `{"location":"westeurope","location":"westeurope"}`, "a member twice inside": `{"properties":{"a":{"b":1,"b":2}}}`,
	"deep": `{"properties":` + strings.Repeat(`{"a":`, 5000) + "1" + strings.Repeat("}", 5001), "deep lists": `{"properties":` + strings.Repeat("[", 20000),
	"wrong types": `{"location":7,"tags":"x","properties":[1],"id":{},"name":[],"sku":"x"}`, "a wrong number": `{"location":1e999}`, "a byte order mark": "\ufeff{}",
	"single quotes": `{'location':'westeurope'}`, "NUL": "{\"location\":\"a\x00b\"}", "a comment": `{/* */}`, "NaN": `{"location":NaN}`,
}

// bodyless are actions that take no body, so that none can be wrong; clients send them all kinds of nothing.
var bodyless = []string{"effectiveroutetable", "effectivenetworksecuritygroups", "listkeys", "start", "poweroff", "deallocate", "restart", "failover", "hnsonmigration"}

// hostile is a door with what hostile requests could hurt. They come in by the socket, where nobody counts them.
type hostile struct {
	*fixture
	socket   *http.Client
	revision int64
	unasked  bool // the bodies have no template, so that there is nothing to answer
}

func startHostile(t *testing.T) *hostile {
	t.Helper()
	h := &hostile{fixture: startNetwork(t, control.Options{})}
	h.socket = &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(h.plane.Dir, client.SocketName))
	}}}
	t.Cleanup(h.socket.CloseIdleConnections)
	var err error
	if h.revision, err = h.plane.Store.Revision(h.ctx); err != nil {
		t.Fatal(err)
	}
	return h
}

// ask sends a request as it is.
func (h *hostile) ask(t *testing.T, method, path, body string) answered {
	t.Helper()
	path, query, _ := strings.Cut(path, "?")
	request := &http.Request{Method: method, Host: "postern", Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)),
		URL: &url.URL{Scheme: "http", Host: "postern", Opaque: "//postern" + path, RawQuery: query}}
	answer, err := h.socket.Do(request.WithContext(h.ctx))
	if err != nil {
		t.Fatalf("%s %.200s: %v", method, path, err)
	}
	defer answer.Body.Close()
	data, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answered{answer.StatusCode, answer.Header, string(data)}
}

// refused sends a request, which must get a refusal in ARM's form, and change nothing.
func (h *hostile) refused(t *testing.T, what, method, path, body string) answered {
	t.Helper()
	answer := h.ask(t, method, path, body)
	var refusal struct {
		Error struct{ Code, Message string }
	}
	target, _, _ := strings.Cut(strings.ToLower(path), "?")
	// The answer of a question may be that it would be refused; not when there is no question in the body.
	question := (strings.HasSuffix(target, "/whatif") || strings.HasSuffix(target, "/validate")) && !h.unasked
	if !(question && answer.status == http.StatusOK) && (answer.status < 400 || answer.status >= 500) {
		t.Errorf("%s: %s %.200s: %d %.300s, want a refusal", what, method, path, answer.status, answer.body)
	} else if method != http.MethodHead {
		if err := json.Unmarshal([]byte(answer.body), &refusal); err != nil || refusal.Error.Code == "" || refusal.Error.Message == "" {
			t.Errorf("%s: %s %.200s: %d %.300s is not ARM's form: %v", what, method, path, answer.status, answer.body, err)
		}
	}
	h.unchanged(t, what+": "+method+" "+path)
	return answer
}

// unchanged compares the store's revision.
func (h *hostile) unchanged(t *testing.T, what string) {
	t.Helper()
	now, err := h.plane.Store.Revision(h.ctx)
	if err != nil {
		t.Fatal(err)
	}
	if now != h.revision {
		t.Errorf("%.300s has changed the cloud", what)
		h.revision = now
	}
}

func filled(route arm.RouteOf, name string) string { return strings.ReplaceAll(route.Path, "*", name) }

// TestHostile sends bad requests of every kind to every kind of path, by every method that it has.
func TestHostile(t *testing.T) {
	h := startHostile(t)
	routes := arm.Routes()
	if len(routes) < 100 {
		t.Fatalf("only %d routes", len(routes))
	}
	t.Run("api-version", func(t *testing.T) {
		for _, route := range routes {
			for query, code := range map[string]string{"": "MissingApiVersionParameter", "?api-version=": "MissingApiVersionParameter",
				"?api-version=latest": "InvalidApiVersionParameter", "?api-version=2024-13-45": "InvalidApiVersionParameter",
				"?api-version=2024-05-01%00": "InvalidApiVersionParameter", "?api-version=" + strings.Repeat("2", 2000): "InvalidApiVersionParameter"} {
				if answer := h.refused(t, "version "+query, route.Method, filled(route, "demo")+query, `{}`); route.Method != http.MethodHead && !strings.Contains(answer.body, code) {
					t.Errorf("%s %s: %s, want %s", route.Method, query, answer.body, code)
				}
			}
		}
	})
	t.Run("names", func(t *testing.T) {
		for _, route := range routes {
			if !strings.Contains(route.Path, "*") {
				continue
			}
			for what, name := range hostileNames {
				h.refused(t, what, route.Method, filled(route, name)+version, `{"location":"westeurope"}`)
			}
			// The last name alone, in a group that is there.
			for what, name := range hostileNames {
				last := strings.LastIndex(route.Path, "*")
				inside := strings.ReplaceAll(route.Path[:last], "*", "demo") + name + route.Path[last+1:]
				h.refused(t, what+" at the end", route.Method, inside+version, `{"location":"westeurope"}`)
			}
		}
	})
	t.Run("bodies", func(t *testing.T) {
		for _, route := range routes {
			action := route.Path[strings.LastIndex(route.Path, "/")+1:]
			if !slices.Contains([]string{"PUT", "PATCH", "POST"}, route.Method) || slices.Contains(bodyless, strings.ToLower(action)) || strings.HasSuffix(route.Path, "/catalogue") {
				continue
			}
			h.unasked = strings.Contains(strings.ToLower(route.Path), "/resourcegroups/*/providers/microsoft.resources/deployments/")
			for what, body := range hostileBodies {
				h.refused(t, what, route.Method, filled(route, "demo")+version, body)
			}
		}
	})
	t.Run("10 MB", func(t *testing.T) {
		large := `{"tags":{"a":"` + strings.Repeat("x", 10<<20) + `"}}`
		for _, target := range []string{tables + "/big", group, vnets + "/vnet", vnets + "/vnet/subnets/app", accounts + "/stbig"} {
			if answer := h.refused(t, "10 MB", "PUT", target+version, large); answer.status != http.StatusRequestEntityTooLarge {
				t.Errorf("%s: %d %s", target, answer.status, answer.body)
			}
		}
	})
	t.Run("methods", func(t *testing.T) {
		for _, route := range routes {
			for _, method := range []string{"TRACE", "OPTIONS", "BREW", "put"} {
				h.refused(t, "a method", method, filled(route, "demo")+version, `{}`)
			}
		}
	})
	t.Run("what is there is well", func(t *testing.T) {
		if answer := h.ask(t, "GET", nics+"/nic"+version, ""); answer.status != http.StatusOK || !strings.Contains(answer.body, fmt.Sprintf("%q", "Succeeded")) {
			t.Errorf("%d %s", answer.status, answer.body)
		}
	})
}

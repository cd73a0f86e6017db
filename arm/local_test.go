package arm_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"postern/api/client"
	"postern/authorization"
	"postern/resource"
)

// TestLocalOwner works on a cloud by the socket in its state folder.
func TestLocalOwner(t *testing.T) {
	f := start(t)
	c := client.New(f.plane.Dir)
	t.Cleanup(c.Close)
	file, err := os.Stat(filepath.Join(f.plane.Dir, client.SocketName))
	if err != nil || file.Mode().Perm() != 0o600 {
		t.Errorf("the socket is %v, %v", file.Mode(), err)
	}
	rt, err := resource.IDOf("routeTables", "rt")
	if err != nil {
		t.Fatal(err)
	}
	answer, err := c.Put(f.ctx, rt, json.RawMessage(table))
	if err != nil || !strings.Contains(string(answer), `"provisioningState":"Succeeded"`) {
		t.Fatalf("%s, %v", answer, err)
	}
	if body, err := c.Get(f.ctx, rt); err != nil || string(body) != string(answer) {
		t.Errorf("%s, %v", body, err)
	}
	list, err := c.List(f.ctx, "")
	if err != nil || len(list) != 3 {
		t.Errorf("%d resources, %v", len(list), err)
	}
	t.Run("a batch holds as a whole or not at all", func(t *testing.T) {
		other, err := resource.IDOf("routeTables", "other")
		if err != nil {
			t.Fatal(err)
		}
		bad := []resource.Item{{ID: other, Body: json.RawMessage(table)}, {ID: rt, Body: json.RawMessage(`{"location":7}`)}}
		var refused *resource.Error
		if _, err := c.Apply(f.ctx, bad, nil); !errors.As(err, &refused) || refused.Status != http.StatusBadRequest || refused.Resource != rt.String() {
			t.Errorf("got %v", err)
		}
		if _, err := c.Get(f.ctx, other); !errors.As(err, &refused) || refused.Code != "ResourceNotFound" {
			t.Errorf("half of the batch is there: %v", err)
		}
		if revision, err := c.Apply(f.ctx, bad[:1], []resource.ID{rt}); err != nil || revision == 0 {
			t.Errorf("revision %d, %v", revision, err)
		}
		if _, err := c.Get(f.ctx, rt); !errors.As(err, &refused) || refused.Code != "ResourceNotFound" {
			t.Errorf("what the batch deletes is there: %v", err)
		}
	})
	t.Run("a plan", func(t *testing.T) {
		plan, revision, err := c.Plan(f.ctx, "host-a")
		if err != nil || plan.Node != "host-a" || revision == 0 {
			t.Errorf("%+v of %d, %v", plan, revision, err)
		}
		var refused *resource.Error
		if _, _, err := c.Plan(f.ctx, "host-z"); !errors.As(err, &refused) || refused.Status != http.StatusNotFound {
			t.Errorf("got %v", err)
		}
	})
	t.Run("a new secret", func(t *testing.T) {
		door, err := c.NewSecret(f.ctx)
		if err != nil || door.URL != f.door.URL {
			t.Fatalf("%+v, %v", door, err)
		}
		if f.ask(t, f.door.Secret, f.door.URL+"/.default") != "" || f.ask(t, door.Secret, f.door.URL+"/.default") == "" {
			t.Error("the former secret signs in, or the new one does not")
		}
	})
	t.Run("nobody", func(t *testing.T) {
		if _, err := client.New(t.TempDir()).List(f.ctx, ""); !errors.Is(err, client.ErrNoServer) {
			t.Errorf("got %v", err)
		}
	})
}

// What is below /postern is there for those who sign in too, and for nobody else.
func TestFabricBySignIn(t *testing.T) {
	f := start(t)
	token := f.token(t)
	if answer := f.send(t, "GET", "/postern/resources"+version, token, ""); answer.status != http.StatusForbidden {
		t.Errorf("GOV-1 the owner of the subscription reads all there is: %d %s", answer.status, answer.body)
	}
	f.assign(t, f.owner(t), authorization.Owner, authorization.Root)
	for _, r := range []struct {
		method, path, body string
		status             int
		code               string
	}{
		{"GET", "/postern/resources" + version, "", 200, ""},
		{"GET", "/postern/resources", "", 400, "MissingApiVersionParameter"},
		{"GET", "/Postern/Plans/host-a" + version, "", 200, ""},
		{"GET", "/postern/plans/nope" + version, "", 404, "ResourceNotFound"},
		{"GET", "/postern/plans" + version, "", 404, "NotFound"},
		{"GET", "/postern/door" + version, "", 200, ""},
		{"GET", "/postern/catalogue" + version, "", 200, ""},
		{"GET", "/postern/inspect/routes" + version + "&nic=nope", "", 404, "ResourceNotFound"},
		{"GET", "/postern/inspect/explain" + version + "&from=nope&to=10.0.0.1:80&protocol=sctp", "", 400, "InvalidRequestContent"},
		{"POST", "/postern/apply" + version, `{"resource":[]}`, 400, "InvalidRequestContent"},
		{"POST", "/postern/apply" + version, `{"resources":[],"resources":[]}`, 400, "InvalidRequestContent"},
		{"POST", "/postern/apply" + version, `{"delete":["/nothing"]}`, 400, "InvalidResourceId"},
		{"POST", "/postern/apply" + version, `{}`, 200, ""},
		{"GET", "/postern/apply" + version, "", 405, "MethodNotAllowed"},
		{"GET", "/postern/nothing" + version, "", 404, "NotFound"},
	} {
		answer := f.send(t, r.method, r.path, token, r.body)
		var body struct{ Error struct{ Code string } }
		if answer.status >= 400 {
			if err := json.Unmarshal([]byte(answer.body), &body); err != nil {
				t.Errorf("%s %s: %s: %v", r.method, r.path, answer.body, err)
			}
		}
		if answer.status != r.status || body.Error.Code != r.code {
			t.Errorf("%s %s: %d %.300s, want %d %s", r.method, r.path, answer.status, answer.body, r.status, r.code)
		}
		anonymous := f.send(t, r.method, r.path, "", r.body, "X-Forwarded-For", "127.0.0.1", "Forwarded", "for=unix", "X-Ms-Client-Principal", "local owner")
		if anonymous.status != http.StatusUnauthorized {
			t.Errorf("%s %s without a token: %d %s", r.method, r.path, anonymous.status, anonymous.body)
		}
	}
}

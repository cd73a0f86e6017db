package arm_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"postern/api"
	"postern/control"
	"postern/control/controltest"
	"postern/examples"
)

// TestTerraform sends what Terraform's providers sent in runs of examples/terraform: testdata/terraform/*.txt, recorded between
// the provider and the door. A part of a file is a run: apply, a plan that found no differences, an apply with another
// endpoint, destroy. Its form:
//
//	read TYPE: PATH…      what the provider takes from an answer about a resource of a type: paths with [] for every element
//	== NAME               a part begins
//	METHOD PATH           a request; indented below it:
//	    {…}               its body, in JSON or as a form
//	    STATUS {…}        the answer's status; and of its body, what the provider takes from it, if that was not told before
//
// What was answered in the recorded run has led to a plan without differences. So the same must be answered again, where the
// provider looks; "*" stands for any value. $ETAG is the one answered last for the path; what else begins with $ is told at
// the beginning of the file, or is the cloud's.
func TestTerraform(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("testdata", "terraform", "*.txt"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no recorded runs: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			f := onNodes(t)
			replayed := &replay{fixture: f, etags: map[string]string{}}
			parts := map[string]int{}
			runs, reads := parseRuns(t, replayed, string(text))
			replayed.reads = reads
			for _, one := range runs {
				replayed.do(t, one)
				parts[one.part]++
			}
			for _, part := range []string{"apply", "plan", "change", "destroy"} {
				if parts[part] < 10 {
					t.Errorf("only %d requests in part %s", parts[part], part)
				}
			}
			t.Logf("requests: %v", parts)
		})
	}
}

// onNodes is a control plane with the nodes that a new cloud has.
func onNodes(t *testing.T) *fixture {
	t.Helper()
	plane := controltest.Start(t, control.Options{})
	nodes, err := examples.Nodes()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := plane.API.Apply(t.Context(), api.Batch{Resources: nodes}); err != nil {
		t.Fatal(err)
	}
	return &fixture{ctx: t.Context(), plane: plane, door: plane.Door, ca: plane.CA, client: plane.Client}
}

// recorded is one request of a run, and what was answered.
type recorded struct {
	line         int
	part         string
	method, path string
	body         string
	status       int
	taken        map[string]any // what the provider takes from the answer; nil where that is not told
}

// replay is a run while it is sent again.
type replay struct {
	*fixture
	token string
	etags map[string]string
	reads map[string]paths
}

// parseRuns reads a file of recorded requests, and what the provider takes from answers by type.
func parseRuns(t *testing.T, r *replay, text string) (runs []recorded, reads map[string]paths) {
	t.Helper()
	base := url.QueryEscape(r.door.URL)
	variables := []string{"$ESCAPEDURL", base, "$URL", r.door.URL, "$TENANT", r.door.Tenant, "$CLIENT", r.door.ClientID,
		"$SECRET", url.QueryEscape(r.door.Secret), "$SUBSCRIPTION", r.door.Subscription}
	reads = map[string]paths{}
	part := ""
	for i, line := range strings.Split(text, "\n") {
		line = strings.NewReplacer(variables...).Replace(line)
		words := strings.Fields(line)
		switch {
		case len(words) == 0 || words[0] == "#":
		case words[0] == "==":
			part = words[1]
		case words[0] == "read":
			reads[strings.TrimSuffix(words[1], ":")] = parsePaths(words[2:])
		case strings.HasPrefix(words[0], "$"): // $NAME = VALUE
			variables = append([]string{words[0], words[2]}, variables...)
		case line[0] != ' ':
			runs = append(runs, recorded{line: i + 1, part: part, method: words[0], path: words[1]})
		case len(runs) == 0:
			t.Fatalf("line %d: there is no request above", i+1)
		default:
			one := &runs[len(runs)-1]
			if _, err := fmt.Sscan(words[0], &one.status); err != nil {
				one.body = strings.TrimSpace(line)
				continue
			}
			if _, taken, ok := strings.Cut(line, "{"); ok {
				if err := json.Unmarshal([]byte("{"+taken), &one.taken); err != nil {
					t.Fatalf("line %d: %v", i+1, err)
				}
			}
		}
	}
	return runs, reads
}

// do sends one request, follows its operation if it is one, and compares the answer.
func (r *replay) do(t *testing.T, one recorded) {
	t.Helper()
	where := fmt.Sprintf("line %d, %s: %s %s", one.line, one.part, one.method, one.path)
	path, _, _ := strings.Cut(one.path, "?")
	kind := "application/json"
	if strings.Contains(path, "/oauth2/") {
		kind = "application/x-www-form-urlencoded"
	}
	etag, _ := json.Marshal(r.etags[path])
	body := strings.ReplaceAll(one.body, `"$ETAG"`, string(etag))
	answer := r.send(t, one.method, one.path, r.token, body, "Content-Type", kind)
	status := answer.status
	if operation := answer.header.Get("Azure-AsyncOperation"); operation != "" && one.method != http.MethodGet {
		r.follow(t, where, operation)
		if status == http.StatusAccepted {
			status = one.status // it has ended well, only later
		}
	}
	if status != one.status {
		t.Fatalf("%s: status %d, want %d: %s", where, status, one.status, answer.body)
	}
	var have map[string]any
	if answer.body != "" {
		if err := json.Unmarshal([]byte(answer.body), &have); err != nil {
			t.Fatalf("%s: %v", where, err)
		}
	}
	if kind != "application/json" {
		r.token, _ = have["access_token"].(string)
	}
	if text, ok := have["etag"].(string); ok {
		r.etags[path] = text
	}
	if one.taken == nil || one.method == http.MethodPut {
		return
	}
	taken, _ := r.readsOf(path).take(have).(map[string]any)
	if different := cmp.Diff(any(one.taken), any(taken), cmp.FilterValues(anyValue, cmp.Ignore())); different != "" {
		t.Errorf("%s: the provider would see a difference (- as recorded, + now):\n%s", where, different)
	}
}

// anyValue tells whether a value may be any. It is the same either way round, as cmp wants it.
func anyValue(a, b any) bool {
	return a == "*" && b != nil && b != "" || b == "*" && a != nil && a != ""
}

// follow asks until an operation has ended.
func (r *replay) follow(t *testing.T, where, operation string) {
	t.Helper()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		var state struct {
			Status string `json:"status"`
		}
		answer := r.send(t, http.MethodGet, strings.TrimPrefix(operation, r.door.URL), r.token, "")
		if err := json.Unmarshal([]byte(answer.body), &state); err != nil {
			t.Fatalf("%s: its operation: %d %s", where, answer.status, answer.body)
		}
		switch state.Status {
		case "Succeeded":
			return
		case "Failed", "Canceled", "":
			t.Fatalf("%s: its operation: %s", where, answer.body)
		}
		select {
		case <-ticker.C:
		case <-r.ctx.Done():
			t.Fatalf("%s: its operation does not end", where)
		}
	}
}

// readsOf are the paths that the provider reads of a resource.
func (r *replay) readsOf(path string) paths {
	_, after, provided := strings.Cut(path, "/providers/")
	if !provided {
		return r.reads["group"]
	}
	words := strings.Split(after, "/")
	typ := words[0]
	for i := 1; i < len(words); i += 2 {
		typ += "/" + words[i]
	}
	return r.reads[typ]
}

// paths is a tree of the names that are read; one without names below it is read as a whole.
type paths map[string]paths

var pathName = regexp.MustCompile(`[^.\[\]]+|\[\]`)

func parsePaths(texts []string) paths {
	tree := paths{}
	for _, text := range texts {
		at := tree
		for _, name := range pathName.FindAllString(strings.TrimSuffix(text, ","), -1) {
			if at[name] == nil {
				at[name] = paths{}
			}
			at = at[name]
		}
	}
	return tree
}

// take keeps of a JSON value what is read.
func (p paths) take(value any) any {
	if len(p) == 0 {
		return value
	}
	switch value := value.(type) {
	case map[string]any:
		kept := map[string]any{}
		for name, below := range p {
			if inner, ok := value[name]; ok && inner != nil {
				kept[name] = below.take(inner)
			}
		}
		return kept
	case []any:
		kept := []any{}
		for _, element := range value {
			kept = append(kept, p["[]"].take(element))
		}
		return kept
	}
	return value
}

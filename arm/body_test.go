package arm

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"

	"postern/resource"
)

// FuzzBody compares the check of bodies with the JSON decoder: what passes is an object of bounded depth.
func FuzzBody(f *testing.F) {
	for _, seed := range []string{`{}`, `{"a":{"b":[1,"x",null,true,{"c":1.5e3}]}}`, `{"a":1,"a":2}`, `{"a"`, `[]`, `null`, ``, `{}{}`, `{"a":"\ud800"}`,
		strings.Repeat(`{"a":`, 70) + "1" + strings.Repeat("}", 70), `{"a":{"a":1},"b":{"a":1}}`, "{\"\xff\":1}"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := checkBody(data); err != nil {
			refusal, ok := err.(*resource.Error)
			if !ok || refusal.Status != 400 {
				t.Fatalf("%q: %v is no refusal", data, err)
			}
			return
		}
		var object map[string]any
		if err := json.Unmarshal(data, &object); err != nil || object == nil {
			t.Fatalf("%q passes, but is no object: %v", data, err)
		}
		if depth(object) > maxDepth {
			t.Fatalf("%q passes, but is %d deep", data, depth(object))
		}
	})
}

func depth(value any) int {
	deepest := 0
	switch value := value.(type) {
	case map[string]any:
		for _, inner := range value {
			deepest = max(deepest, depth(inner))
		}
	case []any:
		for _, inner := range value {
			deepest = max(deepest, depth(inner))
		}
	default:
		return 0
	}
	return deepest + 1
}

func TestBodyMembers(t *testing.T) {
	for body, good := range map[string]bool{
		`{"a":1,"b":{"a":1}}`: true, `{"a":[{"a":1},{"a":2}]}`: true, `{"a":"a"}`: true, `{"a":{"b":1,"b":2}}`: false, `{"a":[{"b":1,"b":2}]}`: false,
		`{"a":{},"a":{}}`: false, `{"a":["a","a"]}`: true, `{"a":[[]],"b":[]}`: true,
	} {
		if err := checkBody([]byte(body)); (err == nil) != good {
			t.Errorf("%s: %v", body, err)
		}
	}
}

// FuzzPath: every path has a route or a refusal, and what is taken for a resource's id is one.
func FuzzPath(f *testing.F) {
	for _, seed := range []string{"/subscriptions/s/resourceGroups/g/providers/Microsoft.Network/virtualNetworks/v/subnets/a", "//subscriptions//s", "/",
		"/subscriptions/s/providers/Microsoft.Network/locations/l/usages", "/subscriptions/s/resourceGroups/g/providers/Microsoft.Storage/storageAccounts/a/listKeys",
		"/subscriptions/s/providers/Microsoft.Network/register", "/%2f%00", "/subscriptions/s/providers", "/postern/plans/host-a", "/postern/apply"} {
		f.Add("GET", seed)
		f.Add("POST", seed)
	}
	door := New(Options{})
	f.Fuzz(func(t *testing.T, method, path string) {
		segments, err := split(&url.URL{Path: path})
		if err != nil {
			return
		}
		found, at, err := door.find(method, segments)
		if err != nil {
			if _, ok := err.(*resource.Error); !ok {
				t.Fatalf("%s %q: %v is no refusal", method, path, err)
			}
			return
		}
		if found.answer == nil || found.action(method, at) == "" {
			t.Fatalf("%s %q: a route without an answer or an action", method, path)
		}
		if id, err := at.id(); err == nil && at.provider != "" && !strings.EqualFold(id.String(), at.scope()) {
			t.Fatalf("%q becomes %s", path, id)
		}
	})
}

// FuzzFilter: no text breaks the parser, and a parsed filter can be asked.
func FuzzFilter(f *testing.F) {
	for _, seed := range []string{"", "name eq 'x'", "resourceType eq 'a' and tagName eq 'it''s'", "name eq x", "name eq 'x' or", "tagValue ne 'a' and"} {
		f.Add(seed)
	}
	id := resource.ID{Subscription: "s", ResourceGroup: "g", Provider: "p", Types: []string{"t"}, Names: []string{"x"}}
	f.Fuzz(func(t *testing.T, text string) {
		if chosen, err := parseFilter(text); err == nil {
			chosen.matches(id, json.RawMessage(`{"location":"westeurope","tags":{"a":"b"}}`))
		}
	})
}

func TestFilter(t *testing.T) {
	id, err := resource.ParseID("/subscriptions/s/resourceGroups/g/providers/Microsoft.Network/routeTables/rt")
	if err != nil {
		t.Fatal(err)
	}
	body := json.RawMessage(`{"location":"West Europe","tags":{"env":"it's"}}`)
	for text, want := range map[string]bool{
		"": true, "name eq 'RT'": true, "name ne 'rt'": false, "resourceType eq 'microsoft.network/routetables'": true, "location eq 'westeurope'": true,
		"resourceGroup eq 'h'": false, "tagName eq 'env'": true, "tagName eq 'env' and tagValue eq 'it''s'": true, "tagName eq 'env' and tagValue eq 'x'": false,
		"name eq 'rt' and location ne 'westeurope'": false,
	} {
		chosen, err := parseFilter(text)
		if err != nil || chosen.matches(id, body) != want {
			t.Errorf("%s: %v, want %v; %v", text, !want, want, err)
		}
	}
}

package resource

import (
	"os"
	"strings"
	"testing"
)

func TestLoadMistakes(t *testing.T) {
	for _, c := range []struct{ name, file, want string }{
		{"nothing", "# only a comment\n", "x.yaml: no resource in it"},
		{"not YAML", "a: [1\n", "x.yaml: document 1: not YAML or JSON"},
		{"a key twice", "type: nodes\nname: a\nname: b\n", "x.yaml: document 1: not YAML or JSON"},
		{"a word", "---\nhello\n", `x.yaml: document 1: it is the string "hello"`},
		{"an item that is none", "- type: nodes\n  name: a\n- 7\n", "x.yaml: document 1: item 2 is the number 7"},
		{"no identity", "type: nodes\nname: a\n---\nlocation: here\n", "x.yaml: document 2: it does not say which resource it is"},
		{"unknown type", "type: Microsoft.Network/loadBalancers\nname: a\n", "The resource type 'Microsoft.Network/loadBalancers' is not known here"},
		{"name and type do not fit", "type: virtualNetworks/subnets\nname: a\n", "The name 'a' must have one segment"},
		{"name is a number", "type: nodes\nname: 7\n", "x.yaml: document 1: field name is the number 7: want a string"},
		{"bad id", "id: /subscriptions/x\n", "x.yaml: document 1: /subscriptions/x: InvalidResourceId"},
		{"twice", "type: nodes\nname: a\n---\ntype: nodes\nname: A\n", "stands already in x.yaml: document 1: remove one of the two"},
		{"a reference to nothing", "type: routeTables\nname: a\nproperties: {subnets: [{id: nonsense}]}\n", "field properties.subnets[0].id: 'nonsense' names no resource"},
		{"two mistakes, two lines", "type: x\nname: a\n---\ntype: y\nname: a\n", "x.yaml: document 2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Load("x.yaml", []byte(c.file))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got %v, want …%s…", err, c.want)
			}
			for line := range strings.Lines(err.Error()) {
				if !strings.HasPrefix(line, "x.yaml: ") {
					t.Errorf("a line does not begin with the file: %q", line)
				}
			}
		})
	}
}

func TestLoadJSON(t *testing.T) {
	items, err := Load("x.json", []byte(`[{"type":"nodes","name":"a","properties":{"role":"host"}},{"id":"routeTables/rt","location":"we"}]`))
	if err != nil || len(items) != 2 || items[1].ID.Type() != TypeRouteTable || string(items[0].Body) != `{"properties":{"role":"host"}}` {
		t.Errorf("%+v, %v", items, err)
	}
}

func FuzzLoad(f *testing.F) {
	data, err := os.ReadFile("testdata/cloud.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, document := range strings.Split(string(data), "---\n") {
		f.Add([]byte(document))
	}
	f.Add([]byte("- type: nodes\n  name: a\n---\n---\n[]\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		items, err := Load("x", data)
		if err != nil {
			return
		}
		if len(items) == 0 {
			// A file of empty lists is no mistake, but has nothing.
			return
		}
		empty, _ := NewCloud(nil, FirstCounters, 0)
		change := NewChange(empty, testOptions())
		for _, item := range items {
			if again, err := ParseID(item.ID.String()); err != nil || again.Key() != item.ID.Key() {
				t.Fatalf("id %s does not come back: %v", item.ID, err)
			}
			if _, err := change.Put(item.ID, item.Body); err != nil {
				return
			}
		}
		outcome, err := change.Finish()
		if err != nil {
			return
		}
		// What was let in can be read again.
		if _, err := Decode(outcome.Puts); err != nil {
			t.Fatalf("what was stored cannot be decoded: %v", err)
		}
		for _, record := range outcome.After.Records("") {
			id, err := ParseID(record.ID)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := outcome.After.Render(id, "Succeeded"); err != nil {
				t.Fatalf("render %s: %v", id, err)
			}
		}
	})
}

func FuzzParseID(f *testing.F) {
	for _, seed := range []string{"/subscriptions/s/resourceGroups/g/providers/Microsoft.Network/virtualNetworks/v/subnets/s",
		"/SUBSCRIPTIONS/s/resourcegroups/g/providers/microsoft.network/VIRTUALNETWORKS/v", "virtualNetworks/v", "Microsoft.Storage/storageAccounts/a",
		"/subscriptions//resourceGroups/g/providers/Microsoft.Network/routeTables/", "/", "a/b/c/d/e/f"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		full, ok := Expand(text)
		if !ok {
			return
		}
		id, err := ParseID(full)
		if err != nil {
			if _, isError := err.(*Error); !isError {
				t.Fatalf("the error is a %T", err)
			}
			return
		}
		again, err := ParseID(id.String())
		if err != nil || again.String() != id.String() {
			t.Fatalf("%q became %s and then %s, %v", text, id, again, err)
		}
		if !strings.EqualFold(strings.TrimSuffix(full, "/"), id.String()) {
			t.Fatalf("%q became %s", full, id)
		}
		if id.Model().Name() != id.Name() || !id.Model().Within(id.Root().Model()) {
			t.Fatalf("%s does not fit model.ResourceID", id)
		}
	})
}

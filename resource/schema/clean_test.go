package schema_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"postern/resource/schema"
)

const small = `
section s
enum Colour Red Dark+Blue
type Box lid=Lid size=int tags={}string paint=~Colour colours=[]~Colour made=time weight=number open=bool guid=string! anything=any owner=& keys=[]&
type Lid name=string
`

func object(t testing.TB, text string) map[string]any {
	t.Helper()
	decoder := json.NewDecoder(bytes.NewReader([]byte(text)))
	decoder.UseNumber()
	var object map[string]any
	if err := decoder.Decode(&object); err != nil {
		t.Fatal(err)
	}
	return object
}

func TestClean(t *testing.T) {
	table, err := schema.Parse(small)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, body, want, at string }{
		{"spelling", `{"LID":{"Name":"a"}}`, `{"lid":{"name":"a"}}`, ""},
		{"nulls", `{"lid":null,"tags":{"a":null,"b":"c"}}`, `{"tags":{"b":"c"}}`, ""},
		{"read-only", `{"guid":7,"size":3}`, `{"size":3}`, ""},
		{"words", `{"colours":["red","dark blue","DarkBlue"]}`, `{"colours":["Red","Dark Blue","Dark Blue"]}`, ""},
		{"an empty word", `{"paint":"","size":3}`, `{"size":3}`, ""},
		{"anything", `{"anything":[1,{"a":null}]}`, `{"anything":[1,{"a":null}]}`, ""},
		{"references", `{"owner":{"ID":"/a","location":"x","properties":{"b":1}},"keys":[{"id":"/b"}]}`, `{"owner":{"id":"/a"},"keys":[{"id":"/b"}]}`, ""},
		{"a time", `{"made":"2026-01-02T03:04:05Z"}`, `{"made":"2026-01-02T03:04:05Z"}`, ""},
		{"an unknown field", `{"lid":{"nam":"a"}}`, "", "lid.nam"},
		{"an unknown word", `{"colours":["Red","Green"]}`, "", "colours[1]"},
		{"an empty word in a list", `{"colours":[""]}`, "", "colours[0]"},
		{"twice", `{"size":1,"Size":1}`, "", "size"},
		{"not a list", `{"colours":"Red"}`, "", "colours"},
		{"not an object", `{"lid":[]}`, "", "lid"},
		{"not a text", `{"tags":{"a":1}}`, "", "tags.a"},
		{"not whole", `{"size":1.5}`, "", "size"},
		{"not a number", `{"weight":"1"}`, "", "weight"},
		{"not a bool", `{"open":"true"}`, "", "open"},
		{"not a time", `{"made":"yesterday"}`, "", "made"},
		{"null in a list", `{"colours":[null]}`, "", "colours[0]"},
		{"a reference that is a text", `{"owner":"/a"}`, "", "owner"},
		{"a reference with another field", `{"keys":[{"uri":"/a"}]}`, "", "keys[0].uri"},
	} {
		t.Run(c.name, func(t *testing.T) {
			have, _, err := table.Clean("s.Box", object(t, c.body))
			if fault, ok := err.(*schema.Fault); c.at != "" && (!ok || fault.Path != c.at) {
				t.Fatalf("got %v, want a fault at %s", err, c.at)
			} else if c.at != "" {
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(object(t, c.want), have); diff != "" {
				t.Errorf("-want +have:\n%s", diff)
			}
		})
	}
	_, references, err := table.Clean("s.Box", object(t, `{"owner":{"id":"/a"},"keys":[{"id":"/b"}]}`))
	if diff := cmp.Diff([]schema.Reference{{Path: "keys[0]", ID: "/b"}, {Path: "owner", ID: "/a"}}, references); err != nil || diff != "" {
		t.Errorf("references %v:\n%s", err, diff)
	}
}

func TestParseRefuses(t *testing.T) {
	for _, text := range []string{"type", "kind x", "section s\ntype A b", "section s\ntype A b=C", "section s\ntype A b=~C"} {
		if _, err := schema.Parse(text); err == nil {
			t.Errorf("%q was read", text)
		}
	}
}

// FuzzClean covers that what is kept is kept again, unchanged.
func FuzzClean(f *testing.F) {
	for _, seed := range []string{`{}`, `{"location":"x","properties":{"subnets":[{"name":"a","properties":{"routeTable":{"id":"/x"}}}]}}`, `{"tags":{"a":"b"}}`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		decoder := json.NewDecoder(bytes.NewReader([]byte(text)))
		decoder.UseNumber()
		var body map[string]any
		if decoder.Decode(&body) != nil {
			return
		}
		first, _, err := schema.Azure().Clean("network.VirtualNetwork", body)
		if err != nil {
			return
		}
		second, _, err := schema.Azure().Clean("network.VirtualNetwork", first)
		if err != nil {
			t.Fatalf("what was kept is refused: %v", err)
		}
		if diff := cmp.Diff(first, second); diff != "" {
			t.Errorf("-first +second:\n%s", diff)
		}
	})
}

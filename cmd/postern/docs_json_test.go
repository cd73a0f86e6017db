package main

import (
	"encoding"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"postern/activity"
	"postern/api/client"
	"postern/bench"
	"postern/demo"
	"postern/explain"
	"postern/gateway"
	"postern/inspect"
)

// TestDocumentedJSON holds the tables of docs/json.md and docs/access-log.md against what the commands write: every member
// is in the table and every line of the table is a member, absent or not.
func TestDocumentedJSON(t *testing.T) {
	for _, test := range []struct {
		file, section string
		form          any
	}{
		{"json.md", "demo", demo.Report{}},
		{"json.md", "explain", explain.Explanation{}},
		{"json.md", "routes", inspect.Routes{}},
		{"json.md", "tags lookup", lookup{}},
		{"json.md", "tags list", []listedTag{}},
		{"json.md", "bench", bench.Report{}},
		{"json.md", "principal list", []client.Principal{}},
		{"json.md", "keys rotate", client.Keys{}},
		{"json.md", "activity", []activity.Event{}},
		{"json.md", "version", build{}},
		{"access-log.md", "", gateway.Entry{}},
	} {
		t.Run(test.file+" "+test.section, func(t *testing.T) {
			data, err := os.ReadFile(filepath.Join(repository, "docs", test.file))
			if err != nil {
				t.Fatal(err)
			}
			text, found := string(data), true
			if test.section != "" {
				_, text, found = strings.Cut(text, "\n## "+test.section+"\n")
				text, _, _ = strings.Cut(text, "\n## ")
			}
			if !found {
				t.Fatalf("no section %q", test.section)
			}
			documented, written := documentedMembers(text), members(reflect.TypeOf(test.form), "")
			for _, name := range written {
				if !slices.Contains(documented, name) {
					t.Errorf("member %s is not in the table", name)
				}
			}
			for _, name := range documented {
				if !slices.Contains(written, name) {
					t.Errorf("the table has %s, which is no member", name)
				}
			}
		})
	}
}

var quoted = regexp.MustCompile("`([^`]+)`")

// documentedMembers are the names in the first column of the tables.
func documentedMembers(text string) []string {
	var names []string
	for line := range strings.Lines(text) {
		if cell, found := strings.CutPrefix(line, "| `"); found {
			cell, _, _ = strings.Cut("`"+cell, " |")
			for _, match := range quoted.FindAllStringSubmatch(cell, -1) {
				names = append(names, match[1])
			}
		}
	}
	return names
}

var textMarshaler = reflect.TypeFor[encoding.TextMarshaler]()

// members are the JSON names of a type's leaves, as paths: "acts[].id".
func members(form reflect.Type, path string) []string {
	switch {
	case form.Implements(textMarshaler):
	case form.Kind() == reflect.Slice:
		return members(form.Elem(), path+"[]")
	case form.Kind() == reflect.Struct:
		var names []string
		for i := range form.NumField() {
			field := form.Field(i)
			name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			if name == "-" {
				continue
			}
			if path != "" {
				name = "." + name
			}
			names = append(names, members(field.Type, path+name)...)
		}
		return names
	}
	return []string{path}
}

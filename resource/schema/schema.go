// Package schema knows which fields Azure's resource types have: names, kinds, which are read-only, which refer to other
// resources. It is a table made from the models of Azure's Go SDK, so that bodies are judged as strictly, and kept as
// wholly, as their clients expect, while the SDK itself is not linked.
//
// The table has one line for each model and enumeration:
//
//	section network
//	enum IPVersion IPv4 IPv6
//	type Subnet etag=string! id=string name=string properties=SubnetPropertiesFormat type=string!
//
// A kind is string, bool, int, number, time, any, the name of a model, ~ENUM, & (a reference: an object with the id of a
// resource), []KIND or {}KIND (an object with any names). A trailing "!" marks what only the service sets. A '+' in an
// enumeration's value stands for a space.
package schema

import (
	_ "embed"
	"fmt"
	"strings"
	"sync"
)

//go:generate go test -run TestTable -update .

//go:embed table.txt
var text string

// Table is what a table's text says.
type Table struct {
	models map[string]map[string]field // "network.Subnet" to its fields by lower-case name
	enums  map[string][]string         // "network.IPVersion"
}

type field struct {
	name     string // as ARM spells it
	kind     kind
	readOnly bool
}

// kind is how a value is made up: wraps of lists and maps around a base.
type kind struct {
	wraps string // '[' for a list, '{' for a map, outermost first
	base  string // "string" ... or '&', '~' with a full name, or a model's full name
}

// word tells whether a value of this kind is one word of an enumeration.
func (k kind) word() bool { return k.wraps == "" && strings.HasPrefix(k.base, "~") }

// Azure is the table of Azure's models.
var Azure = sync.OnceValue(func() *Table {
	table, err := Parse(text)
	if err != nil {
		panic(err) // the table is a part of the program
	}
	return table
})

// Parse reads a table. The error names the line.
func Parse(text string) (*Table, error) {
	t := &Table{make(map[string]map[string]field), make(map[string][]string)}
	section := ""
	for number, line := range strings.Split(text, "\n") {
		words := strings.Fields(line)
		if len(words) == 0 || words[0] == "#" {
			continue
		}
		if len(words) < 2 {
			return nil, fmt.Errorf("read schema line %d: it has one word only", number+1)
		}
		switch name := section + "." + words[1]; words[0] {
		case "section":
			section = words[1]
		case "enum":
			for _, value := range words[2:] {
				t.enums[name] = append(t.enums[name], strings.ReplaceAll(value, "+", " "))
			}
		case "type":
			fields := make(map[string]field, len(words)-2)
			for _, word := range words[2:] {
				name, kind, ok := strings.Cut(word, "=")
				if !ok {
					return nil, fmt.Errorf("read schema line %d: field %q has no kind", number+1, word)
				}
				kind, readOnly := strings.CutSuffix(kind, "!")
				fields[strings.ToLower(name)] = field{name, parseKind(kind, section), readOnly}
			}
			t.models[name] = fields
		default:
			return nil, fmt.Errorf("read schema line %d: unknown word %q", number+1, words[0])
		}
	}
	return t, t.complete()
}

func parseKind(text, section string) kind {
	var k kind
	for strings.HasPrefix(text, "[]") || strings.HasPrefix(text, "{}") {
		k.wraps += text[:1]
		text = text[2:]
	}
	k.base = text
	switch text {
	case "string", "bool", "int", "number", "time", "any", "&":
	default:
		if enum, ok := strings.CutPrefix(text, "~"); ok {
			k.base = "~" + section + "." + enum
		} else {
			k.base = section + "." + text
		}
	}
	return k
}

// complete refuses a table whose kinds name what it does not have.
func (t *Table) complete() error {
	for model, fields := range t.models {
		for _, f := range fields {
			enum, isEnum := strings.CutPrefix(f.kind.base, "~")
			if isEnum && t.enums[enum] == nil || !isEnum && strings.Contains(f.kind.base, ".") && t.models[f.kind.base] == nil {
				return fmt.Errorf("read schema: field %s of %s has the unknown kind %s", f.name, model, f.kind.base)
			}
		}
	}
	return nil
}

// Has tells whether a model has a field of a name: Has("network.Subnet", "etag").
func (t *Table) Has(model, name string) bool {
	f, ok := t.models[model][strings.ToLower(name)]
	return ok && f.name == name
}

// HasInside tells whether the model of a model's field has a field: HasInside("network.Subnet", "properties", "provisioningState").
func (t *Table) HasInside(model, outer, name string) bool {
	return t.Has(t.models[model][strings.ToLower(outer)].kind.base, name)
}

package lab

import (
	"go/ast"
	"go/parser"
	"go/printer"
	"go/token"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestSameAPIEverywhere compares what the package offers on Linux with what it offers elsewhere: callers are written
// once.
func TestSameAPIEverywhere(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	onLinux, elsewhere := map[string]string{}, map[string]string{}
	for _, file := range files {
		switch {
		case strings.HasSuffix(file, "_test.go"):
		case strings.HasSuffix(file, "_linux.go"):
			collectAPI(t, file, onLinux)
		case file == "unsupported.go":
			collectAPI(t, file, elsewhere)
		}
	}
	if len(onLinux) < 30 {
		t.Fatalf("only %d exported symbols found", len(onLinux))
	}
	names := slices.Sorted(maps.Keys(onLinux))
	for name := range elsewhere {
		if _, found := onLinux[name]; !found {
			names = append(names, name)
		}
	}
	for _, name := range names {
		if onLinux[name] != elsewhere[name] {
			t.Errorf("%s: %q on Linux, %q elsewhere", name, onLinux[name], elsewhere[name])
		}
	}
}

// collectAPI notes a file's exported functions and methods with their types, and its types and constants by name.
func collectAPI(t *testing.T, path string, into map[string]string) {
	t.Helper()
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	text := func(node any) string {
		var out strings.Builder
		if err := printer.Fprint(&out, files, node); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	for _, declaration := range file.Decls {
		switch d := declaration.(type) {
		case *ast.FuncDecl:
			name := d.Name.Name
			if d.Recv != nil {
				name = text(d.Recv.List[0].Type) + "." + name
			}
			if d.Name.IsExported() && (d.Recv == nil || ast.IsExported(strings.TrimPrefix(text(d.Recv.List[0].Type), "*"))) {
				into[name] = parameterTypes(d.Type, text)
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				switch s := spec.(type) {
				case *ast.TypeSpec:
					if s.Name.IsExported() {
						into[s.Name.Name] = "type"
					}
				case *ast.ValueSpec:
					for i, name := range s.Names {
						if name.IsExported() {
							into[name.Name] = text(s.Values[i])
						}
					}
				}
			}
		}
	}
}

// parameterTypes writes a function's type without the names of results, which may differ.
func parameterTypes(f *ast.FuncType, text func(any) string) string {
	var out strings.Builder
	for _, list := range []*ast.FieldList{f.Params, f.Results} {
		out.WriteByte('(')
		if list != nil {
			for _, field := range list.List {
				for range max(len(field.Names), 1) {
					out.WriteString(text(field.Type) + ",")
				}
			}
		}
		out.WriteByte(')')
	}
	return out.String()
}

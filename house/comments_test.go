package house

import (
	"go/ast"
	"testing"
)

// Every public symbol says what it is. Left out are methods whose meaning the standard library gives them.
func TestComments(t *testing.T) {
	checked := 0
	for _, source := range sources(t) {
		if source.test || source.generated() || source.tree.Name.Name == "main" {
			continue
		}
		for _, declaration := range source.tree.Decls {
			switch declaration := declaration.(type) {
			case *ast.FuncDecl:
				if !public(declaration) || standardMethods[declaration.Name.Name] && declaration.Recv != nil {
					continue
				}
				checked++
				if declaration.Doc == nil {
					t.Errorf("%s: %s has no comment", source.at(declaration), declaration.Name.Name)
				}
			case *ast.GenDecl:
				for _, spec := range declaration.Specs {
					for _, name := range exported(spec) {
						checked++
						if declaration.Doc == nil && !commented(spec) {
							t.Errorf("%s: %s has no comment", source.at(name), name.Name)
						}
					}
				}
			}
		}
	}
	if checked < 500 {
		t.Errorf("only %d public symbols found: the test does not see them", checked)
	}
}

// A package says in one place what it is for.
func TestPackageComments(t *testing.T) {
	said := map[string]int{}
	for _, source := range sources(t) {
		if source.test {
			continue
		}
		said[source.folder] += 0
		if source.tree.Doc != nil {
			said[source.folder]++
		}
	}
	for folder, times := range said {
		if times == 0 {
			t.Errorf("package %s has no comment that says what it is for", folder)
		}
	}
}

// standardMethods are known by name to every reader of Go.
var standardMethods = map[string]bool{
	"String": true, "Error": true, "Unwrap": true, "Is": true, "As": true, "Len": true, "Less": true, "Swap": true,
	"MarshalText": true, "UnmarshalText": true, "MarshalJSON": true, "UnmarshalJSON": true,
	"Read": true, "Write": true, "Close": true, "ServeHTTP": true,
	"LocalAddr": true, "RemoteAddr": true, "SetDeadline": true, "SetReadDeadline": true, "SetWriteDeadline": true,
	"Accept": true, "Addr": true, "Network": true, "CloseWrite": true, "CloseRead": true, "Timeout": true, "Temporary": true,
}

// public tells whether a function, or a method and the type that it is of, can be named from outside.
func public(function *ast.FuncDecl) bool {
	if !function.Name.IsExported() || function.Recv == nil {
		return function.Name.IsExported()
	}
	receiver := function.Recv.List[0].Type
	for {
		switch of := receiver.(type) {
		case *ast.StarExpr:
			receiver = of.X
		case *ast.IndexExpr:
			receiver = of.X
		case *ast.IndexListExpr:
			receiver = of.X
		case *ast.Ident:
			return of.IsExported()
		default:
			return true
		}
	}
}

// exported are the public names that a type, constant or variable declaration makes.
func exported(spec ast.Spec) (names []*ast.Ident) {
	switch spec := spec.(type) {
	case *ast.TypeSpec:
		names = []*ast.Ident{spec.Name}
	case *ast.ValueSpec:
		names = spec.Names
	}
	var public []*ast.Ident
	for _, name := range names {
		if name.IsExported() {
			public = append(public, name)
		}
	}
	return public
}

// commented tells whether a comment stands over the declaration or behind it.
func commented(spec ast.Spec) bool {
	switch spec := spec.(type) {
	case *ast.TypeSpec:
		return spec.Doc != nil || spec.Comment != nil
	case *ast.ValueSpec:
		return spec.Doc != nil || spec.Comment != nil
	}
	return true
}

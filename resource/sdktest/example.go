package sdktest

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
)

// Example is one example call of the SDK's own tests.
type Example struct {
	Name      string // "ExampleSubnetsClient_Get_getSubnet"
	Client    string // "SubnetsClient"
	Method    string // "BeginCreateOrUpdate"
	Arguments []any  // behind the context, as JSON values: resource group and names, the body, the options (fields by their names in Go)
	Answer    any    // the documented answer as JSON values, or nil
}

// Names are the texts among the arguments: the resource group and the names of resources, most often.
func (e *Example) Names() []string {
	var names []string
	for _, argument := range e.Arguments {
		if name, ok := argument.(string); ok {
			names = append(names, name)
		}
	}
	return names
}

// Examples reads the example calls of one client: Examples("subnets_client_example_test.go").
func (s *Source) Examples(file string) ([]Example, error) {
	text, err := os.ReadFile(filepath.Join(s.Folder, file))
	if err != nil {
		return nil, fmt.Errorf("read examples: %w", err)
	}
	tree, err := parser.ParseFile(token.NewFileSet(), file, text, parser.ParseComments)
	if err != nil {
		return nil, fmt.Errorf("read examples: %w", err)
	}
	var list []Example
	for _, declaration := range tree.Decls {
		function, ok := declaration.(*ast.FuncDecl)
		if !ok || !strings.HasPrefix(function.Name.Name, "Example") {
			continue
		}
		example := Example{Name: function.Name.Name}
		if err := s.call(function, &example); err != nil {
			return nil, fmt.Errorf("read %s: %w", example.Name, err)
		}
		for _, group := range tree.Comments {
			if group.Pos() > function.Body.Lbrace && group.End() < function.Body.Rbrace {
				if err := s.documented(group, &example); err != nil {
					return nil, fmt.Errorf("read the answer of %s: %w", example.Name, err)
				}
			}
		}
		list = append(list, example)
	}
	return list, nil
}

// call finds clientFactory.NewXClient().Method(ctx, …).
func (s *Source) call(function *ast.FuncDecl, example *Example) error {
	var failed error
	ast.Inspect(function.Body, func(node ast.Node) bool {
		call, ok := node.(*ast.CallExpr)
		if !ok || example.Method != "" {
			return true
		}
		method, ok := call.Fun.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		maker, ok := method.X.(*ast.CallExpr)
		if !ok {
			return true
		}
		client, ok := maker.Fun.(*ast.SelectorExpr)
		if !ok || !strings.HasPrefix(client.Sel.Name, "New") || !strings.HasSuffix(client.Sel.Name, "Client") {
			return true
		}
		example.Client, example.Method = strings.TrimPrefix(client.Sel.Name, "New"), method.Sel.Name
		for _, argument := range call.Args {
			if name, ok := argument.(*ast.Ident); ok && name.Name == "ctx" {
				continue
			}
			value, err := s.value(argument, nil)
			if err != nil && failed == nil {
				failed = err
			}
			example.Arguments = append(example.Arguments, value)
		}
		return false
	})
	return failed
}

// documented reads a comment "res = …", "res.X = …" or, of a list, "page = …".
func (s *Source) documented(group *ast.CommentGroup, example *Example) error {
	var lines []string
	for _, comment := range group.List {
		line := strings.TrimPrefix(strings.TrimPrefix(comment.Text, "//"), " ")
		if len(lines) > 0 {
			lines = append(lines, line)
		} else if name, value, ok := strings.Cut(line, " = "); ok && (strings.HasPrefix(name, "res") || strings.HasPrefix(name, "page")) {
			lines = append(lines, value)
		}
	}
	if len(lines) == 0 {
		return nil
	}
	expression, err := parser.ParseExpr(strings.Join(lines, "\n"))
	if err != nil {
		return err
	}
	composite, ok := expression.(*ast.CompositeLit)
	if !ok {
		return nil
	}
	// A response has one member, the resource, which no model names.
	if name := typeName(composite.Type); s.Structs[name] == nil {
		if len(composite.Elts) != 1 {
			return nil
		}
		if pair, ok := composite.Elts[0].(*ast.KeyValueExpr); ok {
			expression = pair.Value
		}
	}
	example.Answer, err = s.value(expression, nil)
	return err
}

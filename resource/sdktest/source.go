// Package sdktest reads the source of Azure's Go SDK, for tests and for the table of package schema: the models' fields
// with their JSON names, and the example calls that stand in the SDK's own tests. It reads source, not values, because
// only the source tells which fields are read-only.
package sdktest

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// Modules are the SDK's modules by the name of their section in the table.
var Modules = map[string]string{
	"network": "github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/network/armnetwork/v11",
	"storage": "github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/storage/armstorage",
	"compute": "github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/compute/armcompute/v7",

	"keyvault":          "github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/keyvault/armkeyvault",
	"cosmosdb":          "github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/cosmos/armcosmos/v3",
	"containerregistry": "github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/containerregistry/armcontainerregistry/v2",
	"cognitiveservices": "github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/cognitiveservices/armcognitiveservices/v2",
	"appservice":        "github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/appservice/armappservice/v5",
	"servicebus":        "github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/servicebus/armservicebus",
	"eventhub":          "github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/eventhub/armeventhub",
	"sql":               "github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/sql/armsql",
	"synapse":           "github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/synapse/armsynapse",
	"postgresql":        "github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/postgresql/armpostgresql",
	"mysql":             "github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/mysql/armmysql",
	"mariadb":           "github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/mariadb/armmariadb",
	"datalakestore":     "github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/datalake-store/armdatalakestore",
}

// Source is what one module of the SDK says about its models.
type Source struct {
	Folder    string
	Structs   map[string]*Struct
	Enums     map[string][]string // the type's name to its values, in the SDK's order
	Constants map[string]string   // the constant's name to its value
}

// Struct is one model.
type Struct struct {
	Name   string
	Fields map[string]*Field // by the name in Go
}

// Field is one field of a model.
type Field struct {
	JSON     string // "" for a field of a call's options
	Type     ast.Expr
	ReadOnly bool
	Time     bool // marshalled as a time
}

// Read reads one of Modules from the module cache. The error says what could not be found or parsed.
func Read(section string) (*Source, error) {
	module := Modules[section]
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", module).Output()
	folder := strings.TrimSpace(string(out))
	if err != nil || folder == "" {
		return nil, fmt.Errorf("find module %s: %w: run go mod download", module, err)
	}
	s := &Source{folder, make(map[string]*Struct), make(map[string][]string), make(map[string]string)}
	for _, name := range []string{"models.go", "options.go", "constants.go", "models_serde.go"} {
		text, err := os.ReadFile(filepath.Join(folder, name))
		if errors.Is(err, fs.ErrNotExist) && name == "options.go" {
			continue // old modules have the options beside the models
		}
		if err != nil {
			return nil, fmt.Errorf("read module %s: %w", module, err)
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, text, parser.ParseComments)
		if err != nil {
			return nil, fmt.Errorf("parse module %s: %w", module, err)
		}
		for _, declaration := range file.Decls {
			switch declaration := declaration.(type) {
			case *ast.GenDecl:
				s.declare(declaration)
			case *ast.FuncDecl:
				if declaration.Name.Name == "MarshalJSON" {
					s.marshal(declaration)
				}
			}
		}
	}
	return s, nil
}

// declare notes a model or the values of an enumeration.
func (s *Source) declare(declaration *ast.GenDecl) {
	for _, spec := range declaration.Specs {
		switch spec := spec.(type) {
		case *ast.TypeSpec:
			body, ok := spec.Type.(*ast.StructType)
			if !ok {
				continue
			}
			model := &Struct{spec.Name.Name, make(map[string]*Field)}
			for _, field := range body.Fields.List {
				for _, name := range field.Names {
					readOnly := field.Doc != nil && strings.HasPrefix(field.Doc.Text(), "READ-ONLY")
					model.Fields[name.Name] = &Field{Type: field.Type, ReadOnly: readOnly}
				}
			}
			s.Structs[spec.Name.Name] = model
		case *ast.ValueSpec:
			typ, ok := spec.Type.(*ast.Ident)
			if !ok || len(spec.Values) != 1 {
				continue
			}
			if literal, ok := spec.Values[0].(*ast.BasicLit); ok && literal.Kind == token.STRING {
				value, _ := strconv.Unquote(literal.Value)
				s.Enums[typ.Name] = append(s.Enums[typ.Name], value)
				s.Constants[spec.Names[0].Name] = value
			}
		}
	}
}

// marshal notes the JSON names of a model's fields: calls of populate(objectMap, "name", x.Field).
func (s *Source) marshal(function *ast.FuncDecl) {
	receiver, ok := function.Recv.List[0].Type.(*ast.Ident)
	if !ok || s.Structs[receiver.Name] == nil {
		return
	}
	ast.Inspect(function.Body, func(node ast.Node) bool {
		if constant, ok := node.(*ast.IndexExpr); ok { // objectMap["name"] = "a constant"
			literal, ok := constant.Index.(*ast.BasicLit)
			if !ok {
				return true
			}
			for goName, field := range s.Structs[receiver.Name].Fields {
				if name, err := strconv.Unquote(literal.Value); err == nil && strings.EqualFold(goName, name) {
					field.JSON = name
				}
			}
			return true
		}
		call, ok := node.(*ast.CallExpr)
		if !ok || len(call.Args) < 3 {
			return true
		}
		function := call.Fun
		if generic, ok := function.(*ast.IndexExpr); ok {
			function = generic.X
		}
		populate, ok := function.(*ast.Ident)
		literal, isLiteral := call.Args[1].(*ast.BasicLit)
		selector, isField := call.Args[2].(*ast.SelectorExpr)
		if !ok || !isLiteral || !isField || !strings.HasPrefix(populate.Name, "populate") {
			return true
		}
		if field := s.Structs[receiver.Name].Fields[selector.Sel.Name]; field != nil {
			field.JSON, _ = strconv.Unquote(literal.Value)
			field.Time = strings.Contains(populate.Name, "Time")
		}
		return true
	})
}

package sdktest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/token"
	"strconv"
	"time"
)

// value is what a Go expression of the examples is in JSON: maps, lists, strings, bools and json.Number. typ is the type
// of the place that it stands in, for literals that leave their type out.
func (s *Source) value(expression ast.Expr, typ ast.Expr) (any, error) {
	switch expression := expression.(type) {
	case *ast.BasicLit:
		return literal(expression)
	case *ast.UnaryExpr:
		if expression.Op == token.SUB {
			value, err := s.value(expression.X, typ)
			return json.Number(fmt.Sprintf("-%v", value)), err
		}
		return s.value(expression.X, typ)
	case *ast.Ident:
		switch expression.Name {
		case "true", "false":
			return expression.Name == "true", nil
		case "nil":
			return nil, nil
		}
	case *ast.SelectorExpr:
		if value, ok := s.Constants[expression.Sel.Name]; ok {
			return value, nil
		}
	case *ast.CallExpr:
		return s.called(expression, typ)
	case *ast.CompositeLit:
		return s.composite(expression, typ)
	}
	return nil, fmt.Errorf("no rule for the expression %T", expression)
}

// called reads to.Ptr(x), to.Ptr[T](x), and the functions that make a time.
func (s *Source) called(call *ast.CallExpr, typ ast.Expr) (any, error) {
	if maker, ok := call.Fun.(*ast.FuncLit); ok {
		var text any
		ast.Inspect(maker, func(node ast.Node) bool {
			if inner, ok := node.(*ast.BasicLit); ok && inner.Kind == token.STRING {
				text, _ = literal(inner)
			}
			return true
		})
		return text, nil
	}
	if maker, ok := call.Fun.(*ast.SelectorExpr); ok && maker.Sel.Name == "Date" && len(call.Args) == 8 {
		return s.date(call.Args)
	}
	if len(call.Args) != 1 {
		return nil, fmt.Errorf("no rule for a call with %d arguments", len(call.Args))
	}
	return s.value(call.Args[0], typ)
}

// date reads the arguments of time.Date, of which the month is a constant and the zone is UTC.
func (s *Source) date(arguments []ast.Expr) (any, error) {
	var numbers [8]int
	for i, argument := range arguments[:7] {
		if month, ok := argument.(*ast.SelectorExpr); ok {
			for numbers[i] = 1; numbers[i] <= 12 && time.Month(numbers[i]).String() != month.Sel.Name; numbers[i]++ {
			}
			continue
		}
		value, err := s.value(argument, nil)
		if err != nil {
			return nil, err
		}
		if numbers[i], err = strconv.Atoi(fmt.Sprint(value)); err != nil {
			return nil, err
		}
	}
	return time.Date(numbers[0], time.Month(numbers[1]), numbers[2], numbers[3], numbers[4], numbers[5], numbers[6], time.UTC).Format(time.RFC3339Nano), nil
}

func (s *Source) composite(composite *ast.CompositeLit, typ ast.Expr) (any, error) {
	if composite.Type != nil {
		typ = composite.Type
	}
	if pointer, ok := typ.(*ast.StarExpr); ok {
		typ = pointer.X
	}
	switch typ := typ.(type) {
	case *ast.ArrayType:
		list := []any{}
		for _, element := range composite.Elts {
			value, err := s.value(element, typ.Elt)
			if err != nil {
				return nil, err
			}
			list = append(list, value)
		}
		return list, nil
	case *ast.MapType:
		object := make(map[string]any)
		for _, element := range composite.Elts {
			pair := element.(*ast.KeyValueExpr)
			name, err := s.value(pair.Key, nil)
			if err != nil {
				return nil, err
			}
			if object[fmt.Sprint(name)], err = s.value(pair.Value, typ.Value); err != nil {
				return nil, err
			}
		}
		return object, nil
	}
	model := s.Structs[typeName(typ)]
	if model == nil {
		return nil, fmt.Errorf("no model %s", typeName(typ))
	}
	object := make(map[string]any)
	for _, element := range composite.Elts {
		pair := element.(*ast.KeyValueExpr)
		field := model.Fields[pair.Key.(*ast.Ident).Name]
		if field == nil {
			return nil, fmt.Errorf("model %s has no field %s", model.Name, pair.Key)
		}
		name := cmp.Or(field.JSON, pair.Key.(*ast.Ident).Name)
		value, err := s.value(pair.Value, field.Type)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		object[name] = value
	}
	return object, nil
}

// typeName is the name of a type, with or without its package.
func typeName(typ ast.Expr) string {
	switch typ := typ.(type) {
	case *ast.Ident:
		return typ.Name
	case *ast.SelectorExpr:
		return typ.Sel.Name
	case *ast.StarExpr:
		return typeName(typ.X)
	}
	return ""
}

func literal(basic *ast.BasicLit) (any, error) {
	if basic.Kind == token.STRING {
		return strconv.Unquote(basic.Value)
	}
	return json.Number(basic.Value), nil
}

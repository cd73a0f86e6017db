package template

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Parameter is a parameter with the value that a deployment uses.
type Parameter struct {
	Name   string
	Type   string // "String", "SecureString", "Int", "Bool", "Array", "Object", "SecureObject"
	Value  any
	Secure bool // its value is never told
}

// parameter is one of a template while it is evaluated.
type parameter struct {
	Parameter
	declared *Node
	path     string
	given    bool
	state    progress
	err      error
}

// progress of what is evaluated when it is first asked for.
type progress uint8

const (
	untouched progress = iota
	running
	done
)

// parameterTypes are the types by their names in lower case.
var parameterTypes = map[string]string{"string": "String", "securestring": "SecureString", "int": "Int", "bool": "Bool", "array": "Array",
	"object": "Object", "secureobject": "SecureObject"}

// declare reads the template's parameters and takes the values that were given. values is by name, whatever the case.
func (e *evaluation) declare(values map[string]any) error {
	e.parameters = map[string]*parameter{}
	section := e.template.root.Member("parameters")
	var names []string
	if section != nil {
		names = section.Members()
	}
	var unknown []string
	for _, name := range sortedKeys(values) {
		if section.Member(name) == nil {
			unknown = append(unknown, name)
		}
	}
	if len(unknown) > 0 {
		return invalid(section, "parameters", "The template parameters '%s' in the parameters file are not valid; they are not present in the original "+
			"template and can therefore not be provided at deployment time. The only supported parameters for this template are '%s'. Please see "+
			"https://aka.ms/arm-pass-parameter-values for usage details.", strings.Join(unknown, ", "), strings.Join(names, ", "))
	}
	for _, name := range names {
		path := "parameters." + name
		declared, err := e.resolve(section.Member(name), path)
		if err != nil {
			return err
		}
		p := &parameter{Parameter: Parameter{Name: name}, declared: declared, path: path}
		kind, _ := declared.Member("type").leaf().(string)
		if p.Type = parameterTypes[strings.ToLower(kind)]; p.Type == "" {
			return invalid(declared, path, "The template parameter '%s' has the type '%.40s', which is not known", name, kind)
		}
		p.Secure = strings.HasPrefix(p.Type, "Secure")
		p.Value, p.given = lookup(values, name)
		e.parameters[strings.ToLower(name)] = p
	}
	for _, name := range names {
		if _, err := e.parameters[strings.ToLower(name)].evaluate(e); err != nil {
			return err
		}
	}
	return nil
}

// leaf is a leaf's value; nil for everything else.
func (n *Node) leaf() any {
	if n == nil || n.kind != kindLeaf {
		return nil
	}
	return n.value
}

// resolve follows $ref to the template's definitions.
func (e *evaluation) resolve(declared *Node, path string) (*Node, error) {
	for range maxDepth {
		if declared.kind != kindObject {
			return nil, parseFailed(declared, path, "The value of '%s' must be an object", path)
		}
		reference, ok := declared.Member("$ref").leaf().(string)
		if !ok {
			return declared, nil
		}
		name, ok := strings.CutPrefix(reference, "#/definitions/")
		target := e.template.root.Member("definitions").Member(name)
		if !ok || target == nil {
			return nil, invalid(declared, path, "The reference '%.80s' leads to no definition of the template", reference)
		}
		declared = target
	}
	return nil, invalid(declared, path, "The definitions refer to each other in a circle")
}

// evaluate is the parameter's value: the one given, or its default. It is judged once.
func (p *parameter) evaluate(e *evaluation) (any, error) {
	switch p.state {
	case running:
		return nil, final("The template parameter '%s' depends on itself. Please see https://aka.ms/arm-syntax-parameters for usage details.", p.Name)
	case untouched:
		p.state = running
		p.err = p.settle(e)
		p.state = done
	}
	return p.Value, p.err
}

func (p *parameter) settle(e *evaluation) error {
	standard := p.declared.Member("defaultValue")
	switch nullable, _ := p.declared.Member("nullable").leaf().(bool); {
	case p.given && (p.Value != nil || nullable || standard == nil):
	case standard != nil:
		s := &scope{evaluation: e, place: inDefault}
		value, err := s.node(standard, p.path+".defaultValue", false)
		if err == nil {
			err = e.work.charge(value)
		}
		if err != nil {
			return failed(standard, p.path+".defaultValue", "the default value of template parameter '"+p.Name+"'", err)
		}
		p.Value = value
	case nullable:
		p.Value = nil
		return nil
	default:
		line, column := p.declared.position()
		return invalid(p.declared, p.path, "The value for the template parameter '%s' at line '%d' and column '%d' is not provided. Please see "+
			"https://aka.ms/arm-create-parameter-file for usage details.", p.Name, line, column)
	}
	return e.judge(p.Name, p.Value, p.declared, p.path, p.Secure, 0)
}

// judge compares a value with what the template says of it. A secure one is not told in the refusal.
func (e *evaluation) judge(name string, value any, declared *Node, path string, secure bool, depth int) error {
	if err := e.work.spend(1); err != nil || depth > maxDepth {
		return invalid(declared, path, "The value of '%s' is nested too deeply or too large", name)
	}
	declared, err := e.resolve(declared, path)
	if err != nil {
		return err
	}
	if nullable, _ := declared.Member("nullable").leaf().(bool); nullable && value == nil {
		return nil
	}
	kind, _ := declared.Member("type").leaf().(string)
	fits, want := false, ""
	switch strings.ToLower(kind) {
	case "string", "securestring":
		_, fits = value.(string)
		want = "String"
	case "int":
		_, fits = value.(int64)
		want = "Integer"
	case "bool":
		_, fits = value.(bool)
		want = "Boolean"
	case "array":
		_, fits = value.([]any)
		want = "Array"
	case "object", "secureobject":
		_, fits = value.(map[string]any)
		want = "Object"
	default:
		return invalid(declared, path, "'%s' has the type '%.40s', which is not known", name, kind)
	}
	if !fits {
		return invalid(declared, path, "Template parameter JToken type is not valid. Expected '%s'. Actual '%s'. Please see "+
			"https://aka.ms/arm-create-parameter-file for usage details. The parameter is '%s'", want, typeName(value), name)
	}
	refuse := func(reason string, args ...any) error {
		line, column := declared.position()
		told := ""
		if text, err := asText(value); err == nil && !secure {
			told = fmt.Sprintf(" value '%.200s'", text)
		}
		return invalid(declared, path, "The provided%s for the template parameter '%s' at line '%d' and column '%d' is not valid. %s",
			told, name, line, column, fmt.Sprintf(reason, args...))
	}
	if allowed := declared.Member("allowedValues"); allowed != nil {
		if err := e.allowed(value, allowed, refuse); err != nil {
			return err
		}
	}
	if err := bounds(value, declared, refuse); err != nil {
		return err
	}
	return e.judgeParts(name, value, declared, path, secure, depth)
}

func (e *evaluation) allowed(value any, allowed *Node, refuse func(string, ...any) error) error {
	list, _ := allowed.Value().([]any)
	chosen, isList := value.([]any)
	if !isList {
		chosen = []any{value}
	}
	in := func(value any) (bool, error) {
		for _, one := range list {
			if same, err := e.work.equal(one, value); err != nil || same {
				return same, err
			}
		}
		return false, nil
	}
	if whole, err := in(value); err != nil || whole {
		return err
	}
	for _, one := range chosen { // of an array each element may be one of them
		fits, err := in(one)
		if err != nil {
			return err
		}
		if !fits {
			names := make([]string, len(list))
			for i := range list {
				names[i], _ = asText(list[i])
			}
			return refuse("The parameter value is not part of the allowed value(s): '%.400s'.", strings.Join(names, ","))
		}
	}
	return nil
}

// bounds judges minValue, maxValue, minLength and maxLength.
func bounds(value any, declared *Node, refuse func(string, ...any) error) error {
	size, least, most, what := int64(0), "minLength", "maxLength", "Length of the value"
	switch value := value.(type) {
	case int64:
		size, least, most, what = value, "minValue", "maxValue", "The value"
	case string:
		size = int64(utf8.RuneCountInString(value))
	case []any:
		size = int64(len(value))
	default:
		return nil
	}
	if bound, ok := declared.Member(least).leaf().(int64); ok && size < bound {
		return refuse("%s should be greater than or equal to '%d'.", what, bound)
	}
	if bound, ok := declared.Member(most).leaf().(int64); ok && size > bound {
		return refuse("%s should be less than or equal to '%d'.", what, bound)
	}
	return nil
}

// judgeParts judges an array's elements and an object's members where the template says how they must be.
func (e *evaluation) judgeParts(name string, value any, declared *Node, path string, secure bool, depth int) error {
	switch value := value.(type) {
	case []any:
		element := declared.Member("items")
		if element == nil || element.kind != kindObject {
			return nil
		}
		for i, one := range value {
			if err := e.judge(indexed(name, i), one, element, path+".items", secure, depth+1); err != nil {
				return err
			}
		}
	case map[string]any:
		properties, others := declared.Member("properties"), declared.Member("additionalProperties")
		for _, member := range sortedKeys(value) {
			inner := properties.Member(member)
			if inner == nil {
				if closed, ok := others.leaf().(bool); ok && !closed {
					return invalid(declared, path, "The parameter '%s' has the property '%.80s', which its type does not have", name, member)
				}
				if inner = others; inner == nil || inner.kind != kindObject {
					continue
				}
			}
			if err := e.judge(join(name, member), value[member], inner, path+".properties", secure, depth+1); err != nil {
				return err
			}
		}
		if properties == nil {
			return nil
		}
		for _, member := range properties.members {
			if _, ok := lookup(value, member.name); ok {
				continue
			}
			inner, err := e.resolve(member.value, path)
			if err != nil {
				return err
			}
			if nullable, _ := inner.Member("nullable").leaf().(bool); !nullable {
				return invalid(declared, path, "The parameter '%s' lacks the property '%s'", name, member.name)
			}
		}
	}
	return nil
}

package resource

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"

	"postern/resource/schema"
)

// strictly reads JSON into dst, a pointer to a struct, and refuses what does not fit: a field that dst does not have,
// or one of another kind. The error names the field by its full path, "properties.subnets[1].properties.prefix". Names
// of fields do not depend on case, as in ARM. A json.RawMessage takes anything.
func strictly(data []byte, dst any) error {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	var generic any
	if err := decoder.Decode(&generic); err != nil {
		return refuse(CodeInvalidRequestContent, "", "The body is not JSON: %s.", describe(err))
	}
	if _, err := decoder.Token(); err != io.EOF {
		return refuse(CodeInvalidRequestContent, "", "The body has more behind its JSON value.")
	}
	if err := fits(generic, reflect.TypeOf(dst).Elem(), ""); err != nil {
		return err
	}
	if err := json.Unmarshal(data, dst); err != nil {
		return refuse(CodeInvalidRequestContent, "", "The body cannot be read: %s.", describe(err))
	}
	return nil
}

func describe(err error) string {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return "it ends too early"
	}
	return strings.TrimPrefix(err.Error(), "json: ")
}

var rawType = reflect.TypeFor[json.RawMessage]()

// fits compares a decoded JSON value with the Go type that is to hold it.
func fits(value any, typ reflect.Type, path string) error {
	if value == nil || typ == rawType {
		return nil
	}
	wrong := func(want string) error {
		return refuse(CodeInvalidRequestFormat, path, "The value of '%s' is %s; it must be %s.", path, schema.Describe(value), want)
	}
	switch typ.Kind() {
	case reflect.Pointer:
		return fits(value, typ.Elem(), path)
	case reflect.Struct:
		object, ok := value.(map[string]any)
		if !ok {
			return wrong("an object")
		}
		known, seen := fieldsOf(typ), make(map[string]bool, len(object))
		for _, name := range sortedKeys(object) {
			if lower := strings.ToLower(name); seen[lower] {
				return refuse(CodeInvalidRequestFormat, schema.Join(path, name), "The member '%s' stands twice, in different case.", name)
			} else {
				seen[lower] = true
			}
			field, ok := known[strings.ToLower(name)]
			if !ok {
				return refuse(CodeInvalidRequestFormat, schema.Join(path, name),
					"Could not find member '%s' on object of type '%s': remove it or correct its name.", name, objectName(path))
			}
			if err := fits(object[name], field, schema.Join(path, name)); err != nil {
				return err
			}
		}
	case reflect.Map:
		object, ok := value.(map[string]any)
		if !ok {
			return wrong("an object")
		}
		for _, name := range sortedKeys(object) {
			if err := fits(object[name], typ.Elem(), schema.Join(path, name)); err != nil {
				return err
			}
		}
	case reflect.Slice:
		list, ok := value.([]any)
		if !ok {
			return wrong("a list")
		}
		for i, element := range list {
			if err := fits(element, typ.Elem(), fmt.Sprintf("%s[%d]", path, i)); err != nil {
				return err
			}
		}
	case reflect.String:
		if _, ok := value.(string); !ok {
			return wrong("a string")
		}
	case reflect.Bool:
		if _, ok := value.(bool); !ok {
			return wrong("true or false")
		}
	case reflect.Int:
		number, ok := value.(json.Number)
		if !ok {
			return wrong("a whole number")
		}
		if _, err := number.Int64(); err != nil {
			return wrong("a whole number")
		}
	default:
		return fmt.Errorf("read %s: no rule for Go kind %s", path, typ.Kind())
	}
	return nil
}

// fieldsOf lists the JSON names of a struct in lower case, those of embedded structs among them.
func fieldsOf(typ reflect.Type) map[string]reflect.Type {
	fields := make(map[string]reflect.Type)
	for _, field := range reflect.VisibleFields(typ) {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if field.Anonymous && name == "" || name == "-" || !field.IsExported() {
			continue
		}
		fields[strings.ToLower(name)] = field.Type
	}
	return fields
}

func objectName(path string) string {
	if path == "" {
		return "resource"
	}
	return path
}

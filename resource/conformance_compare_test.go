package resource

import (
	"encoding/json"
	"fmt"
	"strings"

	"postern/resource/schema"
	"postern/resource/sdktest"
)

// allotted are members whose value the service chooses: any will do, but none will not.
var allotted = []string{"ipAddress", "macAddress", "privateIPAddress", "fqdn", "internalDomainNameSuffix", "primaryLocation", "secondaryLocation"}

// aside tells whether a member is left out of the comparison: ids, etags, GUIDs and dates.
func aside(name string) bool {
	lower := strings.ToLower(name)
	switch {
	case lower == "id", lower == "etag", strings.HasSuffix(lower, "guid"), strings.HasSuffix(lower, "time"), lower == "key1", lower == "key2":
		return true
	}
	return lower == "principalid" || lower == "clientid" || lower == "tenantid"
}

// differences lists, one sentence each, what is documented and not answered.
func differences(want, have any, path string) []string {
	if empty(want) && empty(have) {
		return nil
	}
	switch want := want.(type) {
	case map[string]any:
		object, ok := have.(map[string]any)
		if !ok {
			return []string{missing(path, have)}
		}
		var list []string
		for _, name := range sortedKeys(want) {
			if aside(name) {
				continue
			}
			list = append(list, differences(want[name], object[name], schema.Join(path, name))...)
		}
		return list
	case []any:
		elements, ok := have.([]any)
		if !ok {
			return []string{missing(path, have)}
		}
		if len(elements) != len(want) {
			return []string{fmt.Sprintf("`%s` has %d elements, want %d", path, len(elements), len(want))}
		}
		var list []string
		for i := range want {
			list = append(list, differences(want[i], elements[i], index(path, i))...)
		}
		return list
	}
	if have == nil {
		return []string{missing(path, have)}
	}
	name := path[strings.LastIndex(path, ".")+1:]
	for _, own := range allotted {
		if name == own {
			return nil
		}
	}
	if equal(name, want, have) {
		return nil
	}
	return []string{fmt.Sprintf("`%s` is `%s`, want `%s`", path, text(have), text(want))}
}

func equal(name string, want, have any) bool {
	a, isText := want.(string)
	b, alsoText := have.(string)
	if isText && alsoText && name == "type" {
		return strings.EqualFold(a, b)
	}
	if isText && alsoText && name == "location" {
		return shortLocation(a) == shortLocation(b)
	}
	return text(want) == text(have)
}

func missing(path string, have any) string {
	if have == nil {
		return fmt.Sprintf("`%s` is not answered", path)
	}
	return fmt.Sprintf("`%s` is of another kind", path)
}

func empty(value any) bool {
	switch value := value.(type) {
	case nil:
		return true
	case string:
		return value == ""
	case []any:
		return len(value) == 0
	case map[string]any:
		return len(value) == 0
	}
	return false
}

func text(value any) string {
	data, _ := json.Marshal(value)
	return strings.Trim(string(data), `"`)
}

// contradicted takes out of a documented answer what its own request says otherwise.
func contradicted(answer, request map[string]any) {
	for _, name := range sortedKeys(request) {
		switch asked := request[name].(type) {
		case map[string]any:
			if inner, ok := answer[name].(map[string]any); ok {
				contradicted(inner, asked)
			}
		case []any:
			told, _ := answer[name].([]any)
			if len(told) == len(asked) && len(told) > 0 && differences(asked, told, name) != nil {
				if _, isText := asked[0].(string); isText {
					delete(answer, name)
				}
			}
		default:
			if told, ok := answer[name]; ok && asked != nil && text(told) != text(asked) && name != "location" {
				delete(answer, name)
			}
		}
	}
}

// isForeign tells whether a value is a reference to a resource of a type that is not known here.
func isForeign(value any) (string, bool) {
	object, ok := value.(map[string]any)
	if !ok {
		return "", false
	}
	id, _ := object["id"].(string)
	parsed, err := splitID(id)
	if err != nil {
		return "", false
	}
	_, _, known := lookup(parsed.Provider, parsed.Types[:1])
	return parsed.Type(), !known
}

// takeOut removes references to what cannot exist.
func takeOut(value any) {
	switch value := value.(type) {
	case map[string]any:
		for name, inner := range value {
			if list, ok := inner.([]any); ok {
				var kept []any
				for _, element := range list {
					if _, is := isForeign(element); !is {
						kept = append(kept, element)
					}
				}
				value[name] = kept
			}
			if _, is := isForeign(inner); is {
				delete(value, name)
				continue
			}
			takeOut(value[name])
		}
	case []any:
		for _, element := range value {
			takeOut(element)
		}
	}
}

// foreign names the types that an example refers to and that are not known here.
func foreign(example sdktest.Example) string {
	found := make(map[string]bool)
	var walk func(any)
	walk = func(value any) {
		if name, is := isForeign(value); is {
			found[name] = true
		}
		switch value := value.(type) {
		case map[string]any:
			for _, inner := range value {
				walk(inner)
			}
		case []any:
			for _, inner := range value {
				walk(inner)
			}
		}
	}
	walk(example.Body)
	walk(example.Answer)
	return strings.Join(sortedKeys(found), ", ")
}

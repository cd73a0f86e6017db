package resource

import (
	"encoding/json"
	"fmt"
	"strings"
)

// allotted are members whose value the service chooses: any will do, but none will not.
var allotted = []string{"ipAddress", "macAddress", "privateIPAddress", "fqdn", "internalDomainNameSuffix"}

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
			list = append(list, differences(want[name], object[name], join(path, name))...)
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
	if isText && alsoText && (name == "location" || name == "primaryLocation") {
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

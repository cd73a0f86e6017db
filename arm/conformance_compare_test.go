package arm_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"postern/resource"
)

// chosen are members whose value the service chooses: any will do, but none will not. Names in lower case.
var chosen = []string{"ipaddress", "ipprefix", "macaddress", "privateipaddress", "fqdn", "internaldomainnamesuffix", "primarylocation", "secondarylocation",
	"id", "etag", "lastmodified", "key1", "key2", "principalid", "clientid", "tenantid"}

// isChosen tells whether any value will do for a member: ids, etags, GUIDs, dates and what else the service chooses.
func isChosen(name string) bool {
	lower := strings.ToLower(name)
	return slices.Contains(chosen, lower) || strings.HasSuffix(lower, "guid") || strings.HasSuffix(lower, "time") || strings.HasSuffix(lower, "timestamp")
}

// differences lists, one sentence each, what is documented and not answered.
func differences(want, have any, path string) []string {
	if empty(want) && empty(have) {
		return nil
	}
	name := path[strings.LastIndex(path, ".")+1:]
	switch want := want.(type) {
	case map[string]any:
		object, ok := have.(map[string]any)
		if !ok {
			return []string{missing(path, have)}
		}
		var list []string
		for _, name := range slices.Sorted(maps.Keys(want)) {
			list = append(list, differences(want[name], object[name], member(path, name))...)
		}
		return list
	case []any:
		elements, ok := have.([]any)
		if !ok {
			return []string{missing(path, have)}
		}
		if path == "value" || path == "values" || path == "resources" { // a list's answer may have more than the example's resources
			elements = among(want, elements)
		}
		if len(elements) != len(want) {
			return []string{fmt.Sprintf("`%s` has %d elements, want %d", path, len(elements), len(want))}
		}
		var list []string
		for i := range want {
			list = append(list, differences(want[i], elements[i], fmt.Sprintf("%s[%d]", path, i))...)
		}
		return list
	}
	if have == nil {
		return []string{missing(path, have)}
	}
	if isChosen(name) || strings.HasPrefix(name, "nextHopIds[") || strings.HasPrefix(path, "keys[") && name == "value" || equal(name, want, have) {
		return nil
	}
	return []string{fmt.Sprintf("`%s` is `%s`, want `%s`", path, text(have), text(want))}
}

func member(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// among answers, for each documented element with a name, the one of that name, and the others in their order.
func among(want, have []any) []any {
	var list, rest []any
	for _, element := range have {
		if !slices.ContainsFunc(want, func(wanted any) bool { return called(wanted) != "" && called(wanted) == called(element) }) {
			rest = append(rest, element)
		}
	}
	for _, wanted := range want {
		at := slices.IndexFunc(have, func(element any) bool { return called(element) == called(wanted) })
		switch {
		case called(wanted) != "" && at >= 0:
			list = append(list, have[at])
		case called(wanted) == "" && len(rest) > 0:
			list, rest = append(list, rest[0]), rest[1:]
		}
	}
	return list
}

// called is what an element is known by, in lower case: the last name of its id, or else its name.
func called(value any) string {
	object, _ := value.(map[string]any)
	name, _ := object["name"].(string)
	if id, _ := object["id"].(string); strings.Contains(id, "/providers/") {
		name = id[strings.LastIndex(id, "/")+1:]
	}
	return strings.ToLower(name)
}

func equal(name string, want, have any) bool {
	a, isText := want.(string)
	b, alsoText := have.(string)
	if isText && alsoText && (name == "type" || name == "name") {
		return strings.EqualFold(a, b)
	}
	if isText && alsoText && name == "location" {
		return shortLocation(a) == shortLocation(b)
	}
	return asChosen(text(want)) == asChosen(text(have))
}

// The parts of a text that the service chooses: the signature of a shared access signature, the number of a storage zone.
var (
	signature  = regexp.MustCompile(`(\\u0026sig=)[A-Za-z0-9%]+`)
	zoneNumber = regexp.MustCompile(`\.z[0-9]{2}\.`)
)

func asChosen(text string) string {
	return zoneNumber.ReplaceAllString(signature.ReplaceAllString(text, "$1"), ".z00.")
}

// shortLocation is a region in its short form, out of "West US" or "westus".
func shortLocation(text string) string { return strings.ToLower(strings.ReplaceAll(text, " ", "")) }

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

// contradicted takes out of a documented answer what its own request says otherwise, and answers what that was.
func contradicted(answer, request map[string]any, path string) []string {
	var found []string
	for _, name := range slices.Sorted(maps.Keys(request)) {
		told, ok := answer[name]
		if !ok || isChosen(name) {
			continue
		}
		at := member(path, name)
		switch asked := request[name].(type) {
		case map[string]any:
			if inner, ok := told.(map[string]any); ok {
				found = append(found, contradicted(inner, asked, at)...)
			}
		case []any:
			list, _ := told.([]any)
			if len(list) != len(asked) || len(list) == 0 {
				continue
			}
			for i := range asked {
				inner, isObject := asked[i].(map[string]any)
				if answered, ok := list[i].(map[string]any); ok && isObject {
					found = append(found, contradicted(answered, inner, fmt.Sprintf("%s[%d]", at, i))...)
				} else if !equal(name, asked[i], list[i]) {
					found = append(found, fmt.Sprintf("`%s` is asked to be `%s` and documented as `%s`", at, text(asked), text(list)))
					delete(answer, name)
					break
				}
			}
		default:
			if asked != nil && !equal(name, asked, told) {
				found = append(found, fmt.Sprintf("`%s` is asked to be `%s` and documented as `%s`", at, text(asked), text(told)))
				delete(answer, name)
			}
		}
	}
	return found
}

// foreign is the type of a resource that a value refers to, if that type is not known here.
func foreign(value any) (string, bool) {
	object, ok := value.(map[string]any)
	if !ok {
		return "", false
	}
	if uri, _ := object["keyvaulturi"].(string); uri != "" { // an account's encryption: the key has no id, but is one of a vault
		return "Microsoft.KeyVault/vaults/keys", true
	}
	id, _ := object["id"].(string)
	_, rest, ok := strings.Cut(id, "/providers/")
	parts := strings.Split(rest, "/")
	if !ok || len(parts) < 3 {
		return "", false
	}
	name := parts[0]
	for i := 1; i < len(parts); i += 2 {
		name += "/" + parts[i]
	}
	root := parts[0] + "/" + parts[1]
	return name, !slices.ContainsFunc(resource.TypeNames(), func(known string) bool { return strings.EqualFold(known, root) })
}

// takeOut removes references to resources of types that are not known here, and answers those types.
func takeOut(value any) []string {
	var found []string
	switch value := value.(type) {
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(value)) {
			if list, ok := value[name].([]any); ok && name != "value" {
				kept := []any{}
				for _, element := range list {
					if typ, is := foreign(element); is {
						found = append(found, typ)
					} else {
						kept = append(kept, element)
					}
				}
				value[name] = kept
			}
			if typ, is := foreign(value[name]); is {
				found = append(found, typ)
				delete(value, name)
				continue
			}
			found = append(found, takeOut(value[name])...)
		}
	case []any:
		for _, element := range value {
			found = append(found, takeOut(element)...)
		}
	}
	return found
}

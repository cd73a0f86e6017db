package arm

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"postern/resource"
)

// target is what a path names.
type target struct {
	subscription string
	group        string
	provider     string
	types        []string // segments behind the provider, alternating with names
	names        []string // as many as types, or one less for a collection or an action
	on           string   // the scope that a resource of Microsoft.Authorization stands on; "" for all others
}

// maxSegments bounds a path: no id is longer.
const maxSegments = 24

// split takes a path apart. Clients join paths carelessly, so empty parts between slashes do not count. What no id has is
// refused here: more slashes in disguise, ways up, what is no text.
func split(address *url.URL) ([]string, error) {
	var segments []string
	for part := range strings.SplitSeq(address.EscapedPath(), "/") {
		if part == "" {
			continue
		}
		text, err := url.PathUnescape(part)
		if err != nil || len(segments) == maxSegments || len(text) > 260 || strings.ContainsAny(text, "/\\%") || text == "." || text == ".." ||
			!utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl) {
			return nil, &resource.Error{Code: "InvalidRequestUri", Status: http.StatusBadRequest, Message: "The request's path is not that of any resource."}
		}
		segments = append(segments, text)
	}
	return segments, nil
}

// checkNames refuses names with characters that no name here has; a region may be written as people do, "West Europe".
func checkNames(segments []string) error {
	for i, text := range segments {
		if i > 0 && strings.EqualFold(segments[i-1], "locations") {
			text = strings.ReplaceAll(text, " ", "")
		}
		if text == "" || strings.ContainsFunc(text, func(c rune) bool {
			return c > unicode.MaxASCII || !unicode.IsLetter(c) && !unicode.IsDigit(c) && !strings.ContainsRune("-_.()", c)
		}) {
			return &resource.Error{Code: resource.CodeInvalidResourceID, Status: http.StatusBadRequest, Target: text, Message: fmt.Sprintf("The name '%s' has "+
				"characters other than letters, digits, '-', '_', '.', '(' and ')'.", text)}
		}
	}
	return nil
}

// parse reads a path below /subscriptions; rest is what follows the subscription or the group where there is no provider.
func parse(segments []string) (at target, rest []string) {
	if at, ok := parseExtension(segments); ok {
		return at, nil
	}
	if len(segments) == 0 || !strings.EqualFold(segments[0], "subscriptions") {
		return at, segments
	}
	if rest = segments[1:]; len(rest) == 0 {
		return at, rest
	}
	at.subscription, rest = rest[0], rest[1:]
	if len(rest) > 1 && strings.EqualFold(rest[0], "resourceGroups") {
		at.group, rest = rest[1], rest[2:]
	}
	if len(rest) > 1 && at.group != "" && strings.EqualFold(rest[0], "deployments") { // the older path of a deployment's operations
		rest = append([]string{"providers", "Microsoft.Resources"}, rest...)
	}
	if len(rest) > 1 && strings.EqualFold(rest[0], "providers") {
		at, rest = belowProvider(at, rest), nil
	}
	return at, rest
}

// belowProvider reads what begins with providers/NAMESPACE.
func belowProvider(at target, segments []string) target {
	at.provider = segments[1]
	for i, part := range segments[2:] {
		if i%2 == 0 {
			at.types = append(at.types, part)
		} else {
			at.names = append(at.names, part)
		}
	}
	return at
}

// scope is the id that a target's rights are asked for.
func (t target) scope() string {
	text := strings.TrimSuffix(t.on, "/")
	switch {
	case t.on != "":
	case t.subscription == "":
		return "/"
	default:
		text = "/subscriptions/" + t.subscription
		if t.group != "" {
			text += "/resourceGroups/" + t.group
		}
	}
	if t.provider != "" {
		text += "/providers/" + t.provider
		for i := range t.names {
			text += "/" + t.types[i] + "/" + t.names[i]
		}
	}
	return text
}

// parent is the id of what a collection or an action belongs to: the target without its last, nameless type.
func (t target) parent() (resource.ID, error) {
	return resource.ParseID(t.scope())
}

// id is the target as a resource's id; its type is known.
func (t target) id() (resource.ID, error) {
	if len(t.names) != len(t.types) {
		return resource.ID{}, &resource.Error{Code: resource.CodeInvalidResourceID, Status: http.StatusBadRequest, Message: "The path ends in a type without a name."}
	}
	return resource.ParseID(t.scope())
}

// known refuses a provider or a type that is not there, in Azure's words.
func (t target) known() error {
	provider, ok := providerNamed(t.provider)
	if !ok {
		return &resource.Error{Code: "InvalidResourceNamespace", Status: http.StatusNotFound, Target: t.provider,
			Message: fmt.Sprintf("The resource namespace '%s' is invalid.", t.provider)}
	}
	wanted := strings.ToLower(strings.Join(t.types, "/"))
	for _, typ := range provider.types {
		if strings.ToLower(typ) == wanted {
			return nil
		}
	}
	return &resource.Error{Code: resource.CodeInvalidResourceType, Status: http.StatusNotFound, Target: strings.Join(t.types, "/"),
		Message: fmt.Sprintf("The resource type '%s' could not be found in the namespace '%s'. Known are: %s.", strings.Join(t.types, "/"),
			provider.namespace, strings.Join(provider.types, ", "))}
}

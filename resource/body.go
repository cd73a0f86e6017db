package resource

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"postern/model"
)

// header is what every ARM body may have. ID, Name, Type and ETag are ARM's answers that come back in a write after a
// read; they are not stored.
type header struct {
	ID       string            `json:"id"`
	Name     string            `json:"name"`
	Type     string            `json:"type"`
	ETag     string            `json:"etag"`
	Location string            `json:"location"`
	Tags     map[string]string `json:"tags"`
}

// child is a resource inside another's properties.
type child[P any] struct {
	ID         string `json:"id"`
	Name       string `json:"name"`
	Type       string `json:"type"`
	ETag       string `json:"etag"`
	Properties P      `json:"properties"`
}

// reference is {"id": …}. ARM's answers may carry more of the referred resource, which is not ours to read.
type reference struct {
	ID         string          `json:"id"`
	Location   string          `json:"location"`
	Tags       json.RawMessage `json:"tags"`
	Properties json.RawMessage `json:"properties"`
}

// state is what ARM answers about a resource's own life; read-only, so it is ignored in a write.
type state struct {
	ProvisioningState string `json:"provisioningState"`
	ResourceGUID      string `json:"resourceGuid"`
}

// location is the region in short form.
func (h *header) location() (model.Location, error) {
	short := shortLocation(h.Location)
	if short == "" {
		return "", refuse("LocationRequired", "location", "The location property is required for this definition.")
	}
	return model.Location(short), nil
}

// referTo reads an optional reference to a resource of one type.
func referTo(ref *reference, typ, field string) (model.ResourceID, error) {
	if ref == nil {
		return "", nil
	}
	id, err := ParseID(ref.ID)
	if err != nil {
		return "", refuse("LinkedInvalidPropertyId", field+".id", "Property id '%s' at path '%s.id' is invalid. "+
			"Expect the full resource id of a %s.", ref.ID, field, typ)
	}
	if !strings.EqualFold(id.Type(), typ) {
		return "", refuse(CodeInvalidResourceReference, field+".id", "The id '%s' names a %s; '%s' wants a %s.",
			ref.ID, id.Type(), field, typ)
	}
	return id.Model(), nil
}

// parsePrefix reads an IPv4 prefix in CIDR form without host bits.
func parsePrefix(text, field string) (netip.Prefix, error) {
	prefix, err := netip.ParsePrefix(text)
	if err != nil {
		return netip.Prefix{}, refuse("InvalidAddressPrefixFormat", field,
			"Address prefix '%s' is not valid: write it as ADDRESS/LENGTH, for example 10.0.0.0/16.", text)
	}
	if !prefix.Addr().Is4() {
		return netip.Prefix{}, refuse("InvalidAddressPrefixFormat", field,
			"Address prefix '%s' is IPv6: virtual networks here carry IPv4 alone.", text)
	}
	if prefix != prefix.Masked() {
		return netip.Prefix{}, refuse("InvalidCIDRNotation", field, "The address prefix %s has an invalid CIDR notation. "+
			"For the given prefix length, the address prefix should be %s.", prefix, prefix.Masked())
	}
	return prefix, nil
}

// parseIPv4 reads one IPv4 address.
func parseIPv4(text, field string) (netip.Addr, error) {
	address, err := netip.ParseAddr(text)
	if err != nil || !address.Is4() {
		return netip.Addr{}, refuse("InvalidIPAddressFormat", field, "'%s' is not an IPv4 address.", text)
	}
	return address, nil
}

// parsePrefixOrAddress reads a prefix or a bare address, which stands for its /32.
func parsePrefixOrAddress(text, field string) (netip.Prefix, error) {
	if address, err := netip.ParseAddr(text); err == nil && address.Is4() {
		return netip.PrefixFrom(address, 32), nil
	}
	return parsePrefix(text, field)
}

// oneOf compares a word with those that a field takes, whatever its case, and answers it in ARM's spelling. An empty
// word is the first of them.
func oneOf(word, field string, words ...string) (string, error) {
	if word == "" {
		return words[0], nil
	}
	for _, known := range words {
		if strings.EqualFold(known, word) {
			return known, nil
		}
	}
	return "", refuse(CodeInvalidRequestFormat, field, "The value '%s' of '%s' is not known: use one of %s.",
		word, field, strings.Join(words, ", "))
}

// uniqueNames refuses a list of children without names or with the same name twice.
func uniqueNames[P any](list []child[P], field string) error {
	seen := make(map[string]bool, len(list))
	for i := range list {
		at := index(field, i) + ".name"
		key := strings.ToLower(list[i].Name)
		if !validName(key) {
			return refuse("InvalidResourceName", at, "Resource name '%s' is not valid: use 1 to 80 letters, digits, "+
				"'-', '_' or '.'.", list[i].Name)
		}
		if seen[key] {
			return refuse("DuplicateResourceName", at, "The name '%s' stands twice in '%s'.", list[i].Name, field)
		}
		seen[key] = true
	}
	return nil
}

// childID is the id of a resource inside the one with the id parent.
func childID(parent, collection, name string) model.ResourceID {
	return model.ResourceID(parent + "/" + collection + "/" + name)
}

// index is the path of a list's element.
func index(field string, i int) string { return fmt.Sprintf("%s[%d]", field, i) }

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

func sortedBy[T any, K cmp.Ordered](list []T, key func(*T) K) {
	slices.SortFunc(list, func(a, b T) int { return cmp.Compare(key(&a), key(&b)) })
}

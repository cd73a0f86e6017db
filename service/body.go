package service

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"postern/model"
)

// Body is an ARM body that a Type decodes.
type Body struct {
	ID       model.ResourceID
	Location model.Location
	Tags     map[string]string
	JSON     []byte

	// Subnet reads the id of a subnet in a field of the body, Resource that of a resource of a type.
	Subnet   func(id, field string) (model.ResourceID, error)
	Resource func(id, typ, field string) (model.ResourceID, error)
}

// Instance is an instance as its body says it, before it is judged against the rest of the cloud.
type Instance struct {
	model.ServiceInstance

	SKU string // by its name, where the type tells changes of it; "" elsewhere

	// Sources tell, by the key of a subnet's id, how the rules that name it were written: every subnet that Rules names.
	Sources map[string]Source

	// Uses are the resources that it refers to and cannot be without. They are in its region.
	Uses []Use
}

// Use is a reference to a resource, in a field of the body.
type Use struct {
	ID    model.ResourceID
	Field string
}

// Source is how a rule that names a subnet was written.
type Source struct {
	Field         string // of the subnet's id
	Deleted       bool   // as networkSourceDeleted: the rule lets nobody in (FW-7)
	IgnoreMissing bool   // ignoreMissingVnetServiceEndpoint (FW-6)

	// Apart: the rule is a resource of its own in the instance, a Child. A write of another does not write it anew, so it
	// stays with the subnet that it was written for (FW-7).
	Apart bool
}

// AddSource adds a subnet that a rule names.
func (i *Instance) AddSource(subnet model.ResourceID, source Source) {
	if i.Sources == nil {
		i.Sources = make(map[string]Source)
	}
	i.Sources[subnet.Key()] = source
}

// Read decodes the body. Members that dst does not have are left alone: they are kept in the body.
func (b *Body) Read(dst any) error {
	err := json.Unmarshal(b.JSON, dst)
	var kind *json.UnmarshalTypeError
	if errors.As(err, &kind) {
		return Refuse(CodeInvalidContent, kind.Field, "The value of '%s' is a %s, which cannot be.", kind.Field, kind.Value)
	}
	if err != nil {
		return Refuse(CodeInvalidContent, "", "The body cannot be read: %v.", err)
	}
	return nil
}

// Index is the path of a list's element.
func Index(field string, i int) string { return fmt.Sprintf("%s[%d]", field, i) }

// OneOf compares a word with those that a field takes, whatever its case, and answers it in ARM's spelling. An empty
// word is the first of them.
func OneOf(word, field string, words ...string) (string, error) {
	if word == "" {
		return words[0], nil
	}
	for _, known := range words {
		if strings.EqualFold(known, word) {
			return known, nil
		}
	}
	return "", Refuse(CodeInvalidFormat, field, "The value '%s' of '%s' is not known: use one of %s.", word, field, strings.Join(words, ", "))
}

// notPublic are the ranges that an IP rule must not name: private ones and those that no client has (FW-4).
var notPublic = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"),
	netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("169.254.0.0/16"), netip.MustParsePrefix("172.16.0.0/12"),
	netip.MustParsePrefix("192.168.0.0/16"), netip.MustParsePrefix("224.0.0.0/3"),
}

// IPRule reads a public IPv4 address, or a range of them up to /30 (FW-4).
func IPRule(text, field string) (netip.Prefix, error) {
	prefix, err := PublicRange(text, field)
	if err == nil && strings.Contains(text, "/") && prefix.Bits() >= 31 {
		return netip.Prefix{}, badRange(text, field, "is a /31 or /32: write its addresses one by one, without a length")
	}
	return prefix, err
}

func badRange(text, field, reason string) error {
	return Refuse(CodeInvalidValues, field, "Values for request parameters are invalid: networkAcls.ipRules[*].value '%s' %s.", text, reason)
}

// PublicRange reads a public IPv4 address, or a range of them in CIDR form.
func PublicRange(text, field string) (netip.Prefix, error) {
	bad := func(reason string) (netip.Prefix, error) { return netip.Prefix{}, badRange(text, field, reason) }
	prefix, err := netip.ParsePrefix(text)
	if address, plain := netip.ParseAddr(text); plain == nil && address.Is4() {
		prefix, err = netip.PrefixFrom(address, 32), nil
	}
	if err != nil || !prefix.Addr().Is4() || prefix != prefix.Masked() {
		return bad("is neither an IPv4 address nor a range in CIDR form without host bits")
	}
	if slices.ContainsFunc(notPublic, prefix.Overlaps) {
		return bad("is in a private or reserved range: only public addresses can be allowed; for a subnet use a virtual network rule")
	}
	return prefix, nil
}

// The tags that every instance can have. TagBackend names its backends: "HOST:PORT", or several with weights,
// "10.9.0.4:9000 weight=3, 10.9.0.5:9000"; with a sub-service behind it, "postern.backend.blob", it is for that one alone.
// TagProxy with the value v2 begins each backend connection with a PROXY header. TagHealth is a path that a living backend
// answers. TagAlias has the aliases of endpoint policies that stand for the instance, parted by commas (SEP-5).
const (
	TagBackend = "postern.backend"
	TagProxy   = "postern.proxyProtocol"
	TagHealth  = "postern.health"
	TagAlias   = "postern.alias"
)

// ReadTags reads the tags that say where an instance is served, and which aliases stand for it. Package resource does so
// for every instance.
func ReadTags(tags map[string]string, into *model.ServiceInstance) error {
	for alias := range strings.SplitSeq(tags[TagAlias], ",") {
		if alias = strings.TrimSpace(alias); alias == "" {
			continue
		}
		if !strings.HasPrefix(alias, "/services/") {
			return Refuse(CodeInvalidFormat, "tags."+TagAlias, "The alias '%s' must be like /services/Azure/DataFactory.", alias)
		}
		into.Aliases = append(into.Aliases, alias)
	}
	var names []string
	for name := range tags {
		if name == TagBackend || strings.HasPrefix(name, TagBackend+".") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		if tags[name] == "" {
			continue
		}
		for text := range strings.SplitSeq(tags[name], ",") {
			backend, err := ReadBackend(text, "tags."+name)
			if err != nil {
				return err
			}
			backend.Part = strings.TrimPrefix(strings.TrimPrefix(name, TagBackend), ".")
			into.Backends = append(into.Backends, backend)
		}
	}
	version, err := OneOf(tags[TagProxy], "tags."+TagProxy, "none", "v2")
	if err != nil {
		return err
	}
	into.Delivery = model.Delivery{ProxyProtocol: version == "v2", HealthPath: tags[TagHealth]}
	if path := into.Delivery.HealthPath; path != "" && path[0] != '/' {
		return Refuse(CodeInvalidFormat, "tags."+TagHealth, "The health path '%s' must begin with a slash.", path)
	}
	return nil
}

// ReadBackend reads "HOST:PORT" with an optional " weight=N" behind it.
func ReadBackend(text, field string) (model.Backend, error) {
	words := strings.Fields(text)
	bad := Refuse(CodeInvalidFormat, field, "The backend '%s' must be host:port, with weight=1 to 256 behind it or without.", strings.TrimSpace(text))
	if len(words) == 0 || len(words) > 2 {
		return model.Backend{}, bad
	}
	backend := model.Backend{Address: words[0], Weight: 1}
	if host, port, err := net.SplitHostPort(words[0]); err != nil || port == "" || host == "" {
		return model.Backend{}, bad
	}
	if len(words) == 2 {
		number, ok := strings.CutPrefix(words[1], "weight=")
		weight, err := strconv.Atoi(number)
		if !ok || err != nil || weight < 1 || weight > 256 {
			return model.Backend{}, bad
		}
		backend.Weight = weight
	}
	return backend, nil
}

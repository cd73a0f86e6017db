package resource

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"postern/model"
	"postern/service"
)

// Options is what allotting takes from outside.
type Options struct {
	// FrontAddresses are a service tag's prefixes in a region, which instances of the service get addresses from.
	FrontAddresses func(tag string, region model.Location) []netip.Prefix

	// PublicAddresses are the prefixes that public IPs without an address of their own get one from. nil means
	// DefaultPublicAddresses everywhere.
	PublicAddresses func(region model.Location) []netip.Prefix

	// KnownTag tells whether there is a service tag of a name, whatever its case; routes and security rules may have no
	// other. nil: the form of a tag is all that is checked.
	KnownTag func(name string) bool

	// Regions are those that the service tags name; nil: resource groups may be anywhere.
	Regions func() []model.Location

	// Now is the time that accounts and VMs are made at; nil means time.Now.
	Now func() time.Time

	// Random makes keys and GUIDs; nil means crypto/rand.
	Random io.Reader
}

// DefaultPublicAddresses is a block for documentation, RFC 5737 section 3: nothing on the Internet has them.
var DefaultPublicAddresses = netip.MustParsePrefix("203.0.113.0/24")

// Change is a set of writes to a cloud that holds as a whole or not at all. Put and Delete collect; Finish judges.
type Change struct {
	before  *Cloud
	options Options
	written map[string]*Record // by key; nil stands for a deletion
	nested  map[string]string  // key of a record to the path of the child that was written in it last

	objects map[string]map[string]any // bodies of written records, parsed; they are not changed any more
}

// Outcome is what a change does to the store, and the cloud after it.
type Outcome struct {
	Puts     []Record // in the order of dependence, with what was allotted
	Deletes  []string // keys
	Counters Counters
	After    *Cloud // its Revision is still the former cloud's: see Cloud.At
}

// NewChange begins a change of a cloud.
func NewChange(cloud *Cloud, options Options) *Change {
	if options.Random == nil {
		options.Random = rand.Reader
	}
	if options.PublicAddresses == nil {
		options.PublicAddresses = func(model.Location) []netip.Prefix { return []netip.Prefix{DefaultPublicAddresses} }
	}
	if options.Now == nil {
		options.Now = time.Now
	}
	return &Change{cloud, options, make(map[string]*Record), make(map[string]string), make(map[string]map[string]any)}
}

// record is a working copy of the record with a key, or nil.
func (c *Change) record(key string) *Record {
	if r, ok := c.written[key]; ok {
		return r
	}
	if e := c.before.entries.find(key); e != nil {
		copied := *e.record
		copied.Allotted.Subnets = maps.Clone(copied.Allotted.Subnets)
		copied.Allotted.Rules = maps.Clone(copied.Allotted.Rules)
		return &copied
	}
	return nil
}

// Put creates or replaces a resource with an ARM body. A child resource is put into its parent, which must be there
// or have been put before. It answers whether the resource is new. What only the whole can tell is for Finish.
func (c *Change) Put(id ID, body json.RawMessage) (created bool, err error) {
	object, err := readObject(body)
	if err != nil {
		return false, about(err, id.String())
	}
	if err := sameIdentity(object, id); err != nil {
		return false, about(err, id.String())
	}
	if object, err = normal(id, object); err != nil {
		return false, about(err, id.String())
	}
	key := id.Root().Key()
	record := c.record(key)
	if id.IsChild() {
		if record == nil {
			return false, about(&Error{Code: CodeParentResourceNotFound, Status: http.StatusNotFound, Message: fmt.Sprintf(
				"Can not perform requested operation on nested resource. Parent resource '%s' not found.", id.Root().Name())}, id.String())
		}
		return c.putChild(id, record, object)
	}
	created = record == nil
	if created {
		record = &Record{ID: id.String(), Type: id.Type()}
		withOnly(id, object)
	} else if err := c.keepApart(id, record, object); err != nil {
		return false, about(err, id.String())
	}
	record.Body, err = json.Marshal(object)
	if err != nil {
		return false, fmt.Errorf("put %s: %w", id, err)
	}
	c.written[key], c.objects[key] = record, object
	delete(c.nested, key)
	return created, nil
}

func (c *Change) putChild(id ID, record *Record, object map[string]any) (created bool, err error) {
	_, spec, _ := lookup(id.Provider, id.Types)
	parent, list, err := c.children(record, spec)
	if err != nil {
		return false, about(err, id.String())
	}
	object["name"] = id.Name()
	at := slices.IndexFunc(list, func(child any) bool { return nameOf(child, id.Name()) })
	if created = at < 0; created {
		at, list = len(list), append(list, object)
	} else {
		object["name"] = list[at].(map[string]any)[member(list[at].(map[string]any), "name")]
		list[at] = object
	}
	c.nested[id.Root().Key()] = index("properties."+spec.property, at) + "."
	return created, c.putList(id, record, parent, spec, list)
}

// Delete removes a resource; it answers whether there was one.
func (c *Change) Delete(id ID) (existed bool, err error) {
	key := id.Root().Key()
	record := c.record(key)
	if record == nil {
		return false, nil
	}
	if !id.IsChild() {
		c.written[key] = nil
		return true, nil
	}
	_, spec, _ := lookup(id.Provider, id.Types)
	if spec.only != "" {
		return false, about(&Error{Code: "MethodNotAllowed", Status: http.StatusMethodNotAllowed, Message: fmt.Sprintf(
			"'%s' is a part of '%s', which cannot be without it: write it anew with what it shall be.", id.Name(), id.Root().Name())}, id.String())
	}
	parent, list, err := c.children(record, spec)
	if err != nil {
		return false, about(err, id.String())
	}
	length := len(list)
	list = slices.DeleteFunc(list, func(child any) bool { return nameOf(child, id.Name()) })
	if len(list) == length {
		return false, nil
	}
	if spec.collection == "subnets" {
		delete(record.Allotted.Subnets, strings.ToLower(id.Name()))
	}
	return true, c.putList(id, record, parent, spec, list)
}

func (c *Change) putList(id ID, record *Record, parent map[string]any, spec *childSpec, list []any) error {
	properties := parent[member(parent, "properties")].(map[string]any)
	properties[member(properties, spec.property)] = list
	body, err := json.Marshal(parent)
	if err != nil {
		return fmt.Errorf("write %s: %w", id, err)
	}
	record.Body = body
	key := id.Root().Key()
	c.written[key], c.objects[key] = record, parent
	return nil
}

// children is a record's body and the list in it that holds one type of child. Object, properties and list may be changed,
// but not what is in them.
func (c *Change) children(record *Record, spec *childSpec) (parent map[string]any, list []any, err error) {
	if parent, err = c.object(record); err != nil {
		return nil, nil, err
	}
	parent = maps.Clone(parent)
	name := member(parent, "properties")
	properties, ok := parent[name].(map[string]any)
	if properties = maps.Clone(properties); !ok {
		properties = make(map[string]any)
	}
	parent[name] = properties
	list, _ = properties[member(properties, spec.property)].([]any)
	return parent, slices.Clone(list), nil
}

// object is a record's body, parsed, not to be changed.
func (c *Change) object(record *Record) (map[string]any, error) {
	key := record.Key()
	if object, ok := c.objects[key]; ok {
		return object, nil
	}
	if e := c.before.entries.find(key); e != nil {
		return e.body.read(e.record)
	}
	return readObject(record.Body)
}

// sameIdentity compares id, name and type in a body with the id it is written to, and removes them.
func sameIdentity(object map[string]any, id ID) error {
	for _, known := range [][2]string{{"id", id.String()}, {"name", id.Name()}, {"type", id.Type()}, {"etag", ""}} {
		name, want := known[0], known[1]
		member := member(object, name)
		have, ok := object[member]
		delete(object, member)
		if text, isText := have.(string); ok && have != nil && want != "" && !(isText && strings.EqualFold(text, want)) {
			return refuse("InvalidRequestContent", name, "The %s '%v' in the body does not match '%s', which it is written to.", name, have, want)
		}
	}
	return nil
}

// member is the name under which an object has a member, whatever its case; the name itself if it has none.
func member(object map[string]any, name string) string { return service.Member(object, name) }

func nameOf(child any, name string) bool {
	object, ok := child.(map[string]any)
	if !ok {
		return false
	}
	have, _ := object[member(object, "name")].(string)
	return strings.EqualFold(have, name)
}

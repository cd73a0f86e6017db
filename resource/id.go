package resource

import (
	"strings"

	"postern/model"
)

// The group that a file's resources go to when they have a type and a name but no id.
const (
	DefaultSubscription  = "00000000-0000-4000-8000-000000000000"
	DefaultResourceGroup = "demo"
)

// ID is an ARM id taken apart:
// /subscriptions/SUBSCRIPTION/resourceGroups/GROUP/providers/PROVIDER/TYPE/NAME[/TYPE/NAME]. That of a group itself ends
// in GROUP: see GroupID.
type ID struct {
	Subscription  string
	ResourceGroup string
	Provider      string   // "Microsoft.Network"
	Types         []string // "virtualNetworks", "subnets": one or two
	Names         []string // as many as Types
}

// maxName is the longest name of any resource that is known here.
const maxName = 80

// ParseID takes an id apart. It must name a type of this package's table; the type is spelled canonically in the
// answer, whatever the id's case. The error is an *Error with status 400.
func ParseID(text string) (ID, error) {
	id, err := splitID(text)
	if err != nil {
		return ID{}, err
	}
	spec, child, ok := lookup(id.Provider, id.Types)
	if !ok {
		return ID{}, refuse(CodeInvalidResourceType, text, "The resource type '%s' is not known here. Known are: %s.",
			id.Type(), strings.Join(TypeNames(), ", "))
	}
	id.Provider, id.Types[0], _ = strings.Cut(spec.name, "/")
	if child != nil {
		id.Types[1] = child.collection
	}
	return id, nil
}

func splitID(text string) (ID, error) {
	segments := strings.Split(strings.TrimSuffix(text, "/"), "/")
	if id, ok := splitGroup(segments); ok {
		return id, nil
	}
	bad := func(reason string) (ID, error) {
		return ID{}, refuse(CodeInvalidResourceID, text, "The id is not an ARM resource id: %s. Want "+
			"/subscriptions/SUBSCRIPTION/resourceGroups/GROUP/providers/PROVIDER/TYPE/NAME.", reason)
	}
	if len(segments) < 9 || segments[0] != "" {
		return bad("it has too few segments")
	}
	for i, want := range map[int]string{1: "subscriptions", 3: "resourceGroups", 5: "providers"} {
		if !strings.EqualFold(segments[i], want) {
			return bad("segment " + segments[i] + " should be " + want)
		}
	}
	rest := segments[7:]
	if len(rest)%2 != 0 {
		return bad("a type has no name")
	}
	if len(rest) > 4 {
		return bad("it is nested too deeply")
	}
	id := ID{Subscription: segments[2], ResourceGroup: segments[4], Provider: segments[6]}
	for i := 0; i < len(rest); i += 2 {
		id.Types = append(id.Types, rest[i])
		id.Names = append(id.Names, rest[i+1])
	}
	if strings.EqualFold(id.Provider+"/"+id.Types[0], TypeResourceGroup) {
		return bad("a resource group's own id is /subscriptions/SUBSCRIPTION/resourceGroups/GROUP")
	}
	for _, name := range append([]string{id.Subscription, id.ResourceGroup}, id.Names...) {
		if !validName(name) {
			return bad("the name '" + name + "' has characters other than letters, digits, '-', '_', '.', '(' and ')', " +
				"is empty or longer than 80")
		}
	}
	return id, nil
}

func validName(name string) bool {
	if name == "" || len(name) > maxName || name == "." || name == ".." {
		return false
	}
	for _, c := range []byte(name) {
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-_.()", c) >= 0) {
			return false
		}
	}
	return true
}

// String puts the id together.
func (id ID) String() string {
	var b strings.Builder
	b.WriteString("/subscriptions/" + id.Subscription + "/resourceGroups/" + id.ResourceGroup)
	if id.IsGroup() {
		return b.String()
	}
	b.WriteString("/providers/" + id.Provider)
	for i := range id.Types {
		b.WriteString("/" + id.Types[i] + "/" + id.Names[i])
	}
	return b.String()
}

// Key is the form of the id that compares.
func (id ID) Key() string { return strings.ToLower(id.String()) }

// Type is the full type: "Microsoft.Network/virtualNetworks/subnets".
func (id ID) Type() string { return id.Provider + "/" + strings.Join(id.Types, "/") }

// Name is the last name.
func (id ID) Name() string { return id.Names[len(id.Names)-1] }

// IsChild tells whether the id names a resource inside another.
func (id ID) IsChild() bool { return len(id.Types) > 1 }

// Root is the id of the top-level resource, whose record holds this one.
func (id ID) Root() ID {
	id.Types, id.Names = id.Types[:1], id.Names[:1]
	return id
}

// Model is the id as the nouns carry it.
func (id ID) Model() model.ResourceID { return model.ResourceID(id.String()) }

// Expand makes a full id out of a short one: the tail of an id in the default group, from the provider on
// ("Microsoft.Network/routeTables/rt") or from the type on ("virtualNetworks/vnet/subnets/app"). A full id comes back
// as it is. Text that is neither comes back as it is too, with false.
func Expand(text string) (string, bool) {
	if strings.HasPrefix(text, "/") {
		return text, true
	}
	segments := strings.Split(text, "/")
	group := "/subscriptions/" + DefaultSubscription + "/resourceGroups/" + DefaultResourceGroup + "/providers/"
	if len(segments)%2 == 1 && len(segments) > 1 {
		return group + text, true
	}
	if spec, ok := byShortName(segments[0]); ok && spec.name == TypeResourceGroup && len(segments) == 2 {
		return "/subscriptions/" + DefaultSubscription + "/resourceGroups/" + segments[1], true
	} else if ok && len(segments) > 1 {
		return group + spec.name + "/" + strings.Join(segments[1:], "/"), true
	}
	return text, false
}

// IDOf makes an id in the default group from a full or short type and a name as ARM templates write them:
// "Microsoft.Network/virtualNetworks/subnets" with "vnet/app".
func IDOf(typ, name string) (ID, error) {
	types := strings.Split(typ, "/")
	names := strings.Split(name, "/")
	if spec, ok := byShortName(types[0]); ok {
		types = append(strings.Split(spec.name, "/"), types[1:]...)
	}
	if len(types) != len(names)+1 {
		return ID{}, refuse(CodeInvalidResourceID, "name", "The name '%s' must have one segment for each of the type's "+
			"'%s' after the provider, like virtualNetworks/subnets with vnet/subnet.", name, typ)
	}
	if strings.EqualFold(strings.Join(types, "/"), TypeResourceGroup) {
		return GroupID(DefaultSubscription, name)
	}
	text := "/subscriptions/" + DefaultSubscription + "/resourceGroups/" + DefaultResourceGroup + "/providers/" + types[0]
	for i, name := range names {
		text += "/" + types[i+1] + "/" + name
	}
	return ParseID(text)
}

package model

import "strings"

// Key is the form of an id that compares: lower case. Two ids with the same Key name the same resource.
func (id ResourceID) Key() string { return strings.ToLower(string(id)) }

// Is tells whether both ids name the same resource.
func (id ResourceID) Is(other ResourceID) bool { return strings.EqualFold(string(id), string(other)) }

// Name is the last segment: the resource's own name.
func (id ResourceID) Name() string {
	text := string(id)
	return text[strings.LastIndexByte(text, '/')+1:]
}

// Parent is the id without its last type and name: a subnet's VNet.
func (id ResourceID) Parent() ResourceID {
	segments := strings.Split(string(id), "/")
	if len(segments) < 3 {
		return ""
	}
	return ResourceID(strings.Join(segments[:len(segments)-2], "/"))
}

// Within tells whether id is scope itself or lies below it: a subscription, a resource group, a resource.
func (id ResourceID) Within(scope ResourceID) bool {
	have, want := id.Key(), strings.TrimSuffix(scope.Key(), "/")
	return have == want || strings.HasPrefix(have, want+"/")
}

// Type is the full type of a resource by its id: "Microsoft.Network/virtualNetworks/subnets". "" where the id names none.
func (id ResourceID) Type() string {
	_, rest, ok := strings.Cut(string(id), "/providers/")
	segments := strings.Split(rest, "/")
	if !ok || len(segments) < 3 {
		return ""
	}
	typ := segments[0]
	for i := 1; i < len(segments); i += 2 {
		typ += "/" + segments[i]
	}
	return typ
}

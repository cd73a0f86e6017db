package template

import (
	"fmt"
	"strings"
)

// TypeDeployment is the type of a deployment within a deployment.
const TypeDeployment = "Microsoft.Resources/deployments"

// typeGroup has ids of its own form.
const typeGroup = "Microsoft.Resources/resourceGroups"

// Resource is one resource of a template.
type Resource struct {
	Symbol     string // its symbolic name, "" for none; with "[2]" behind it for a turn of a loop
	ID         string
	Type       string // "Microsoft.Network/virtualNetworks/subnets"
	Name       string // "vnet/app"
	APIVersion string
	Condition  bool // false: it is not deployed
	Existing   bool // it is only referred to
	DependsOn  []*Resource

	node *Node
	path string
	at   *scope // with the turns of its loops
	loop string // its own loop's name
}

// index finds the resources of a template.
type index struct {
	byID, bySymbol, byName, byLoop map[string][]*Resource // keys in lower case
	byTail                         map[string][]*Resource // by the id's end, from the provider on
}

func newIndex() *index {
	empty := func() map[string][]*Resource { return map[string][]*Resource{} }
	return &index{empty(), empty(), empty(), empty(), empty()}
}

func (x *index) add(r *Resource) {
	put := func(in map[string][]*Resource, key string) {
		if key != "" {
			in[strings.ToLower(key)] = append(in[strings.ToLower(key)], r)
		}
	}
	put(x.byID, r.ID)
	put(x.bySymbol, r.Symbol)
	if symbol, _, ok := strings.Cut(r.Symbol, "["); ok {
		put(x.bySymbol, symbol)
	}
	put(x.byName, r.Name)
	put(x.byName, r.Type+"/"+r.Name[strings.LastIndexByte(r.Name, '/')+1:])
	put(x.byLoop, r.loop)
	if subscription, _ := placeOf(r.ID); strings.EqualFold(r.Type, typeGroup) { // as subscriptionResourceId makes its id
		put(x.byID, "/subscriptions/"+subscription+"/providers/"+typeGroup+"/"+r.Name)
	}
	if at := strings.LastIndex(strings.ToLower(r.ID), "/providers/"); at >= 0 {
		put(x.byTail, r.ID[at+len("/providers/"):])
	}
}

// find finds resources by symbolic name, id, name, or the name of a loop.
func (x *index) find(text string) []*Resource {
	key := strings.ToLower(strings.TrimSuffix(text, "/"))
	for _, in := range []map[string][]*Resource{x.bySymbol, x.byID, x.byName, x.byLoop, x.byTail} {
		if found := in[key]; len(found) > 0 {
			return found
		}
	}
	return nil
}

// expandResources makes all resources of the template.
func (e *evaluation) expandResources(x *Expansion) error {
	e.resources = newIndex()
	section := e.template.root.Member("resources")
	base := &scope{evaluation: e, place: inHeader}
	if e.bound != nil {
		base.runtime = e.bound.runtime
	}
	for i, n := range section.list {
		if err := e.expandOne(x, base, n, "", indexed("resources", i), nil); err != nil {
			return err
		}
	}
	for _, member := range section.members {
		if err := e.expandOne(x, base, member.value, member.name, "resources."+member.name, nil); err != nil {
			return err
		}
	}
	return e.depend(x)
}

// expandOne makes a resource, or one for each turn of its loop. parent is what it is nested in, nil for none.
func (e *evaluation) expandOne(x *Expansion, s *scope, n *Node, symbol, path string, parent *Resource) error {
	if n.kind != kindObject {
		return parseFailed(n, path, "The resource is %s, not an object", n.describe())
	}
	loops := n.Member("copy")
	if loops == nil {
		return e.expandTurn(x, s, n, symbol, path, parent, "")
	}
	name, _ := loops.Member("name").leaf().(string)
	if name == "" {
		return invalid(loops, path+".copy", "The copy loop of a resource must have a name. Please see https://aka.ms/arm-copy for usage details.")
	}
	if err := checkMode(loops, path+".copy"); err != nil {
		return err
	}
	count, err := s.count(loops, path+".copy")
	if err != nil {
		return failed(loops, path+".copy", "the copy loop '"+name+"'", err)
	}
	for i := range count {
		turn := symbol
		if symbol != "" {
			turn = indexed(symbol, i)
		}
		if err := e.expandTurn(x, s.with(loop{name: name, index: i}), n, turn, path, parent, name); err != nil {
			return err
		}
	}
	return nil
}

// checkMode judges a loop's mode. Resources are written one after the other, so that serial and parallel differ in nothing.
func checkMode(loops *Node, path string) error {
	if mode := loops.Member("mode"); mode != nil {
		text, _ := mode.leaf().(string)
		if !strings.EqualFold(text, "serial") && !strings.EqualFold(text, "parallel") {
			return invalid(mode, path+".mode", "The copy mode must be 'Serial' or 'Parallel'")
		}
	}
	if size := loops.Member("batchSize"); size != nil {
		if number, ok := size.leaf().(int64); !ok || number < 1 {
			return invalid(size, path+".batchSize", "The copy loop's batchSize must be a whole number above 0")
		}
	}
	return nil
}

// header evaluates a member of a resource that must be a text; "" where there is none.
func (s *scope) header(n *Node, path, name string) (string, error) {
	member := n.Member(name)
	if member == nil {
		return "", nil
	}
	value, err := s.node(member, join(path, name), false)
	if err == nil {
		if text, ok := value.(string); ok {
			return text, nil
		}
		err = final("The '%s' must be a string; it is of type '%s'.", name, typeName(value))
	}
	return "", failed(member, join(path, name), "the "+name+" of the resource", err)
}

// condition evaluates whether something is wanted; without a condition it is.
func (s *scope) condition(n *Node, path, of string) (bool, error) {
	member := n.Member("condition")
	if member == nil {
		return true, nil
	}
	value, err := s.node(member, path+".condition", false)
	if err == nil {
		if text, ok := value.(string); ok {
			value, err = toBool(text)
		}
	}
	wanted, ok := value.(bool)
	if err == nil && !ok {
		err = final("The condition must be a boolean; it is of type '%s'.", typeName(value))
	}
	if err != nil {
		return false, failed(member, path+".condition", of, err)
	}
	return wanted, nil
}

func (e *evaluation) expandTurn(x *Expansion, s *scope, n *Node, symbol, path string, parent *Resource, loopName string) error {
	if len(x.Resources) == MaxResources {
		return invalid(n, path, "The number of resources exceeds the limit of '%d'", MaxResources)
	}
	r := &Resource{Symbol: symbol, node: n, path: path, at: s, loop: loopName}
	var err error
	for _, header := range []struct {
		name string
		into *string
	}{{"type", &r.Type}, {"name", &r.Name}, {"apiVersion", &r.APIVersion}} {
		if *header.into, err = s.header(n, path, header.name); err != nil {
			return err
		}
	}
	if r.Type == "" || r.Name == "" {
		return parseFailed(n, path, "Required property '%s' not found in JSON", map[bool]string{true: "type", false: "name"}[r.Type == ""])
	}
	if parent != nil {
		r.Type, r.Name = parent.Type+"/"+r.Type, parent.Name+"/"+r.Name
	}
	if r.APIVersion == "" {
		return parseFailed(n, path, "Required property 'apiVersion' not found in JSON")
	}
	if r.Condition, err = s.condition(n, path, "resource '"+r.Name+"'"); err != nil {
		return err
	}
	r.Existing, _ = n.Member("existing").leaf().(bool)
	if strings.Count(r.Type, "/") != strings.Count(r.Name, "/")+1 || strings.Contains("/"+r.Name+"/", "//") {
		line, column := n.position()
		return invalid(n, path, "The template resource '%s' for type '%s' at line '%d' and column '%d' has incorrect segment lengths. A nested resource "+
			"type must have identical number of segments as its resource name. A root resource type must have segment length one greater than its "+
			"resource name. Please see https://aka.ms/arm-syntax-resources for usage details.", r.Name, r.Type, line, column)
	}
	if r.ID, err = e.place(s, r); err != nil {
		return err
	}
	if !r.Existing && r.Condition {
		for _, other := range e.resources.byID[strings.ToLower(r.ID)] {
			if !other.Existing && other.Condition {
				line, column := n.position()
				return invalid(n, path, "The resource '%s/%s' at line '%d' and column '%d' is defined multiple times in a template. Please see "+
					"https://aka.ms/arm-syntax-resources for usage details.", r.Type, r.Name, line, column)
			}
		}
	}
	x.Resources = append(x.Resources, r)
	e.resources.add(r)
	children := n.Member("resources")
	if children == nil || strings.EqualFold(r.Type, TypeDeployment) {
		return nil
	}
	for i, child := range children.list {
		if err := e.expandOne(x, s, child, "", indexed(path+".resources", i), r); err != nil {
			return err
		}
	}
	for _, child := range children.members {
		if err := e.expandOne(x, s, child.value, child.name, path+".resources."+child.name, r); err != nil {
			return err
		}
	}
	return nil
}

// place makes a resource's id: where its scope says, or where the deployment goes to.
func (e *evaluation) place(s *scope, r *Resource) (string, error) {
	subscription, group := e.where.subscriptionID(), e.where.group()
	given, err := s.header(r.node, r.path, "subscriptionId")
	if err != nil {
		return "", err
	}
	if given != "" && !strings.EqualFold(given, subscription) {
		subscription, group = given, ""
	}
	if given, err = s.header(r.node, r.path, "resourceGroup"); err != nil {
		return "", err
	}
	if given != "" {
		group = given
	}
	base := "/subscriptions/" + subscription
	if strings.EqualFold(r.Type, typeGroup) {
		return base + "/resourceGroups/" + r.Name, nil
	}
	if group != "" {
		base += "/resourceGroups/" + group
	}
	outside, err := s.header(r.node, r.path, "scope")
	if err != nil {
		return "", err
	}
	switch {
	case outside == "/":
		base = ""
	case strings.HasPrefix(outside, "/"):
		base = strings.TrimSuffix(outside, "/")
	case outside != "":
		parts := strings.Split(outside, "/")
		if len(parts)%2 == 0 {
			return "", invalid(r.node.Member("scope"), r.path+".scope", "The scope '%.200s' is neither an id nor of the form Provider/type/name", outside)
		}
		base += "/providers/" + outside
	}
	arguments := []any{r.Type}
	for name := range strings.SplitSeq(r.Name, "/") {
		arguments = append(arguments, name)
	}
	id, err := idIn(base, arguments)
	if err != nil {
		return "", failed(r.node, r.path, "resource '"+r.Name+"'", err)
	}
	return id, nil
}

// headers are the members of a resource that speak to the template's reader, not to the resource.
var headers = map[string]bool{"type": true, "name": true, "apiversion": true, "condition": true, "copy": true, "dependson": true, "resources": true,
	"scope": true, "comments": true, "existing": true, "metadata": true, "resourcegroup": true, "subscriptionid": true}

// Body evaluates what is to be written: the resource without its type, name and api-version. The error is an *Error.
func (r *Resource) Body(runtime Runtime) (map[string]any, error) {
	s := *r.at
	s.place, s.runtime = inBody, &runtime
	body := map[string]any{}
	of := fmt.Sprintf("resource '%s'", r.ID)
	for _, member := range r.node.members {
		if headers[strings.ToLower(member.name)] {
			continue
		}
		value, err := s.node(member.value, join(r.path, member.name), strings.EqualFold(member.name, "properties"))
		if err != nil {
			return nil, asError(failed(member.value, join(r.path, member.name), of, err))
		}
		body[member.name] = value
	}
	if err := s.work.charge(body); err != nil {
		return nil, asError(failed(r.node, r.path, of, err))
	}
	return body, nil
}

// Place is where a resource stands in its template.
func (r *Resource) Place() (path string, line, column int) {
	line, column = r.node.position()
	return r.path, line, column
}

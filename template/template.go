// Package template reads and evaluates deployment templates of Azure's Resource Manager: parameters, variables, the
// expression language, copy loops, dependencies and outputs. It is pure: clocks, random numbers and what resources answer
// come in as functions, and every evaluation is bounded.
//
// Parse reads a template, Expand evaluates what can be known before anything is deployed: its resources' names, conditions,
// loops and order. Bodies and outputs are evaluated later, one by one, because reference() asks for what is there by then.
package template

import (
	"hash/fnv"
	"strconv"
	"strings"
)

// Bounds of a template, as Azure has them where it has them.
const (
	MaxBytes      = 4 << 20 // of a template
	MaxParameters = 256
	MaxVariables  = 256
	MaxOutputs    = 64
	MaxResources  = 800   // after all loops
	MaxCopy       = 800   // of one loop
	MaxExpression = 24576 // characters
	MaxNested     = 5     // deployments within deployments
)

// Template is a template that was read; what its expressions say is not looked at yet. It is immutable.
type Template struct {
	root      *Node
	symbolic  bool // languageVersion 2.0: resources have symbolic names
	functions map[string]*userFunction
}

// sections are the members that a template may have.
var sections = []string{"$schema", "contentVersion", "languageVersion", "apiProfile", "definitions", "parameters", "functions", "variables",
	"resources", "outputs", "metadata"}

// Parse reads a template's text: JSON, with comments and line breaks in strings as Resource Manager takes them. The error is
// an *Error.
func Parse(data []byte) (*Template, error) {
	root, err := Read(data)
	if err != nil {
		return nil, err
	}
	return New(root)
}

// New takes a template out of a larger text, such as a request. Positions count from the template's own beginning. The error
// is an *Error.
func New(root *Node) (*Template, error) {
	root = root.detached()
	t := &Template{root: root, functions: map[string]*userFunction{}}
	if root.kind != kindObject {
		return nil, parseFailed(root, "", "The template is %s, not an object", root.describe())
	}
	if size := root.end - root.start; size > MaxBytes {
		return nil, parseFailed(root, "", "The template has %d bytes, more than %d", size, MaxBytes)
	}
	for _, member := range root.members {
		known := false
		for _, name := range sections {
			known = known || strings.EqualFold(name, member.name)
		}
		if !known {
			return nil, parseFailed(member.value, member.name, "Could not find member '%s' on object of type 'Template'", member.name)
		}
	}
	for _, name := range []string{"$schema", "contentVersion", "resources"} {
		if root.Member(name) == nil {
			return nil, parseFailed(root, "", "Required property '%s' not found in JSON", name)
		}
	}
	for name, most := range map[string]int{"parameters": MaxParameters, "variables": MaxVariables, "outputs": MaxOutputs} {
		section := root.Member(name)
		if section == nil {
			continue
		}
		if section.kind != kindObject {
			return nil, parseFailed(section, name, "The section '%s' is %s, not an object", name, section.describe())
		}
		if len(section.members) > most {
			return nil, parseFailed(section, name, "The template has %d %s, more than %d", len(section.members), name, most)
		}
	}
	if version := root.Member("languageVersion"); version != nil {
		text, _ := version.value.(string)
		if text != "1.0" && text != "2.0" && !strings.HasPrefix(text, "1.") {
			return nil, parseFailed(version, "languageVersion", "The language version '%.20v' is not known: known are 1.0 and 2.0", version.value)
		}
		t.symbolic = text == "2.0"
	}
	resources := root.Member("resources")
	if resources.kind == kindObject {
		t.symbolic = true
	} else if resources.kind != kindList {
		return nil, parseFailed(resources, "resources", "The section 'resources' is %s, neither a list nor an object", resources.describe())
	}
	return t, t.readFunctions()
}

// Hash is a number that stands for the template's content, whatever its white space and comments: equal templates have equal
// ones. It is not the one that Azure makes.
func (t *Template) Hash() string {
	sum := fnv.New64a()
	data, err := t.root.MarshalJSON()
	if err == nil {
		sum.Write(data)
	}
	return strconv.FormatUint(sum.Sum64(), 10)
}

// Root is the template as it was read.
func (t *Template) Root() *Node { return t.root }

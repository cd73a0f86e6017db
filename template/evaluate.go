package template

import (
	"errors"
	"fmt"
	"strings"
)

// Environment is what a template is told about where it is deployed to.
type Environment struct {
	Tenant         string         // GUID
	Subscription   map[string]any // what subscription() answers; its subscriptionId makes ids
	ResourceGroup  map[string]any // what resourceGroup() answers; its name makes ids. nil: a deployment to a subscription
	DeploymentName string
	Location       string         // of a deployment to a subscription
	Cloud          map[string]any // what environment() answers
	Deployer       map[string]any // what deployer() answers
	Mode           string         // "Incremental", "Complete"

	// Now is what utcNow() answers, and NewGUID what newGuid() does; both in defaults of parameters alone.
	Now     func() string // RFC 3339
	NewGUID func() string
}

// subscriptionID is the GUID of where the deployment goes to.
func (e *Environment) subscriptionID() string { return memberText(e.Subscription, "subscriptionId") }

// group is the resource group's name; "" at a subscription.
func (e *Environment) group() string { return memberText(e.ResourceGroup, "name") }

func memberText(object map[string]any, name string) string {
	value, _ := lookup(object, name)
	text, _ := value.(string)
	return text
}

// Runtime answers what is known only while a deployment runs.
type Runtime struct {
	// Reference reads a resource by its id: the whole answer of a GET. The version is as in the template, "" for none.
	Reference func(id, version string) (map[string]any, error)
	// List asks a resource by a POST of its list action, such as listKeys. body is nil or an object.
	List func(action, id, version string, body any) (any, error)
}

// evaluation is a template being evaluated with its parameters.
type evaluation struct {
	template   *Template
	where      *Environment
	work       *work
	parameters map[string]*parameter // by name in lower case
	variables  map[string]*variable  // likewise
	outer      *evaluation           // of a nested deployment in the outer scope: whose parameters, variables and functions hold
	bound      *scope                // with outer: where the nested deployment stands, for copyIndex()
	resources  *index                // nil until resources are expanded
	depth      int                   // of nested deployments
}

// scope is where an expression stands: what is to be seen from there.
type scope struct {
	*evaluation
	place     place
	loops     []loop         // innermost last
	lambdas   []binding      // innermost last
	arguments map[string]any // of a function of the template's own, by name in lower case; nil outside
	runtime   *Runtime
	calls     int // functions of the template's own that are being called
}

// place is a kind of place for expressions.
type place uint8

const (
	inDefault  place = iota // of a parameter
	inVariable              // before anything is deployed
	inHeader                // name, type, condition, loop, dependsOn, scope
	inBody                  // while the deployment runs
)

// loop is a copy loop that is at its index'th turn.
type loop struct {
	name     string
	index    int
	property bool // of a property or a variable; otherwise of a resource or an output
}

// binding is a lambda's variable.
type binding struct {
	name  string
	value any
}

// with is the scope inside another loop.
func (s *scope) with(l loop) *scope {
	inner := *s
	inner.loops = append(s.loops[:len(s.loops):len(s.loops)], l)
	return &inner
}

// binds is the scope inside a lambda.
func (s *scope) binds(names []string, values ...any) *scope {
	inner := *s
	inner.lambdas = s.lambdas[:len(s.lambdas):len(s.lambdas)]
	for i, name := range names {
		inner.lambdas = append(inner.lambdas, binding{name, values[i]})
	}
	return &inner
}

// eval evaluates an expression.
func (s *scope) eval(e expression) (any, error) {
	if err := s.work.spend(1); err != nil {
		return nil, err
	}
	switch e := e.(type) {
	case literal:
		return e.value, nil
	case *access:
		return s.access(e)
	}
	c := e.(*call)
	if c.namespace != "" {
		return s.callOwn(c)
	}
	f, ok := functions[strings.ToLower(c.name)]
	if !ok {
		if strings.HasPrefix(strings.ToLower(c.name), "list") {
			return s.list(c)
		}
		return nil, final("The template function '%s' is not valid. Please see https://aka.ms/arm-functions for usage details.", c.name)
	}
	if len(c.arguments) < f.least || f.most >= 0 && len(c.arguments) > f.most {
		return nil, final("Unable to evaluate template language function '%s': function requires %s while '%d' were provided. "+
			"Please see https://aka.ms/arm-functions/#%s for usage details.", c.name, f.count(), len(c.arguments), strings.ToLower(c.name))
	}
	if f.lazy != nil {
		value, err := f.lazy(s, c)
		return value, about(c, err)
	}
	arguments := make([]any, len(c.arguments))
	for i, argument := range c.arguments {
		var err error
		if arguments[i], err = s.eval(argument); err != nil {
			return nil, err
		}
	}
	if err := s.work.handle(arguments); err != nil {
		return nil, err
	}
	value, err := f.eager(s, arguments)
	if err == nil && f.makes {
		err = s.work.charge(value)
	}
	return value, about(c, err)
}

// functionError says which function failed.
type functionError struct {
	name  string
	cause error
}

func (e *functionError) Error() string {
	return fmt.Sprintf("Unable to evaluate template language function '%s': %s. Please see https://aka.ms/arm-functions/#%s for usage details.",
		e.name, strings.TrimSuffix(e.cause.Error(), "."), strings.ToLower(e.name))
}

func (e *functionError) Unwrap() error { return e.cause }

// about names the innermost function that failed.
func about(c *call, err error) error {
	var known *functionError
	var placed *Error
	if err == nil || errors.As(err, &known) || errors.As(err, &placed) || errors.Is(err, errTooMuch) || isFinal(err) {
		return err
	}
	return &functionError{c.name, err}
}

// finalError is one whose words are complete.
type finalError struct{ text string }

func (e *finalError) Error() string { return e.text }

func final(format string, args ...any) error { return &finalError{fmt.Sprintf(format, args...)} }

func isFinal(err error) bool {
	var e *finalError
	return errors.As(err, &e)
}

// access looks a member or an element up.
func (s *scope) access(a *access) (any, error) {
	of, err := s.eval(a.of)
	if err != nil {
		return nil, err
	}
	key, err := s.eval(a.key)
	if err != nil {
		return nil, err
	}
	if a.safe && of == nil {
		return nil, nil
	}
	value, ok, err := s.member(of, key)
	switch {
	case err != nil:
		return nil, err
	case ok || a.safe:
		return value, nil
	}
	if object, isObject := of.(map[string]any); isObject {
		return nil, final("The language expression property '%v' doesn't exist, available properties are '%.400s'.", key, strings.Join(sortedKeys(object), ", "))
	}
	return nil, final("The language expression property array index '%v' is out of bounds.", key)
}

// member finds a member of an object or an element of a list.
func (s *scope) member(of, key any) (value any, ok bool, err error) {
	switch of := of.(type) {
	case map[string]any:
		name, isName := key.(string)
		if !isName {
			return nil, false, final("The language expression property '%v' can't be evaluated, property name must be a string.", key)
		}
		if value, ok = of[name]; !ok {
			if err := s.work.spend(len(of)); err != nil {
				return nil, false, err
			}
			value, ok = lookup(of, name)
		}
		return value, ok, nil
	case []any:
		at, isNumber := key.(int64)
		if !isNumber {
			return nil, false, final("The language expression property '%v' can't be evaluated, property name must be an integer: it is of an array.", key)
		}
		if at < 0 || at >= int64(len(of)) {
			return nil, false, nil
		}
		return of[at], true, nil
	}
	return nil, false, final("The language expression property '%v' can't be evaluated: it is asked of a value of type '%s'.", key, typeName(of))
}

// node evaluates a value of the template with all that is in it. Copy loops of properties are made where loops is true.
func (s *scope) node(n *Node, path string, loops bool) (any, error) {
	if err := s.work.spend(1); err != nil {
		return nil, err
	}
	switch n.kind {
	case kindList:
		list := make([]any, len(n.list))
		for i, element := range n.list {
			var err error
			if list[i], err = s.node(element, indexed(path, i), loops); err != nil {
				return nil, err
			}
		}
		return list, nil
	case kindObject:
		return s.object(n, path, loops)
	}
	text, ok := n.value.(string)
	if !ok {
		return n.value, nil
	}
	value, err := s.string(text)
	if err != nil {
		return nil, &placedError{n, path, err}
	}
	return value, nil
}

// string evaluates a string of the template.
func (s *scope) string(text string) (any, error) {
	if err := s.work.spend(len(text) / 8); err != nil {
		return nil, err
	}
	parsed := parseText(text)
	if parsed.err != nil || parsed.expression == nil {
		return parsed.text, parsed.err
	}
	return s.eval(parsed.expression)
}

func (s *scope) object(n *Node, path string, loops bool) (any, error) {
	object := make(map[string]any, len(n.members))
	for _, member := range n.members {
		at := join(path, member.name)
		if loops && strings.EqualFold(member.name, "copy") && isLoops(member.value) {
			if err := s.copies(object, member.value, at); err != nil {
				return nil, err
			}
			continue
		}
		name, err := s.string(member.name)
		if err != nil {
			return nil, &placedError{member.value, at, err}
		}
		text, ok := name.(string)
		if !ok {
			return nil, &placedError{member.value, at, final("The property name '%.80s' is of type %s, not a string.", member.name, typeName(name))}
		}
		if object[text], err = s.node(member.value, at, loops); err != nil {
			return nil, err
		}
	}
	return object, nil
}

// placedError is an error with the innermost value of the template that it is about.
type placedError struct {
	node  *Node
	path  string
	cause error
}

func (e *placedError) Error() string { return e.cause.Error() }
func (e *placedError) Unwrap() error { return e.cause }

// failed makes an *Error of what went wrong in the evaluation of something: "resource 'x'".
func failed(n *Node, path, of string, err error) error {
	var placed *placedError
	if errors.As(err, &placed) {
		return unprocessable(placed.node, placed.path, of, placed.cause)
	}
	return unprocessable(n, path, of, err)
}

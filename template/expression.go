package template

import (
	"fmt"
	"strconv"
	"strings"
)

// expression is a part of what stands in square brackets. It is one of literal, *call and *access.
type expression interface {
	// text writes the expression, for messages.
	text() string
}

// literal is a string or a whole number.
type literal struct{ value any }

// call is a function with its arguments: "concat(…)", or "contoso.name(…)" for one of the template's own.
type call struct {
	namespace string // of a function of the template's own; "" for a built-in one
	name      string // as written
	arguments []expression
}

// access is a member or an element of a value: of.name, of[key].
type access struct {
	of   expression
	key  expression // a literal string for .name
	safe bool       // ".?": null where there is none
}

func (l literal) text() string {
	if text, ok := l.value.(string); ok {
		return "'" + strings.ReplaceAll(text, "'", "''") + "'"
	}
	return fmt.Sprint(l.value)
}

func (c *call) text() string {
	parts := make([]string, len(c.arguments))
	for i, argument := range c.arguments {
		parts[i] = argument.text()
	}
	name := c.name
	if c.namespace != "" {
		name = c.namespace + "." + name
	}
	return name + "(" + strings.Join(parts, ", ") + ")"
}

func (a *access) text() string {
	if key, ok := a.key.(literal); ok {
		if name, ok := key.value.(string); ok && isName(name) {
			if a.safe {
				return a.of.text() + ".?" + name
			}
			return a.of.text() + "." + name
		}
	}
	return a.of.text() + "[" + a.key.text() + "]"
}

func isName(text string) bool {
	for i := range len(text) {
		if !nameByte(text[i], i > 0) {
			return false
		}
	}
	return text != ""
}

// parsed is what a template's string says: an expression, or a text.
type parsed struct {
	expression expression // nil for a text
	text       string
	err        error
}

// parseText reads a template's string. One in square brackets is an expression; "[[" begins a text that begins with "[".
func parseText(text string) parsed {
	switch {
	case strings.HasPrefix(text, "[[") && strings.HasSuffix(text, "]"):
		return parsed{text: text[1:]}
	case !strings.HasPrefix(text, "[") || !strings.HasSuffix(text, "]"):
		return parsed{text: text}
	}
	found, err := parseExpression(text[1 : len(text)-1])
	return parsed{expression: found, err: err}
}

// parseExpression reads what stands in the brackets.
func parseExpression(text string) (expression, error) {
	if len(text) > MaxExpression {
		return nil, fmt.Errorf("the language expression has %d characters, more than %d", len(text), MaxExpression)
	}
	p := &parser{text: text}
	found, err := p.expression(0)
	if err != nil {
		return nil, err
	}
	if p.space(); p.at < len(text) {
		return nil, p.fail("expected the end")
	}
	return found, nil
}

// maxNesting bounds how deeply an expression's calls may be nested.
const maxNesting = 128

type parser struct {
	text string
	at   int
}

func (p *parser) fail(reason string) error {
	found := "the end"
	if p.at < len(p.text) {
		found = "'" + string([]rune(p.text[p.at:min(len(p.text), p.at+16)])[:1]) + "'"
	}
	return fmt.Errorf("the language expression '%.200s' is not valid: %s, found %s at character %d", p.text, reason, found, p.at+1)
}

func (p *parser) space() {
	for p.at < len(p.text) && strings.IndexByte(" \t\r\n", p.text[p.at]) >= 0 {
		p.at++
	}
}

// take passes over a mark, with white space before it.
func (p *parser) take(mark string) bool {
	p.space()
	if !strings.HasPrefix(p.text[p.at:], mark) {
		return false
	}
	p.at += len(mark)
	return true
}

func (p *parser) expression(depth int) (expression, error) {
	if depth > maxNesting {
		return nil, p.fail(fmt.Sprintf("it is nested more than %d deep", maxNesting))
	}
	p.space()
	var found expression
	var err error
	switch c := p.peek(); {
	case c == '\'':
		found, err = p.quoted()
	case '0' <= c && c <= '9' || c == '-' || c == '+':
		found, err = p.number()
	case nameByte(c, false):
		found, err = p.call(depth)
	default:
		err = p.fail("expected a function, a string or a number")
	}
	for accesses := 0; err == nil; accesses++ {
		if accesses > maxNesting {
			return nil, p.fail(fmt.Sprintf("it has more than %d members of members", maxNesting))
		}
		next := &access{of: found}
		switch {
		case p.take("."):
			next.safe = p.take("?")
			p.space()
			if next.safe && p.peek() == '[' {
				p.at++
				next.key, err = p.index(depth)
				break
			}
			name := p.name()
			if name == "" {
				return nil, p.fail("expected a member's name")
			}
			next.key = literal{name}
		case p.take("["):
			if next.safe = p.take("?"); next.safe {
				p.space()
			}
			next.key, err = p.index(depth)
		default:
			return found, nil
		}
		found = next
	}
	return nil, err
}

// index reads what stands between [ and ].
func (p *parser) index(depth int) (expression, error) {
	key, err := p.expression(depth + 1)
	if err == nil && !p.take("]") {
		err = p.fail("expected ']'")
	}
	return key, err
}

func (p *parser) peek() byte {
	if p.at < len(p.text) {
		return p.text[p.at]
	}
	return 0
}

func (p *parser) name() string {
	from := p.at
	for p.at < len(p.text) && nameByte(p.text[p.at], p.at > from) {
		p.at++
	}
	return p.text[from:p.at]
}

func (p *parser) number() (expression, error) {
	from := p.at
	p.at++
	for p.at < len(p.text) && '0' <= p.text[p.at] && p.text[p.at] <= '9' {
		p.at++
	}
	number, err := strconv.ParseInt(strings.TrimPrefix(p.text[from:p.at], "+"), 10, 64)
	if err != nil {
		p.at = from
		return nil, p.fail("expected a whole number of 64 bits")
	}
	return literal{number}, nil
}

// quoted reads a string in single quotes; a quote in it stands twice.
func (p *parser) quoted() (expression, error) {
	from := p.at
	var b strings.Builder
	for p.at++; p.at < len(p.text); p.at++ {
		if p.text[p.at] != '\'' {
			b.WriteByte(p.text[p.at])
			continue
		}
		if p.at++; p.peek() != '\'' {
			return literal{b.String()}, nil
		}
		b.WriteByte('\'')
	}
	p.at = from
	return nil, p.fail("the string has no end")
}

func (p *parser) call(depth int) (expression, error) {
	found := &call{name: p.name()}
	if p.take(".") {
		p.space()
		found.namespace, found.name = found.name, p.name()
	}
	if found.name == "" || !p.take("(") {
		return nil, p.fail("expected '('")
	}
	if p.take(")") {
		return found, nil
	}
	for {
		argument, err := p.expression(depth + 1)
		if err != nil {
			return nil, err
		}
		found.arguments = append(found.arguments, argument)
		switch {
		case p.take(")"):
			return found, nil
		case !p.take(","):
			return nil, p.fail("expected ',' or ')'")
		}
	}
}

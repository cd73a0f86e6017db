package tableservice

import (
	"encoding/hex"
	"strconv"
	"strings"
)

// Bounds of a $filter. Azure takes at most 15 comparisons; the depth bounds the recursion of parser and evaluation.
const (
	maxFilterLen   = 32 << 10
	maxFilterDepth = 64
)

// condition is a node of a parsed $filter.
type condition interface {
	// holds tells whether the entity satisfies the condition.
	holds(*entity) bool
}

// parseFilter reads the $filter of a query: OData 3 as far as the Table service has it ("Querying tables and entities"):
//
//	or   = and *("or" and)
//	and  = not *("and" not)
//	not  = "not" not / "(" or ")" / term [operator term]
//	term = property / literal;  operator = eq, ne, gt, ge, lt, le
func parseFilter(text string) (condition, *Fault) {
	if len(text) > maxFilterLen {
		return nil, faultInput
	}
	p := &filterParser{rest: text}
	p.next()
	parsed, ok := p.or(0)
	if !ok || p.token != tokenEnd {
		return nil, faultInput
	}
	return parsed, nil
}

type filterToken uint8

const (
	tokenEnd filterToken = iota
	tokenOpen
	tokenClose
	tokenWord    // a property or a keyword
	tokenLiteral // in filterParser.literal
	tokenBad
)

type filterParser struct {
	rest    string
	token   filterToken
	word    string
	literal value
}

// next reads one token into p.
func (p *filterParser) next() {
	p.rest = strings.TrimLeft(p.rest, " \t\r\n")
	if p.rest == "" {
		p.token = tokenEnd
		return
	}
	switch c := p.rest[0]; {
	case c == '(':
		p.token, p.rest = tokenOpen, p.rest[1:]
	case c == ')':
		p.token, p.rest = tokenClose, p.rest[1:]
	case c == '\'':
		content, rest, ok := quoted(p.rest)
		p.set(value{kind: kindString, text: content}, rest, ok)
	case c == '-' || c == '+' || c == '.' || c >= '0' && c <= '9':
		end := strings.IndexFunc(p.rest, func(r rune) bool { return r == ' ' || r == ')' || r == '(' || r == '\t' || r == '\r' || r == '\n' })
		if end < 0 {
			end = len(p.rest)
		}
		v, ok := numberLiteral(p.rest[:end])
		p.set(v, p.rest[end:], ok)
	default:
		end := 0
		for end < len(p.rest) && wordByte(p.rest[end]) {
			end++
		}
		if end == 0 {
			p.token = tokenBad
			return
		}
		p.word, p.rest = p.rest[:end], p.rest[end:]
		if strings.HasPrefix(p.rest, "'") {
			content, rest, ok := quoted(p.rest)
			v, known := typedLiteral(p.word, content)
			p.set(v, rest, ok && known)
			return
		}
		switch p.word {
		case "true", "false":
			p.set(boolValue(p.word == "true"), p.rest, true)
		default:
			p.token = tokenWord
		}
	}
}

func (p *filterParser) set(literal value, rest string, ok bool) {
	if !ok {
		p.token = tokenBad
		return
	}
	p.token, p.literal, p.rest = tokenLiteral, literal, rest
}

// wordByte takes every byte of a letter beyond ASCII too: names may have them.
func wordByte(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 0x80
}

// numberLiteral reads 12, 12L, 1.5, 1e3 and the suffixes of OData for floating numbers.
func numberLiteral(text string) (value, bool) {
	if digits, ok := strings.CutSuffix(strings.ToUpper(text), "L"); ok {
		integer, err := strconv.ParseInt(digits, 10, 64)
		return value{kind: kindInt64, integer: integer}, err == nil
	}
	if integer, err := strconv.ParseInt(text, 10, 32); err == nil {
		return value{kind: kindInt32, integer: integer}, true
	}
	if integer, err := strconv.ParseInt(text, 10, 64); err == nil {
		return value{kind: kindInt64, integer: integer}, true
	}
	v, f := doubleValue(strings.TrimRight(text, "dDfFmM"))
	return v, f == nil
}

// typedLiteral reads datetime'...', guid'...' and X'...' or binary'...'.
func typedLiteral(prefix, content string) (value, bool) {
	switch prefix {
	case "datetime":
		parsed, ok := parseTime(content)
		return value{kind: kindDateTime, time: parsed}, ok
	case "guid":
		guid, ok := parseGUID(content)
		return value{kind: kindGUID, text: guid}, ok
	case "X", "binary":
		bytes, err := hex.DecodeString(content)
		return value{kind: kindBinary, text: string(bytes)}, err == nil
	}
	return value{}, false
}

func (p *filterParser) keyword(word string) bool {
	if p.token != tokenWord || p.word != word {
		return false
	}
	p.next()
	return true
}

func (p *filterParser) or(depth int) (condition, bool) {
	left, ok := p.and(depth)
	if !ok {
		return nil, false
	}
	either := disjunction{left}
	for p.keyword("or") {
		right, ok := p.and(depth)
		if !ok {
			return nil, false
		}
		either = append(either, right)
	}
	if len(either) == 1 {
		return left, true
	}
	return either, true
}

func (p *filterParser) and(depth int) (condition, bool) {
	left, ok := p.not(depth)
	if !ok {
		return nil, false
	}
	all := conjunction{left}
	for p.keyword("and") {
		right, ok := p.not(depth)
		if !ok {
			return nil, false
		}
		all = append(all, right)
	}
	if len(all) == 1 {
		return left, true
	}
	return all, true
}

func (p *filterParser) not(depth int) (condition, bool) {
	if depth > maxFilterDepth {
		return nil, false
	}
	if p.keyword("not") {
		inner, ok := p.not(depth + 1)
		return negation{inner}, ok
	}
	if p.token == tokenOpen {
		p.next()
		inner, ok := p.or(depth + 1)
		if !ok || p.token != tokenClose {
			return nil, false
		}
		p.next()
		return inner, true
	}
	left, ok := p.term()
	if !ok {
		return nil, false
	}
	if p.token != tokenWord {
		return truth{left}, true
	}
	wanted, ok := operators[p.word]
	if !ok {
		return truth{left}, true // "and", "or", or an error that the caller finds
	}
	p.next()
	right, ok := p.term()
	return comparison{left, right, wanted}, ok
}

func (p *filterParser) term() (term, bool) {
	var read term
	switch p.token {
	case tokenWord:
		if _, operator := operators[p.word]; operator || p.word == "and" || p.word == "or" || p.word == "not" {
			return term{}, false
		}
		read = term{property: p.word}
	case tokenLiteral:
		read = term{literal: p.literal}
	default:
		return term{}, false
	}
	p.next()
	return read, true
}

package tableservice

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Limits of an entity ("Understanding the Table service data model").
const (
	maxEntitySize    = 1 << 20 // bytes by the formula of entity.size
	maxProperties    = 252     // besides PartitionKey, RowKey and Timestamp
	maxValueSize     = 64 << 10
	maxKeySize       = 1 << 10 // bytes in UTF-16
	maxPropertyName  = 255
	propertyOverhead = 8
	entityOverhead   = 4
)

// The three properties that every entity has.
const (
	namePartition = "PartitionKey"
	nameRow       = "RowKey"
	nameTimestamp = "Timestamp"
)

// key names an entity within a table. Keys compare byte by byte, partition first: the order of a query's answer.
type key struct{ partition, row string }

func (k key) compare(other key) int {
	if order := strings.Compare(k.partition, other.partition); order != 0 {
		return order
	}
	return strings.Compare(k.row, other.row)
}

// checkKeyPart refuses what a key may not hold.
func checkKeyPart(text string) *Fault {
	if textSize(text) > maxKeySize {
		return faultKeyLarge
	}
	if !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool {
		return r == '/' || r == '\\' || r == '#' || r == '?' || r < 0x20 || r >= 0x7f && r <= 0x9f
	}) {
		return faultOutOfRange
	}
	return nil
}

func (k key) check() *Fault {
	if f := checkKeyPart(k.partition); f != nil {
		return f
	}
	return checkKeyPart(k.row)
}

// property is one named value.
type property struct {
	name  string
	value value
}

// entity is one row. It is immutable once stored, so that a reader needs no copy.
type entity struct {
	key        key
	timestamp  time.Time
	properties []property // in the order in which they came
}

// etag is the entity's, weak and made of its timestamp, as Azure's.
func (e *entity) etag() string {
	return `W/"datetime'` + strings.ReplaceAll(e.timestamp.Format(timeLayout), ":", "%3A") + `'"`
}

// size is Microsoft's formula for what an entity takes, in bytes.
func (e *entity) size() int {
	size := entityOverhead + textSize(e.key.partition) + textSize(e.key.row)
	for _, p := range e.properties {
		size += propertyOverhead + textSize(p.name) + p.value.size()
	}
	return size
}

// get finds a property by name, the three of every entity included. Names depend on case.
func (e *entity) get(name string) (value, bool) {
	switch name {
	case namePartition:
		return value{kind: kindString, text: e.key.partition}, true
	case nameRow:
		return value{kind: kindString, text: e.key.row}, true
	case nameTimestamp:
		return value{kind: kindDateTime, time: e.timestamp}, true
	}
	for _, p := range e.properties {
		if p.name == name {
			return p.value, true
		}
	}
	return value{}, false
}

// merged is e with the properties of change set over its own (Merge Entity).
func (e *entity) merged(change []property) []property {
	properties := slices.Clone(e.properties)
	for _, p := range change {
		if at := slices.IndexFunc(properties, func(have property) bool { return have.name == p.name }); at >= 0 {
			properties[at].value = p.value
		} else {
			properties = append(properties, p)
		}
	}
	return properties
}

// check holds the whole entity against the limits.
func (e *entity) check() *Fault {
	if len(e.properties) > maxProperties {
		return faultTooMany
	}
	if e.size() > maxEntitySize {
		return faultEntityLarge
	}
	return nil
}

// body is an entity as a request carries it: keys may be missing where the address names them.
type body struct {
	partition, row *string
	properties     []property
}

// parseBody reads an entity in JSON: a flat object. Annotations NAME@odata.type give types; other members with odata. or
// an @, and Timestamp, are the service's own and ignored; null leaves a property out.
func parseBody(data []byte) (body, *Fault) {
	var parsed body
	members, f := parseMembers(data)
	if f != nil {
		return parsed, f
	}
	types := map[string]string{}
	for _, member := range members {
		if name, ok := strings.CutSuffix(member.name, "@odata.type"); ok {
			annotation, isText := member.value.(string)
			if !isText {
				return parsed, faultInput
			}
			types[name] = annotation
		}
	}
	for _, member := range members {
		name := member.name
		switch {
		case strings.HasPrefix(name, "odata.") || strings.Contains(name, "@") || name == nameTimestamp || member.value == nil:
		case name == namePartition || name == nameRow:
			text, isText := member.value.(string)
			if !isText {
				return parsed, faultValueType
			}
			if name == namePartition {
				parsed.partition = &text
			} else {
				parsed.row = &text
			}
		default:
			if f := checkPropertyName(name); f != nil {
				return parsed, f
			}
			v, f := parseValue(member.value, types[name])
			if f != nil {
				return parsed, f
			}
			parsed.properties = append(parsed.properties, property{name, v})
			if len(parsed.properties) > maxProperties {
				return parsed, faultTooMany
			}
		}
	}
	return parsed, nil
}

// member is one name and value of a flat JSON object; the value is a string, bool, json.Number or nil.
type member struct {
	name  string
	value any
}

// maxMembers bounds a JSON object: every property may have an annotation, and some members are ignored.
const maxMembers = 4 * maxProperties

func parseMembers(data []byte) ([]member, *Fault) {
	if !utf8.Valid(data) {
		return nil, faultInput
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	if token, err := decoder.Token(); err != nil || token != json.Delim('{') {
		return nil, faultInput
	}
	var members []member
	seen := map[string]bool{}
	for decoder.More() {
		name, err := decoder.Token()
		if err != nil {
			return nil, faultInput
		}
		text := name.(string) // the decoder lets nothing else stand where a name must
		v, err := decoder.Token()
		if _, nested := v.(json.Delim); err != nil || nested {
			return nil, faultInput
		}
		if seen[text] {
			return nil, faultDuplicateProperty
		}
		if len(members) == maxMembers {
			return nil, faultTooMany
		}
		seen[text] = true
		members = append(members, member{text, v})
	}
	if _, err := decoder.Token(); err != nil {
		return nil, faultInput
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, faultInput
	}
	return members, nil
}

// checkPropertyName holds a name against the rule: an identifier of C#.
func checkPropertyName(name string) *Fault {
	if utf8.RuneCountInString(name) > maxPropertyName {
		return faultPropertyLong
	}
	for i, r := range name {
		if r != '_' && !unicode.IsLetter(r) && (i == 0 || !unicode.IsDigit(r)) {
			return faultPropertyName
		}
	}
	if name == "" {
		return faultPropertyName
	}
	return nil
}

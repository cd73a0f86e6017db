package tableservice

import (
	"encoding/base64"
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"

	"github.com/google/uuid"
)

// kind is the type of a property, from Azure's subset of the Entity Data Model ("Property types" in Microsoft's
// "Understanding the Table service data model").
type kind uint8

const (
	kindString kind = iota
	kindBool
	kindInt32
	kindInt64
	kindDouble
	kindDateTime
	kindGUID
	kindBinary
)

var kindNames = [...]string{"Edm.String", "Edm.Boolean", "Edm.Int32", "Edm.Int64", "Edm.Double", "Edm.DateTime", "Edm.Guid", "Edm.Binary"}

func kindByName(name string) (kind, bool) {
	for k, known := range kindNames {
		if known == name {
			return kind(k), true
		}
	}
	return 0, false
}

// value is one property's value. Which field holds it follows from kind: text for strings, GUIDs (lower case) and
// binaries (the bytes); integer for bools (0, 1) and both integers; double; time.
type value struct {
	kind    kind
	text    string
	integer int64
	double  float64
	time    time.Time
}

// timeLayout is how times are written: UTC with seven digits, the 100 ns ticks of Edm.DateTime.
const timeLayout = "2006-01-02T15:04:05.0000000Z"

// timeFrom is the smallest Edm.DateTime: 1601-01-01 UTC.
var timeFrom = time.Date(1601, 1, 1, 0, 0, 0, 0, time.UTC)

func parseTime(text string) (time.Time, bool) {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "2006-01-02T15:04Z07:00", "2006-01-02T15:04", "2006-01-02"} {
		if parsed, err := time.Parse(layout, text); err == nil {
			parsed = parsed.UTC().Truncate(100 * time.Nanosecond)
			return parsed, !parsed.Before(timeFrom) && parsed.Year() <= 9999
		}
	}
	return time.Time{}, false
}

func parseGUID(text string) (string, bool) {
	if len(text) != 36 {
		return "", false
	}
	parsed, err := uuid.Parse(text)
	return parsed.String(), err == nil
}

// parseValue reads a property's JSON: a string, a json.Number or a bool, under the type that its annotation names, or
// without one ("") under the type that Azure infers.
func parseValue(raw any, annotation string) (value, *Fault) {
	if annotation == "" {
		switch raw := raw.(type) {
		case string:
			return stringValue(raw)
		case bool:
			return boolValue(raw), nil
		case json.Number:
			if integer, err := strconv.ParseInt(raw.String(), 10, 32); err == nil {
				return value{kind: kindInt32, integer: integer}, nil
			}
			return doubleValue(raw.String())
		}
		return value{}, faultInput
	}
	k, ok := kindByName(annotation)
	if !ok {
		return value{}, faultValueType
	}
	text, isText := raw.(string)
	number, isNumber := raw.(json.Number)
	if isNumber {
		text = number.String()
	}
	switch {
	case k == kindString && isText:
		return stringValue(text)
	case k == kindBool:
		if flag, ok := raw.(bool); ok {
			return boolValue(flag), nil
		}
		if flag, err := strconv.ParseBool(text); isText && err == nil {
			return boolValue(flag), nil
		}
	case k == kindInt32 && (isText || isNumber):
		if integer, err := strconv.ParseInt(text, 10, 32); err == nil {
			return value{kind: k, integer: integer}, nil
		}
	case k == kindInt64 && (isText || isNumber):
		if integer, err := strconv.ParseInt(text, 10, 64); err == nil {
			return value{kind: k, integer: integer}, nil
		}
	case k == kindDouble && (isText || isNumber):
		return doubleValue(text)
	case k == kindDateTime && isText:
		if parsed, ok := parseTime(text); ok {
			return value{kind: k, time: parsed}, nil
		}
	case k == kindGUID && isText:
		if guid, ok := parseGUID(text); ok {
			return value{kind: k, text: guid}, nil
		}
	case k == kindBinary && isText:
		if bytes, err := base64.StdEncoding.DecodeString(text); err == nil {
			if len(bytes) > maxValueSize {
				return value{}, faultPropertyLarge
			}
			return value{kind: k, text: string(bytes)}, nil
		}
	}
	return value{}, faultValueType
}

func stringValue(text string) (value, *Fault) {
	if textSize(text) > maxValueSize {
		return value{}, faultPropertyLarge
	}
	return value{kind: kindString, text: text}, nil
}

func boolValue(flag bool) value {
	if flag {
		return value{kind: kindBool, integer: 1}
	}
	return value{kind: kindBool}
}

func doubleValue(text string) (value, *Fault) {
	switch text {
	case "NaN", "Infinity", "-Infinity": // how JSON light writes what JSON has no number for
	default:
		if strings.ContainsAny(text, "xXnNpP_") { // forms that Go reads and the protocol has not
			return value{}, faultValueType
		}
	}
	number, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return value{}, faultValueType
	}
	return value{kind: kindDouble, double: number}, nil
}

// appendJSON writes the value; an annotation for its type is the caller's.
func (v value) appendJSON(to []byte) []byte {
	switch v.kind {
	case kindBool:
		return strconv.AppendBool(to, v.integer != 0)
	case kindInt32:
		return strconv.AppendInt(to, v.integer, 10)
	case kindInt64:
		return append(strconv.AppendInt(append(to, '"'), v.integer, 10), '"')
	case kindDouble:
		switch {
		case math.IsNaN(v.double):
			return append(to, `"NaN"`...)
		case math.IsInf(v.double, 1):
			return append(to, `"Infinity"`...)
		case math.IsInf(v.double, -1):
			return append(to, `"-Infinity"`...)
		}
		start := len(to)
		to = strconv.AppendFloat(to, v.double, 'g', -1, 64)
		if !strings.ContainsAny(string(to[start:]), ".e") { // without a point it would be read back as Edm.Int32
			to = append(to, ".0"...)
		}
		return to
	case kindDateTime:
		return append(v.time.AppendFormat(append(to, '"'), timeLayout), '"')
	case kindBinary:
		return append(base64.StdEncoding.AppendEncode(append(to, '"'), []byte(v.text)), '"')
	}
	return appendText(to, v.text)
}

// annotated tells whether the type needs an annotation, since JSON alone would not tell it.
func (v value) annotated() bool {
	switch v.kind {
	case kindInt64, kindDateTime, kindGUID, kindBinary:
		return true
	case kindDouble:
		return math.IsNaN(v.double) || math.IsInf(v.double, 0)
	}
	return false
}

// size is what the value counts toward maxEntitySize, in bytes, by Microsoft's formula.
func (v value) size() int {
	switch v.kind {
	case kindString:
		return textSize(v.text) + 4
	case kindBool:
		return 1
	case kindInt32:
		return 4
	case kindGUID:
		return 16
	case kindBinary:
		return len(v.text) + 4
	}
	return 8
}

// textSize is the length of text in UTF-16, in bytes, which is how the service counts.
func textSize(text string) int {
	units := 0
	for _, r := range text {
		units += max(utf16.RuneLen(r), 1)
	}
	return 2 * units
}

// appendText writes text as a JSON string.
func appendText(to []byte, text string) []byte {
	quoted, err := json.Marshal(text)
	if err != nil { // unreachable: every string marshals
		return append(to, `""`...)
	}
	return append(to, quoted...)
}

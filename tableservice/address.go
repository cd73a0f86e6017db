package tableservice

import (
	"strings"
)

// resourceKind is what the path of a request names.
type resourceKind uint8

const (
	resourceService  resourceKind = iota // "/"
	resourceTables                       // "/Tables"
	resourceTable                        // "/Tables('NAME')"
	resourceEntities                     // "/NAME" or "/NAME()"
	resourceEntity                       // "/NAME(PartitionKey='...',RowKey='...')"
	resourceBatch                        // "/$batch"
)

// resource is a parsed path.
type resource struct {
	kind  resourceKind
	table string // as the client spelled it
	key   key
}

// parsePath reads the path of a request, already freed of its percent signs: keys stand in single quotes, a quote within
// one is doubled, and a slash within one is no separator.
func parsePath(path string) (resource, *Fault) {
	text, ok := strings.CutPrefix(path, "/")
	switch {
	case !ok:
		return resource{}, faultURI
	case text == "":
		return resource{kind: resourceService}, nil
	case text == "$batch":
		return resource{kind: resourceBatch}, nil
	}
	name, arguments, hasArguments := strings.Cut(text, "(")
	if hasArguments {
		if arguments, ok = strings.CutSuffix(arguments, ")"); !ok {
			return resource{}, faultURI
		}
	}
	if strings.EqualFold(name, "Tables") {
		if arguments == "" {
			return resource{kind: resourceTables}, nil
		}
		table, rest, ok := quoted(arguments)
		if !ok || rest != "" {
			return resource{}, faultURI
		}
		return resource{kind: resourceTable, table: table}, checkTableName(table)
	}
	if f := checkTableName(name); f != nil {
		return resource{}, f
	}
	if arguments == "" {
		return resource{kind: resourceEntities, table: name}, nil
	}
	named, f := parseKey(arguments)
	return resource{kind: resourceEntity, table: name, key: named}, f
}

// parseKey reads PartitionKey='...',RowKey='...' in either order.
func parseKey(text string) (key, *Fault) {
	var parsed key
	var have [2]bool
	for part := range 2 {
		if part == 1 {
			rest, ok := strings.CutPrefix(text, ",")
			if !ok {
				return key{}, faultURI
			}
			text = rest
		}
		name, rest, ok := strings.Cut(text, "=")
		if !ok {
			return key{}, faultURI
		}
		content, rest, ok := quoted(rest)
		if !ok {
			return key{}, faultURI
		}
		text = rest
		switch strings.TrimSpace(name) {
		case namePartition:
			parsed.partition, have[0] = content, true
		case nameRow:
			parsed.row, have[1] = content, true
		default:
			return key{}, faultURI
		}
	}
	if text != "" || !have[0] || !have[1] {
		return key{}, faultURI
	}
	return parsed, parsed.check()
}

// quoted reads a string in single quotes at the beginning of text, with doubled quotes for one, and gives the rest.
func quoted(text string) (content, rest string, ok bool) {
	if text == "" || text[0] != '\'' {
		return "", "", false
	}
	var builder strings.Builder
	for i := 1; i < len(text); i++ {
		if text[i] != '\'' {
			builder.WriteByte(text[i])
			continue
		}
		if i+1 == len(text) || text[i+1] != '\'' {
			return builder.String(), text[i+1:], true
		}
		builder.WriteByte('\'')
		i++
	}
	return "", "", false
}

// checkTableName holds a name against the rule: 3 to 63 letters and digits, a letter first, and not "tables".
func checkTableName(name string) *Fault {
	if strings.EqualFold(name, "tables") {
		return faultResourceName
	}
	if len(name) < 3 || len(name) > 63 {
		return fault(400, "OutOfRangeInput", "The specified resource name length is not within the permissible limits.")
	}
	for i, c := range []byte(name) {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return faultResourceName
		}
	}
	return nil
}

package tableservice

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"
)

func equalNames(one, other string) bool { return strings.EqualFold(one, other) }

// Continuations are opaque to clients: "1!" and the text in base64url, so that any key stands in a header.
func encodeContinuation(text string) string {
	return "1!" + base64.RawURLEncoding.EncodeToString([]byte(text))
}

func decodeContinuation(token string) (string, *Fault) {
	if token == "" {
		return "", nil
	}
	coded, ok := strings.CutPrefix(token, "1!")
	text, err := base64.RawURLEncoding.DecodeString(coded)
	if !ok || err != nil || !utf8.Valid(text) {
		return "", faultInput
	}
	return string(text), nil
}

// maxSelected bounds the names of a $select.
const maxSelected = maxProperties + 3

// parseSelect reads $select; nil is every property.
func parseSelect(query url.Values) ([]string, *Fault) {
	text := query.Get("$select")
	if text == "" || text == "*" {
		return nil, nil
	}
	names := strings.SplitN(text, ",", maxSelected+1)
	if len(names) > maxSelected {
		return nil, faultInput
	}
	seen := map[string]bool{}
	selected := []string{}
	for _, name := range names {
		name = strings.TrimSpace(name)
		if checkPropertyName(name) != nil {
			return nil, faultInput
		}
		if !seen[name] {
			seen[name] = true
			selected = append(selected, name)
		}
	}
	return selected, nil
}

// queryEntities is Query Entities.
func (c *call) queryEntities(query url.Values) *Fault {
	top, f := parseTop(query)
	if f != nil {
		return f
	}
	selected, f := parseSelect(query)
	if f != nil {
		return f
	}
	holds := func(*entity) bool { return true }
	if text := query.Get("$filter"); text != "" {
		filter, f := parseFilter(text)
		if f != nil {
			return f
		}
		holds = filter.holds
	}
	var from key
	if from.partition, f = decodeContinuation(query.Get("NextPartitionKey")); f != nil {
		return f
	}
	if from.row, f = decodeContinuation(query.Get("NextRowKey")); f != nil {
		return f
	}
	entities, next, f := c.account.query(c.resource.table, from, top, holds)
	if f != nil {
		return f
	}
	if next != nil {
		c.writer.Header().Set("x-ms-continuation-NextPartitionKey", encodeContinuation(next.partition))
		c.writer.Header().Set("x-ms-continuation-NextRowKey", encodeContinuation(next.row))
	}
	c.writeList(c.resource.table, len(entities), func(to []byte, i int) []byte {
		return c.appendEntity(to, c.resource.table, entities[i], selected, false)
	})
	return nil
}

// getEntity is Query Entities with both keys in the address.
func (c *call) getEntity(query url.Values) *Fault {
	selected, f := parseSelect(query)
	if f != nil {
		return f
	}
	e, f := c.account.get(c.resource.table, c.resource.key)
	if f != nil {
		return f
	}
	c.writer.Header().Set("ETag", e.etag())
	c.write(http.StatusOK, c.appendEntity(nil, c.resource.table, e, selected, true))
	return nil
}

// writeEntity is every change of one entity.
func (c *call) writeEntity(method string) *Fault {
	changed, f := parseChange(c.request, method, c.resource)
	if f != nil {
		return f
	}
	entities, _, f := c.account.apply(c.resource.table, []change{changed}, c.now)
	if f != nil {
		return f
	}
	header := c.writer.Header()
	switch changed.kind {
	case changeDelete:
		c.write(http.StatusNoContent, nil)
	case changeInsert:
		header.Set("ETag", entities[0].etag())
		header.Set("Location", c.base+"/"+entityAddress(c.resource.table, changed.key))
		if !c.preference() {
			header.Set("DataServiceId", header.Get("Location"))
			c.write(http.StatusNoContent, nil)
			return nil
		}
		c.write(http.StatusCreated, c.appendEntity(nil, c.resource.table, entities[0], nil, true))
	default:
		header.Set("ETag", entities[0].etag())
		c.write(http.StatusNoContent, nil)
	}
	return nil
}

// parseChange reads the change that a request asks for: from method and address what, from the body the properties. A
// batch has the same requests inside.
func parseChange(r *http.Request, method string, where resource) (change, *Fault) {
	c := change{key: where.key, match: r.Header.Get("If-Match")}
	switch {
	case where.kind == resourceEntities && method == http.MethodPost:
		c.kind, c.match = changeInsert, ""
	case where.kind != resourceEntity:
		return c, faultMethod
	case method == http.MethodDelete:
		if c.match == "" {
			return c, faultNoMatchHeader
		}
		c.kind = changeDelete
		return c, nil
	case method == http.MethodPut:
		c.kind = changeReplace
	case method == http.MethodPatch || method == "MERGE":
		c.kind = changeMerge
	default:
		return c, faultMethod
	}
	data, f := readBody(r, maxBody)
	if f != nil {
		return c, f
	}
	parsed, f := parseBody(data)
	if f != nil {
		return c, f
	}
	c.properties = parsed.properties
	if c.kind != changeInsert {
		if parsed.partition != nil && *parsed.partition != c.key.partition || parsed.row != nil && *parsed.row != c.key.row {
			return c, faultInput
		}
		return c, nil
	}
	if parsed.partition == nil || parsed.row == nil {
		return c, faultNeedValue
	}
	c.key = key{*parsed.partition, *parsed.row}
	return c, c.key.check()
}

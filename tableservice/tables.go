package tableservice

import (
	"net/http"
	"net/url"
	"strconv"
)

// pageSize is the most that one answer holds, and what it holds without $top.
const pageSize = 1000

// parseTop reads $top: 1 to pageSize.
func parseTop(query url.Values) (int, *Fault) {
	text := query.Get("$top")
	if text == "" {
		return pageSize, nil
	}
	top, err := strconv.Atoi(text)
	if err != nil || top < 1 || top > pageSize {
		return 0, faultInput
	}
	return top, nil
}

// listTables is Query Tables.
func (c *call) listTables(query url.Values) *Fault {
	top, f := parseTop(query)
	if f != nil {
		return f
	}
	from, f := decodeContinuation(query.Get("NextTableName"))
	if f != nil {
		return f
	}
	matches := func(string) bool { return true }
	if text := query.Get("$filter"); text != "" {
		filter, f := parseFilter(text)
		if f != nil {
			return f
		}
		matches = func(name string) bool {
			return filter.holds(&entity{properties: []property{{"TableName", value{kind: kindString, text: name}}}})
		}
	}
	names, next := c.account.listTables(from, top, matches)
	if next != "" {
		c.writer.Header().Set("x-ms-continuation-NextTableName", encodeContinuation(next))
	}
	c.writeList("Tables", len(names), func(to []byte, i int) []byte { return c.appendTable(to, names[i], false) })
	return nil
}

// createTable is Create Table.
func (c *call) createTable() *Fault {
	data, f := readBody(c.request, maxBody)
	if f != nil {
		return f
	}
	members, f := parseMembers(data)
	if f != nil {
		return f
	}
	var name string
	for _, m := range members {
		if text, ok := m.value.(string); ok && m.name == "TableName" {
			name = text
		}
	}
	if name == "" {
		return faultNeedValue
	}
	if f := checkTableName(name); f != nil {
		return f
	}
	if f := c.account.createTable(name); f != nil {
		return f
	}
	header := c.writer.Header()
	header.Set("Location", c.base+"/Tables('"+name+"')")
	if !c.preference() {
		header.Set("DataServiceId", c.base+"/Tables('"+name+"')")
		c.write(http.StatusNoContent, nil)
		return nil
	}
	c.write(http.StatusCreated, c.appendTable(nil, name, true))
	return nil
}

// getTable answers about one table.
func (c *call) getTable() *Fault {
	names, _ := c.account.listTables(c.resource.table, 1, func(string) bool { return true })
	if len(names) == 0 || !equalNames(names[0], c.resource.table) {
		return faultNotFound
	}
	c.write(http.StatusOK, c.appendTable(nil, names[0], true))
	return nil
}

// deleteTable is Delete Table. Unlike Azure's it is done when it answers, so there is no TableBeingDeleted.
func (c *call) deleteTable() *Fault {
	if f := c.account.deleteTable(c.resource.table); f != nil {
		return f
	}
	c.write(http.StatusNoContent, nil)
	return nil
}

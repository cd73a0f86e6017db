package tableservice

import (
	"bytes"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// metadata is how much OData control information an answer carries ("Payload format for Table service operations").
type metadata uint8

const (
	metadataNone metadata = iota
	metadataMinimal
	metadataFull
)

func (m metadata) contentType() string {
	return "application/json;odata=" + [...]string{"nometadata", "minimalmetadata", "fullmetadata"}[m] + ";streaming=true;charset=utf-8"
}

// chooseMetadata reads $format, which goes first, or the Accept header. Without either it is minimal.
func chooseMetadata(format, accept string) (metadata, *Fault) {
	if format == "" {
		format = accept
	}
	if format == "" {
		return metadataMinimal, nil
	}
	atom := false
	for option := range strings.SplitSeq(format, ",") {
		media, parameters, err := mime.ParseMediaType(option)
		if err != nil {
			continue
		}
		switch media {
		case "application/json", "application/*", "*/*", "json":
			switch parameters["odata"] {
			case "nometadata":
				return metadataNone, nil
			case "fullmetadata":
				return metadataFull, nil
			case "minimalmetadata", "":
				return metadataMinimal, nil
			}
		case "application/atom+xml":
			atom = true
		}
	}
	if atom {
		return 0, faultAtom
	}
	return 0, faultMediaType
}

// object writes the members of one JSON object.
type object struct {
	buffer []byte
	some   bool
}

func (o *object) name(name string) {
	if o.some {
		o.buffer = append(o.buffer, ',')
	}
	o.some = true
	o.buffer = append(appendText(o.buffer, name), ':')
}

func (o *object) text(name, text string) {
	o.name(name)
	o.buffer = appendText(o.buffer, text)
}

// appendEntity writes an entity. selected lists the properties to write, nil all; root tells that the entity is the whole
// answer and so names its metadata itself.
func (c *call) appendEntity(to []byte, tableName string, e *entity, selected []string, root bool) []byte {
	o := object{buffer: append(to, '{')}
	if c.metadata != metadataNone {
		if root {
			o.text("odata.metadata", c.base+"/$metadata#"+tableName+"/@Element")
		}
		if c.metadata == metadataFull {
			o.text("odata.type", c.name+"."+tableName)
			o.text("odata.id", c.base+"/"+entityAddress(tableName, e.key))
		}
		o.text("odata.etag", e.etag())
		if c.metadata == metadataFull {
			o.text("odata.editLink", entityAddress(tableName, e.key))
		}
	}
	write := func(name string, v value) {
		if c.metadata == metadataFull && v.annotated() || c.metadata == metadataMinimal && v.annotated() && name != nameTimestamp {
			o.text(name+"@odata.type", kindNames[v.kind])
		}
		o.name(name)
		o.buffer = v.appendJSON(o.buffer)
	}
	if selected != nil {
		for _, name := range selected {
			if v, ok := e.get(name); ok {
				write(name, v)
			}
		}
		return append(o.buffer, '}')
	}
	for _, name := range []string{namePartition, nameRow, nameTimestamp} {
		v, _ := e.get(name)
		write(name, v)
	}
	for _, p := range e.properties {
		write(p.name, p.value)
	}
	return append(o.buffer, '}')
}

// entityAddress is the entity's path below the service.
func entityAddress(tableName string, k key) string {
	escape := func(text string) string { return url.PathEscape(strings.ReplaceAll(text, "'", "''")) }
	return tableName + "(PartitionKey='" + escape(k.partition) + "',RowKey='" + escape(k.row) + "')"
}

// appendTable writes one table of a list, or the answer about one.
func (c *call) appendTable(to []byte, tableName string, root bool) []byte {
	o := object{buffer: append(to, '{')}
	if c.metadata != metadataNone && root {
		o.text("odata.metadata", c.base+"/$metadata#Tables/@Element")
	}
	if c.metadata == metadataFull {
		o.text("odata.type", c.name+".Tables")
		o.text("odata.id", c.base+"/Tables('"+tableName+"')")
		o.text("odata.editLink", "Tables('"+tableName+"')")
	}
	o.text("TableName", tableName)
	return append(o.buffer, '}')
}

// writeList writes {"value":[...]}.
func (c *call) writeList(about string, count int, item func(to []byte, i int) []byte) {
	o := object{buffer: []byte{'{'}}
	if c.metadata != metadataNone {
		o.text("odata.metadata", c.base+"/$metadata#"+about)
	}
	o.name("value")
	o.buffer = append(o.buffer, '[')
	for i := range count {
		if i > 0 {
			o.buffer = append(o.buffer, ',')
		}
		o.buffer = item(o.buffer, i)
	}
	c.write(http.StatusOK, append(o.buffer, ']', '}'))
}

func (c *call) write(status int, body []byte) {
	header := c.writer.Header()
	header.Set("X-Content-Type-Options", "nosniff")
	if body == nil {
		header.Set("Content-Length", "0")
		if status == http.StatusNoContent {
			header.Del("Content-Length") // RFC 9110 section 8.6
		}
		c.writer.WriteHeader(status)
		return
	}
	header.Set("Content-Type", c.metadata.contentType())
	header.Set("Content-Length", strconv.Itoa(len(body)))
	c.writer.WriteHeader(status)
	_, _ = bytes.NewReader(body).WriteTo(c.writer) // the client is gone: nothing to tell it
}

// preference reads Prefer for a POST: whether the answer shall hold the new content, which it does by default.
func (c *call) preference() (content bool) {
	switch prefer := strings.ToLower(strings.TrimSpace(c.request.Header.Get("Prefer"))); prefer {
	case "return-no-content", "return-content":
		c.writer.Header().Set("Preference-Applied", prefer)
		return prefer == "return-content"
	}
	return true
}

package tableservice

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"net/url"
	"strings"

	"github.com/google/uuid"
)

// maxBatchChanges is how many entities one transaction may change.
const maxBatchChanges = 100

// faultBatch is a batch that cannot be read.
func faultBatch(why string) *Fault {
	return fault(http.StatusBadRequest, "InvalidInput", "The batch request is not valid: "+why+".")
}

// batch is an entity group transaction ("Performing entity group transactions"): multipart/mixed with one change set,
// whose parts are requests that change entities of one partition of one table, all or none.
func (c *call) batch() *Fault {
	data, f := readAll(c.request, maxBatch)
	if f != nil {
		return f
	}
	requests, f := splitBatch(c.request.Header.Get("Content-Type"), data)
	if f != nil {
		return f
	}
	var changes []change
	var tableName string
	for i, r := range requests {
		where, changed, f := c.parsePart(r)
		switch {
		case f != nil:
		case i > 0 && !equalNames(where.table, tableName):
			f = faultBatch("its changes are to different tables")
		case i > 0 && changed.key.partition != changes[0].key.partition:
			f = faultBatchPartition
		}
		if f != nil {
			c.writeBatchFault(i, f)
			return nil
		}
		tableName = where.table
		changes = append(changes, changed)
	}
	entities, failed, f := c.account.apply(tableName, changes, c.now)
	if f != nil {
		c.writeBatchFault(failed, f)
		return nil
	}
	answers := make([]string, len(changes))
	for i, e := range entities {
		var answer strings.Builder
		answer.WriteString("HTTP/1.1 204 No Content\r\nX-Content-Type-Options: nosniff\r\nCache-Control: no-cache\r\nDataServiceVersion: 1.0;\r\n")
		if e != nil {
			fmt.Fprintf(&answer, "ETag: %s\r\n", e.etag())
		}
		if changes[i].kind == changeInsert {
			address := c.base + "/" + entityAddress(tableName, e.key)
			fmt.Fprintf(&answer, "Preference-Applied: return-no-content\r\nLocation: %s\r\nDataServiceId: %s\r\n", address, address)
		}
		answer.WriteString("\r\n")
		answers[i] = answer.String()
	}
	c.writeBatch(answers)
	return nil
}

// parsePart reads one request of a change set.
func (c *call) parsePart(r *http.Request) (resource, change, *Fault) {
	where, f := c.parsePath(r.URL)
	if f != nil {
		return where, change{}, f
	}
	if r.Method == http.MethodGet {
		return where, change{}, notImplemented("a query in a batch")
	}
	changed, f := parseChange(r, r.Method, where)
	return where, changed, f
}

// splitBatch takes the requests out of a batch: boundary within boundary within request.
func splitBatch(contentType string, data []byte) ([]*http.Request, *Fault) {
	outer, f := multipartOf(contentType, data)
	if f != nil {
		return nil, f
	}
	part, err := outer.NextRawPart()
	if err != nil {
		return nil, faultBatch("it has no part")
	}
	if strings.HasPrefix(part.Header.Get("Content-Type"), "application/http") {
		return nil, notImplemented("a query in a batch")
	}
	content, err := io.ReadAll(part)
	if err != nil {
		return nil, faultBatch("its change set has no end")
	}
	inner, f := multipartOf(part.Header.Get("Content-Type"), content)
	if f != nil {
		return nil, f
	}
	if _, err := outer.NextRawPart(); !errors.Is(err, io.EOF) {
		return nil, faultBatch("it has more than one change set")
	}
	var requests []*http.Request
	for {
		part, err := inner.NextRawPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, faultBatch("its change set has no end")
		}
		if len(requests) == maxBatchChanges {
			return nil, faultBatch("it has more than 100 changes")
		}
		content, err := io.ReadAll(part)
		if err != nil {
			return nil, faultBatch("a change has no end")
		}
		request, f := parseRequest(content)
		if f != nil {
			return nil, f
		}
		requests = append(requests, request)
	}
	if len(requests) == 0 {
		return nil, faultBatch("it has no change")
	}
	return requests, nil
}

func multipartOf(contentType string, data []byte) (*multipart.Reader, *Fault) {
	media, parameters, err := mime.ParseMediaType(contentType)
	if err != nil || media != "multipart/mixed" || parameters["boundary"] == "" {
		return nil, faultBatch("its content type is not multipart/mixed with a boundary")
	}
	return multipart.NewReader(bytes.NewReader(data), parameters["boundary"]), nil
}

// parseRequest reads METHOD URL HTTP/1.1, headers, and the rest as body. http.ReadRequest would want a length, which clients
// leave out here.
func parseRequest(data []byte) (*http.Request, *Fault) {
	reader := textproto.NewReader(bufio.NewReader(bytes.NewReader(data)))
	line, err := reader.ReadLine()
	if err != nil {
		return nil, faultBatch("a change is empty")
	}
	method, rest, ok := strings.Cut(line, " ")
	address, version, ok2 := strings.Cut(rest, " ")
	if !ok || !ok2 || !strings.HasPrefix(version, "HTTP/1.") {
		return nil, faultBatch("a change does not begin with a request line")
	}
	parsed, err := url.Parse(address)
	if err != nil {
		return nil, faultURI
	}
	header, err := reader.ReadMIMEHeader()
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, faultBatch("a change's headers cannot be read")
	}
	content, err := io.ReadAll(reader.R)
	if err != nil {
		return nil, faultBatch("a change has no end")
	}
	return &http.Request{Method: method, URL: parsed, Header: http.Header(header),
		ContentLength: int64(len(content)), Body: io.NopCloser(bytes.NewReader(content))}, nil
}

// writeBatchFault answers a failed transaction: one part, the fault with the index of the change before its message.
func (c *call) writeBatchFault(index int, f *Fault) {
	indexed := *f
	indexed.Message = fmt.Sprintf("%d:%s", index, f.Message)
	body := faultBody(&indexed, c.writer.Header().Get(headerRequestID), c.now)
	c.writeBatch([]string{fmt.Sprintf("HTTP/1.1 %d %s\r\nx-ms-error-code: %s\r\nX-Content-Type-Options: nosniff\r\n"+
		"Content-Type: %s\r\nContent-Length: %d\r\n\r\n%s",
		f.Status, http.StatusText(f.Status), f.Code, metadataMinimal.contentType(), len(body), body)})
}

// writeBatch writes the answers as a change set within a batch: 202, whatever they say.
func (c *call) writeBatch(answers []string) {
	var buffer bytes.Buffer
	batch, set := "batchresponse_"+uuid.NewString(), "changesetresponse_"+uuid.NewString()
	fmt.Fprintf(&buffer, "--%s\r\nContent-Type: multipart/mixed; boundary=%s\r\n\r\n", batch, set)
	for _, answer := range answers {
		fmt.Fprintf(&buffer, "--%s\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n%s\r\n", set, answer)
	}
	fmt.Fprintf(&buffer, "--%s--\r\n--%s--\r\n", set, batch)
	c.writer.Header().Set("Content-Type", "multipart/mixed; boundary="+batch)
	c.writer.WriteHeader(http.StatusAccepted)
	_, _ = buffer.WriteTo(c.writer) // the client is gone: nothing to tell it
}

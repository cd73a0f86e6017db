// Package tableservice is a small Azure Table Storage: enough of its REST API that the official clients create tables and
// insert, query, change and delete entities. It answers from memory and keeps everything in a file. The names, limits and faults are those of
// Microsoft's "Table service REST API"; what it has not (SAS, access policies, service properties, queries in a batch) it
// answers with 501 NotImplemented or 403, never with a guess.
package tableservice

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
)

// Bounds of a request's body in bytes: an entity in JSON, and a batch (Azure: 4 MiB).
const (
	maxBody  = 2 << 20
	maxBatch = 4 << 20
)

// DefaultAccountBytes bounds an account's entities together when Options does not.
const DefaultAccountBytes = 256 << 20

// Options are what a Service is made of.
type Options struct {
	// Suffix of the accounts' names: "core.windows.net" makes ACCOUNT.table.core.windows.net.
	Suffix string

	// Authorizer judges every request. It is needed: there is no service for everybody.
	Authorizer Authorizer

	// Path is the file that keeps everything: what was answered is in it, whatever becomes of the process. "": memory alone.
	Path string

	// AccountBytes bounds the entities of one account together, by Microsoft's formula; 0 is DefaultAccountBytes.
	AccountBytes int

	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// Service is the http.Handler. The account comes from the Host header, or from the path (ByPath). It is safe for
// concurrent use.
type Service struct {
	options Options
	disk    *disk

	mu       sync.Mutex
	accounts map[string]*account // by lower-case name
	owners   map[string]string   // of the accounts that there are; nil: nobody has said
}

// New makes a service with what its file has. It fails where the file cannot be read, or another process has it.
func New(options Options) (*Service, error) {
	switch {
	case options.Suffix == "":
		return nil, errors.New("make a table service: no suffix of the accounts' names given")
	case options.Authorizer == nil:
		return nil, errors.New("make a table service: no authorizer given")
	}
	if options.AccountBytes == 0 {
		options.AccountBytes = DefaultAccountBytes
	}
	if options.Now == nil {
		options.Now = time.Now
	}
	options.Suffix = strings.ToLower(strings.Trim(options.Suffix, "."))
	s := &Service{options: options}
	var err error
	if options.Path != "" {
		if s.disk, err = openDisk(options.Path); err != nil {
			return nil, err
		}
	}
	if s.accounts, err = s.disk.load(options.AccountBytes); err != nil {
		return nil, errors.Join(fmt.Errorf("open tables %s: %w", options.Path, err), s.disk.close())
	}
	return s, nil
}

// Close ends the service's file. Requests that come afterwards, and want to write, are answered with a fault.
func (s *Service) Close() error { return s.disk.close() }

// call is one request on its way through the service.
type call struct {
	service  *Service
	account  *account
	name     string // of the account
	base     string // "https://ACCOUNT.table.SUFFIX", or "http://HOST/ACCOUNT"
	writer   http.ResponseWriter
	request  *http.Request
	resource resource
	metadata metadata
	now      time.Time
}

// ServeHTTP answers one request.
func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	now := s.options.Now()
	s.setCommon(w.Header(), r)
	name, base, ok := s.addressed(r)
	if !ok {
		writeFault(w, fault(http.StatusBadRequest, "InvalidUri",
			"The host of the request is not ACCOUNT.table."+s.options.Suffix+"."), now)
		return
	}
	if err := s.options.Authorizer.Authorize(r, name); err != nil {
		var refused *Fault
		if !errors.As(err, &refused) {
			refused = faultAuthentication(err.Error())
		}
		writeFault(w, refused, now)
		return
	}
	held := s.account(name)
	if held == nil {
		writeFault(w, faultGone, now)
		return
	}
	c := &call{service: s, account: held, name: name, base: base, writer: w, request: r, now: now}
	if f := c.serve(); f != nil {
		writeFault(w, f, now)
	}
}

// setCommon sets the headers that every answer has.
func (s *Service) setCommon(header http.Header, r *http.Request) {
	header.Set("Server", "Postern-Table/1.0")
	header.Set(headerRequestID, uuid.NewString())
	header.Set("x-ms-version", "2019-02-02")
	if version := r.Header.Get("x-ms-version"); version != "" && clean(version) != "" && len(version) <= 10 {
		header.Set("x-ms-version", version)
	}
	if id := clean(r.Header.Get("x-ms-client-request-id")); id != "" {
		header.Set("x-ms-client-request-id", id)
	}
	header.Set("Cache-Control", "no-cache")
}

// serve finds what the request asks for. A fault that it gives has not been written yet.
func (c *call) serve() *Fault {
	var f *Fault
	if c.resource, f = c.parsePath(c.request.URL); f != nil {
		return f
	}
	query := c.request.URL.Query()
	if comp := query.Get("comp"); comp != "" {
		return notImplemented("comp=" + comp)
	}
	if c.resource.kind == resourceBatch {
		if c.request.Method != http.MethodPost {
			return faultMethod
		}
		return c.batch()
	}
	if c.metadata, f = chooseMetadata(query.Get("$format"), c.request.Header.Get("Accept")); f != nil {
		return f
	}
	method, f := tunnelled(c.request)
	if f != nil {
		return f
	}
	switch {
	case c.resource.kind == resourceTables && method == http.MethodGet:
		return c.listTables(query)
	case c.resource.kind == resourceTables && method == http.MethodPost:
		return c.createTable()
	case c.resource.kind == resourceTable && method == http.MethodGet:
		return c.getTable()
	case c.resource.kind == resourceTable && method == http.MethodDelete:
		return c.deleteTable()
	case c.resource.kind == resourceEntities && method == http.MethodGet:
		return c.queryEntities(query)
	case c.resource.kind == resourceEntity && method == http.MethodGet:
		return c.getEntity(query)
	case c.resource.kind == resourceEntities && method == http.MethodPost, c.resource.kind == resourceEntity:
		return c.writeEntity(method)
	case c.resource.kind == resourceService:
		return notImplemented("the service's own properties")
	}
	return faultMethod
}

// tunnelled gives the method that a POST means by X-HTTP-Method, which clients behind old proxies use for MERGE.
func tunnelled(r *http.Request) (string, *Fault) {
	means := r.Header.Get("X-HTTP-Method")
	switch {
	case means == "":
		return r.Method, nil
	case r.Method != http.MethodPost:
		return "", fault(http.StatusBadRequest, "XMethodNotUsingPost", "The request uses X-HTTP-Method with an HTTP verb other than POST.")
	case means == "MERGE" || means == http.MethodPatch || means == http.MethodPut || means == http.MethodDelete:
		return means, nil
	}
	return "", fault(http.StatusBadRequest, "XMethodIncorrectValue", "The specified X-HTTP-Method is invalid.")
}

// readBody reads a JSON body within its bound.
func readBody(r *http.Request, limit int64) ([]byte, *Fault) {
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch {
	case r.Header.Get("Content-Type") == "": // taken as JSON, the only form that there is
	case err != nil || media != "application/json":
		return nil, faultMediaType
	}
	return readAll(r, limit)
}

func readAll(r *http.Request, limit int64) ([]byte, *Fault) {
	if r.ContentLength > limit {
		return nil, faultBodyLarge
	}
	data, err := io.ReadAll(io.LimitReader(r.Body, limit+1))
	switch {
	case err != nil:
		return nil, faultInput
	case int64(len(data)) > limit:
		return nil, faultBodyLarge
	}
	return data, nil
}

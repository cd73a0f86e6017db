package service

import (
	"encoding/json"
	"net/http"
	"net/netip"
	"time"

	"postern/firewall"
	"postern/model"
)

// HTTP is how a service speaks HTTP, where the gateway answers for it.
type HTTP struct {
	// RequestID is the header that names a request in answers: "X-Ms-Request-Id". ErrorCode is the header that has an
	// error's code, for the log. "": there is none. Both in canonical form.
	RequestID, ErrorCode string

	// Operation names what a request to a sub-service asks for, for the log; nil: its method.
	Operation func(part string, r *http.Request) string

	// Refuse makes the answer that the service itself would give (FW-12).
	Refuse func(*Denial) Response

	// ByPath reads a request in path style: one whose Host is an address or a single label, and that came to an address of
	// the service's. port is the one that was dialled, path the request's, escaped. label is the instance's name, which is
	// the path's first segment, written as it is; part the sub-service, also where ok is false: the path names nobody. nil:
	// the service's instances are known by names alone.
	ByPath func(port uint16, path string) (label, part string, ok bool)
}

// Response is an answer of HTTP. Content-Length, Server and the request's id are added to the header.
type Response struct {
	Status int
	Header http.Header
	Body   []byte
}

// Fault is why the gateway answers instead of the backend: a closed set.
type Fault uint8

// The faults.
const (
	Forbidden      Fault = iota // the instance's rules, or a policy of the caller's, do not let it in (FW-12)
	NoSuchName                  // the name that was asked for is none of a service's
	NoSuchInstance              // it is well formed, and nobody has it
	Misdirected                 // it is another's than the connection was made for, or another region's
	BadMethod                   // a method that is not for services: CONNECT
	NotServed                   // the instance has no backend
	BackendDown                 // the backends do not answer
)

// statuses are the statuses of HTTP that faults usually have.
var statuses = [...]int{http.StatusForbidden, http.StatusBadRequest, http.StatusNotFound, http.StatusMisdirectedRequest,
	http.StatusMethodNotAllowed, http.StatusNotImplemented, http.StatusServiceUnavailable}

// Status is the status of HTTP that a fault usually has.
func (f Fault) Status() int { return statuses[f] }

// words are the codes of faults in the log, where a protocol has none of its own.
var words = [...]string{"Forbidden", "NoSuchName", "NoSuchInstance", "Misdirected", "BadMethod", "NotServed", "BackendDown"}

func (f Fault) String() string { return words[f] }

// Denial is all that a service needs to say no in its own words.
type Denial struct {
	Fault     Fault
	Decision  firewall.Decision // of a Forbidden
	Kind      firewall.Kind     // of the caller
	Caller    netip.AddrPort    // as the service sees it: private when it came by an endpoint
	Subnet    model.ResourceID  // of an endpoint caller
	Host      string            // that was asked for, as it was written
	Instance  string            // its name; "" where nothing is known
	Part      string            // sub-service; "" where nothing is known
	Request   *http.Request     // of HTTP; nil otherwise. Its body is not to be read
	RequestID string
	Time      time.Time
}

// DefaultHTTP are the words of a service that has none of its own: {"error":{"code","message"}}.
var DefaultHTTP = HTTP{Refuse: func(d *Denial) Response {
	return ErrorJSON(d.Fault.Status(), d.Fault.String(), Sentence(d))
}}

// Sentence says in plain words why a caller is refused. It names no rule: a caller is not told what would let it in.
func Sentence(d *Denial) string {
	switch d.Fault {
	case Forbidden:
		return "This request is not authorized to perform this operation."
	case NoSuchName, NoSuchInstance:
		return "There is no service of this name."
	case Misdirected:
		return "The name is served elsewhere: open a connection of its own."
	case BadMethod:
		return "The method is not allowed."
	case NotServed:
		return "The service has no backend."
	}
	return "The service is unavailable. Please retry."
}

// ErrorJSON is the answer {"error":{"code":…,"message":…}}.
func ErrorJSON(status int, code, message string) Response {
	body, err := json.Marshal(map[string]any{"error": struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	}{code, message}})
	if err != nil {
		panic("service: an error of strings does not marshal: " + err.Error())
	}
	return Response{Status: status, Body: body, Header: http.Header{"Content-Type": {"application/json; charset=utf-8"}}}
}

package gateway

import (
	"encoding/json"
	"encoding/xml"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// storageError is an answer of the gateway's own, in the words of the service's
// (https://learn.microsoft.com/rest/api/storageservices/common-rest-api-error-codes).
type storageError struct {
	status  int
	code    string
	message string
}

// The answers that the gateway gives itself. A well-formed name of no account has no answer on Azure, because it has no
// address; here it gets the service's general "not found".
var (
	errAuthorizationFailure = storageError{http.StatusForbidden, "AuthorizationFailure", "This request is not authorized to perform this operation."}
	errInvalidHost          = storageError{http.StatusBadRequest, "InvalidUri", "The requested URI does not represent any resource on the server."}
	errUnknownAccount       = storageError{http.StatusNotFound, "ResourceNotFound", "The specified resource does not exist."}
	errOtherAccount         = storageError{http.StatusMisdirectedRequest, "InvalidUri", "The requested URI does not represent any resource on the server."}
	errNotImplemented       = storageError{http.StatusNotImplemented, "NotImplemented", "The requested operation is not implemented on the specified resource."}
	errMethodNotAllowed     = storageError{http.StatusMethodNotAllowed, "UnsupportedHttpVerb", "The resource doesn't support specified Http Verb."}
	errBackendUnavailable   = storageError{http.StatusServiceUnavailable, "ServerBusy", "The server is currently unable to receive requests. Please retry your request."}
)

// Headers of the storage services that the gateway writes or reads.
const (
	headerErrorCode = "X-Ms-Error-Code"
	headerRequestID = "X-Ms-Request-Id"
	headerVersion   = "X-Ms-Version"
)

// serviceTime is the form of times in error messages: RFC 3339 with seven digits, UTC.
const serviceTime = "2006-01-02T15:04:05.0000000Z"

// write answers a request with the error as the sub-service itself would (FW-12): odata.error in JSON for tables, an
// error object in JSON for dfs, XML for the others. service may be "" where the host names none.
func (e storageError) write(w http.ResponseWriter, r *http.Request, service, requestID string, now time.Time) {
	message := e.message + "\nRequestId:" + requestID + "\nTime:" + now.UTC().Format(serviceTime)
	var body []byte
	contentType := "application/xml"
	switch service {
	case ServiceTable:
		contentType = tableContentType(r.Header.Get("Accept"))
		body = mustJSON(map[string]any{"odata.error": struct {
			Code    string `json:"code"`
			Message any    `json:"message"`
		}{e.code, struct {
			Lang  string `json:"lang"`
			Value string `json:"value"`
		}{"en-US", message}}})
	case ServiceDFS:
		contentType = "application/json;charset=utf-8"
		body = mustJSON(map[string]any{"error": struct {
			Code    string `json:"code"`
			Message string `json:"message"`
		}{e.code, message}})
	default:
		document, err := xml.Marshal(struct {
			XMLName xml.Name `xml:"Error"`
			Code    string
			Message string
		}{Code: e.code, Message: message})
		if err != nil {
			panic("gateway: an error of two strings does not marshal: " + err.Error())
		}
		// A line end inside text is data, and encoders write it as a reference; the service writes it as it is.
		body = append([]byte(`<?xml version="1.0" encoding="utf-8"?>`), strings.ReplaceAll(string(document), "&#xA;", "\n")...)
	}
	header := w.Header()
	header.Set("Content-Type", contentType)
	header.Set("Content-Length", strconv.Itoa(len(body)))
	header.Set("Server", "Postern")
	header.Set(headerErrorCode, e.code)
	header.Set(headerRequestID, requestID)
	header.Set(headerVersion, answeredVersion(r.Header.Get(headerVersion)))
	w.WriteHeader(e.status)
	_, _ = w.Write(body) // a client that is gone has no answer to give
}

// defaultVersion answers a request that names no version.
const defaultVersion = "2023-11-03"

// answeredVersion repeats the version that a request asked for, if it has the form of one.
func answeredVersion(asked string) string {
	if _, err := time.Parse(time.DateOnly, asked); err != nil {
		return defaultVersion
	}
	return asked
}

// tableContentType repeats the level of odata metadata that the client accepts.
func tableContentType(accept string) string {
	for _, level := range []string{"nometadata", "fullmetadata"} {
		if strings.Contains(accept, "odata="+level) {
			return "application/json;odata=" + level + ";streaming=true;charset=utf-8"
		}
	}
	return "application/json;odata=minimalmetadata;streaming=true;charset=utf-8"
}

func mustJSON(value any) []byte {
	body, err := json.Marshal(value)
	if err != nil {
		panic("gateway: an error of strings does not marshal: " + err.Error())
	}
	return body
}

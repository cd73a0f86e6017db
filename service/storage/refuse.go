package storage

import (
	"encoding/json"
	"encoding/xml"
	"net/http"
	"strings"
	"time"

	"postern/service"
)

// fault is an answer of the gateway's own, in the words of the service's
// (https://learn.microsoft.com/rest/api/storageservices/common-rest-api-error-codes).
type fault struct{ code, message string }

const noResource = "The requested URI does not represent any resource on the server."

// faults are the answers that the gateway gives itself. A well-formed name of no account has no answer on Azure, because
// it has no address; here it gets the service's general "not found".
var faults = map[service.Fault]fault{
	service.Forbidden:      {"AuthorizationFailure", "This request is not authorized to perform this operation."},
	service.NoSuchName:     {"InvalidUri", noResource},
	service.NoSuchInstance: {"ResourceNotFound", "The specified resource does not exist."},
	service.Misdirected:    {"InvalidUri", noResource},
	service.NotServed:      {"NotImplemented", "The requested operation is not implemented on the specified resource."},
	service.BadMethod:      {"UnsupportedHttpVerb", "The resource doesn't support specified Http Verb."},
	service.BackendDown:    {"ServerBusy", "The server is currently unable to receive requests. Please retry your request."},
}

// Headers of the storage services that the gateway writes or reads, in canonical form.
const (
	headerErrorCode = "X-Ms-Error-Code"
	headerRequestID = "X-Ms-Request-Id"
	headerVersion   = "X-Ms-Version"
)

// serviceTime is the form of times in error messages: RFC 3339 with seven digits, UTC.
const serviceTime = "2006-01-02T15:04:05.0000000Z"

// refuse answers as the sub-service itself would (FW-12): odata.error in JSON for tables, an error object in JSON for
// dfs, XML for the others.
func refuse(d *service.Denial) service.Response {
	e := faults[d.Fault]
	message := e.message + "\nRequestId:" + d.RequestID + "\nTime:" + d.Time.UTC().Format(serviceTime)
	header := http.Header{}
	header.Set(headerErrorCode, e.code)
	header.Set(headerVersion, answeredVersion(d.Request.Header.Get(headerVersion)))
	response := service.Response{Status: d.Fault.Status(), Header: header}
	switch d.Part {
	case Table:
		header.Set("Content-Type", tableContentType(d.Request.Header.Get("Accept")))
		response.Body = mustJSON(map[string]any{"odata.error": struct {
			Code    string `json:"code"`
			Message any    `json:"message"`
		}{e.code, struct {
			Lang  string `json:"lang"`
			Value string `json:"value"`
		}{"en-US", message}}})
	case DFS:
		header.Set("Content-Type", "application/json;charset=utf-8")
		response.Body = mustJSON(map[string]any{"error": struct {
			Code    string `json:"code"`
			Message string `json:"message"`
		}{e.code, message}})
	default:
		header.Set("Content-Type", "application/xml")
		document, err := xml.Marshal(struct {
			XMLName xml.Name `xml:"Error"`
			Code    string
			Message string
		}{Code: e.code, Message: message})
		if err != nil {
			panic("storage: an error of two strings does not marshal: " + err.Error())
		}
		// A line end inside text is data, and encoders write it as a reference; the service writes it as it is.
		response.Body = append([]byte(`<?xml version="1.0" encoding="utf-8"?>`), strings.ReplaceAll(string(document), "&#xA;", "\n")...)
	}
	return response
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
		panic("storage: an error of strings does not marshal: " + err.Error())
	}
	return body
}

package tableservice

import (
	"encoding/json"
	"net/http"
	"strings"
	"time"
)

// Fault is an answer that is no success, with Azure's words ("Table service error codes" and "Common REST API error
// codes" in Microsoft's reference).
type Fault struct {
	Status  int
	Code    string
	Message string

	// Challenge is the WWW-Authenticate header of a 401.
	Challenge string
}

func (f *Fault) Error() string { return f.Code + ": " + f.Message }

func fault(status int, code, message string) *Fault {
	return &Fault{Status: status, Code: code, Message: message}
}

// The faults whose words do not depend on the request.
var (
	faultTableNotFound     = fault(http.StatusNotFound, "TableNotFound", "The table specified does not exist.")
	faultTableExists       = fault(http.StatusConflict, "TableAlreadyExists", "The table specified already exists.")
	faultEntityExists      = fault(http.StatusConflict, "EntityAlreadyExists", "The specified entity already exists.")
	faultNotFound          = fault(http.StatusNotFound, "ResourceNotFound", "The specified resource does not exist.")
	faultCondition         = fault(http.StatusPreconditionFailed, "UpdateConditionNotSatisfied", "The update condition specified in the request was not satisfied.")
	faultInput             = fault(http.StatusBadRequest, "InvalidInput", "One of the request inputs is not valid.")
	faultOutOfRange        = fault(http.StatusBadRequest, "OutOfRangeInput", "One of the request inputs is out of range.")
	faultURI               = fault(http.StatusBadRequest, "InvalidUri", "The requested URI does not represent any resource on the server.")
	faultResourceName      = fault(http.StatusBadRequest, "InvalidResourceName", "The specified resource name contains invalid characters.")
	faultNeedValue         = fault(http.StatusBadRequest, "PropertiesNeedValue", "The values are not specified for all properties in the entity.")
	faultDuplicateProperty = fault(http.StatusBadRequest, "DuplicatePropertiesSpecified", "A property is specified more than one time.")
	faultPropertyName      = fault(http.StatusBadRequest, "PropertyNameInvalid", "The property name is invalid.")
	faultPropertyLong      = fault(http.StatusBadRequest, "PropertyNameTooLong", "The property name exceeds the maximum allowed length (255).")
	faultPropertyLarge     = fault(http.StatusBadRequest, "PropertyValueTooLarge", "The property value exceeds the maximum allowed size (64KB).")
	faultKeyLarge          = fault(http.StatusBadRequest, "KeyValueTooLarge", "The key value exceeds the maximum allowed size (1KB).")
	faultTooMany           = fault(http.StatusBadRequest, "TooManyProperties", "The entity contains more properties than allowed (252).")
	faultEntityLarge       = fault(http.StatusBadRequest, "EntityTooLarge", "The entity is larger than the maximum allowed size (1MB).")
	faultValueType         = fault(http.StatusBadRequest, "InvalidValueType", "The value specified is invalid for its type.")
	faultBodyLarge         = fault(http.StatusRequestEntityTooLarge, "RequestBodyTooLarge", "The request body is too large and exceeds the maximum permissible limit.")
	faultMediaType         = fault(http.StatusUnsupportedMediaType, "MediaTypeNotSupported", "The request's content or accepted media type is not supported: this service speaks JSON.")
	faultAtom              = fault(http.StatusUnsupportedMediaType, "AtomFormatNotSupported", "Atom format is not supported.")
	faultMethod            = fault(http.StatusMethodNotAllowed, "MethodNotAllowed", "The requested method is not allowed on the specified resource.")
	faultNoMatchHeader     = fault(http.StatusBadRequest, "MissingRequiredHeader", "An HTTP header that's mandatory for this request is not specified: If-Match.")
	faultDuplicateRow      = fault(http.StatusBadRequest, "InvalidDuplicateRow", "The batch request contains multiple changes with same row key. An entity can appear only once in a batch request.")
	faultBatchPartition    = fault(http.StatusBadRequest, "CommandsInBatchActOnDifferentPartitions", "All commands in a batch must operate on same entity group.")
	faultGone              = fault(http.StatusServiceUnavailable, "ServerBusy", "The account's tables are not available.")
	faultDisk              = fault(http.StatusInternalServerError, "InternalError", "The server encountered an internal error. Please retry the request.")
	faultFull              = fault(http.StatusServiceUnavailable, "ServerBusy", "The account holds as much as this service keeps in memory; delete entities first.")
)

// notImplemented says plainly what this service has not.
func notImplemented(what string) *Fault {
	return fault(http.StatusNotImplemented, "NotImplemented", "The requested operation is not implemented on the specified resource: "+what+".")
}

// faultBody is the body of a fault: {"odata.error":{"code","message":{"lang","value"}}}.
func faultBody(f *Fault, requestID string, now time.Time) []byte {
	type message struct {
		Lang  string `json:"lang"`
		Value string `json:"value"`
	}
	type inner struct {
		Code    string  `json:"code"`
		Message message `json:"message"`
	}
	body, err := json.Marshal(struct {
		Error inner `json:"odata.error"`
	}{inner{f.Code, message{"en-US", f.Message + "\nRequestId:" + requestID + "\nTime:" + now.UTC().Format(timeLayout)}}})
	if err != nil { // unreachable: strings alone
		return nil
	}
	return body
}

// writeFault writes f as the whole answer.
func writeFault(w http.ResponseWriter, f *Fault, now time.Time) {
	header := w.Header()
	header.Set("Content-Type", metadataMinimal.contentType())
	header.Set("x-ms-error-code", f.Code)
	header.Set("X-Content-Type-Options", "nosniff")
	if f.Challenge != "" {
		header.Set("WWW-Authenticate", f.Challenge)
	}
	w.WriteHeader(f.Status)
	_, _ = w.Write(faultBody(f, header.Get(headerRequestID), now)) // the client is gone: nothing to tell it
}

// headerRequestID is the one spelling under which answers carry the request's id.
const headerRequestID = "x-ms-request-id"

// clean keeps what a header of ours may echo of a client's: printable ASCII, at most 1 KiB, else nothing.
func clean(text string) string {
	if len(text) > 1024 || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' }) {
		return ""
	}
	return text
}

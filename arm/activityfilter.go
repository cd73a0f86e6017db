package arm

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"postern/activity"
	"postern/resource"
)

// parseActivityFilter reads the $filter of the activity log: comparisons joined by "and", of which eventTimestamp ge TIME
// must be one. Values have quotes or not: az writes times and providers without.
func parseActivityFilter(text string) (activity.Filter, error) {
	var f activity.Filter
	bad := func(reason string) (activity.Filter, error) {
		return activity.Filter{}, &resource.Error{Code: "BadRequest", Status: http.StatusBadRequest, Target: "$filter",
			Message: fmt.Sprintf("The $filter '%.300s' is not supported: %s. It must have eventTimestamp ge TIME; known besides are eventTimestamp le TIME, and "+
				"with eq resourceGroupName, resourceUri, resourceId, resourceProvider, correlationId, caller, status and operationName, joined by and.", text, reason)}
	}
	for rest := strings.TrimSpace(text); rest != ""; {
		field, behind, _ := strings.Cut(rest, " ")
		operator, behind, _ := strings.Cut(strings.TrimLeft(behind, " "), " ")
		value, behind, ok := operand(strings.TrimLeft(behind, " "))
		if !ok {
			return bad("a value is missing")
		}
		if err := take(&f, strings.ToLower(field), strings.ToLower(operator), value); err != "" {
			return bad(err)
		}
		if rest = strings.TrimSpace(behind); rest == "" {
			break
		}
		word, behind, _ := strings.Cut(rest, " ")
		if rest = strings.TrimSpace(behind); !strings.EqualFold(word, "and") || rest == "" {
			return bad("it goes on with '" + word + "'")
		}
	}
	if f.From.IsZero() {
		return bad("it has no eventTimestamp ge")
	}
	return f, nil
}

// operand reads a value in quotes, or a word without.
func operand(text string) (value, rest string, ok bool) {
	if strings.HasPrefix(text, "'") {
		return quoted(text)
	}
	value, rest, _ = strings.Cut(text, " ")
	return value, rest, value != ""
}

// take puts one comparison into a filter; "" or why it cannot.
func take(f *activity.Filter, field, operator, value string) string {
	if field == "eventtimestamp" {
		at, ok := timestamp(value)
		switch {
		case !ok:
			return "'" + value + "' is no time"
		case operator == "ge":
			f.From = at
		case operator == "le":
			f.To = at
		default:
			return "eventTimestamp is compared by ge and le"
		}
		return ""
	}
	into, known := map[string]*string{"resourcegroupname": &f.ResourceGroup, "resourceuri": &f.Resource, "resourceid": &f.Resource, "resourceprovider": &f.Provider,
		"correlationid": &f.Correlation, "caller": &f.Caller, "status": &f.Status, "operationname": &f.Operation}[field]
	switch {
	case !known:
		return "it compares '" + field + "'"
	case operator != "eq":
		return field + " is compared by eq"
	}
	*into = value
	return ""
}

// timestamp reads a time, which is UTC when it does not say.
func timestamp(text string) (time.Time, bool) {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "2006-01-02T15:04Z07:00", "2006-01-02T15:04", "2006-01-02"} {
		if at, err := time.Parse(layout, text); err == nil {
			return at, true
		}
	}
	return time.Time{}, false
}

// selected makes the function that leaves of an event what a $select names, all for none.
func selected(text string) func(activityEvent) (any, error) {
	if strings.TrimSpace(text) == "" {
		return func(e activityEvent) (any, error) { return e, nil }
	}
	wanted := map[string]bool{}
	for name := range strings.SplitSeq(text, ",") {
		wanted[strings.ToLower(strings.TrimSpace(name))] = true
	}
	return func(e activityEvent) (any, error) {
		data, err := json.Marshal(e)
		if err != nil {
			return nil, err
		}
		var members map[string]json.RawMessage
		if err := json.Unmarshal(data, &members); err != nil {
			return nil, err
		}
		for name := range members {
			if !wanted[strings.ToLower(name)] {
				delete(members, name)
			}
		}
		return members, nil
	}
}

package gateway

import (
	"net/netip"
	"time"
)

// LogRecord is an entry by the names of OpenTelemetry: the fields of its log data model in JSON, and attributes named by
// its semantic conventions for HTTP, URL, client and cloud where they have a name, else below "postern.".
type LogRecord struct {
	Timestamp    time.Time      `json:"timestamp"`
	EventName    string         `json:"eventName"` // EventAccess
	SeverityText string         `json:"severityText"`
	Attributes   map[string]any `json:"attributes"` // strings, int64 and float64; what is empty in the entry is absent
}

// EventAccess is the event name of every record.
const EventAccess = "postern.access"

// LogRecord is the entry by the names of OpenTelemetry. A denial is a WARN, a failure of the backend an ERROR, else INFO.
func (e Entry) LogRecord() LogRecord {
	attributes := map[string]any{
		"postern.duration":   e.DurationMs / 1000, // s, the unit of the conventions
		"postern.status":     e.StatusText,
		"postern.request_id": e.RequestID,
	}
	text := func(name, value string) {
		if value != "" {
			attributes[name] = value
		}
	}
	number := func(name string, value int64) {
		if value != 0 {
			attributes[name] = value
		}
	}
	text("http.request.method", e.Method)
	text("url.path", e.URI)
	number("http.response.status_code", int64(e.StatusCode))
	number("http.request.body.size", e.RequestBytes)
	number("http.response.body.size", e.ResponseBytes)
	text("user_agent.original", e.UserAgent)
	text("network.protocol.name", e.Protocol)
	text("cloud.resource_id", e.ResourceID)
	if caller, err := netip.ParseAddrPort(e.CallerIPAddress); err == nil {
		text("client.address", caller.Addr().String())
		number("client.port", int64(caller.Port()))
	} else {
		text("client.address", e.CallerIPAddress)
	}
	text("postern.account", e.Account)
	text("postern.service", e.Service)
	text("postern.operation", e.Operation)
	text("postern.caller.kind", string(e.CallerKind))
	text("postern.caller.virtual_network", e.VirtualNetwork)
	text("postern.caller.subnet", e.Subnet)
	text("postern.rule", e.Rule)
	text("postern.missing_rule", e.MissingRule)
	text("postern.backend", e.Backend)
	number("postern.lost_lines", int64(e.LostLines))
	record := LogRecord{Timestamp: e.Time, EventName: EventAccess, SeverityText: "INFO", Attributes: attributes}
	switch {
	case e.StatusCode >= 500:
		record.SeverityText = "ERROR"
		text("error.type", e.StatusText)
	case e.StatusCode >= 400 || e.Denied() || e.LostLines > 0:
		record.SeverityText = "WARN"
	}
	return record
}

package messaging

import (
	"encoding/xml"
	"fmt"
	"net/http"

	"postern/protocol/amqp"
	"postern/service"
)

// prevented is what both services say to a caller whom the rules do not let in, whatever the protocol
// (https://learn.microsoft.com/azure/event-hubs/troubleshooting-guide).
const prevented = "Ip has been prevented to connect to the endpoint."

// HTTP is how both services refuse requests.
var HTTP = &service.HTTP{Refuse: refuseHTTP}

// tracked adds what Azure's services add to each error: by it, the log's line is found.
func tracked(text, system string, d *service.Denial) string {
	return fmt.Sprintf("%s TrackingId:%s, SystemTracker:%s, Timestamp:%s", text, d.RequestID, system, d.Time.UTC().Format("2006-01-02T15:04:05"))
}

// refuseHTTP answers <Error><Code>…</Code><Detail>…</Detail></Error>. Who is not let in is told 401, not 403.
func refuseHTTP(d *service.Denial) service.Response {
	status, text := d.Fault.Status(), service.Sentence(d)
	if d.Fault == service.Forbidden {
		status, text = http.StatusUnauthorized, prevented
	}
	system := d.Host
	if d.Request != nil {
		system += d.Request.URL.Path
	}
	body, err := xml.Marshal(struct {
		XMLName xml.Name `xml:"Error"`
		Code    int
		Detail  string
	}{Code: status, Detail: tracked(text, system, d)})
	if err != nil {
		panic("messaging: an error of texts does not marshal: " + err.Error())
	}
	return service.Response{Status: status, Body: body, Header: http.Header{"Content-Type": {"application/xml; charset=utf-8"}}}
}

// words are the condition and the description of a close.
func words(d *service.Denial) (condition, text string) {
	const system = "AmqpGatewayProvider"
	switch d.Fault {
	case service.Forbidden:
		return amqp.UnauthorizedAccess, tracked(prevented, system, d)
	case service.NotServed, service.BackendDown:
		return amqp.InternalError, tracked(service.Sentence(d), system, d)
	}
	return amqp.NotFound, tracked(service.Sentence(d), system, d)
}

package visit

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"

	"postern/demo/application"
)

// Request is one request over HTTP. Header may be nil.
type Request struct {
	Method, URL, Body string
	Header            http.Header
}

// HTTPError is an answer that is no success.
type HTTPError struct {
	Status        int
	Code, Message string // of the service's error, as far as its body has them in JSON, XML or HTML
	Body          []byte
}

// Error is as Azure's clients show it: the status, the code in parentheses where it says more, the message.
func (e *HTTPError) Error() string {
	text := fmt.Sprintf("%d %s", e.Status, http.StatusText(e.Status))
	if e.Code != "" && !strings.Contains(text, e.Code) {
		text += " (" + e.Code + ")"
	}
	return strings.Join(strings.Fields(text+" "+e.Message), " ")
}

// HTTP sends a request, and answers the status and the body. The error is an *HTTPError where the status is no success.
func (v *Visitor) HTTP(ctx context.Context, r Request) (string, error) {
	transport := &http.Transport{DialContext: v.Dial, TLSClientConfig: v.trusting(""), DisableKeepAlives: true}
	defer transport.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(ctx, v.Timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, r.Method, r.URL, strings.NewReader(r.Body))
	if err != nil {
		return "", err
	}
	if r.Header != nil {
		request.Header = r.Header
	}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return "", plain(err)
	}
	answer, err := application.ReadAnswer(response)
	if err != nil {
		return "", plain(err)
	}
	if answer.Status >= 300 {
		return "", readError(answer)
	}
	return strings.TrimSpace(fmt.Sprintf("%d %s %s", answer.Status, http.StatusText(answer.Status), bytes.TrimSpace(answer.Body))), nil
}

// readError finds the code and the message in an answer, wherever its service puts them.
func readError(answer *application.Answer) *HTTPError {
	e := &HTTPError{Status: answer.Status, Body: answer.Body}
	switch body := bytes.TrimSpace(answer.Body); {
	case bytes.HasPrefix(body, []byte("{")):
		var value any
		if json.Unmarshal(body, &value) == nil {
			e.fromJSON(value)
		}
	case bytes.HasPrefix(body, []byte("<?xml")), bytes.HasPrefix(body, []byte("<Error")):
		e.fromXML(body)
	case bytes.HasPrefix(body, []byte("<")):
		if heading := headings.FindSubmatch(body); heading != nil {
			e.Message = string(heading[1])
		}
	default:
		e.Message = string(body)
	}
	return e
}

// headings are what a person sees first of a page.
var headings = regexp.MustCompile(`(?is)<h1[^>]*>\s*(.*?)\s*</h1>`)

// fromJSON walks down to the innermost code, and takes the first message. The names are those of Azure's errors, of OData's,
// of the OCI registry's and of WebHDFS's.
func (e *HTTPError) fromJSON(value any) {
	switch value := value.(type) {
	case []any:
		for _, one := range value {
			e.fromJSON(one)
		}
	case map[string]any:
		for _, name := range []string{"code", "exception"} {
			if code, ok := value[name].(string); ok {
				e.Code = code
			}
		}
		for _, name := range []string{"message", "value"} {
			if message, ok := value[name].(string); ok && e.Message == "" {
				e.Message = message
			}
		}
		for _, name := range []string{"error", "odata.error", "message", "errors", "innererror", "RemoteException"} {
			e.fromJSON(value[name])
		}
	}
}

// fromXML takes the texts of the storage services' and of the messaging services' elements.
func (e *HTTPError) fromXML(body []byte) {
	decoder, element := xml.NewDecoder(bytes.NewReader(body)), ""
	for {
		token, err := decoder.Token()
		if err != nil { // io.EOF, or no XML after all
			if err != io.EOF && e.Code == "" && e.Message == "" {
				e.Message = string(body)
			}
			return
		}
		switch token := token.(type) {
		case xml.StartElement:
			element = token.Name.Local
		case xml.EndElement:
			element = ""
		case xml.CharData:
			switch element {
			case "Code":
				e.Code = string(token)
			case "Message", "Detail":
				e.Message = string(token)
			}
		}
	}
}

package gateway

import (
	"encoding/xml"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"postern/model"
)

var guid = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// ask sends one request and answers the response with its body.
func ask(t *testing.T, client *http.Client, method, host, path string, header http.Header, body string) (*http.Response, string) {
	t.Helper()
	request, err := http.NewRequest(method, "http://"+host+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for name, values := range header {
		request.Header[name] = values
	}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, string(data)
}

func TestDenialIsTheServicesOwn(t *testing.T) {
	r := newRig(t, nil)
	r.apply(cloud(storageAccount("sta", model.NetworkRules{})))
	client := r.client(byInternet("20.1.2.3"))
	const sentence = "This request is not authorized to perform this operation."
	when := regexp.MustCompile(`^` + regexp.QuoteMeta(sentence) + `\nRequestId:([0-9a-f-]{36})\nTime:(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{7}Z)$`)
	check := func(t *testing.T, response *http.Response, code, message string) {
		t.Helper()
		id := response.Header.Get("x-ms-request-id")
		if response.StatusCode != 403 || response.Header.Get("x-ms-error-code") != "AuthorizationFailure" || !guid.MatchString(id) {
			t.Errorf("got %d %v", response.StatusCode, response.Header)
		}
		parts := when.FindStringSubmatch(message)
		if code != "AuthorizationFailure" || parts == nil || parts[1] != id {
			t.Fatalf("got code %q, message %q, request id %q", code, message, id)
		}
		if at, err := time.Parse(time.RFC3339Nano, parts[2]); err != nil || time.Since(at).Abs() > time.Minute {
			t.Errorf("time is %s, %v", parts[2], err)
		}
	}
	t.Run("FW-12 odata.error for table", func(t *testing.T) {
		response, body := ask(t, client, "POST", "sta.table.core.windows.net", "/operations",
			http.Header{"Accept": {"application/json;odata=nometadata"}, "X-Ms-Version": {"2019-02-02"}}, `{"PartitionKey":"p"}`)
		got := decode[struct {
			Error struct {
				Code    string `json:"code"`
				Message struct{ Lang, Value string }
			} `json:"odata.error"`
		}](t, []byte(body))
		check(t, response, got.Error.Code, got.Error.Message.Value)
		want := `{"odata.error":{"code":"AuthorizationFailure","message":{"lang":"en-US","value":"` + sentence + `\nRequestId:`
		if !strings.HasPrefix(body, want) {
			t.Errorf("got %s", body)
		}
		if response.Header.Get("x-ms-version") != "2019-02-02" || !strings.HasPrefix(response.Header.Get("Content-Type"), "application/json;odata=nometadata") {
			t.Errorf("got %v", response.Header)
		}
	})
	for _, service := range []string{"blob", "queue", "file", "web"} {
		t.Run("FW-2 FW-12 XML for "+service, func(t *testing.T) {
			response, body := ask(t, client, "GET", "sta."+service+".core.windows.net", "/c/b", nil, "")
			var got struct {
				XMLName       xml.Name `xml:"Error"`
				Code, Message string
			}
			if err := xml.Unmarshal([]byte(body), &got); err != nil {
				t.Fatal(err)
			}
			check(t, response, got.Code, got.Message)
			if response.Header.Get("Content-Type") != "application/xml" || response.Header.Get("x-ms-version") != "2023-11-03" {
				t.Errorf("got %v", response.Header)
			}
		})
	}
	t.Run("FW-2 FW-12 an error object for dfs", func(t *testing.T) {
		response, body := ask(t, client, "GET", "sta.dfs.core.windows.net", "/fs/p", nil, "")
		got := decode[struct {
			Error struct{ Code, Message string }
		}](t, []byte(body))
		check(t, response, got.Error.Code, got.Error.Message)
	})
	t.Run("FW-12 HEAD has the code in its header alone", func(t *testing.T) {
		response, body := ask(t, client, "HEAD", "sta.blob.core.windows.net", "/c/b", nil, "")
		if body != "" || response.StatusCode != 403 || response.Header.Get("x-ms-error-code") != "AuthorizationFailure" {
			t.Errorf("got %d, %v, %q", response.StatusCode, response.Header, body)
		}
	})
}

func TestAnswersToUnknownNames(t *testing.T) {
	r := newRig(t, nil)
	r.apply(cloud(storageAccount("sta", model.NetworkRules{DefaultAllow: true})))
	client := r.client(byInternet("20.1.2.3"))
	for _, test := range []struct {
		host   string
		status int
		code   string
	}{
		{"stnobody.table.core.windows.net", 404, "ResourceNotFound"},
		{"stelsewhere.table.core.windows.net", 421, "InvalidUri"},
		{"sta.table.example.com", 400, "InvalidUri"},
		{"20.60.1.1", 400, "InvalidUri"},
		{"sta.blob.core.windows.net", 501, "NotImplemented"}, // no backend serves blobs of this account
	} {
		response, body := ask(t, client, "GET", test.host, "/x", nil, "")
		if response.StatusCode != test.status || response.Header.Get("x-ms-error-code") != test.code || !strings.Contains(body, test.code) {
			t.Errorf("%s: got %d %s %s", test.host, response.StatusCode, response.Header.Get("x-ms-error-code"), body)
		}
	}
}

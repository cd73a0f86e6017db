package tableservice

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// everybody lets every request through; tests that are about something else use it.
type everybody struct{}

func (everybody) Authorize(*http.Request, string) error { return nil }

func openService(t testing.TB, limit int) *Service {
	t.Helper()
	service, err := New(Options{Suffix: suffix, Authorizer: everybody{}, AccountBytes: limit})
	if err != nil {
		t.Fatal(err)
	}
	return service
}

func do(service http.Handler, method, target, content string, header ...string) *httptest.ResponseRecorder {
	request := httptest.NewRequest(method, "http://"+accountName+".table."+suffix+target, strings.NewReader(content))
	if content != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	recorder := httptest.NewRecorder()
	service.ServeHTTP(recorder, request)
	return recorder
}

func create(t testing.TB, service http.Handler, name string) {
	t.Helper()
	if answer := do(service, "POST", "/Tables", `{"TableName":"`+name+`"}`); answer.Code != 201 {
		t.Fatalf("create table: %d %s", answer.Code, answer.Body)
	}
}

// TestPlainRequest is the demo's application: POST with nometadata.
func TestPlainRequest(t *testing.T) {
	service := openService(t, 0)
	create(t, service, "operations")
	content := `{"PartitionKey":"vm-app","RowKey":"1","MessageTime":"2026-09-01T12:00:00Z","Message":"hello","MessageNumber":1}`
	answer := do(service, "POST", "/operations", content, "Accept", "application/json;odata=nometadata",
		"x-ms-version", "2023-11-03", "x-ms-client-request-id", "my-id")
	if answer.Code != 201 || strings.Contains(answer.Body.String(), "odata") {
		t.Fatalf("%d %s", answer.Code, answer.Body)
	}
	for name, want := range map[string]string{
		"x-ms-version": "2023-11-03", "x-ms-client-request-id": "my-id",
		"Content-Type": "application/json;odata=nometadata;streaming=true;charset=utf-8",
		"Location":     "http://" + accountName + ".table." + suffix + "/operations(PartitionKey='vm-app',RowKey='1')",
	} {
		if got := answer.Header().Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if answer.Header().Get(headerRequestID) == "" || !strings.HasPrefix(answer.Header().Get("ETag"), `W/"datetime'`) {
		t.Errorf("headers %v", answer.Header())
	}
	answer = do(service, "POST", "/operations", strings.Replace(content, `"1"`, `"2"`, 1), "Prefer", "return-no-content")
	if answer.Code != 204 || answer.Body.Len() != 0 || answer.Header().Get("Preference-Applied") != "return-no-content" {
		t.Errorf("no content: %d %v %s", answer.Code, answer.Header(), answer.Body)
	}
	answer = do(service, "POST", "/operations(PartitionKey='vm-app',RowKey='2')", `{"Message":"merged"}`, "X-HTTP-Method", "MERGE", "If-Match", "*")
	if answer.Code != 204 {
		t.Errorf("tunnelled merge: %d %s", answer.Code, answer.Body)
	}
	answer = do(service, "GET", "/operations()?$filter=MessageNumber%20eq%201%20and%20Message%20ne%20'hello'", "", "Accept", "application/json;odata=nometadata")
	var list struct{ Value []map[string]any }
	if err := json.Unmarshal(answer.Body.Bytes(), &list); err != nil || len(list.Value) != 1 || list.Value[0]["RowKey"] != "2" {
		t.Errorf("query: %v %s", err, answer.Body)
	}
}

func TestFaults(t *testing.T) {
	service := openService(t, 0)
	create(t, service, "operations")
	many := func(count int) string {
		var builder strings.Builder
		builder.WriteString(`{"PartitionKey":"p","RowKey":"many"`)
		for i := range count {
			fmt.Fprintf(&builder, `,"P%d":%d`, i, i)
		}
		return builder.String() + "}"
	}
	large := func(count, size int) string {
		var builder strings.Builder
		builder.WriteString(`{"PartitionKey":"p","RowKey":"large"`)
		for i := range count {
			fmt.Fprintf(&builder, `,"P%d":"%s"`, i, strings.Repeat("x", size))
		}
		return builder.String() + "}"
	}
	keys := `{"PartitionKey":"p","RowKey":"r",`
	for _, test := range []struct {
		name, method, target, content string
		status                        int
		code                          string
	}{
		{"bad JSON", "POST", "/operations", `{"PartitionKey":`, 400, "InvalidInput"},
		{"no object", "POST", "/operations", `[1]`, 400, "InvalidInput"},
		{"two objects", "POST", "/operations", `{"PartitionKey":"p","RowKey":"r"}{}`, 400, "InvalidInput"},
		{"nested value", "POST", "/operations", keys + `"A":{"B":1}}`, 400, "InvalidInput"},
		{"not UTF-8", "POST", "/operations", keys + "\"A\":\"\xff\"}", 400, "InvalidInput"},
		{"no row key", "POST", "/operations", `{"PartitionKey":"p"}`, 400, "PropertiesNeedValue"},
		{"number as key", "POST", "/operations", `{"PartitionKey":1,"RowKey":"r"}`, 400, "InvalidValueType"},
		{"slash in key", "POST", "/operations", `{"PartitionKey":"a/b","RowKey":"r"}`, 400, "OutOfRangeInput"},
		{"long key", "POST", "/operations", `{"PartitionKey":"` + strings.Repeat("k", 513) + `","RowKey":"r"}`, 400, "KeyValueTooLarge"},
		{"property twice", "POST", "/operations", keys + `"A":1,"A":2}`, 400, "DuplicatePropertiesSpecified"},
		{"bad property name", "POST", "/operations", keys + `"A-B":1}`, 400, "PropertyNameInvalid"},
		{"long property name", "POST", "/operations", keys + `"` + strings.Repeat("a", 256) + `":1}`, 400, "PropertyNameTooLong"},
		{"bad Int64", "POST", "/operations", keys + `"A":"x","A@odata.type":"Edm.Int64"}`, 400, "InvalidValueType"},
		{"unknown type", "POST", "/operations", keys + `"A":"x","A@odata.type":"Edm.Decimal"}`, 400, "InvalidValueType"},
		{"bad time", "POST", "/operations", keys + `"A":"1600-01-01T00:00:00Z","A@odata.type":"Edm.DateTime"}`, 400, "InvalidValueType"},
		{"large value", "POST", "/operations", large(1, 32<<10+1), 400, "PropertyValueTooLarge"},
		{"large entity", "POST", "/operations", large(17, 32<<10), 400, "EntityTooLarge"},
		{"largest count", "POST", "/operations", many(252), 201, ""},
		{"too many", "POST", "/operations", many(253), 400, "TooManyProperties"},
		{"large body", "POST", "/operations", large(100, 32<<10), 413, "RequestBodyTooLarge"},
		{"other keys in the body", "PUT", "/operations(PartitionKey='p',RowKey='x')", keys + `"A":1}`, 400, "InvalidInput"},
		{"delete without match", "DELETE", "/operations(PartitionKey='p',RowKey='r')", "", 400, "MissingRequiredHeader"},
		{"no table", "GET", "/nothing", "", 404, "TableNotFound"},
		{"bad path", "GET", "/operations(PartitionKey='p'", "", 400, "InvalidUri"},
		{"bad top", "GET", "/operations?$top=1001", "", 400, "InvalidInput"},
		{"bad continuation", "GET", "/operations?NextPartitionKey=x", "", 400, "InvalidInput"},
		{"bad select", "GET", "/operations?$select=a-b", "", 400, "InvalidInput"},
		{"reserved name", "POST", "/Tables", `{"TableName":"tables"}`, 400, "InvalidResourceName"},
		{"short name", "POST", "/Tables", `{"TableName":"ab"}`, 400, "OutOfRangeInput"},
		{"no name", "POST", "/Tables", `{}`, 400, "PropertiesNeedValue"},
		{"access policy", "GET", "/operations?comp=acl", "", 501, "NotImplemented"},
		{"service properties", "GET", "/?restype=service&comp=properties", "", 501, "NotImplemented"},
		{"method", "PUT", "/Tables", `{}`, 405, "MethodNotAllowed"},
		{"batch without parts", "POST", "/$batch", `{}`, 400, "InvalidInput"},
	} {
		t.Run(test.name, func(t *testing.T) {
			answer := do(service, test.method, test.target, test.content)
			if answer.Code != test.status || answer.Header().Get("x-ms-error-code") != test.code {
				t.Fatalf("%d %s, want %d %s", answer.Code, answer.Header().Get("x-ms-error-code"), test.status, test.code)
			}
			if test.code == "" {
				return
			}
			var body struct {
				Error struct {
					Code    string
					Message struct{ Lang, Value string }
				} `json:"odata.error"`
			}
			if err := json.Unmarshal(answer.Body.Bytes(), &body); err != nil || body.Error.Code != test.code ||
				!strings.Contains(body.Error.Message.Value, "RequestId:"+answer.Header().Get(headerRequestID)) {
				t.Errorf("body %s, %v", answer.Body, err)
			}
		})
	}
	t.Run("chunked body beyond the bound", func(t *testing.T) {
		request := httptest.NewRequest("POST", "http://"+accountName+".table."+suffix+"/operations",
			io.MultiReader(strings.NewReader(large(100, 32<<10))))
		request.ContentLength = -1
		recorder := httptest.NewRecorder()
		service.ServeHTTP(recorder, request)
		if recorder.Code != 413 {
			t.Errorf("%d %s", recorder.Code, recorder.Body)
		}
	})
	t.Run("forms that are not spoken", func(t *testing.T) {
		if answer := do(service, "GET", "/operations", "", "Accept", "application/atom+xml"); answer.Header().Get("x-ms-error-code") != "AtomFormatNotSupported" {
			t.Errorf("%d %s", answer.Code, answer.Body)
		}
		if answer := do(service, "POST", "/operations", "<x/>", "Content-Type", "application/xml"); answer.Code != 415 {
			t.Errorf("%d %s", answer.Code, answer.Body)
		}
	})
	t.Run("hosts", func(t *testing.T) {
		for _, host := range []string{"example.org", "table." + suffix, "a.b.table." + suffix, "UP_PER.table." + suffix, ""} {
			request := httptest.NewRequest("GET", "/Tables", nil)
			request.Host = host
			recorder := httptest.NewRecorder()
			service.ServeHTTP(recorder, request)
			if recorder.Code != 400 {
				t.Errorf("host %q: %d", host, recorder.Code)
			}
		}
	})
}

func TestAccountIsBounded(t *testing.T) {
	service := openService(t, 10_000)
	create(t, service, "operations")
	var last int
	for i := range 50 {
		last = do(service, "POST", "/operations", fmt.Sprintf(`{"PartitionKey":"p","RowKey":"%d","A":"%s"}`, i, strings.Repeat("x", 500))).Code
	}
	if last != 503 {
		t.Errorf("a full account answers %d", last)
	}
	if answer := do(service, "DELETE", "/operations(PartitionKey='p',RowKey='0')", "", "If-Match", "*"); answer.Code != 204 {
		t.Fatal(answer.Code)
	}
	if answer := do(service, "POST", "/operations", fmt.Sprintf(`{"PartitionKey":"p","RowKey":"again","A":"%s"}`, strings.Repeat("x", 500))); answer.Code != 201 {
		t.Errorf("after a delete: %d %s", answer.Code, answer.Body)
	}
	if answer := do(service, "DELETE", "/Tables('operations')", ""); answer.Code != 204 || service.account(accountName).size != 0 {
		t.Errorf("after the table's end: %d, %d bytes", answer.Code, service.account(accountName).size)
	}
}

func TestConcurrentWriters(t *testing.T) {
	service := openService(t, 0)
	create(t, service, "operations")
	var group sync.WaitGroup
	for writer := range 8 {
		group.Go(func() {
			for i := range 50 {
				if answer := do(service, "POST", "/operations", fmt.Sprintf(`{"PartitionKey":"p%d","RowKey":"%d"}`, writer, i)); answer.Code != 201 {
					t.Errorf("insert: %d", answer.Code)
				}
				do(service, "PUT", "/operations(PartitionKey='shared',RowKey='r')", `{"N":1}`)
				do(service, "GET", "/operations?$filter=N%20eq%201", "")
			}
		})
	}
	group.Wait()
	account := service.account(accountName)
	entities := account.tables[0].entities
	if len(entities) != 401 {
		t.Errorf("%d entities", len(entities))
	}
	etags := map[string]bool{}
	for i, e := range entities {
		etags[e.etag()] = true
		if i > 0 && entities[i-1].key.compare(e.key) >= 0 {
			t.Errorf("%v stands before %v", entities[i-1].key, e.key)
		}
	}
	if len(etags) != len(entities) {
		t.Errorf("%d etags for %d entities", len(etags), len(entities))
	}
}

func TestSharedKey(t *testing.T) {
	now := time.Date(2026, 9, 1, 12, 0, 0, 0, time.UTC)
	service, err := New(Options{Suffix: suffix, Authorizer: Credentials{Suffix: suffix, Now: func() time.Time { return now },
		Keys: func(account string) ([2]string, bool) { return [2]string{keyOne, ""}, account == accountName }}})
	if err != nil {
		t.Fatal(err)
	}
	sign := func(key, message string) string {
		secret, _ := base64.StdEncoding.DecodeString(key)
		mac := hmac.New(sha256.New, secret)
		mac.Write([]byte(message))
		return base64.StdEncoding.EncodeToString(mac.Sum(nil))
	}
	date := now.Format(http.TimeFormat)
	late := now.Add(-time.Hour).Format(http.TimeFormat)
	resource := "/" + accountName + "/Tables"
	full := func(date string) string { return "GET\n\n\n" + date + "\n" + resource }
	empty := sign("", full(date))
	for _, test := range []struct {
		name, date, authorization string
		status                    int
		code                      string
	}{
		{"SharedKey", date, "SharedKey " + accountName + ":" + sign(keyOne, full(date)), 200, ""},
		{"SharedKeyLite", date, "SharedKeyLite " + accountName + ":" + sign(keyOne, date+"\n"+resource), 200, ""},
		{"lite's signature as full", date, "SharedKey " + accountName + ":" + sign(keyOne, date+"\n"+resource), 403, "AuthenticationFailed"},
		{"another key", date, "SharedKey " + accountName + ":" + sign(keyTwo, full(date)), 403, "AuthenticationFailed"},
		{"empty key", date, "SharedKey " + accountName + ":" + empty, 403, "AuthenticationFailed"},
		{"old date", late, "SharedKey " + accountName + ":" + sign(keyOne, full(late)), 403, "AuthenticationFailed"},
		{"no date", "", "SharedKey " + accountName + ":" + sign(keyOne, full("")), 403, "AuthenticationFailed"},
		{"another account's name", date, "SharedKey other:" + sign(keyOne, full(date)), 403, "AuthenticationFailed"},
		{"no base64", date, "SharedKey " + accountName + ":***", 403, "AuthenticationFailed"},
		{"no scheme", date, "Basic abc", 403, "AuthenticationFailed"},
		{"nothing", date, "", 401, "NoAuthenticationInformation"},
		{"token where none is taken", date, "Bearer a.b.c", 401, "InvalidAuthenticationInfo"},
	} {
		t.Run(test.name, func(t *testing.T) {
			answer := do(service, "GET", "/Tables", "", "x-ms-date", test.date, "Authorization", test.authorization)
			if answer.Code != test.status || answer.Header().Get("x-ms-error-code") != test.code {
				t.Errorf("%d %s", answer.Code, answer.Body)
			}
			if (answer.Code == 401) != (answer.Header().Get("WWW-Authenticate") != "") {
				t.Errorf("challenge %q", answer.Header().Get("WWW-Authenticate"))
			}
		})
	}
	if len(service.accounts) != 1 {
		t.Errorf("%d accounts kept, want the one with a good request", len(service.accounts))
	}
	if answer := do(service, "GET", "/Tables?sig=x&sv=2019-02-02", ""); answer.Code != 403 || !bytes.Contains(answer.Body.Bytes(), []byte("not supported")) {
		t.Errorf("SAS: %d %s", answer.Code, answer.Body)
	}
}

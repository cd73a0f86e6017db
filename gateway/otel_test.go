package gateway

import (
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
)

// full is an entry without an empty field.
func full(t *testing.T) Entry {
	t.Helper()
	entry := someEntries()[0]
	value := reflect.ValueOf(&entry).Elem()
	for i := range value.NumField() {
		if field := value.Field(i); field.IsZero() {
			switch field.Kind() {
			case reflect.String:
				field.SetString("text of " + value.Type().Field(i).Name)
			case reflect.Float64:
				field.SetFloat(1500)
			case reflect.Uint64:
				field.SetUint(7)
			default:
				field.SetInt(503)
			}
		}
	}
	return entry
}

// Every member of an entry has an attribute, and docs/access-log.md has the pair of names.
func TestLogRecordHasEveryMember(t *testing.T) {
	doc, err := os.ReadFile("../docs/access-log.md")
	if err != nil {
		t.Fatal(err)
	}
	record := full(t).LogRecord()
	for name := range record.Attributes {
		if name != "error.type" && !strings.Contains(string(doc), "`"+name+"`") {
			t.Errorf("docs/access-log.md does not name %s", name)
		}
	}
	said, err := json.Marshal(record)
	if err != nil {
		t.Fatal(err)
	}
	members := reflect.ValueOf(full(t))
	for i := range members.NumField() {
		field := members.Type().Field(i)
		want := fmt.Sprint(members.Field(i).Interface())
		switch field.Name {
		case "Time":
			want = "2026-03-01T12:00:00Z"
		case "DurationMs":
			want = `"postern.duration":1.5`
		case "CallerIPAddress":
			want = `"client.address":"10.13.76.36","client.port":50000`
		}
		if !strings.Contains(string(said), want) {
			t.Errorf("%s (%s) is not in %s", field.Name, want, said)
		}
	}
}

func TestLogRecordSeverity(t *testing.T) {
	for want, entry := range map[string]Entry{
		"INFO": {StatusCode: 204}, "WARN": {StatusCode: 403}, "ERROR": {StatusCode: 502, StatusText: "ServerBusy"},
	} {
		if got := entry.LogRecord(); got.SeverityText != want || (want == "ERROR") != (got.Attributes["error.type"] != nil) {
			t.Errorf("%d: got %+v, want %s", entry.StatusCode, got, want)
		}
	}
	if got := (Entry{MissingRule: "ipRules"}).LogRecord(); got.SeverityText != "WARN" {
		t.Errorf("a revocation: %s", got.SeverityText)
	}
	if got := (Entry{StatusCode: 200}).LogRecord(); len(got.Attributes) != 4 {
		t.Errorf("what is empty is there: %v", got.Attributes)
	}
}

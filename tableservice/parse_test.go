package tableservice

import (
	"math"
	"net/url"
	"strings"
	"testing"
	"time"
)

var sample = &entity{
	key:       key{"vm-app", "007"},
	timestamp: time.Date(2026, 9, 1, 12, 0, 0, 0, time.UTC),
	properties: []property{
		{"Text", value{kind: kindString, text: "it's"}}, {"Int", value{kind: kindInt32, integer: 5}},
		{"Long", value{kind: kindInt64, integer: 1<<53 + 1}}, {"Real", value{kind: kindDouble, double: 1.5}},
		{"NaN", value{kind: kindDouble, double: math.NaN()}}, {"Yes", boolValue(true)}, {"No", boolValue(false)},
		{"When", value{kind: kindDateTime, time: time.Date(2020, 2, 29, 1, 2, 3, 500_000_000, time.UTC)}},
		{"ID", value{kind: kindGUID, text: "c9da6455-213d-42c9-9a79-3e9149a57833"}},
		{"Bytes", value{kind: kindBinary, text: "\x00\xff"}}, {"ordinal", value{kind: kindInt32, integer: 1}},
	},
}

func TestFilter(t *testing.T) {
	for text, want := range map[string]bool{
		"PartitionKey eq 'vm-app'":                     true,
		"PartitionKey eq 'vm-app' and RowKey eq '008'": false,
		"RowKey ge '006' and RowKey lt '0070'":         true,
		"Text eq 'it''s'":                              true,
		"Int eq 5":                                     true,
		"Int eq 5L":                                    true,
		"Int eq 5.0":                                   true,
		"5 eq Int":                                     true,
		"6 gt Int":                                     true,
		"Int ne 5":                                     false,
		"Int lt -1":                                    false,
		"Int le 5":                                     true,
		"Int gt 4 and Int lt 6":                        true,
		"Long eq 9007199254740993L":                    true,
		"Long eq 9007199254740992L":                    false,
		"Long eq 9007199254740993":                     true,
		"Real gt 1 and Real lt 2":                      true,
		"Real eq 15e-1":                                true,
		"NaN eq NaN":                                   false,
		"NaN ne 1.0":                                   true,
		"Yes":                                          true,
		"No":                                           false,
		"not No":                                       true,
		"Yes eq true and No eq false":                  true,
		"not (Yes eq true)":                            false,
		"When eq datetime'2020-02-29T01:02:03.5Z'":         true,
		"When lt datetime'2020-02-29T02:02:03.5+01:00'":    false,
		"Timestamp ge datetime'2026-09-01T12:00:00Z'":      true,
		"ID eq guid'C9DA6455-213D-42C9-9A79-3E9149A57833'": true,
		"Bytes eq X'00ff'":                    true,
		"Bytes eq binary'00fe'":               false,
		"Missing eq 1":                        false,
		"Missing ne 1":                        false,
		"Int eq '5'":                          false,
		"Int ne '5'":                          false,
		"Int eq 1 or Int eq 2 or Int eq 5":    true,
		"Int eq 5 or Int eq 1 and Int eq 2":   true, // and binds closer
		"(Int eq 5 or Int eq 1) and Int eq 2": false,
		"ordinal eq 1":                        true, // begins with a keyword
		"true":                                true,
		"((((Int eq 5))))":                    true,
		"not not Yes":                         true,
		strings.Repeat("(", 60) + "Yes" + strings.Repeat(")", 60): true,
		"\t Int\teq\n5 ": true,
		"PartitionKey ge 'vm-' and PartitionKey lt 'vm.' and not No": true,
	} {
		parsed, f := parseFilter(text)
		if f != nil {
			t.Errorf("%s: %v", text, f)
			continue
		}
		if got := parsed.holds(sample); got != want {
			t.Errorf("%s: %v, want %v", text, got, want)
		}
	}
	for _, text := range []string{"", " ", "eq", "Int eq", "eq 5", "Int 5", "Int == 5", "Int eq 5 5", "(Int eq 5", "Int eq 5)", "Int eq 'x",
		"Int eq 5 and", "and Int eq 5", "not", "Int eq 1.2.3", "Int eq 99999999999999999999L", "When eq datetime'soon'",
		"ID eq guid'1'", "Bytes eq X'0'", "Text eq time'1'", "Int eq 5 xor Int eq 6", "startswith(Text,'a')", "Int eq $", "Int eq 0x5", "a eq b eq c",
		strings.Repeat("(", 100) + "Yes" + strings.Repeat(")", 100), strings.Repeat("not ", 1000) + "Yes", strings.Repeat("a", maxFilterLen+1)} {
		if parsed, f := parseFilter(text); f == nil {
			t.Errorf("%.40q was read as %v", text, parsed)
		}
	}
}

func TestPath(t *testing.T) {
	for path, want := range map[string]resource{
		"/":                                 {kind: resourceService},
		"/Tables":                           {kind: resourceTables},
		"/Tables()":                         {kind: resourceTables},
		"/Tables('abc')":                    {kind: resourceTable, table: "abc"},
		"/operations":                       {kind: resourceEntities, table: "operations"},
		"/operations()":                     {kind: resourceEntities, table: "operations"},
		"/$batch":                           {kind: resourceBatch},
		"/abc(PartitionKey='p',RowKey='r')": {kind: resourceEntity, table: "abc", key: key{"p", "r"}},
		"/abc(RowKey='r',PartitionKey='p')": {kind: resourceEntity, table: "abc", key: key{"p", "r"}},
		"/abc(PartitionKey='',RowKey='')":   {kind: resourceEntity, table: "abc"},
		"/abc(PartitionKey='o''b',RowKey=''',(x)=''')": {kind: resourceEntity, table: "abc", key: key{"o'b", "',(x)='"}},
	} {
		got, f := parsePath(path)
		if f != nil || got != want {
			t.Errorf("%s: %+v %v, want %+v", path, got, f, want)
		}
	}
	for _, path := range []string{"", "abc", "/ab", "/1abc", "/a b", "/abc/", "/abc(", "/abc)", "/abc('x')", "/Tables(x)", "/Tables('abc'", "/Tables('abc'x)",
		"/abc(PartitionKey='p')", "/abc(PartitionKey='p',PartitionKey='p')", "/abc(PartitionKey='p',RowKey='r',Z='z')", "/abc(PartitionKey=p,RowKey=r)",
		"/abc(PartitionKey='p' RowKey='r')", "/abc(PartitionKey='p',RowKey='r''", "/abc(PartitionKey='a/b',RowKey='r')", "/abc(PartitionKey='\x01',RowKey='r')",
		"/Tables('tables')", "/" + strings.Repeat("a", 64)} {
		if got, f := parsePath(path); f == nil {
			t.Errorf("%q was read as %+v", path, got)
		}
	}
}

func TestValuesRoundTrip(t *testing.T) {
	for _, p := range sample.properties {
		written := object{buffer: []byte("{")}
		if p.value.annotated() {
			written.text(p.name+"@odata.type", kindNames[p.value.kind])
		}
		written.name(p.name)
		text := append(p.value.appendJSON(written.buffer), '}')
		read, f := parseBody(text)
		if f != nil || len(read.properties) != 1 {
			t.Errorf("%s: %v", text, f)
			continue
		}
		got := read.properties[0].value
		if same := got == p.value || math.IsNaN(got.double) && math.IsNaN(p.value.double); !same {
			t.Errorf("%s: %+v, want %+v", text, got, p.value)
		}
	}
	whole := value{kind: kindDouble, double: 3}
	if text := string(whole.appendJSON(nil)); text != "3.0" {
		t.Errorf("a whole double is written as %s, and would be read back as Edm.Int32", text)
	}
}

func FuzzFilter(f *testing.F) {
	for _, seed := range []string{"PartitionKey eq 'a' and (Int gt 5L or not Yes)", "When le datetime'2020-01-01T00:00:00Z'", "X'00' eq Bytes",
		"Int eq -5.5e3d", "((((", "not not not", "guid'c9da6455-213d-42c9-9a79-3e9149a57833' ne ID", "é eq 'é'"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		parsed, fault := parseFilter(text)
		if (parsed == nil) != (fault != nil) {
			t.Fatalf("%q: %v and %v", text, parsed, fault)
		}
		if fault != nil {
			return
		}
		held := parsed.holds(sample)
		twice, fault := parseFilter("not (" + text + ")")
		if fault == nil && twice.holds(sample) == held { // the depth may have run out
			t.Errorf("%q and its negation both give %v", text, held)
		}
	})
}

func FuzzPath(f *testing.F) {
	for _, seed := range []string{"/", "/Tables('abc')", "/abc(PartitionKey='p',RowKey='r')", "/abc(PartitionKey='o''b',RowKey='')", "/$batch", "/abc(RowKey='"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, path string) {
		parsed, fault := parsePath(path)
		if fault != nil || parsed.kind != resourceEntity {
			return
		}
		decoded, err := url.PathUnescape("/" + entityAddress(parsed.table, parsed.key))
		if err != nil {
			t.Fatal(err)
		}
		again, fault := parsePath(decoded)
		if fault != nil || again != parsed {
			t.Errorf("%q: %+v, written and read again %+v %v", path, parsed, again, fault)
		}
	})
}

func FuzzEntity(f *testing.F) {
	for _, seed := range []string{`{"PartitionKey":"p","RowKey":"r","A":1,"B":"2","B@odata.type":"Edm.Int64"}`, `{"A":null}`, `{"A":{}}`, `{`, `{"A":1e400}`,
		`{"A@odata.type":"Edm.Double","A":"NaN"}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		read, fault := parseBody(data)
		if fault != nil {
			return
		}
		c := &call{base: "http://x", name: "x", metadata: metadataFull}
		text := c.appendEntity(nil, "abc", &entity{timestamp: sample.timestamp, properties: read.properties}, nil, true)
		again, fault := parseBody(text)
		if fault != nil || len(again.properties) != len(read.properties) {
			t.Fatalf("%q written as %q: %v", data, text, fault)
		}
		for i, p := range again.properties {
			want := read.properties[i]
			if p != want && !(math.IsNaN(p.value.double) && math.IsNaN(want.value.double)) {
				t.Errorf("%q: %+v, want %+v", data, p, want)
			}
		}
	})
}

func FuzzBatch(f *testing.F) {
	f.Add("multipart/mixed; boundary=b", []byte("--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\nContent-Type: application/http\r\n\r\n"+
		"DELETE http://x/abc(PartitionKey='p',RowKey='r') HTTP/1.1\r\nIf-Match: *\r\n\r\n\r\n--c--\r\n--b--\r\n"))
	f.Add("multipart/mixed; boundary=b", []byte("--b\r\n\r\n--b--"))
	f.Add("text/plain", []byte("x"))
	f.Fuzz(func(t *testing.T, contentType string, data []byte) {
		requests, fault := splitBatch(contentType, data)
		if (len(requests) > 0) == (fault != nil) || len(requests) > maxBatchChanges {
			t.Fatalf("%d requests and %v", len(requests), fault)
		}
		for _, request := range requests {
			_, _, _ = (&call{request: request}).parsePart(request)
		}
	})
}

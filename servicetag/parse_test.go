package servicetag_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"postern/servicetag"
	"postern/servicetag/tagtest"
)

const small = `{"changeNumber": 7, "cloud": "Public", "values": [
 {"name": "Storage", "id": "Storage", "properties": {"changeNumber": 3, "region": "", "regionId": 0, "platform": "Azure",
  "systemService": "AzureStorage", "addressPrefixes": ["20.0.0.0/16", "2603:1000::/40", "10.0.0.0/24"], "networkFeatures": ["API", "VSE"]}},
 {"name": "Storage.GermanyWestCentral", "id": "Storage.GermanyWestCentral", "properties": {"changeNumber": 1, "region": "germanywc",
  "regionId": 72, "platform": "Azure", "systemService": "AzureStorage", "addressPrefixes": ["20.0.1.0/24"], "networkFeatures": null}}]}`

func pack(t testing.TB, text []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestParseReadsPlainAndPacked(t *testing.T) {
	for name, data := range map[string][]byte{"plain": []byte(small), "gzip": pack(t, []byte(small)), "BOM": []byte("\xef\xbb\xbf" + small)} {
		t.Run(name, func(t *testing.T) {
			c, err := servicetag.Parse(bytes.NewReader(data))
			if err != nil {
				t.Fatal(err)
			}
			if c.ChangeNumber() != 7 || c.Cloud() != "Public" {
				t.Errorf("change %d of cloud %q, want 7 of Public", c.ChangeNumber(), c.Cloud())
			}
			tag, ok := c.Tag("storage.germanyWESTcentral")
			if !ok || tag.Location != "germanywestcentral" || tag.Region != "germanywc" || tag.RegionID != 72 {
				t.Errorf("tag = %+v, %v", tag, ok)
			}
			if got := fmt.Sprint(c.IPv4("Storage")); got != "[10.0.0.0/24 20.0.0.0/16]" {
				t.Errorf("IPv4 = %s", got)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	packed := pack(t, []byte(small))
	swap := func(old, new string) []byte { return []byte(strings.Replace(small, old, new, 1)) }
	many := `{"values":[` + strings.Repeat(`{"name":"A"},`, 20_000) + `{"name":"A"}]}`
	for _, test := range []struct {
		name string
		data []byte
		want string
	}{
		{"empty", nil, "it is empty"},
		{"spaces", []byte(" \n"), "it is empty"},
		{"cut off", []byte(small[:len(small)/2]), "it is cut off"},
		{"packed, cut off", packed[:len(packed)/2], "it is cut off"},
		{"packed, header alone", packed[:3], "gzip"},
		{"packed, damaged", append(bytes.Clone(packed[:len(packed)-8]), 1, 2, 3, 4, 5, 6, 7, 8), "gzip"},
		{"HTML", []byte("<html><body>Sign in</body></html>"), "it is not JSON"},
		{"text behind", []byte(small + "x"), "it is not JSON"},
		{"an array", []byte("[1, 2]"), "it is not a service-tag file"},
		{"field of another type", swap(`"changeNumber": 3`, `"changeNumber": "three"`), "properties.changeNumber"},
		{"other JSON", []byte(`{"a": 1}`), "it has no tags"},
		{"no tags", []byte(`{"values": []}`), "it has no tags"},
		{"no name", swap(`"name": "Storage"`, `"name": ""`), "it has no name"},
		{"a long name", swap(`"name": "Storage"`, `"name": "`+strings.Repeat("x", 300)+`"`), "longer than"},
		{"a name twice", swap(`"name": "Storage.GermanyWestCentral"`, `"name": "STORAGE"`), "the name stands there twice"},
		{"a prefix that is none", swap("20.0.1.0/24", "20.0.1.0/33"), `prefix "20.0.1.0/33"`},
		{"an address for a prefix", swap("20.0.1.0/24", "20.0.1.0"), `prefix "20.0.1.0"`},
		{"bits behind the length", swap("20.0.1.0/24", "20.0.1.1/24"), `prefix "20.0.1.1/24"`},
		{"too many tags", []byte(many), "more than 20000"},
		{"too large unpacked", pack(t, bytes.Repeat([]byte(" "), 65<<20)), "larger than 64 MiB"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, err := servicetag.Parse(bytes.NewReader(test.data))
			if err == nil || c != nil {
				t.Fatalf("no error, catalogue %v", c)
			}
			text := err.Error()
			if !strings.Contains(text, test.want) || !strings.HasPrefix(text, "read service-tag file: ") {
				t.Errorf("error %q, want one with %q", text, test.want)
			}
			if strings.Contains(text, "\n") || len(text) > 300 {
				t.Errorf("not one clear line: %q", text)
			}
		})
	}
}

func TestEncodeReadsBackEqual(t *testing.T) {
	var first, second bytes.Buffer
	c, err := servicetag.Parse(strings.NewReader(small))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Encode(&first); err != nil {
		t.Fatal(err)
	}
	again, err := servicetag.Parse(bytes.NewReader(first.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Encode(&second); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(first.Bytes(), second.Bytes()) {
		t.Error("encoding twice gives other bytes")
	}
	if tag, _ := again.Tag("Storage.GermanyWestCentral"); tag.NetworkFeatures != nil || tag.ChangeNumber != 1 {
		t.Errorf("tag = %+v", tag)
	}
}

// TestRealFileEncodesToItself compares as JSON: the file's own fields, values and order, but for the order of prefixes.
func TestRealFileEncodesToItself(t *testing.T) {
	data := tagtest.Bytes(t)
	var out bytes.Buffer
	if err := tagtest.Real(t).Encode(&out); err != nil {
		t.Fatal(err)
	}
	unpacked, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	var want, got any
	if err := json.NewDecoder(unpacked).Decode(&want); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	sortPrefixes(want)
	sortPrefixes(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-file +encoded)\n%.2000s", diff)
	}
}

func sortPrefixes(file any) {
	for _, v := range file.(map[string]any)["values"].([]any) {
		p := v.(map[string]any)["properties"].(map[string]any)
		set := map[string]any{}
		for _, prefix := range p["addressPrefixes"].([]any) {
			set[prefix.(string)] = true
		}
		p["addressPrefixes"] = set
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(small))
	f.Add(pack(f, []byte(small)))
	f.Add([]byte(small[:100]))
	f.Add([]byte(`{"values":[{"name":"A","properties":{"region":"x","addressPrefixes":["::/0","0.0.0.0/0"]}}]}`))
	f.Add([]byte{0x1f, 0x8b})
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := servicetag.Parse(bytes.NewReader(data))
		if (c == nil) == (err == nil) {
			t.Fatalf("catalogue %v and error %v", c, err)
		}
		if err != nil {
			return
		}
		var out bytes.Buffer
		if err := c.Encode(&out); err != nil {
			t.Fatal(err)
		}
		again, err := servicetag.Parse(&out)
		if err != nil {
			t.Fatalf("what was encoded does not parse: %v", err)
		}
		for _, name := range c.Names() {
			one, _ := c.Tag(name)
			other, ok := again.Tag(name)
			if !ok || !slices.Equal(one.Prefixes, other.Prefixes) {
				t.Fatalf("tag %q changed: %v, then %v", name, one, other)
			}
			for _, prefix := range one.Prefixes {
				if len(c.Lookup(prefix.Addr())) == 0 {
					t.Fatalf("tag %q: %s is not found", name, prefix)
				}
			}
		}
	})
}

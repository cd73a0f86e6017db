package storage

import (
	"net/url"
	"path"
	"strings"
	"testing"
)

func TestByPath(t *testing.T) {
	for _, test := range []struct {
		port        uint16
		path        string
		label, part string
		ok          bool
	}{
		{10000, "/sta/container/blob", "sta", Blob, true},
		{10001, "/sta/queue/messages", "sta", Queue, true},
		{10002, "/sta/Tables('operations')", "sta", Table, true},
		{80, "/sta/container", "sta", Blob, true},
		{10000, "/sta", "sta", Blob, true},
		{10000, "/sta/", "sta", Blob, true},
		{10000, "/sta/container/a%2Fb", "sta", Blob, true},
		{10000, "/sta/container/...", "sta", Blob, true},
		{10000, "/sta/container/50%25", "sta", Blob, true},
		{10002, "/", "", Table, false},
		{10000, "", "", Blob, false},
		{10000, "*", "", Blob, false},
		{10000, "sta/container", "", Blob, false},
		{10000, "//sta/container", "", Blob, false},
		{10000, "/Sta/container", "", Blob, false},
		{10000, "/%73ta/container", "", Blob, false},
		{10000, "/sta%2Fcontainer/b", "", Blob, false},
		{10000, "/sta-secondary/container", "", Blob, false},
		{10000, "/../sta/container", "", Blob, false},
	} {
		if label, part, ok := byPath(test.port, test.path); label != test.label || part != test.part || ok != test.ok {
			t.Errorf("%d %q: got %q, %q, %v", test.port, test.path, label, part, ok)
		}
	}
	for _, climbing := range []string{
		"/sta/../stb/c", "/sta/./c", "/sta/..", "/sta/%2e%2e/stb/c", "/sta/.%2E/stb/c", "/sta/..%2fstb/c", "/sta/c%2f..%2f..%2fstb", "/sta/%252e%252e/stb",
		`/sta/..\stb`, "/sta/..%5cstb", "/sta/..;x=1/stb/c", "/sta/a/b/../c",
	} {
		if label, _, ok := byPath(10000, climbing); ok {
			t.Errorf("%q is taken as %q", climbing, label)
		}
	}
}

// FuzzByPath: whatever is taken stays below its account, however a server decodes and cleans it.
func FuzzByPath(f *testing.F) {
	for _, seed := range []string{"/sta/container/blob", "/sta/../stb", "/sta/%2e%2e/stb", "/sta/%252e./stb", `/sta\..\stb`, "/sta/..;a/b", "//sta/", "/sta/%"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		label, _, ok := byPath(10000, text)
		if !ok {
			return
		}
		for range 3 {
			if cleaned := path.Clean(strings.ReplaceAll(text, `\`, "/")); cleaned != "/"+label && !strings.HasPrefix(cleaned, "/"+label+"/") {
				t.Fatalf("%q is %q to a server", text, cleaned)
			}
			decoded, err := url.PathUnescape(text)
			if err != nil {
				return
			}
			text = decoded
		}
	})
}

// Package tagtest finds the real service-tag file for tests.
package tagtest

import (
	"bytes"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"postern/servicetag"
)

// realName is Microsoft's file of 28 July 2025, packed: 2,967 tags.
const realName = "ServiceTags_Public_20250728.json.gz"

// Bytes are those of the real file, packed with gzip. It looks for shared/data beside the working directory and beside
// each directory above it, and skips the test where the file is not there: it is too large to be kept here.
func Bytes(t testing.TB) []byte {
	t.Helper()
	directory, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		parent := filepath.Dir(directory)
		data, err := os.ReadFile(filepath.Join(parent, "shared", "data", realName))
		if err == nil {
			return data
		}
		if parent == directory {
			t.Skipf("no ../shared/data/%s beside the repository: put Microsoft's file there to run this test", realName)
		}
		directory = parent
	}
}

var (
	parse     sync.Once
	catalogue *servicetag.Catalogue
	parseErr  error
)

// Real is the catalogue of the real file, read once. It skips the test as Bytes does.
func Real(t testing.TB) *servicetag.Catalogue {
	t.Helper()
	data := Bytes(t)
	parse.Do(func() { catalogue, parseErr = servicetag.Parse(bytes.NewReader(data)) })
	if parseErr != nil {
		t.Fatal(parseErr)
	}
	return catalogue
}

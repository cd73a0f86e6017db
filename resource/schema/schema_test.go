package schema_test

import (
	"flag"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"postern/resource/schema"
	"postern/resource/sdktest"
)

var update = flag.Bool("update", false, "write table.txt anew from the SDK's models")

// TestTable compares the committed table with the SDK's models.
func TestTable(t *testing.T) {
	want, err := sdktest.Table()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := schema.Parse(want); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile("table.txt", []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile("table.txt")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(have)); diff != "" {
		t.Errorf("table.txt is not what the SDK's models say (-SDK +table); run go generate ./resource/schema:\n%s", diff)
	}
}

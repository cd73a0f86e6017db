package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"postern/control"
	"postern/control/controltest"
	"postern/inspect"
	"postern/servicetag/tagtest"
)

// TestRealCatalogue imports Microsoft's own file and enables all of Storage.
func TestRealCatalogue(t *testing.T) {
	file := filepath.Join(t.TempDir(), "tags.json.gz")
	if err := os.WriteFile(file, tagtest.Bytes(t), 0o600); err != nil {
		t.Fatal(err)
	}
	dir := controltest.Start(t, control.Options{}).Dir
	postern := func(stdin string, args ...string) string {
		t.Helper()
		var stdout, stderr bytes.Buffer
		if code := run(context.Background(), append(args, "--dir", dir), strings.NewReader(stdin), &stdout, &stderr); code != exitDone {
			t.Fatalf("%v: exit code %d: %s", args, code, &stderr)
		}
		return stdout.String()
	}
	postern("", "apply", "-f", filepath.Join("testdata", "cloud.yaml"))
	if got := postern("", "tags", "import", file); !strings.HasPrefix(got, "imported 2967 service tags") {
		t.Errorf("import says %q", got)
	}
	postern(`{"type": "virtualNetworks/subnets", "name": "vnet/snet-app",
		"properties": {"addressPrefix": "10.13.76.0/24", "serviceEndpoints": [{"service": "Microsoft.Storage.Global"}]}}`, "apply", "-f", "-")

	t.Run("SE-9 Microsoft.Storage.Global gives 495 IPv4 prefixes", func(t *testing.T) {
		var answer inspect.Routes
		if err := json.Unmarshal([]byte(postern("", "routes", "nic-app", "-o", "json")), &answer); err != nil {
			t.Fatal(err)
		}
		count := 0
		for _, route := range answer.Value {
			if route.Name != "Microsoft.Storage.Global" {
				continue
			}
			for _, prefix := range route.Prefixes {
				if prefix.Addr().Is4() {
					count++
				}
			}
		}
		if count != 495 {
			t.Errorf("got %d prefixes", count)
		}
	})
	t.Run("ROUTE-18 the table abbreviates", func(t *testing.T) {
		if got := postern("", "routes", "nic-app"); !strings.Contains(got, " +494 more (Storage") {
			t.Errorf("got\n%s", got)
		}
	})
	t.Run("SE-15 the tags with VSE", func(t *testing.T) {
		if got := postern("", "tags", "list", "--vse"); strings.Count(got, "\n") < 9 || strings.Contains(got, "AzureCloud") {
			t.Errorf("got\n%s", got)
		}
	})
}

package bench

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"postern/lab"
)

// gatewayProcessVariable makes this test's executable a gateway, as `postern bench gateway-process` is.
const gatewayProcessVariable = "POSTERN_TEST_GATEWAY_PROCESS"

func TestMain(m *testing.M) {
	if os.Getenv(gatewayProcessVariable) != "" {
		if err := GatewayProcess(context.Background(), os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// ownGateway is Options.Program for tests.
func ownGateway(t *testing.T) []string {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return []string{"env", gatewayProcessVariable + "=1", program}
}

// TestGateway measures for so short a time that the figures say nothing: the rows must be whole, and their traffic must have
// gone the way that they name.
func TestGateway(t *testing.T) {
	if err := lab.Prerequisites(); err != nil {
		t.Skip(err)
	}
	for _, program := range []string{"haproxy", "nginx"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skip(err)
		}
	}
	folders := inOwnFolder(t)
	var counts gatewayCounts
	report, err := Gateway(t.Context(), GatewayOptions{Duration: 20 * time.Millisecond, Connections: 60, Program: ownGateway(t),
		counted: func(got gatewayCounts) { counts = got }})
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, row := range report.Rows {
		ids = append(ids, row.ID)
		if row.Skipped != "" {
			t.Errorf("%s: skipped: %s", row.ID, row.Skipped)
			continue
		}
		if strings.Contains(row.ID, "-memory-") {
			continue // so few connections may grow by nothing
		}
		if row.Ours <= 0 || row.Theirs <= 0 || row.Min <= 0 || row.Min > row.Ratio || row.Ratio > row.Max || row.Runs != leastPairs || row.Unit == "" {
			t.Errorf("not whole: %+v", row)
		}
		if row.Target != 0 && row.Pass != (row.Ratio >= row.Target) {
			t.Errorf("%s: pass is %t", row.ID, row.Pass)
		}
	}
	if got, want := strings.Join(ids, " "), strings.Join(GatewayRows, " "); got != want {
		t.Errorf("rows %s, want %s", got, want)
	}
	for _, by := range []string{byNobody, byHAProxy, byNginx, byPassing, byKernel, byHost} {
		one := counts.backend[by]
		if by == byNobody || by == byKernel || by == byHost {
			one.fromGateway, one.fromElsewhere = one.fromElsewhere, one.fromGateway
		}
		if one.fromGateway == 0 || one.fromElsewhere != 0 {
			t.Errorf("%s: the backend saw %+v", by, counts.backend[by])
		}
	}
	if counts.haproxy == 0 {
		t.Error("HAProxy has counted no connection")
	}
	// Each connection that reached the backend by us is of an entry that names it; pooled ones serve many.
	if counts.logged < counts.backend[byPassing].fromGateway/2 {
		t.Errorf("our log has %d lines with a backend, which saw %d connections", counts.logged, counts.backend[byPassing].fromGateway)
	}
	if seen := counts.backend[byKernel].fromElsewhere; counts.judged < seen/2 || counts.judged > seen {
		t.Errorf("our log has %d lines of the kernel's, and the server saw %d connections", counts.judged, seen)
	}
	left(t, folders)
	namespaces, err := filepath.Glob(fmt.Sprintf("/run/netns/postern-%d.*", os.Getpid()))
	if err != nil || len(namespaces) > 0 {
		t.Errorf("left behind: %s, %v", namespaces, err)
	}
}

func TestGatewayWithoutRivals(t *testing.T) {
	if err := lab.Prerequisites(); err != nil {
		t.Skip(err)
	}
	t.Setenv("PATH", t.TempDir())
	program := ownGateway(t)
	report, err := Gateway(t.Context(), GatewayOptions{Duration: 20 * time.Millisecond, Connections: 10, Rows: []string{"passed-request-response-"},
		Program: slices.Concat([]string{"/usr/bin/" + program[0]}, program[1:])})
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range report.Rows {
		_, rival, _ := strings.Cut(strings.TrimSuffix(row.ID, "-64"), "request-response-")
		rival = strings.TrimPrefix(rival, "64-")
		switch {
		case rival == byNobody && row.Skipped != "":
			t.Errorf("%s: skipped: %s", row.ID, row.Skipped)
		case rival == byHAProxy && !strings.Contains(row.Skipped, "install Debian's package haproxy"),
			rival == byNginx && !strings.Contains(row.Skipped, "install Debian's packages nginx and libnginx-mod-stream"):
			t.Errorf("%s: %q", row.ID, row.Skipped)
		}
	}
	if len(report.Rows) != 6 || report.Pass() {
		t.Errorf("%d rows, pass is %t", len(report.Rows), report.Pass())
	}
}

func TestGatewayOptions(t *testing.T) {
	for name, options := range map[string]GatewayOptions{
		"few pairs": {Pairs: 4}, "negative duration": {Duration: -1}, "no connections": {Connections: -1}, "no such row": {Rows: []string{"bulk"}},
	} {
		if _, err := Gateway(t.Context(), options); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
